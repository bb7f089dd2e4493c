// SPDX-License-Identifier: BSD-3-Clause
// RawSet and its guards: every verb of KDDM on bytes. Start reading here; Set<T> (set.hpp) is a
// thin typed view of this.
//
//   get      shared copy: valid and unchanging until put
//   grab     exclusive in the whole session until put
//   put      let go (the guard's destructor does it; call put() to see an error)
//
// A task (thread) may hold many guards, but takes them in ascending (set, id) order, sets in the
// order of their creation; the other order returns Errc::deadlock at once and names both objects.
// A temporary guard lives until the end of its statement. A second get of an object the task
// already holds succeeds, a second grab asserts. grab while the same task holds a get of the object
// asserts: use upgrade().
// All functions are thread-safe; a guard belongs to the task that made it. Functions return
// Result (tl::expected<T, Failure>); Set<T> throws instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ssi/kddm/atomics.hpp"
#include "ssi/kddm/future.hpp"
#include "ssi/kddm/types.hpp"

namespace ssi::kddm {

class Engine;
class RawGuards;
struct Update;
struct Entry;
struct SetState;

enum class Access : std::uint8_t { none, read, write };

// What the calling task holds of an object.
struct HeldHere {
    std::uint32_t gets = 0;   // guards made by get
    bool grabbed = false;
};

// A held get or grab. Movable; letting go twice is harmless; empty after a move.
class RawGuard {
public:
    RawGuard() = default;
    RawGuard(RawGuard&& other) noexcept
        : set_(other.set_),
          entry_(other.entry_),
          access_(std::exchange(other.access_, Access::none)) {}
    RawGuard& operator=(RawGuard&& other) noexcept {
        const Access access = std::exchange(other.access_, Access::none);
        if (access_ != Access::none) release();
        set_ = other.set_;
        entry_ = other.entry_;
        access_ = access;
        return *this;
    }
    // A failing put makes the set's error sticky: the next verb and sync return it.
    ~RawGuard() {
        if (access_ != Access::none) release();
    }

    bool held() const { return access_ != Access::none; }
    Access access() const { return access_; }
    ObjectId id() const;
    std::span<const std::byte> bytes() const;
    std::span<std::byte> writable();         // asserts unless grabbed
    std::uint64_t version() const;           // grows with every write; equal versions, equal bytes
    // Variable kinds under grab: keeps the common prefix, zeroes what is new. too_large,
    // out_of_memory.
    Result<void> resize(std::size_t length);
    // The same, but what is new is left as it comes: the caller overwrites all of it before anybody
    // else may see it. Memory is taken for `room` bytes at least, so that growing up to there moves
    // nothing.
    Result<void> resize_for_overwrite(std::size_t length, std::size_t room = 0);
    Result<void> put();
    // get -> grab of the same object. Lets go and re-acquires: `true` when the value may have
    // changed in between. Afterwards the guard is a grab (or empty, on error).
    Result<bool> upgrade();

    // A grab at the object's home, of a set with a linker: the linker has these bytes, given to it
    // by the caller, so that they are not written back until they change again. Asserts elsewhere.
    // Ask for writable() anew to change them afterwards.
    void stored();

    // Lets go and makes `failure` the set's sticky error.
    void fail(Failure failure);

private:
    friend class Engine;
    friend class RawSet;
    friend class RawGuards;
    RawGuard(SetState* set, Entry* entry, Access access)
        : set_(set), entry_(entry), access_(access) {}
    void release() noexcept;
    SetState* set_ = nullptr;
    Entry* entry_ = nullptr;
    Access access_ = Access::none;
};

// What a read returns: bytes that were the object's, all at one moment.
struct RawSnapshot {
    std::vector<std::byte> bytes;
    std::uint64_t version = 0;    // as of a guard; equal versions, equal bytes
};

// A handle to an open set; cheap to copy; valid as long as its session.
class RawSet {
public:
    RawSet() = default;
    RawSet(Engine* engine, SetState* set) : engine_(engine), set_(set) {}

    SetId id() const;
    const std::string& name() const;
    const SetOptions& options() const;

