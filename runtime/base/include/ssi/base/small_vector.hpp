// SPDX-License-Identifier: BSD-3-Clause
// SmallVector: a vector of plain values whose first `few` need no memory of their own: for what an
// operation collects on its way. Elements are bytes to it: trivially copyable, never destroyed, and
// those of resize() are not initialised. (Boost's small_vector does not convert to std::span.)
#pragma once

#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace ssi {

template <class T, std::size_t few>
class SmallVector {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    SmallVector() = default;
    SmallVector(std::initializer_list<T> values) : SmallVector(std::span(values)) {}
    explicit SmallVector(std::span<const T> values) {
        resize(values.size());
        copy(values.data(), values.size());
    }
    SmallVector(const SmallVector& other) : SmallVector(std::span<const T>(other)) {}
    SmallVector(SmallVector&& other) noexcept { take(other); }
    SmallVector& operator=(const SmallVector& other) {
        if (this == &other) return *this;
        size_ = 0;
        resize(other.size_);
        copy(other.data(), other.size_);
        return *this;
    }
    SmallVector& operator=(SmallVector&& other) noexcept {
        if (this != &other) take(other);
        return *this;
    }

    T* data() { return more_ ? more_.get() : reinterpret_cast<T*>(inside_); }
    const T* data() const { return more_ ? more_.get() : reinterpret_cast<const T*>(inside_); }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return room_; }
    bool empty() const { return size_ == 0; }
    T* begin() { return data(); }
    T* end() { return data() + size_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }
    T& back() { return data()[size_ - 1]; }

    void reserve(std::size_t room) {
        if (room <= room_) return;
        auto larger = std::make_unique_for_overwrite<T[]>(room);
        if (size_) std::memcpy(static_cast<void*>(larger.get()), data(), size_ * sizeof(T));
        more_ = std::move(larger);
        room_ = room;
    }
    void resize(std::size_t size) {
        if (size > room_) reserve(size > 2 * room_ ? size : 2 * room_);
        size_ = size;
    }
    void push_back(const T& value) {
        const T kept = value;   // it may lie in here
        resize(size_ + 1);
        data()[size_ - 1] = kept;
    }
    void clear() { size_ = 0; }

private:
    void copy(const T* from, std::size_t count) {
        if (count) std::memcpy(static_cast<void*>(data()), from, count * sizeof(T));
    }
    void take(SmallVector& other) {
        more_ = std::move(other.more_);
        room_ = std::exchange(other.room_, few);
        size_ = std::exchange(other.size_, 0);
        if (!more_) std::memcpy(inside_, other.inside_, size_ * sizeof(T));
    }

    std::size_t size_ = 0, room_ = few;
    std::unique_ptr<T[]> more_;
    alignas(T) std::byte inside_[few * sizeof(T)];
};

}  // namespace ssi
