// SPDX-License-Identifier: BSD-3-Clause
// RawGuards, Guards<T>: many objects held at once, by get_many and grab_many.
//
// All objects are asked for in parallel, as copies that anybody may still take away; then they are
// pinned one after another in ascending order of their ids, waiting only for the smallest that is
// not pinned yet. So two tasks that want the same objects never wait for each other, in whatever
// order they name them. The order rule of single guards holds for the call as a whole: everything
// it names must come after what the task holds already.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "ssi/kddm/raw_set.hpp"

namespace ssi::kddm {

// The objects in the caller's order; an id that was named twice is one guard in two places.
// Movable; belongs to the task that made it; lets go in its destructor.
class RawGuards {
public:
    RawGuards() = default;
    RawGuards(RawGuards&&) noexcept = default;
    RawGuards& operator=(RawGuards&& other) noexcept {
        release();
        guards_ = std::move(other.guards_);
        places_ = std::move(other.places_);
        return *this;
    }
    ~RawGuards() { release(); }

    std::size_t size() const { return places_.empty() ? guards_.size() : places_.size(); }
    bool empty() const { return guards_.empty(); }
    RawGuard& operator[](std::size_t i) { return guards_[place(i)]; }
    const RawGuard& operator[](std::size_t i) const { return guards_[place(i)]; }
    std::span<const std::byte> bytes(std::size_t i) const { return (*this)[i].bytes(); }
    std::span<std::byte> writable(std::size_t i) { return (*this)[i].writable(); }

    // Each object once, ascending: what `place` counts in.
    std::span<RawGuard> distinct() { return guards_; }
    std::size_t place(std::size_t i) const { return places_.empty() ? i : places_[i]; }

    // Lets all go and reports the first failure.
    Result<void> put();

private:
    friend class Engine;
    void release() noexcept;
    std::vector<RawGuard> guards_;         // ascending
    std::vector<std::uint32_t> places_;    // empty: the caller's order is ascending
};

template <class T>
struct Serialized;

// Of objects of a C++ type: shared (const T) or exclusive (T). Functions throw ssi::Error.
template <class T>
class Guards {
public:
    using Value = std::remove_const_t<T>;
    static constexpr bool raw_object = std::is_trivially_copyable_v<Value>;

    explicit Guards(RawGuards raw) : raw_(std::move(raw)) {
        if constexpr (!raw_object)
            for (RawGuard& guard : raw_.distinct())
                values_.push_back(value_or_throw(Serialized<Value>::decode(guard.bytes())));
    }
    Guards(Guards&&) noexcept = default;
    Guards& operator=(Guards&& other) noexcept {
        let_go();
        raw_ = std::move(other.raw_);
        values_ = std::move(other.values_);
        return *this;
    }
    ~Guards() { let_go(); }

    std::size_t size() const { return raw_.size(); }
    bool empty() const { return raw_.empty(); }
    T& operator[](std::size_t i) {
        if constexpr (!raw_object)
            return values_[raw_.place(i)];
        else if constexpr (std::is_const_v<T>)
            return *reinterpret_cast<T*>(raw_.bytes(i).data());
        else
            return *reinterpret_cast<T*>(raw_.writable(i).data());
    }
    ObjectId id(std::size_t i) const { return raw_[i].id(); }
    std::uint64_t version(std::size_t i) const { return raw_[i].version(); }
    RawGuards& raw() { return raw_; }
    // Lets all go and reports what the destructor could only make sticky.
    void put() {
        Result<void> encoded = encode();
        Result<void> done = raw_.put();
        value_or_throw(std::move(encoded));
        value_or_throw(std::move(done));
    }

private:
    Result<void> encode() {
        if constexpr (!raw_object && !std::is_const_v<T>)
            for (std::size_t i = 0; i < values_.size(); ++i)
                if (raw_.distinct()[i].held())
                    SSI_TRY(Serialized<Value>::encode(values_[i], raw_.distinct()[i]));
        return {};
    }
    void let_go() noexcept {
        if constexpr (!raw_object && !std::is_const_v<T>)
            for (std::size_t i = 0; i < values_.size(); ++i) {
                RawGuard& guard = raw_.distinct()[i];
                if (!guard.held()) continue;
                if (auto encoded = Serialized<Value>::encode(values_[i], guard); !encoded)
                    guard.fail(std::move(encoded).error());
            }
        values_.clear();
    }

    RawGuards raw_;
    std::vector<Value> values_;   // of the distinct objects; empty for raw bytes
};

}  // namespace ssi::kddm
