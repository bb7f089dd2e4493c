// SPDX-License-Identifier: BSD-3-Clause
#include "ranking.hpp"

#include <cstring>

#include "graph/digest.hpp"

namespace pagerank {

using ssi::value_or_throw;

Ranking::Ranking(const LocalGraph& graph, const ssi::Clock& clock)
    : graph_(graph),
      partition_(graph.partition()),
      session_(graph.session()),
      clock_(clock),
      // In this order: a rank block is held while its share block is taken.
      ranks_(graph.block_set("pagerank.ranks", sizeof(double))),
      shares_(graph.block_set("pagerank.shares", sizeof(graph::Amount))),
      sums_(partition_.end_owned(session_.rank()) - partition_.first_owned(session_.rank())) {}

std::span<graph::Amount> Ranking::sums_of(std::uint32_t block) {
    const auto begin = partition_.first_vertex(block) - partition_.first_owned(session_.rank());
    return std::span(sums_).subspan(begin, partition_.vertices_in(block));
}

graph::Amount Ranking::start() {
    graph::Amount dangling = 0;
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        const std::size_t count = partition_.vertices_in(block);
        auto ranks = value_or_throw(ranks_.grab(graph_.id_of(block)));
        auto shares = value_or_throw(shares_.grab(graph_.id_of(block, 0)));
        dangling += graph::start_block(partition_.vertices(), graph_.inverse_degree(block),
                                       writable_values<double>(ranks).first(count),
                                       writable_values<graph::Amount>(shares).first(count));
        value_or_throw(shares.put());
        value_or_throw(ranks.put());
    }
    return session_.reduce(dangling, ssi::Reduce::sum);
}

void Ranking::pull(std::uint32_t parity) {
    const std::uint32_t first = graph_.first_block();
    const std::uint32_t end = graph_.end_block();
    const std::uint32_t blocks = partition_.blocks();
    const graph::TileIndex& tiles = graph_.tiles();
    for (std::uint32_t step = end - first; step < blocks; ++step) {
        const std::uint32_t block = (first + step) % blocks;
        if (!tiles.from(block).empty())
            value_or_throw(shares_.prefetch(graph_.id_of(block, parity)));
    }
    for (std::uint32_t block = first; block < end; ++block)
        value_or_throw(shares_.prefetch(graph_.id_of(block, 1 - parity), ssi::kddm::Access::write));
    // Our own blocks first: meanwhile the others arrive. Each rank continues with its successor's.
    for (std::uint32_t step = 0; step < blocks; ++step) {
        const std::uint32_t block = (first + step) % blocks;
        if (tiles.from(block).empty()) continue;
        const auto guard = value_or_throw(shares_.get(graph_.id_of(block, parity)));
        const graph::Amount* shares = values<graph::Amount>(guard).data();
        for (const auto& tile : tiles.from(block))
            graph::accumulate(tile.codes, tile.count, shares, sums_of(tile.target_block).data());
    }
}

graph::StepTotals Ranking::publish(graph::StepRule rule, std::uint32_t parity) {
    graph::StepTotals totals;
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        const std::size_t count = partition_.vertices_in(block);
        auto ranks = value_or_throw(ranks_.grab(graph_.id_of(block)));
        auto shares = value_or_throw(shares_.grab(graph_.id_of(block, parity)));
        totals += graph::finish_block(rule, graph_.inverse_degree(block), sums_of(block),
                                      writable_values<double>(ranks).first(count),
                                      writable_values<graph::Amount>(shares).first(count));
        value_or_throw(shares.put());
        value_or_throw(ranks.put());
    }
    return {session_.reduce(totals.residual, ssi::Reduce::sum),
            session_.reduce(totals.dangling, ssi::Reduce::sum)};
}

void Ranking::share() {
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        const std::size_t count = partition_.vertices_in(block);
        const auto ranks = value_or_throw(ranks_.get(graph_.id_of(block)));
        auto shares = value_or_throw(shares_.grab(graph_.id_of(block, 0)));
        graph::share_block(graph_.inverse_degree(block), values<double>(ranks).first(count),
                           writable_values<graph::Amount>(shares).first(count));
        value_or_throw(shares.put());
    }
    session_.barrier();   // nobody reads them before they are all there
}

