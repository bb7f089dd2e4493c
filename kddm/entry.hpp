// SPDX-License-Identifier: BSD-3-Clause
// Entry: all that a node knows about one object: the pin word, the cached bytes and, at the home,
// the directory's part. 64 bytes, which is all of a small object that stays where it is; what only
// a transition needs hangs off `busy`, and the home's part stands a page behind (slab.hpp), so
// that both are fetched at once.
// Memory is type-stable: an entry is recycled within its shard, never returned, so that a lock-free
// reader may pin first and check the name afterwards.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <span>

#include "body.hpp"
#include "bounce.hpp"
#include "copyset.hpp"
#include "pin_word.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/sys/arena.hpp"
#include "ssi/sys/task.hpp"
#include "wire.hpp"

namespace ssi::kddm {

// The cache's state of an object on one node; the pin word's readable and writable bits follow it.
enum class CacheState : std::uint8_t {
    invalid,    // nothing here
    shared,     // a read copy
    owner,      // the newest value; read copies may exist elsewhere
    exclusive,  // the newest value, and no copies
    evicting,   // bytes on their way home; they still answer fetch and yield
    given,      // evicting, but a yield took the bytes meanwhile
};

// Versions: the low 40 bits count writes (equal: equal bytes), the high 24 count changes of owner,
// so that a copy invalidated by an owner who wrote nothing is still recognised as lost.
inline constexpr std::uint64_t version_writes_mask = (1ull << 40) - 1;
inline constexpr std::uint64_t version_owner_step = 1ull << 40;

struct Entry;

// Something queued for local access to an object: a task (on its stack), or an operation that runs
// here for another node (on the heap). All fields are protected by the shard lock until `cell` is
// notified.
struct Waiter {
    enum class Use : std::uint8_t { task, operation };
    Use use = Use::task;
    Access want = Access::read;
    bool renew = false;        // grab_new
    bool stay = false;         // migrate
    bool granted = false;
    bool recheck = false;      // woken by the loss of a node: look again
    bool value_kept = false;   // upgrade: the copy was never given up
    Errc error = Errc::ok;
    NodeId fault = no_node;
    Waiter* next = nullptr;
    Entry* entry = nullptr;
    sys::WaitCell cell;
};

// A message waiting for its turn, with the bytes that came with it.
struct Queued {
    Message message;
    Body body;
};

// The cache's part of a transition. Exists while local tasks queue, a request is under way or a
// revocation waits.
struct Busy {
    Waiter* head = nullptr;
    Waiter* tail = nullptr;
    // our request to the home
    std::uint64_t txn = 0;
    Access requested = Access::none;
    bool has_data = false;
    bool want_done = false;
    bool lost_copy = false;      // an invalidation met our pending upgrade
    std::int32_t acks_missing = 0;  // expected minus received; valid as a sum once has_data
    bool evict_acked = false;    // the home has the eviction behind it, but a yield is due
    // A revocation of what we have, which waits for the last unpin or for the release hook.
    std::optional<Message> revocation;
    bool hook_running = false;
    bool loading = false;        // at the home: the linker brings the bytes
    bool visit = false;          // what the request brings goes home with the last put
    bool forgetting = false;     // at the home: copies of a stored object are invalidated
    // A revocation of what our request will bring; it waits for that grant.
    std::optional<Message> revocation_after;

