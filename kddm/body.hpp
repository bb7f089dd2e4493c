// SPDX-License-Identifier: BSD-3-Clause
// Body: an object's bytes on their way: small ones by value, others as a counted reference to a
// block. Copied freely; whoever holds the last copy that matters gives it to an entry or releases
// it (Transition::release). A plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ssi/sys/arena.hpp"

namespace ssi::kddm {

using Block = sys::ObjectHeader;

inline constexpr std::uint32_t max_inline_bytes = 16;

class Body {
public:
    Body() : block_(nullptr) {}
    explicit Body(Block* block) : block_(block) {}
    Body(const std::byte* bytes, std::uint8_t length) : small_length_(length) {
        std::memcpy(small_, bytes, max_inline_bytes);
    }
    static Body small(std::span<const std::byte> bytes) {   // at most max_inline_bytes
        Body body;
        body.small_length_ = static_cast<std::uint8_t>(bytes.size());
        if (!bytes.empty()) std::memcpy(body.small_, bytes.data(), bytes.size());
        return body;
    }

    explicit operator bool() const { return small_length_ != 0 || block_; }
    bool is_small() const { return small_length_ != 0; }
    Block* block() const { return small_length_ ? nullptr : block_; }
    const std::byte* small_bytes() const { return small_; }
    std::span<const std::byte> bytes() const {
        if (small_length_) return {small_, small_length_};
        if (!block_) return {};
        return {sys::bytes_of(block_), block_->length};
    }

private:
    union {
        Block* block_;
        std::byte small_[max_inline_bytes];
    };
    std::uint8_t small_length_ = 0;
};

}  // namespace ssi::kddm
