// SPDX-License-Identifier: BSD-3-Clause
#include "graph/rmat.hpp"

#include <algorithm>

namespace graph {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014), by counter: number `index` of the stream `seed`.
std::uint64_t random_at(std::uint64_t seed, std::uint64_t index) {
    std::uint64_t x = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

// Cumulative probabilities of the quadrants as 32-bit fractions: 0.57, 0.57+0.19, 0.57+0.19+0.19.
constexpr std::uint32_t upper_left = 2448131359u;
constexpr std::uint32_t upper = 3264175145u;
constexpr std::uint32_t all_but_lower_right = 4080218931u;

}  // namespace

Rmat::Rmat(unsigned scale, std::uint64_t edge_factor, std::uint64_t seed)
    : scale_(scale),
      edge_factor_(edge_factor),
      seed_(random_at(seed, 0)),
      mask_((Vertex{1} << scale) - 1),
      multiplier_{static_cast<Vertex>(random_at(seed, 1)) | 1,
                  static_cast<Vertex>(random_at(seed, 2)) | 1},
      offset_(static_cast<Vertex>(random_at(seed, 3))) {}

Vertex Rmat::scramble(Vertex vertex) const {
    // Each step is a bijection on `scale` bits: a sum, an odd factor, and x ^ (x >> k) with k > 0.
    vertex = (vertex + offset_) & mask_;
    const unsigned shift = std::max(1u, scale_ / 2);
    for (const Vertex multiplier : multiplier_) {
        vertex = (vertex * multiplier) & mask_;
        vertex ^= vertex >> shift;
    }
    return vertex;
}

Edge Rmat::edge(std::uint64_t index) const {
    Vertex source = 0;
    Vertex target = 0;
    std::uint64_t bits = 0;
    const std::uint64_t stream = random_at(seed_, index);
    for (unsigned level = 0; level < scale_; ++level) {
        bits = level % 2 == 0 ? random_at(stream, level) : bits >> 32;
        const auto draw = static_cast<std::uint32_t>(bits);
        const Vertex down = draw >= upper;
        const Vertex right =
            (draw >= upper_left) & ((draw < upper) | (draw >= all_but_lower_right));
        source = source << 1 | down;
        target = target << 1 | right;
    }
    return {scramble(source), scramble(target)};
}

void Rmat::generate(std::uint64_t first, std::uint64_t last, std::vector<Edge>& out) const {
    out.reserve(out.size() + (last - first));
    for (std::uint64_t index = first; index < last; ++index) out.push_back(edge(index));
}

}  // namespace graph
