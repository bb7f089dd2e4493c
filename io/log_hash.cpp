// SPDX-License-Identifier: BSD-3-Clause
#include "log_hash.hpp"

#define XXH_STATIC_LINKING_ONLY   // for the state on the stack: no allocation
#include <xxhash.h>
#ifdef SSI_XXHASH_CHOOSES
#include <xxh_x86dispatch.h>
#endif

#include <cstring>

namespace ssi::io {

Hash128 hash_of(std::span<const std::byte> bytes, std::uint64_t seed) {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
    return {hash.low64, hash.high64};
}

Hash128 hash_of(std::span<const std::byte> first, std::span<const std::byte> second,
                std::uint64_t seed) {
    // A state costs more than small records do.
    std::byte together[384];
    if (first.size() + second.size() <= sizeof together) {
        std::memcpy(together, first.data(), first.size());
        if (!second.empty())
            std::memcpy(together + first.size(), second.data(), second.size());
        return hash_of(std::span(together).first(first.size() + second.size()), seed);
    }
    XXH3_state_t state;
    XXH3_INITSTATE(&state);   // else what lay on the stack may pass for a state of this seed
    XXH3_128bits_reset_withSeed(&state, seed);
    XXH3_128bits_update(&state, first.data(), first.size());
    if (!second.empty()) XXH3_128bits_update(&state, second.data(), second.size());
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return {hash.low64, hash.high64};
}

std::uint64_t HashKey::seed(std::uint64_t sequence) const {
    if (plants.unseeded_hashes) return 0;
    const std::uint64_t words[5] = {identity.volume.high, identity.volume.low, identity.log,
                                    generation, sequence};
    return XXH3_64bits(words, sizeof words);
}

}  // namespace ssi::io
