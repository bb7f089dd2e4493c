// SPDX-License-Identifier: BSD-3-Clause
// Random: one of the six doors. A seeded generator that is the same on every machine.
#pragma once

#include <cstdint>

namespace ssi {

// xoshiro256** seeded by splitmix64 (Blackman and Vigna, prng.di.unimi.it). Not thread-safe:
// each owner has its own. Same seed, same numbers, everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed);
    std::uint64_t next();
    // Uniform in [0, bound); bound > 0.
    std::uint64_t below(std::uint64_t bound);
    // True with probability numerator / denominator.
    bool chance(std::uint64_t numerator, std::uint64_t denominator);
    double unit();  // [0, 1)

    // From the kernel; for keys and for seeding in real runs.
    static std::uint64_t seed_from_system();

private:
    std::uint64_t state_[4];
};

}  // namespace ssi
