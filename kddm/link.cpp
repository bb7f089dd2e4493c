// SPDX-License-Identifier: BSD-3-Clause
// Linkers: objects come from outside memory and are written back there. Their code runs on threads
// of its own, never under a lock; while it runs the object's requests queue at its home.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine_impl.hpp"
#include "entry_view.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr unsigned most_stores_of_sync = 64;
constexpr Nanoseconds load_pause = 50'000;
constexpr std::size_t most_text = 512;

std::string name_of(ObjectId id) {
    return id.hi ? fmt::format("object {}:{}", id.hi, id.lo) : fmt::format("object {}", id.lo);
}

// An object that is being brought into memory: no task knows it yet.
class FreshView final : public ObjectView {
public:
    FreshView(Impl& impl, SetState& set, ObjectId id) : impl_(impl), set_(set), id_(id) {
        small_ = set.inline_length();
        if (small_ == 0) take(set.fixed_length());
    }
    ~FreshView() override { drop(); }
    ObjectId id() const override { return id_; }
    std::span<std::byte> bytes() override {
        if (small_ != 0) return {bytes_, small_};
        return {sys::bytes_of(block_), block_->length};
    }
    Result<void> resize(std::size_t length) override { return resize(length, true); }
    Result<void> resize_for_overwrite(std::size_t length) override {
        return resize(length, false);
    }
    Result<void> resize(std::size_t length, bool zeroed) {
        if (length == bytes().size()) return {};
        if (set_.options.kind == ObjectKind::fixed)
            return fail(Errc::invalid_argument, "objects of fixed size cannot be resized");
        if (length > max_object_bytes)
            return fail(Errc::too_large, fmt::format("object of {} bytes: the limit is {}", length,
                                                     max_object_bytes));
        Block* old = block_;
        take(static_cast<std::uint32_t>(length), zeroed);
        std::memcpy(sys::bytes_of(block_), sys::bytes_of(old),
                    std::min<std::size_t>(old->length, length));
        impl_.blocks.release(old);
        return {};
    }
    void clear() {
        if (set_.options.kind == ObjectKind::fixed)
            std::ranges::fill(bytes(), std::byte{0});
        else
            block_->length = 0;
    }
    Body take_body() {
        if (small_ != 0) return Body(bytes_, static_cast<std::uint8_t>(small_));
        return Body(std::exchange(block_, nullptr));
    }

private:
    void take(std::uint32_t length, bool zeroed = true) {
        block_ = impl_.blocks.allocate(set_.id, id_, length, true);
        if (!block_) block_ = impl_.blocks.allocate(set_.id, id_, length, false);
        if (zeroed) std::memset(sys::bytes_of(block_), 0, length);
    }
    void drop() {
        if (block_) impl_.blocks.release(std::exchange(block_, nullptr));
    }

    Impl& impl_;
    SetState& set_;
    const ObjectId id_;
    std::size_t small_ = 0;
    Block* block_ = nullptr;
    alignas(16) std::byte bytes_[max_inline_bytes]{};
};

}  // namespace

// Calls the linker; whatever goes wrong becomes one failure, with the cause, and a line in the log.
template <class F>
auto Impl::ask_linker(SetState& set, const std::string& what, F&& f) -> decltype(f()) {
    std::string cause;
    int sys_errno = 0;
    try {
        auto result = f();
        if (result) return result;
        cause = result.error().text;
        sys_errno = result.error().sys_errno;
    } catch (const std::exception& e) {
        cause = e.what();
    } catch (...) {
        cause = "it threw something that is no std::exception";
    }
    Failure failure{Errc::linker_failed, sys_errno, self,
                    fmt::format("linker '{}' of set '{}' could not {} at node {}: {}",
                                set.options.linker, set.name, what, self.value, cause)};
    SSI_LOG(log, warn, "kddm", "{}", failure.to_string());
    std::string text = failure.text;
    if (text.size() > most_text) text.resize(most_text);
    note_linker_failure(set, std::as_bytes(std::span(text)));
    return tl::unexpected<Failure>(std::move(failure));
}

void Impl::note_linker_failure(SetState& set, std::span<const std::byte> text) {
    std::lock_guard lock(set.mutex);
    set.linker_failure.assign(reinterpret_cast<const char*>(text.data()), text.size());
}

std::string Impl::linker_failure(SetState& set) const {
    std::lock_guard lock(set.mutex);
    return set.linker_failure;
}

void Impl::send_linker_failure(SetState& set, NodeId to, Message& m) {
    const std::string text = linker_failure(set);
    send_bytes(to, m, std::as_bytes(std::span(text)));
}

void Impl::run_linker(const SetState& set, std::function<void()> job) {
    if (set.linker->may_block())
        linker_pool.post(std::move(job));
    else
        job();
}

void Impl::start_load(SetState& set, ObjectId id) {
    const bool roomy = !set.use.above(set.use.hard()) && !blocks.use.above(blocks.use.hard());
    if (roomy && set.linker->surely_none(id)) return load(set, id, 0);
    run_linker(set, [this, &set, id] { load(set, id, clock.now() + evict_timeout); });
}

