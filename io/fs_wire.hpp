// SPDX-License-Identifier: BSD-3-Clause
// What calls of kDFS carry: numbers as they lie in memory (all nodes are of one build, on one kind
// of machine), texts with their length. Reading never leaves the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::fs {

class Writer {
public:
    template <class T>
    Writer& put(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        return raw(&value, sizeof value);
    }
    Writer& text(std::string_view value) {
        put(static_cast<std::uint32_t>(value.size()));
        return raw(value.data(), value.size());
    }
    Writer& block(std::span<const std::byte> value) {
        return text({reinterpret_cast<const char*>(value.data()), value.size()});
    }
    void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
    std::vector<std::byte> take() { return std::move(bytes_); }
    std::span<const std::byte> bytes() const { return bytes_; }

private:
    Writer& raw(const void* from, std::size_t length) {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + length);
        if (length) std::memcpy(bytes_.data() + at, from, length);
        return *this;
    }
    std::vector<std::byte> bytes_;
};

// After a read beyond the end everything is zero, and ok() is false.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    template <class T>
    T get() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value{};
        if (bytes_.size() < sizeof value) {
            fail();
            return value;
        }
        std::memcpy(&value, bytes_.data(), sizeof value);
        bytes_ = bytes_.subspan(sizeof value);
        return value;
    }
    std::string_view text() {
        const auto block = this->block();
        return {reinterpret_cast<const char*>(block.data()), block.size()};
    }
    std::span<const std::byte> block() {
        const auto length = get<std::uint32_t>();
        if (length > bytes_.size()) {
            fail();
            return {};
        }
        const auto value = bytes_.first(length);
        bytes_ = bytes_.subspan(length);
        return value;
    }
    bool ok() const { return ok_; }
    bool at_end() const { return bytes_.empty(); }

private:
    void fail() {
        ok_ = false;
        bytes_ = {};
    }
    std::span<const std::byte> bytes_;
    bool ok_ = true;
};

}  // namespace ssi::fs
