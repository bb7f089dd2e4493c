// SPDX-License-Identifier: BSD-3-Clause
// Ranking: PageRank by pulling. Two sets kept by blocks, homed at the block's owner:
//   pagerank.ranks    {0, block}        written and read by the owner until the end
//   pagerank.shares   {parity, block}   rank / out-degree: written by the owner, read by all
// An iteration reads the shares of one parity and writes those of the other, so that no writer
// disturbs a reader; the reduction at its end is the barrier between them. While a rank computes,
// the blocks it will read travel to it, and the blocks it will write are taken back from their
// readers. One thread of each rank calls; construction and run() are collective.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cli/options.hpp"
#include "graph/step.hpp"
#include "graph/top.hpp"
#include "local_graph.hpp"
#include "ssi/base/clock.hpp"

namespace pagerank {

class Ranking {
public:
    struct Run {
        std::uint32_t iterations = 0;
        graph::StepTotals totals;   // of the last one
        bool converged = false;
        double seconds = 0;         // the slowest rank's, at the end
        double residual() const { return graph::from_amount(totals.residual); }
    };
    // After each iteration, on every rank; false, on every rank: leave it at that.
    using Observer = std::function<bool(const Run& so_far)>;

    Ranking(const LocalGraph& graph, const ssi::Clock& clock);
    // From equal ranks until the residual is at most options.tolerance.
    Run run(const cli::Options& options, const Observer& observer);
    // The same from ranks that were put back as they were then.
    Run resume(const Run& then, const cli::Options& options, const Observer& observer);

    // On rank 0 (others: empty), after a barrier.
    std::vector<double> all_ranks();
    std::vector<graph::Ranked> top(std::size_t count);
    // Of the ranks of all vertices; collective, the same everywhere.
    std::uint64_t digest();

    ssi::kddm::RawSet ranks() const { return ranks_; }
    ssi::kddm::RawSet shares() const { return shares_; }

private:
    graph::Amount start();
    void share();
    void iterate(Run& run, const cli::Options& options, const Observer& observer);
    void pull(std::uint32_t parity);
    graph::StepTotals publish(graph::StepRule rule, std::uint32_t parity);
    std::span<graph::Amount> sums_of(std::uint32_t block);

    const LocalGraph& graph_;
    const graph::Partition& partition_;
    ssi::Session& session_;
    const ssi::Clock& clock_;
    ssi::kddm::RawSet ranks_;
    ssi::kddm::RawSet shares_;
    std::vector<graph::Amount> sums_;  // of the owned vertices
};

}  // namespace pagerank