// Above the hard mark it waits its turn behind the write-backs that make room.
void Impl::load(SetState& set, ObjectId id, Nanoseconds deadline) {
    const MemoryUse& full = set.use.above(set.use.hard()) ? set.use : blocks.use;
    const bool no_room = full.above(full.hard()) && set.linker->may_block();
    if (no_room && clock.now() < deadline && !closing.load()) {
        const Swept swept = sweep(&full == &set.use ? &set : nullptr, room_for(set));
        if (swept.freed == 0) node.doors().tasks.sleep_for(load_pause);
        return linker_pool.post([this, &set, id, deadline] { load(set, id, deadline); });
    }
    Errc error = no_room ? Errc::out_of_memory : Errc::ok;
    Body body;
    if (!no_room) {
        auto fetched = fetch(set, id);
        if (fetched)
            body = *fetched;
        else
            error = fetched.error().code;
    }
    Step step(*this, set, id, hash_object(set.id, id));
    Entry* entry = step.find();
    if (!entry)
        step.t().release(body);
    else if (error == Errc::ok)
        cache::loaded(*entry, body, step.t());
    else
        cache::load_failed(*entry, error, step.t());
}

Result<Body> Impl::fetch(SetState& set, ObjectId id) {
    FreshView view(*this, set, id);
    const auto fetched = ask_linker(set, "fetch " + name_of(id), [&]() -> Result<std::size_t> {
        auto got = set.linker->fetch(view);
        if (!got) return got;
        if (*got == Linker::none) {
            view.clear();
            SSI_TRY(set.linker->instantiate(view));
        } else if (*got != view.bytes().size()) {
            return fail(Errc::linker_failed, fmt::format("it brought {} bytes of {}", *got,
                                                         view.bytes().size()));
        }
        return got;
    });
    if (!fetched) return tl::unexpected<Failure>(fetched.error());
    return view.take_body();
}

// Under the shard lock: queues a write-back of an object that is here, or that the home may call
// back.
void Impl::start_store(Step& step, SetState& set, Entry& entry, Access access, bool drops,
                       StoreTicket* ticket) {
    auto* operation = new Operation;
    operation->use = Waiter::Use::operation;
    operation->want = access;
    operation->set = &set;
    operation->request = make_message(Kind::evict, set.id, entry.id, no_txn, self);
    operation->storing = true;
    operation->drops = drops;
    // Of a value that is here: a pin for writing, to call copies back, is not a change.
    operation->clean = entry.state != CacheState::invalid &&
                       !(entry.word.load(std::memory_order_relaxed) & pin::dirty);
    operation->version = entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    operation->ticket = ticket;
    stores.fetch_add(1, std::memory_order_relaxed);
    cache::want(entry, *operation, step.t());
}

// It has its pin, or has failed. Called without a lock.
void Impl::begin_store(Operation* operation) {
    if (operation->granted)
        return run_linker(*operation->set, [this, operation] { store(operation); });
    end_store(operation, fail(operation->error, "the object is out of reach", operation->fault));
}

void Impl::store(Operation* operation) {
    SetState& set = *operation->set;
    Entry& entry = *operation->entry;
    const ObjectId id = entry.id;
    pin::clear(entry.word, pin::referenced);   // ours; who comes from now on wants it to stay
    bool dirty = entry.word.load(std::memory_order_relaxed) & pin::dirty;
    const std::uint64_t writes =
        entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    if (operation->clean && operation->version == writes) dirty = false;
    Result<void> result;
    set.storing.fetch_add(1);
    if (set.destroyed.load()) dirty = false;   // see destroy_linked
    if (dirty)
        result = ask_linker(set, "write back " + name_of(id), [&]() -> Result<void> {
            return set.linker->write_back(id, entry.bytes());
        });
    set.storing.fetch_sub(1);
    {
        Step step(*this, set, id, hash_object(set.id, id));
        step.use(&entry);
        if (result) pin::clear(entry.word, pin::dirty);
        if (result && dirty) ++step.t().counters->write_backs;
        pin::drop(entry.word, operation->want);
        if (pin::count(entry.word.load(std::memory_order_relaxed)) == 0)
            cache::unpinned(entry, step.t());
        const bool wanted = entry.word.load(std::memory_order_relaxed) & pin::referenced;
        if (result && operation->drops && !wanted) cache::shed(entry, step.t());
    }
    end_store(operation, std::move(result));
}

void Impl::end_store(Operation* operation, Result<void> result) {
    std::unique_ptr<Operation> owned(operation);
    stores.fetch_sub(1, std::memory_order_relaxed);
    if (!operation->ticket) return;
    std::lock_guard lock(store_mutex);
    StoreTicket& ticket = *operation->ticket;
    if (!result && ticket.result) ticket.result = std::move(result);
    --ticket.missing;
    waiter.notify(ticket.cell);
}

