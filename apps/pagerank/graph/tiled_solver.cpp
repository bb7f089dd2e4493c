// SPDX-License-Identifier: BSD-3-Clause
#include "graph/tiled_solver.hpp"

namespace graph {

std::vector<double> invert_degrees(std::span<const std::uint32_t> out_degree) {
    std::vector<double> inverse(out_degree.size());
    for (std::size_t v = 0; v < inverse.size(); ++v)
        inverse[v] = out_degree[v] ? 1.0 / out_degree[v] : 0;
    return inverse;
}

TiledSolver::TiledSolver(Vertex vertices, std::span<const Edge> edges, std::uint32_t block_vertices)
    : partition_(vertices, block_vertices, 1),
      index_(partition_.blocks()),
      ranks_(vertices),
      shares_(vertices),
      sums_(vertices) {
    const TileSorter sorter(partition_, 0, std::span(&edges, 1));
    for (const TileSorter::Piece& piece : sorter.pieces(std::size_t{1} << 30)) {
        pieces_.emplace_back(piece.bytes / sizeof(std::uint32_t));
        const auto bytes = std::as_writable_bytes(std::span(pieces_.back()));
        sorter.write(piece, bytes);
        index_.add(piece.target_block, bytes);
    }
    std::vector<std::uint32_t> out_degree(vertices);
    for (const Edge& edge : edges) ++out_degree[edge.source];
    inverse_degree_ = invert_degrees(out_degree);
}

double TiledSolver::run(double damping, std::uint32_t iterations) {
    const std::uint64_t n = partition_.vertices();
    StepTotals totals;
    for (std::uint32_t block = 0; block < partition_.blocks(); ++block)
        totals.dangling += start_block(n, of_block(inverse_degree_, block),
                                       of_block(ranks_, block), of_block(shares_, block));
    for (std::uint32_t iteration = 0; iteration < iterations; ++iteration) {
        for (std::uint32_t source = 0; source < partition_.blocks(); ++source)
            for (const TileIndex::Tile& tile : index_.from(source))
                accumulate(tile.codes, tile.count, &shares_[partition_.first_vertex(source)],
                           &sums_[partition_.first_vertex(tile.target_block)]);
        const auto rule = StepRule::of(n, damping, totals.dangling);
        totals = {};
        for (std::uint32_t block = 0; block < partition_.blocks(); ++block)
            totals += finish_block(rule, of_block(inverse_degree_, block), of_block(sums_, block),
                                   of_block(ranks_, block), of_block(shares_, block));
    }
    return from_amount(totals.residual);
}

}  // namespace graph
