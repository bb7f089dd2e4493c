// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/random.hpp"

#include <sys/random.h>

#include <bit>

#include "ssi/base/assert.hpp"

namespace ssi {

Random::Random(std::uint64_t seed) {
    for (auto& word : state_) {  // splitmix64: never yields an all-zero state
        seed += 0x9e3779b97f4a7c15ull;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        word = z ^ (z >> 31);
    }
}

std::uint64_t Random::next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

// Lemire, "Fast random integer generation in an interval" (2019): one multiplication, and a
// rejection that removes the bias.
std::uint64_t Random::below(std::uint64_t bound) {
    SSI_ASSERT(bound > 0, "Random::below needs a bound of at least 1");
    using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next()) * bound;
    if (static_cast<std::uint64_t>(product) < bound) {
        const std::uint64_t threshold = -bound % bound;
        while (static_cast<std::uint64_t>(product) < threshold)
            product = static_cast<Wide>(next()) * bound;
    }
    return static_cast<std::uint64_t>(product >> 64);
}

bool Random::chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::uint64_t Random::seed_from_system() {
    std::uint64_t seed = 0;
    const auto got = getrandom(&seed, sizeof(seed), 0);
    SSI_ASSERT(got == sizeof(seed), "getrandom(2) is refused here: allow it in the sandbox");
    return seed;
}

}  // namespace ssi