// Until at most so many are missing.
void Impl::wait_stores(StoreTicket& ticket, unsigned most) {
    for (;;) {
        {
            std::lock_guard lock(store_mutex);
            if (ticket.missing <= most) return;
            ticket.cell.reset();
        }
        waiter.wait(ticket.cell);
    }
}

// Whether the linker may lack what has been put before. Under the shard lock, at the home.
bool Impl::may_need_store(const Entry& e) const {
    const bool away = e.has_home && e.home()->owner != self;
    const bool dirty = e.word.load(std::memory_order_relaxed) & pin::dirty;
    // Owned by this node already, but on its way here: put by the owner before.
    const bool coming = e.busy && e.busy->txn != 0;
    return away || dirty || coming;
}

// Begins the write-back of all of them; some are still missing when it returns.
void Impl::store_all(SetState& set, std::span<const ObjectId> ids, StoreTicket& ticket) {
    for (const ObjectId id : ids) {
        wait_stores(ticket, most_stores_of_sync);
        Step step(*this, set, id, hash_object(set.id, id));
        Entry* entry = step.find();
        if (!entry || !may_need_store(*entry) || cache::absent(*entry, step.t()) ||
            cache::loading(*entry))
            continue;
        {
            std::lock_guard lock(store_mutex);
            ++ticket.missing;
        }
        start_store(step, set, *entry, Access::read, false, &ticket);
    }
}

Result<void> Impl::write_back(SetState& set, std::span<const ObjectId> ids) {
    if (!set.linker)
        return fail(Errc::invalid_argument,
                    fmt::format("write_back of set '{}', which has no linker", set.name));
    Held& held = Held::of_task();
    for (const ObjectId id : ids) {
        SSI_TRY(check_verb(set, id));
        if (home_of(set, id) != self)
            return fail(Errc::invalid_argument,
                        fmt::format("write_back of {} of set '{}' at node {}, which is not its "
                                    "home", name_of(id), set.name, self.value));
        if (held.empty()) continue;
        if (held.find(&set, id))
            return fail(Errc::deadlock, fmt::format("write_back of {} of set '{}', which this task "
                                                    "holds: let go first", name_of(id), set.name));
        SSI_TRY(check_order(set, id, held));
    }
    StoreTicket ticket;
    store_all(set, ids, ticket);
    wait_stores(ticket, 0);
    return std::move(ticket.result);
}

// Everything that was put before, by any node, of the objects that this node homes.
Result<void> Impl::sync_linked(SetState& set) {
    if (Held::of_task().holds(&set))
        return fail(Errc::deadlock, fmt::format("sync of set '{}' while this task holds an object "
                                                "of it: let go first", set.name));
    StoreTicket ticket;
    for (std::uint32_t i = 0; i <= set.shard_mask; ++i) {
        std::vector<ObjectId> ids;
        {
            std::lock_guard lock(set.shards[i].mutex);
            set.shards[i].index.for_each([&](const Entry& e) {
                if (may_need_store(e) && home_of(set, e.id) == self) ids.push_back(e.id);
            });
        }
        store_all(set, ids, ticket);
    }
    wait_stores(ticket, 0);
    SSI_TRY(std::move(ticket.result));
    ticket.missing = 1;
    run_linker(set, [this, &set, &ticket] {
        Result<void> synced = ask_linker(set, "sync", [&] { return set.linker->sync(); });
        std::lock_guard lock(store_mutex);
        ticket.result = std::move(synced);
        ticket.missing = 0;
        waiter.notify(ticket.cell);
    });
    wait_stores(ticket, 0);
    return std::move(ticket.result);
}

// With the write pin: at the linker the object ends, here it is new-born.
Result<void> Impl::unlink(SetState& set, Entry& entry) {
    if (!set.linker) return {};
    return ask_linker(set, "remove " + name_of(entry.id), [&]() -> Result<void> {
        SSI_TRY(set.linker->remove(entry.id));
        EntryView view(*this, set, entry);
        if (set.options.kind == ObjectKind::fixed)
            std::ranges::fill(view.bytes(), std::byte{0});
        else
            SSI_TRY(view.resize(0));
        return set.linker->instantiate(view);
    });
}

// After the last write-back: nothing of the set comes back behind it.
void Impl::destroy_linked(SetState* set, Linker& linker, const std::string& name) {
    while (set && set->storing.load() != 0) node.doors().tasks.sleep_for(load_pause);
    if (set) {
        (void)ask_linker(*set, "destroy the set", [&] { return linker.destroy(); });
        return;
    }
    try {
        if (auto done = linker.destroy(); !done)
            SSI_LOG(log, warn, "kddm", "linker '{}' could not destroy its set: {}", name,
                    done.error().to_string());
    } catch (const std::exception& e) {
        SSI_LOG(log, warn, "kddm", "linker '{}' could not destroy its set: {}", name, e.what());
    }
}

}  // namespace ssi::kddm