    Result<RawGuard> get(ObjectId id);
    Result<RawGuard> grab(ObjectId id);
    // get or grab that throws Error: the shortest way to an object that is here.
    RawGuard acquire_or_throw(ObjectId id, Access access);
    // grab without fetching: the bytes are zero (variable: empty), whatever they were.
    Result<RawGuard> grab_new(ObjectId id);
    // Like grab, but would_block instead of waiting for another holder. Waits for messages only,
    // at most kddm.try_timeout_us.
    Result<RawGuard> try_grab(ObjectId id);
    // One-sided: a copy of the object as it was at some moment between call and return, without a
    // guard, and without anybody having to know of it. From this node's own copy, or the home's
    // memory where that is on this host, else by a message. For whoever reads once, or wants what
    // changes often; `get` for what is read again. While a writer holds the object it waits like a
    // get, and so obeys the order of guards.
    Result<RawSnapshot> read(ObjectId id);
    // Bytes [offset, offset + length) only; invalid_argument when the object is shorter.
    Result<RawSnapshot> read(ObjectId id, std::size_t offset, std::size_t length);
    // The same into `out`, which tells how many bytes; returns the version.
    Result<std::uint64_t> read_into(ObjectId id, std::size_t offset, std::span<std::byte> out);
    // Many at once: what needs messages is asked for in parallel. Ids may repeat. Not one moment
    // for all: each object by itself, as by read. The first failure is returned, after all ended.
    Result<std::vector<RawSnapshot>> read_many(std::span<const ObjectId> ids);
    // The same range of each: of the i-th at out[i * length], its version at versions[i].
    Result<void> read_many(std::span<const ObjectId> ids, std::size_t offset, std::size_t length,
                           std::span<std::byte> out, std::span<std::uint64_t> versions = {});
    // Held locally now? Sends nothing; only a hint by the time it returns.
    Access find(ObjectId id) const;
    // How long the object is, when its newest value, or a copy of that, is on this node and nobody
    // is writing it. Sends nothing and waits for nobody.
    std::optional<std::size_t> length_here(ObjectId id) const;
    // Ids with this `hi` of which this node knows something now, as home, owner or reader;
    // ascending. Looks at every object of the set here.
    std::vector<ObjectId> known_of(std::uint64_t hi) const;
    // By the calling task, now. For languages without guards that clean up after themselves.
    HeldHere held_here(ObjectId id) const;
    // no_node: of placement first_touch, and this node does not know (it has not used the object).
    NodeId home(ObjectId id) const;
    // The object ceases to exist everywhere; the next access finds a new-born one. Waits for
    // holders.
    Result<void> remove(ObjectId id);
    // Asks for a copy and returns at once.
    Result<void> prefetch(ObjectId id, Access access = Access::read);

    // Many objects at once; see many.hpp. One message per home and round, answers as they come.
    // Nothing is held on error, and the text names the first object that is at fault. Repeated ids
    // are one guard; an empty list is fine.
    Result<RawGuards> get_many(std::span<const ObjectId> ids);
    Result<RawGuards> grab_many(std::span<const ObjectId> ids);
    // Lets all go; the first failure counts.
    static Result<void> put_many(RawGuards& guards);
    // Asks for all and returns at once.
    Result<void> prefetch_many(std::span<const ObjectId> ids, Access access = Access::read);
    // first, first + stride, ...: `count` ids, with the `hi` of the first.
    Result<void> prefetch_range(ObjectId first, std::uint64_t count, std::uint64_t stride = 1,
                                Access access = Access::read);

    // Has node `to` take ownership, each object as by a grab there that is let go at once; returns
    // when that has been done for all, in no order. An object that is held is waited for. deadlock
    // while this task holds one of them, or a greater one; invalid_argument for sets of
    // Coherence::home.
    Result<void> migrate(std::span<const ObjectId> ids, NodeId to);

    // Sends the object home, if this node owns it, or drops a clean copy. would_block while held
    // here.
    Result<void> flush(ObjectId id);
    // What nobody holds leaves this node's memory as far as its newest value is kept elsewhere: by
    // its home, by the owner of whom this is a copy, or by the linker, which gets it first. Waits
    // for that. What is in use meanwhile, or comes home from other nodes, stays.
    Result<void> drop_unused();
    // Waits until everything this node flushed has arrived; returns (and clears) the sticky error.
    // With a linker: what anybody has put before of the objects that this node homes is durable.
    Result<void> sync();

    // At the home of all of them, of a set with a linker: what anybody has put before is with the
    // linker when it returns, though not durable (sync is). What the linker has costs next to
    // nothing. invalid_argument elsewhere; deadlock while this task holds one of them, or a greater
    // one; linker_failed.
    Result<void> write_back(std::span<const ObjectId> ids);

