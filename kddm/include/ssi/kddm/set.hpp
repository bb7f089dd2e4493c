// SPDX-License-Identifier: BSD-3-Clause
// Set<T>: RawSet for objects of a C++ type. Trivially copyable T lives in place as raw bytes
// (alignment up to 16); any other T is encoded by Boost.Serialization: include
// ssi/kddm/serialized.hpp and give T a serialize() function. Functions throw ssi::Error.
#pragma once

#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "ssi/kddm/many.hpp"
#include "ssi/kddm/raw_set.hpp"
#include "ssi/kddm/updates.hpp"

namespace ssi::kddm {

template <class T>
struct Serialized;  // in ssi/kddm/serialized.hpp

template <class T>
inline constexpr bool is_raw_object = std::is_trivially_copyable_v<T>;

// The options of a set of T: kind and size of its objects.
template <class T>
SetOptions options_of(SetOptions options) {
    options.kind = is_raw_object<T> ? ObjectKind::fixed : ObjectKind::typed;
    options.object_bytes = 0;
    if constexpr (is_raw_object<T>) options.object_bytes = sizeof(T);
    return options;
}

// A shared (const T) or exclusive (T) view of an object, until the scope ends.
template <class T>
class Guard {
public:
    using Value = std::remove_const_t<T>;
    explicit Guard(RawGuard raw) : raw_(std::move(raw)) { decode(); }
    Guard(RawSet& set, ObjectId id)
        : raw_(set.acquire_or_throw(id, std::is_const_v<T> ? Access::read : Access::write)) {
        decode();
    }
    Guard(Guard&&) noexcept = default;
    Guard& operator=(Guard&& other) noexcept {
        let_go();
        raw_ = std::move(other.raw_);
        value_ = std::move(other.value_);
        return *this;
    }
    ~Guard() { let_go(); }

    T& operator*() const { return *address(); }
    T* operator->() const { return address(); }
    ObjectId id() const { return raw_.id(); }
    std::uint64_t version() const { return raw_.version(); }
    // Lets go and reports what the destructor could only make sticky.
    void put() {
        Result<void> encoded = encode();
        Result<void> done = raw_.put();
        value_or_throw(std::move(encoded));
        value_or_throw(std::move(done));
    }
    RawGuard& raw() { return raw_; }

private:
    void decode() {
        if constexpr (!is_raw_object<Value>)
            value_ = value_or_throw(Serialized<Value>::decode(raw_.bytes()));
    }
    T* address() const {
        if constexpr (is_raw_object<Value>) {
            if constexpr (std::is_const_v<T>)
                return reinterpret_cast<T*>(raw_.bytes().data());
            else
                return reinterpret_cast<T*>(const_cast<RawGuard&>(raw_).writable().data());
        } else {
            return const_cast<T*>(&*value_);
        }
    }
    Result<void> encode() {
        if constexpr (!is_raw_object<Value> && !std::is_const_v<T>)
            if (raw_.held()) return Serialized<Value>::encode(*value_, raw_);
        return {};
    }
    void let_go() noexcept {
        if (!raw_.held()) return;
        if (auto encoded = encode(); !encoded) raw_.fail(std::move(encoded).error());
    }

    RawGuard raw_;
    std::optional<Value> value_;
};

// What a read returns: the object as it was at one moment.
template <class T>
struct Snapshot {
    T value;
    std::uint64_t version = 0;
};

template <class T>
class Set {
public:
    static_assert(alignof(T) <= 16, "objects are aligned to 16 bytes");
    Set() = default;
    explicit Set(RawSet raw) : raw_(std::move(raw)) {}