    bool idle() const {
        return !head && txn == 0 && !revocation && !revocation_after && !loading;
    }
    void reset() {   // of an idle one; the fields of a request are set when it starts
        evict_acked = false;
        hook_running = false;
        loading = false;
        forgetting = visit = false;
    }
};

// Requests that wait for a transition to end, first in first out. Most objects never need it.
class RequestQueue {
public:
    bool empty() const { return !items_ || items_->empty(); }
    void push(const Message& message, const Body& body) {
        if (!items_) items_ = std::make_unique<std::deque<Queued>>();
        items_->push_back({message, body});
    }
    Queued pop(bool last = false) {   // the first, or, to plant a bug, the last
        const Queued next = last ? items_->back() : items_->front();
        if (last)
            items_->pop_back();
        else
            items_->pop_front();
        if (items_->empty()) items_.reset();   // an empty deque is larger than most objects
        return next;
    }
    template <class F>
    void for_each(F&& f) const {
        if (!items_) return;
        for (const Queued& queued : *items_) f(queued);
    }
    template <class F>
    void remove_if(F&& f) {
        if (items_) std::erase_if(*items_, f);
    }
    void clear() { items_.reset(); }

private:
    std::unique_ptr<std::deque<Queued>> items_;
};

// The directory's part, at the home only. Absent while the home owns the object and nobody else
// ever had it. One cache line.
struct alignas(64) Home {
    // A grant that was not asked to report `done`: whoever is next told about this object must
    // finish it first (Message::after_txn).
    std::uint64_t open_txn : 48 = 0;
    std::uint64_t last_grabber : 16 = 0;   // 1 + the low bits of who took ownership last
    // The transition that is under way and reports `done` (or `served`).
    std::uint64_t busy_txn : 48 = 0;
    Bounce bounce;
    RequestQueue queue;
    NodeId owner = no_node;
    NodeId open_node = no_node;
    NodeId busy_node = no_node;
    [[no_unique_address]] Copyset copies;   // the next two lie in its padding
    bool recovering = false;                // the owner died with the newest value
    bool stored = false;                    // the newest value is with the linker, not in memory

    explicit Home(NodeId self) : owner(self) {}
    bool quiet() const { return busy_txn == 0 && queue.empty() && !recovering; }
    // There is nothing to remember once the value itself has gone.
    bool alone(NodeId self) const { return quiet() && owner == self && copies.empty(); }
};
static_assert(sizeof(Home) == 64);

inline constexpr std::size_t home_distance = 4096;   // from an entry to its home's part

struct alignas(64) Entry {
    pin::Word word{0};
    std::atomic<std::uint64_t> version{0};
    ObjectId id{};
    std::uint32_t set = 0;
    CacheState state = CacheState::invalid;
    bool hooked = false;             // the release hook has run for this revocation
    std::uint8_t inline_length = 0;  // of the objects of its set, which live here; 0: in blocks
    bool has_home = false;
    Busy* busy = nullptr;
    union {
        Block* block = nullptr;
        std::byte small[max_inline_bytes];   // aligned as objects are
    };

    // After the bytes have changed and before the word is opened: a lock-free reader that finds
    // this version finds at least these bytes.
    void set_version(std::uint64_t v) { version.store(v, std::memory_order_release); }
    void next_version() { set_version(version.load(std::memory_order_relaxed) + 1); }

    // By a writer whose change comes after stored().
    void note_change() {
        if (!(word.load(std::memory_order_relaxed) & pin::dirty)) [[unlikely]]
            pin::set(word, pin::dirty);
    }

    // The directory's part, or null.
    Home* home() const { return has_home ? home_place() : nullptr; }
    Home* home_place() const {
        auto* self = reinterpret_cast<std::byte*>(const_cast<Entry*>(this));
        return std::launder(reinterpret_cast<Home*>(self + home_distance));
    }
    Home& make_home(NodeId self) {
        if (!has_home) ::new (static_cast<void*>(home_place())) Home(self);
        has_home = true;
        return *home_place();
    }
    void forget_home() {
        if (has_home) home_place()->~Home();
        has_home = false;
    }

    bool here() const { return inline_length != 0 || block; }   // there is room for bytes
    std::span<std::byte> bytes() {
        if (inline_length) return {small, inline_length};
        return {sys::bytes_of(block), block->length};
    }
    // What a message carries: a copy of what is small, a reference to what is large.
    Body body() const {
        if (!inline_length) return Body(block);
        return Body(small, inline_length);
    }
};
static_assert(sizeof(Entry) == 64 && offsetof(Entry, small) % 16 == 0);

// Has the object's bytes fetched while the pin is taken. A hint: it reads the pointer before it
// may, and whatever it reads does no harm.
#if defined(__SANITIZE_THREAD__)
inline void expect_bytes(const Entry&, std::size_t = 0) {}
inline void expect_home(const Entry*) {}
#else
inline void expect_bytes(const Entry& entry, std::size_t offset = 0) {
    if (entry.inline_length) return;
    __builtin_prefetch(reinterpret_cast<const std::byte*>(entry.block) + offset);
}
// Before the entry itself is there: both lines are on their way together.
inline void expect_home(const Entry* entry) { __builtin_prefetch(entry->home_place(), 1); }
#endif

}  // namespace ssi::kddm
