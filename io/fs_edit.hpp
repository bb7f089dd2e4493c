// SPDX-License-Identifier: BSD-3-Clause
// Edit: how an object of kDFS changes: its new length, and what is written where. The same edit
// goes to the log first and to the memory afterwards, so that a full disk changes nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "ssi/base/small_vector.hpp"
#include "ssi/io/object_log.hpp"
#include "ssi/kddm/raw_set.hpp"

namespace ssi::fs {

struct Edit {
    struct Piece {
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
        std::uint32_t begin = 0;     // in `bytes`
    };
    std::uint32_t object_bytes = 0;  // the object's length afterwards
    bool whole = false;              // the only piece is all of it
    // Inside for what is small, which is what most operations change.
    SmallVector<Piece, 3> pieces;
    SmallVector<std::byte, 192> bytes;

    void write(std::uint32_t offset, const void* from, std::size_t length) {
        if (length == 0) return;
        pieces.push_back({offset, static_cast<std::uint32_t>(length),
                          static_cast<std::uint32_t>(bytes.size())});
        const std::size_t at = bytes.size();
        bytes.resize(at + length);
        std::memcpy(bytes.data() + at, from, length);
    }
    static Edit of_whole(std::span<const std::byte> value) {
        Edit edit;
        edit.object_bytes = static_cast<std::uint32_t>(value.size());
        edit.whole = true;
        edit.write(0, value.data(), value.size());
        return edit;
    }
    std::span<const std::byte> piece(const Piece& p) const {
        return std::span(bytes).subspan(p.begin, p.length);
    }

    Result<void> apply(kddm::RawGuard& guard) const {
        if (guard.bytes().size() != object_bytes) SSI_TRY(guard.resize(object_bytes));
        for (const Piece& p : pieces)
            std::memcpy(guard.writable().data() + p.offset, bytes.data() + p.begin, p.length);
        return {};
    }
    // The same, and becomes what takes it back.
    Result<void> swap(kddm::RawGuard& guard) {
        Edit back;
        const auto old = guard.bytes();
        back.object_bytes = static_cast<std::uint32_t>(old.size());
        back.whole = whole;
        if (whole)
            back.write(0, old.data(), old.size());
        else
            for (const Piece& p : pieces)
                if (p.offset < old.size())
                    back.write(p.offset, old.data() + p.offset,
                               std::min<std::size_t>(p.length, old.size() - p.offset));
        SSI_TRY(apply(guard));
        *this = std::move(back);
        return {};
    }
    // What it makes of `old`.
    std::vector<std::byte> applied(std::span<const std::byte> old) const {
        std::vector<std::byte> value(old.begin(), old.end());
        value.resize(object_bytes);
        for (const Piece& p : pieces)
            std::memcpy(value.data() + p.offset, bytes.data() + p.begin, p.length);
        return value;
    }
};

}  // namespace ssi::fs