    Guard<const T> get(ObjectId id) { return Guard<const T>(raw_, id); }
    Guard<T> grab(ObjectId id) { return Guard<T>(raw_, id); }
    Guard<T> grab_new(ObjectId id) { return Guard<T>(value_or_throw(raw_.grab_new(id))); }
    // Empty when another task or node holds the object.
    std::optional<Guard<T>> try_grab(ObjectId id) {
        auto raw = raw_.try_grab(id);
        if (!raw && raw.error().code == Errc::would_block) return std::nullopt;
        return Guard<T>(value_or_throw(std::move(raw)));
    }
    // Turns a shared guard into an exclusive one; `changed` tells whether the value may have moved
    // on.
    Guard<T> upgrade(Guard<const T>&& guard, bool* changed = nullptr) {
        RawGuard raw = std::move(guard.raw());
        const bool moved = value_or_throw(raw.upgrade());
        if (changed) *changed = moved;
        return Guard<T>(std::move(raw));
    }
    // One-sided: a copy without a guard; see raw_set.hpp.
    Snapshot<T> read(ObjectId id) {
        if constexpr (is_raw_object<T>) {
            Snapshot<T> snapshot;
            snapshot.version = value_or_throw(
                raw_.read_into(id, 0, std::as_writable_bytes(std::span(&snapshot.value, 1))));
            return snapshot;
        } else {
            return decode(value_or_throw(raw_.read(id)));
        }
    }
    // Many at once, each as by read. Ids may repeat.
    std::vector<Snapshot<T>> read_many(std::span<const ObjectId> ids) {
        std::vector<Snapshot<T>> snapshots;
        snapshots.reserve(ids.size());
        if constexpr (is_raw_object<T>) {
            std::vector<T> values(ids.size());
            std::vector<std::uint64_t> versions(ids.size());
            value_or_throw(raw_.read_many(ids, 0, sizeof(T),
                                          std::as_writable_bytes(std::span(values)), versions));
            for (std::size_t i = 0; i < ids.size(); ++i)
                snapshots.push_back({values[i], versions[i]});
        } else {
            for (auto& raw : value_or_throw(raw_.read_many(ids)))
                snapshots.push_back(decode(std::move(raw)));
        }
        return snapshots;
    }
    void remove(ObjectId id) { value_or_throw(raw_.remove(id)); }
    void prefetch(ObjectId id) { value_or_throw(raw_.prefetch(id)); }
    // Many objects at once; see many.hpp.
    Guards<const T> get_many(std::span<const ObjectId> ids) {
        return Guards<const T>(value_or_throw(raw_.get_many(ids)));
    }
    Guards<T> grab_many(std::span<const ObjectId> ids) {
        return Guards<T>(value_or_throw(raw_.grab_many(ids)));
    }
    template <class U>
    static void put_many(Guards<U>& guards) { guards.put(); }
    void prefetch_many(std::span<const ObjectId> ids, Access access = Access::read) {
        value_or_throw(raw_.prefetch_many(ids, access));
    }
    void prefetch_range(ObjectId first, std::uint64_t count, std::uint64_t stride = 1,
                        Access access = Access::read) {
        value_or_throw(raw_.prefetch_range(first, count, stride, access));
    }
    void migrate(std::span<const ObjectId> ids, NodeId to) {
        value_or_throw(raw_.migrate(ids, to));
    }
    void flush(ObjectId id) { value_or_throw(raw_.flush(id)); }
    void sync() { value_or_throw(raw_.sync()); }
    // Adds to the number of 8 bytes at byte `offset` (a multiple of 8; use offsetof) of the object,
    // at its home, and returns the old value. In place when this task has grabbed the object;
    // deadlock while it holds a get of it.
    template <AtomicNumber N>
    Wide<N> fetch_add(ObjectId id, N delta, std::uint32_t offset = 0) {
        return value_or_throw(raw_.fetch_add(id, delta, offset));
    }
    // Likewise; see raw_set.hpp. The type of the argument says how the 8 bytes are read.
    template <AtomicNumber N>
    Wide<N> fetch_min(ObjectId id, N value, std::uint32_t offset = 0) {
        return value_or_throw(raw_.fetch_min(id, value, offset));
    }
    template <AtomicNumber N>
    Wide<N> fetch_max(ObjectId id, N value, std::uint32_t offset = 0) {
        return value_or_throw(raw_.fetch_max(id, value, offset));
    }
    template <AtomicNumber N>
    Wide<N> exchange(ObjectId id, N value, std::uint32_t offset = 0) {
        return value_or_throw(raw_.exchange(id, value, offset));
    }
    // True when `expected` stood there and `desired` does now; else `expected` becomes what did.
    template <AtomicNumber N>
    bool compare_exchange(ObjectId id, N& expected, std::type_identity_t<N> desired,
                          std::uint32_t offset = 0) {
        static_assert(sizeof(N) == 8, "compare_exchange is for numbers of 8 bytes");
        const N found = value_or_throw(raw_.compare_exchange(id, expected, desired, offset));
        const bool same = std::bit_cast<std::uint64_t>(found) ==
                          std::bit_cast<std::uint64_t>(expected);
        expected = found;
        return same;
    }
    // Each returns at once; see future.hpp.
    Future<Guard<const T>> get_async(ObjectId id) { return guarded<const T>(raw_.get_async(id)); }
    Future<Guard<T>> grab_async(ObjectId id) { return guarded<T>(raw_.grab_async(id)); }
    template <AtomicNumber N>
    Future<Wide<N>> fetch_add_async(ObjectId id, N delta, std::uint32_t offset = 0) {
        auto raw = raw_.atomic_async(id, make_atomic(AtomicOp::add, delta), offset);
        return {raw.release(), [](Pending& p) -> Result<Wide<N>> {
                    auto bits = p.take_number();
                    if (!bits) return tl::unexpected<Failure>(std::move(bits).error());
                    return std::bit_cast<Wide<N>>(*bits);
                }};
    }
    template <class R, class A>
    Future<R> apply_async(ObjectId id, std::string_view function, const A& arguments) {
        static_assert(std::is_trivially_copyable_v<A> && std::is_trivially_copyable_v<R>);
        auto raw = raw_.apply_async(id, function, std::as_bytes(std::span(&arguments, 1)));
        return {raw.release(), [](Pending& p) -> Result<R> {
                    auto reply = p.take_bytes();
                    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
                    return decode_reply<R>(*reply);
                }};
    }
    // A buffer for updates that are added over time; see updates.hpp.
    template <AtomicNumber N>
    Updates<N> updates(AtomicOp op = AtomicOp::add) {
        return Updates<N>(raw_, op);
    }
    // Arguments: any trivially copyable value; the reply is decoded as R.
    template <class R, class A>
    R apply(ObjectId id, std::string_view function, const A& arguments) {
        static_assert(std::is_trivially_copyable_v<A> && std::is_trivially_copyable_v<R>);
        return value_or_throw(decode_reply<R>(value_or_throw(
            raw_.apply(id, function, std::as_bytes(std::span(&arguments, 1))))));
    }

