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

}  // namespace

Rmat::Rmat(unsigned scale, std::uint64_t edge_factor, std::uint64_t seed)
    : scale_(scale),
      edge_factor_(edge_factor),
      seed_(random_at(seed, 0)),
      top_levels_(QuadrantTable::max_levels),
      last_levels_((scale - 1) % QuadrantTable::max_levels + 1),
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
    for (unsigned level = 0, draw = 0; level < scale_; ++draw) {
        const bool last = level + last_levels_.levels() == scale_;
        const QuadrantTable& table = last ? last_levels_ : top_levels_;
        bits = draw % 2 == 0 ? random_at(stream, draw) : bits >> 32;
        const std::uint32_t drawn = table.draw(static_cast<std::uint32_t>(bits));
        source = source << table.levels() | drawn >> table.levels();
        target = target << table.levels() | (drawn & ((1u << table.levels()) - 1));
        level += table.levels();
    }
    return {scramble(source), scramble(target)};
}

void Rmat::generate(std::uint64_t first, std::uint64_t last, Edges& out) const {
    out.reserve(out.size() + (last - first));
    for (std::uint64_t index = first; index < last; ++index) out.push_back(edge(index));
}

}  // namespace graph