    // Runs a registered function at the object's home, exclusively, exactly once. In place when
    // the caller has grabbed the object. With a range the function sees those bytes alone:
    // one function then serves rows, tiles and records of large objects, wherever they begin. The
    // object is held as a whole; invalid_argument, and the function not run, when it is shorter.
    Result<std::vector<std::byte>> apply(ObjectId id, std::string_view function,
                                         std::span<const std::byte> arguments, Range range = {});
    // Atomic operations on the 8 bytes at `offset` (a multiple of 8) at the object's home; each
    // returns what stood there. The type of the argument says how the bytes are read: signed
    // (std::int64_t), unsigned (std::uint64_t) or floating (double). In place when the caller has
    // grabbed the object. compare_exchange stores `desired` where it finds `expected`, bit by bit:
    // compare what it returns.
    template <AtomicNumber N>
    Result<Wide<N>> fetch_add(ObjectId id, N delta, std::uint32_t offset = 0) {
        return number<N>(atomic(id, make_atomic(AtomicOp::add, delta), offset));
    }
    template <AtomicNumber N>
    Result<Wide<N>> fetch_min(ObjectId id, N value, std::uint32_t offset = 0) {
        return number<N>(atomic(id, make_atomic(AtomicOp::min, value), offset));
    }
    template <AtomicNumber N>
    Result<Wide<N>> fetch_max(ObjectId id, N value, std::uint32_t offset = 0) {
        return number<N>(atomic(id, make_atomic(AtomicOp::max, value), offset));
    }
    template <AtomicNumber N>
    Result<Wide<N>> exchange(ObjectId id, N value, std::uint32_t offset = 0) {
        return number<N>(atomic(id, make_atomic(AtomicOp::exchange, value), offset));
    }
    template <AtomicNumber N>
    Result<Wide<N>> compare_exchange(ObjectId id, N expected, N desired,
                                     std::uint32_t offset = 0) {
        return number<N>(
            atomic(id, make_atomic(AtomicOp::compare_exchange, desired, expected), offset));
    }
    // The operation (add, min, max or exchange) on each; `before` is empty or has room for what
    // stood at each. Nothing is executed when an id or an offset is wrong. See updates.hpp for
    // what is added over time.
    Result<void> update_many(AtomicOp op, NumberKind kind, std::span<const Update> updates,
                             std::span<std::uint64_t> before = {});
    Result<std::uint64_t> atomic(ObjectId id, const Atomic& atomic, std::uint32_t offset);

    // Each starts at once and returns a future; see future.hpp. get_async and grab_async ask for
    // the object; it is held by whoever waits for the future.
    Future<RawGuard> get_async(ObjectId id);
    Future<RawGuard> grab_async(ObjectId id);
    Future<std::vector<std::byte>> apply_async(ObjectId id, std::string_view function,
                                               std::span<const std::byte> arguments);
    Future<std::uint64_t> atomic_async(ObjectId id, const Atomic& atomic, std::uint32_t offset);

    // Called on the executor after the last local pin of a revoked object is gone and before its
    // bytes leave (or die); may read the bytes, must not call verbs. One per set and node.
    void on_release(std::function<void(ObjectId, std::span<const std::byte>)> hook);

    // What is here now: a get of each, ascending; what this node owns now: a grab of each (or, by
    // Access::read, a get, which takes no copy away from others). Objects that nobody has touched
    // yet are not visited, objects that come or go meanwhile may be. The guard is let go after each
    // visit unless it is moved away. How many were visited.
    Result<std::uint64_t> for_each_local(const std::function<void(RawGuard&)>& visit);
    Result<std::uint64_t> for_each_owned(const std::function<void(RawGuard&)>& visit,
                                         Access access = Access::write);

    SetStats stats() const;

private:
    friend class RawUpdates;
    friend class Cut;
    Result<RawGuard> acquire(ObjectId id, Access access);
    template <AtomicNumber N>
    static Result<Wide<N>> number(Result<std::uint64_t>&& bits) {
        if (!bits) return tl::unexpected<Failure>(std::move(bits).error());
        return std::bit_cast<Wide<N>>(*bits);
    }
    Engine* engine_ = nullptr;
    SetState* set_ = nullptr;
};

}  // namespace ssi::kddm