    // visit(Guard<const T>&) or visit(Guard<T>&) of each; see raw_set.hpp. How many.
    template <class F>
    std::uint64_t for_each_local(F&& visit) {
        return value_or_throw(raw_.for_each_local([&](RawGuard& raw) {
            Guard<const T> guard(std::move(raw));
            visit(guard);
        }));
    }
    template <class F>
    std::uint64_t for_each_owned(F&& visit) {
        return value_or_throw(raw_.for_each_owned([&](RawGuard& raw) {
            Guard<T> guard(std::move(raw));
            visit(guard);
        }));
    }

    SetStats stats() const { return raw_.stats(); }
    RawSet& raw() { return raw_; }

private:
    template <class U>
    static Future<Guard<U>> guarded(Future<RawGuard>&& raw) {
        return {raw.release(), [](Pending& p) -> Result<Guard<U>> {
                    auto guard = p.take_guard();
                    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
                    return Guard<U>(std::move(*guard));
                }};
    }
    template <class R>
    static Result<R> decode_reply(const std::vector<std::byte>& reply) {
        if (reply.size() != sizeof(R))
            return ssi::fail(Errc::mismatch, "apply: the reply has another size than the result "
                                             "type");
        R result;
        std::memcpy(&result, reply.data(), sizeof(R));
        return result;
    }
    static Snapshot<T> decode(RawSnapshot&& raw) {
        return {value_or_throw(Serialized<T>::decode(raw.bytes)), raw.version};
    }
    RawSet raw_;
};

}  // namespace ssi::kddm
