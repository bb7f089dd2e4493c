// SPDX-License-Identifier: BSD-3-Clause
// GetPieces: a get cut into a few pieces that are taken in any order: how the twins that are no
// network keep the promise of Get, which is none, so that readers meet what a network may do.
// Private to runtime/net.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "ssi/base/random.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/racing.hpp"

namespace ssi::net {

// True when all of it is shown; it may span pieces.
inline bool shows(const ShownMemory* memory, std::uint64_t address, std::size_t bytes) {
    while (memory && bytes != 0) {
        const auto piece = memory->piece_at(address);
        const auto into = address - reinterpret_cast<std::uintptr_t>(piece.data());
        if (into >= piece.size()) return false;
        const std::size_t step = std::min<std::size_t>(bytes, piece.size() - into);
        address += step;
        bytes -= step;
    }
    return memory != nullptr;
}

class GetPieces {
public:
    GetPieces() = default;
    // One to four, cut where words begin; in order, or in an order from `random`.
    GetPieces(const Get& get, Random& random, bool shuffled) {
        const std::uint64_t bytes = get.into.size();
        const std::uint64_t words = (get.address % 8 + bytes + 7) / 8;
        const std::uint64_t step = (words + most - 1) / most * 8;
        for (std::uint64_t at = 0; at < bytes; ++count_) {
            const std::uint64_t next = (get.address + at + step) / 8 * 8 - get.address;
            pieces_[count_] = {at, std::min(next, bytes) - at};
            at = next;
        }
        for (unsigned i = count_; shuffled && i > 1; --i)
            std::swap(pieces_[i - 1], pieces_[random.below(i)]);
    }
    bool done() const { return taken_ == count_; }
    // The next one, out of this process's memory.
    void take(const Get& get) {
        const auto [offset, bytes] = pieces_[taken_++];
        const auto* from = reinterpret_cast<const std::byte*>(get.address + offset);
        sys::racing_copy(get.into.data() + offset, from, bytes);
    }

private:
    static constexpr unsigned most = 4;
    std::array<std::pair<std::uint64_t, std::uint64_t>, most> pieces_{};   // offset, bytes
    unsigned count_ = 0;
    unsigned taken_ = 0;
};

}  // namespace ssi::net
