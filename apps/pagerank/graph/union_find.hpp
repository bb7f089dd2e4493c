// SPDX-License-Identifier: BSD-3-Clause
// UnionFind: disjoint sets of vertices whose representative is always the smallest member (needed
// here: it is the component's label). Path halving (Tarjan and van Leeuwen, JACM 1984). Not
// thread-safe.
#pragma once

#include <numeric>
#include <utility>
#include <vector>

#include "graph/types.hpp"

namespace graph {

class UnionFind {
public:
    explicit UnionFind(Vertex vertices) : parent_(vertices) {
        std::iota(parent_.begin(), parent_.end(), Vertex{0});
    }
    Vertex find(Vertex v) {
        while (parent_[v] != v) {
            parent_[v] = parent_[parent_[v]];
            v = parent_[v];
        }
        return v;
    }
    void unite(Vertex a, Vertex b) {
        a = find(a);
        b = find(b);
        if (a == b) return;
        if (b < a) std::swap(a, b);
        parent_[b] = a;
    }

private:
    std::vector<Vertex> parent_;
};

}  // namespace graph
