// SPDX-License-Identifier: BSD-3-Clause
// Stream: the updates of one rank. Update number n is a pure function of (seed, rank, n).
#pragma once

#include <cstdint>

namespace gups {

struct Update {
    std::uint64_t word = 0;
    std::uint64_t delta = 0;
};

class Stream {
public:
    Stream(std::uint64_t seed, int rank, std::uint64_t words)
        : state_(mix(seed) + (static_cast<std::uint64_t>(rank) << 40)), words_(words) {}

    Update next() {
        const std::uint64_t drawn = mix(++state_);
        // The high bits choose the word, without the bias of a remainder.
        const auto wide = static_cast<unsigned __int128>(drawn) * words_;
        return {static_cast<std::uint64_t>(wide >> 64), drawn * 0x9e3779b97f4a7c15 | 1};
    }

private:
    // The finalizer of SplitMix64.
    static std::uint64_t mix(std::uint64_t value) {
        value *= 0x9e3779b97f4a7c15;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
        value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
        return value ^ (value >> 31);
    }
    std::uint64_t state_;
    std::uint64_t words_;
};

}  // namespace gups
