// SPDX-License-Identifier: BSD-3-Clause
// The cache role and memory: how an object comes into it, and what may leave it.
#include <algorithm>

#include "cache_parts.hpp"
#include "directory.hpp"

namespace ssi::kddm::cache {
namespace {

// Copies of smaller objects are called back before the object leaves memory: to remember who has
// some would take as much room as the object itself.
constexpr std::uint32_t worth_remembering_bytes = 512;

// The bytes are here: opens the word and counts the version on.
void be_here(Entry& entry, Transition& t) {
    Home* home = entry.home();
    const bool copies = home && !home->copies.empty();
    if (home) home->stored = false;
    const std::uint64_t before = entry.version.load(std::memory_order_relaxed);
    if (copies) {
        // The same value as theirs, but not the same life: a lock-free reader that started in the
        // last one must notice.
        entry.set_version(before + version_owner_step);
    } else {
        // Above whatever this entry, and an earlier life of this object, had: no lock-free reader
        // may take the new bytes for old ones.
        entry.set_version(std::max(t.pools->last_version, before & version_writes_mask) + 1);
    }
    if (t.plant != Plant::cut_takes_newborn) pin::set_generation(entry.word, t.generation);
    entry.state = copies ? CacheState::owner : CacheState::exclusive;
    pin::set(entry.word, copies ? pin::readable : pin::readable | pin::writable);
}

// Closes the word of an object that the linker has. False: somebody came in between.
bool close(Entry& entry) {
    if (!pin::try_take_all(entry.word)) return false;
    if (!(entry.word.load(std::memory_order_acquire) & pin::dirty)) return true;
    const bool exclusive = entry.state == CacheState::exclusive;
    pin::set(entry.word, exclusive ? pin::readable | pin::writable : pin::readable);
    return false;
}

Shed shed_at_home(Entry& entry, Transition& t) {
    const Home* home = entry.home();
    if (!t.linked || (home && !home->quiet())) return Shed::kept;
    const bool copies = home && !home->copies.empty();
    if (copies && length_of(entry) < worth_remembering_bytes) return Shed::recall;
    const bool dirty = entry.word.load(std::memory_order_acquire) & pin::dirty;
    if (dirty && t.plant != Plant::drop_dirty) return Shed::write_back;
    if (dirty) pin::clear(entry.word, pin::dirty);
    if (!close(entry)) return Shed::kept;
    Message m = make_message(Kind::evict, SetId(entry.set), entry.id, no_txn, t.self);
    if (hook_first(entry, m, t)) return Shed::leaving;
    put_away(entry, t);
    return Shed::dropped;
}

}  // namespace

bool absent(const Entry& entry, const Transition& t) {
    if (!t.at_home() || entry.state != CacheState::invalid || loading(entry)) return false;
    return !entry.has_home || (entry.home()->stored && entry.home()->busy_txn == 0);
}

bool bring(Entry& entry, bool renew, Transition& t) {
    // While others have copies of the old value, nobody may find the new one here.
    const bool copies = entry.has_home && !entry.home()->copies.empty();
    if (t.linked && (!renew || copies)) {
        busy_of(entry, t).loading = true;
        t.load = true;
        return true;
    }
    if (!make_bytes(entry, t, true)) return false;
    be_here(entry, t);
    return true;
}

void loaded(Entry& entry, const Body& body, Transition& t) {
    if (!loading(entry)) return t.release(body);   // the set was destroyed meanwhile
    entry.busy->loading = false;
    take_in(entry, body, t);
    ++t.counters->loads;
    be_here(entry, t);
    pump(entry, t);
    directory::resume(entry, t);
}

void load_failed(Entry& entry, Errc error, Transition& t) {
    if (!loading(entry)) return;
    entry.busy->loading = false;
    fail_waiters(entry, error, t.self, t);
    directory::refuse_all(entry, error, t);
    Home* home = entry.home();
    if (!home) return;
    home->stored = true;
    if (home->alone(t.self)) entry.forget_home();
}

void put_away(Entry& entry, Transition& t) {
    keep_as_of_cut(entry, t);
    const std::uint64_t writes =
        entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    t.pools->last_version = std::max(t.pools->last_version, writes);
    ++t.counters->drops;
    drop_bytes(entry, t);
    entry.state = CacheState::invalid;
    Home* home = entry.home();
    if (!home) return;
    home->stored = true;
    if (home->alone(t.self)) entry.forget_home();
}

// Readers do not tell when they drop a copy, so entries would stay for what nobody remembers. A
// transition of the home's own: requests queue meanwhile, here and in the directory.
Shed forget_copies(Entry& entry, Transition& t) {
    Home& home = *entry.home();
    if (!home.quiet()) return Shed::kept;
    Busy& busy = busy_of(entry, t);
    busy.txn = t.new_txn();
    busy.requested = Access::none;
    busy.has_data = true;
    busy.want_done = busy.lost_copy = false;
    busy.forgetting = true;
    const Message m = make_message(Kind::grab_request, SetId(entry.set), entry.id, TxnId(busy.txn),
                                   t.self);
    home.busy_txn = busy.txn;
    home.busy_node = t.self;
    busy.acks_missing = static_cast<std::int32_t>(directory::invalidate(entry, m, t));
    if (busy.acks_missing == 0) forgotten(entry, true, t);
    return Shed::leaving;
}

void forgotten(Entry& entry, bool all, Transition& t) {
    Home& home = *entry.home();
    entry.busy->forgetting = false;
    entry.busy->txn = home.busy_txn = 0;
    if (all) {
        home.open_node = no_node;
        home.copies.clear();
    }
    if (!home.queue.empty())
        (void)bring(entry, false, t);   // both queues go on when it is there
    else
        pump(entry, t);   // which has it brought for who waits
    if (entry.state == CacheState::invalid && !loading(entry) && home.alone(t.self))
        entry.forget_home();
}

Shed shed(Entry& entry, Transition& t) {
    if (entry.busy && !entry.busy->idle()) return Shed::kept;
    if (t.at_home() && entry.state == CacheState::invalid && entry.has_home &&
        entry.home()->stored)
        return forget_copies(entry, t);
    const std::uint64_t word = entry.word.load(std::memory_order_acquire);
    if (pin::count(word) != 0) return Shed::kept;
    const bool shared = entry.state == CacheState::shared;
    if (!shared && entry.state != CacheState::owner && entry.state != CacheState::exclusive)
        return Shed::kept;
    if (t.at_home() && !shared) return shed_at_home(entry, t);
    // A copy that was fetched to be written back, and was not.
    if (t.at_home() && t.linked && (word & pin::dirty)) return Shed::write_back;
    if (!pin::try_take_all(entry.word)) return Shed::kept;
    Message m = make_message(Kind::evict, SetId(entry.set), entry.id, no_txn, t.self);
    if (hook_first(entry, m, t)) return Shed::leaving;
    give_up(entry, t);
    if (!shared) return Shed::leaving;
    ++t.counters->drops;
    return Shed::dropped;
}

}  // namespace ssi::kddm::cache
