// SPDX-License-Identifier: BSD-3-Clause
#include "mpi_solver.hpp"

#include <mpi.h>

#include <numeric>

#include "graph/tiled_solver.hpp"

namespace peers {

using graph::Edge;
using graph::Vertex;

MpiSolver::MpiSolver(const cli::Options& options, Vertex vertices, graph::Edges edges)
    : options_(options),
      partition_(vertices, options.block_vertices, 1),
      tiles_(partition_.blocks()),
      shares_(vertices) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    partition_ = graph::Partition(vertices, options.block_vertices, size_);
    std::vector<std::uint64_t> edges_of_block(partition_.blocks());
    for (const Edge& edge : edges) ++edges_of_block[partition_.block_of(edge.target)];
    MPI_Allreduce(MPI_IN_PLACE, edges_of_block.data(), static_cast<int>(edges_of_block.size()),
                  MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    partition_.balance(edges_of_block);
    for (int rank = 0; rank < size_; ++rank) {
        displacements_.push_back(static_cast<int>(partition_.first_owned(rank)));
        counts_.push_back(
            static_cast<int>(partition_.end_owned(rank) - partition_.first_owned(rank)));
    }
    count_degrees(edges);
    const graph::Edges mine = exchange(edges);
    edges = {};
    sort_tiles(mine);
    ranks_.resize(inverse_degree_.size());
    sums_.resize(inverse_degree_.size());
}

graph::Edges MpiSolver::exchange(const graph::Edges& edges) const {
    static_assert(sizeof(Edge) == sizeof(std::uint64_t));
    std::vector<int> sent(static_cast<std::size_t>(size_));
    for (const Edge& edge : edges) ++sent[partition_.owner(edge.target)];
    std::vector<int> received(sent.size()), from(sent.size()), to(sent.size());
    MPI_Alltoall(sent.data(), 1, MPI_INT, received.data(), 1, MPI_INT, MPI_COMM_WORLD);
    std::exclusive_scan(sent.begin(), sent.end(), to.begin(), 0);
    std::exclusive_scan(received.begin(), received.end(), from.begin(), 0);
    graph::Edges by_owner(edges.size());
    std::vector<int> next = to;
    for (const Edge& edge : edges)
        by_owner[static_cast<std::size_t>(next[partition_.owner(edge.target)]++)] = edge;
    graph::Edges mine(static_cast<std::size_t>(from.back() + received.back()));
    MPI_Alltoallv(by_owner.data(), sent.data(), to.data(), MPI_UINT64_T, mine.data(),
                  received.data(), from.data(), MPI_UINT64_T, MPI_COMM_WORLD);
    return mine;
}

void MpiSolver::count_degrees(const graph::Edges& edges) {
    std::vector<std::uint32_t> degrees(partition_.vertices());
    for (const Edge& edge : edges) ++degrees[edge.source];
    std::vector<std::uint32_t> mine(static_cast<std::size_t>(counts_[rank_]));
    MPI_Reduce_scatter(degrees.data(), mine.data(), counts_.data(), MPI_UINT32_T, MPI_SUM,
                       MPI_COMM_WORLD);
    inverse_degree_ = graph::invert_degrees(mine);
}

void MpiSolver::sort_tiles(std::span<const Edge> edges) {
    const graph::TileSorter sorter(partition_, rank_, std::span(&edges, 1));
    for (const auto& piece : sorter.pieces(std::size_t{1} << 30)) {
        pieces_.emplace_back(piece.bytes / sizeof(std::uint32_t));
        const auto bytes = std::as_writable_bytes(std::span(pieces_.back()));
        sorter.write(piece, bytes);
        tiles_.add(piece.target_block, bytes);
    }
}

void MpiSolver::reduce(graph::StepTotals& totals) const {
    graph::Amount both[] = {totals.residual, totals.dangling};
    MPI_Allreduce(MPI_IN_PLACE, both, 2, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    totals = {both[0], both[1]};
}

graph::StepTotals MpiSolver::step(graph::StepRule rule) {
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, shares_.data(), counts_.data(),
                   displacements_.data(), MPI_INT64_T, MPI_COMM_WORLD);
    const Vertex first = partition_.first_owned(rank_);
    for (std::uint32_t source = 0; source < partition_.blocks(); ++source)
        for (const auto& tile : tiles_.from(source))
            graph::accumulate(tile.codes, tile.count, &shares_[partition_.first_vertex(source)],
                              &sums_[partition_.first_vertex(tile.target_block) - first]);
    graph::StepTotals totals;
    for (auto block = partition_.first_block(rank_); block < partition_.end_block(rank_); ++block)
        totals += graph::finish_block(rule, of_block(inverse_degree_, block),
                                      of_block(sums_, block), of_block(ranks_, block),
                                      shares_of(block));
    reduce(totals);
    return totals;
}

MpiSolver::Run MpiSolver::run() {
    Run run;
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = MPI_Wtime();
    graph::StepTotals totals;
    for (auto block = partition_.first_block(rank_); block < partition_.end_block(rank_); ++block)
        totals.dangling +=
            graph::start_block(partition_.vertices(), of_block(inverse_degree_, block),
                               of_block(ranks_, block), shares_of(block));
    reduce(totals);
    while (run.iterations < options_.max_iterations && !run.converged) {
        totals = step(
            graph::StepRule::of(partition_.vertices(), options_.damping, totals.dangling));
        ++run.iterations;
        run.residual = graph::from_amount(totals.residual);
        run.converged = run.residual <= options_.tolerance;
    }
    const double mine = MPI_Wtime() - begin;
    MPI_Allreduce(&mine, &run.seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return run;
}

std::vector<double> MpiSolver::gather_ranks() const {
    std::vector<double> all(rank_ == 0 ? partition_.vertices() : 0);
    MPI_Gatherv(ranks_.data(), counts_[rank_], MPI_DOUBLE, all.data(), counts_.data(),
                displacements_.data(), MPI_DOUBLE, 0, MPI_COMM_WORLD);
    return all;
}

std::vector<graph::Ranked> MpiSolver::gather_top(std::size_t count) const {
    const auto ranks = gather_ranks();
    std::vector<graph::Ranked> top;
    for (std::size_t v = 0; v < ranks.size(); ++v)
        top.push_back({ranks[v], static_cast<Vertex>(v)});
    graph::keep_top(top, count);
    return top;
}

}  // namespace peers