Ranking::Run Ranking::run(const cli::Options& options, const Observer& observer) {
    session_.barrier();
    Run run;
    const ssi::Nanoseconds begin = clock_.now();
    run.totals.dangling = start();
    run.seconds = static_cast<double>(clock_.now() - begin) * 1e-9;
    iterate(run, options, observer);
    return run;
}

Ranking::Run Ranking::resume(const Run& then, const cli::Options& options,
                             const Observer& observer) {
    share();
    Run run = then;
    run.converged = run.iterations > 0 && run.residual() <= options.tolerance;
    iterate(run, options, observer);
    return run;
}

void Ranking::iterate(Run& run, const cli::Options& options, const Observer& observer) {
    const double before = run.seconds;
    const ssi::Nanoseconds begin = clock_.now();
    const auto seconds = [&] {
        return before + static_cast<double>(clock_.now() - begin) * 1e-9;
    };
    bool goes_on = true;
    for (std::uint32_t parity = 0;
         goes_on && run.iterations < options.max_iterations && !run.converged;
         parity = 1 - parity) {
        pull(parity);
        run.totals = publish(
            graph::StepRule::of(partition_.vertices(), options.damping, run.totals.dangling),
            1 - parity);
        ++run.iterations;
        run.converged = run.residual() <= options.tolerance;
        run.seconds = seconds();
        goes_on = observer(run);
    }
    run.seconds = session_.reduce(seconds(), ssi::Reduce::max);
}

std::vector<double> Ranking::all_ranks() {
    session_.barrier();
    std::vector<double> all;
    if (session_.rank() != 0) return all;
    all.reserve(partition_.vertices());
    for (std::uint32_t block = 0; block < partition_.blocks(); ++block) {
        const auto guard = value_or_throw(ranks_.get(graph_.id_of(block)));
        const auto of_block = values<double>(guard).first(partition_.vertices_in(block));
        all.insert(all.end(), of_block.begin(), of_block.end());
    }
    return all;
}

std::uint64_t Ranking::digest() {
    std::uint64_t sum = 0;
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        const auto guard = value_or_throw(ranks_.get(graph_.id_of(block)));
        sum += graph::digest_of(partition_.first_vertex(block),
                                values<double>(guard).first(partition_.vertices_in(block)));
    }
    return session_.reduce(sum, ssi::Reduce::sum);
}

std::vector<graph::Ranked> Ranking::top(std::size_t count) {
    const std::string name = "pagerank.top";
    ssi::kddm::SetOptions options;
    options.kind = ssi::kddm::ObjectKind::variable;
    options.placement = "node:0";
    auto set = value_or_throw(session_.raw_set(name, options));
    std::vector<graph::Ranked> best;
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        const auto guard = value_or_throw(ranks_.get(graph_.id_of(block)));
        const graph::Vertex first = partition_.first_vertex(block);
        for (std::uint32_t i = 0; i < partition_.vertices_in(block); ++i)
            best.push_back({values<double>(guard)[i], first + i});
        graph::keep_top(best, count);
    }
    {
        auto guard = value_or_throw(set.grab_new(static_cast<std::uint64_t>(session_.rank())));
        const auto bytes = std::as_bytes(std::span(best));
        value_or_throw(guard.resize(bytes.size()));
        if (!bytes.empty()) std::memcpy(guard.writable().data(), bytes.data(), bytes.size());
        value_or_throw(guard.put());
    }
    session_.barrier();
    best.clear();
    for (int rank = 0; session_.rank() == 0 && rank < session_.size(); ++rank) {
        const auto guard = value_or_throw(set.get(static_cast<std::uint64_t>(rank)));
        const auto part = values<graph::Ranked>(guard);
        best.insert(best.end(), part.begin(), part.end());
    }
    graph::keep_top(best, count);
    session_.barrier();
    if (session_.rank() == 0) value_or_throw(session_.destroy(name));
    return best;
}

}  // namespace pagerank
