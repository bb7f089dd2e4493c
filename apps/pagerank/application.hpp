// SPDX-License-Identifier: BSD-3-Clause
// Application: one run of pagerank, from the command line to the report. Collective throughout:
// every rank of the session makes one and calls run(). Throws ssi::Error.
#pragma once

#include <memory>
#include <optional>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "cli/source.hpp"
#include "components.hpp"
#include "graph/saved.hpp"
#include "local_graph.hpp"
#include "ranking.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/ssi.hpp"
#include "support/checkpoints.hpp"
#include "support/progress.hpp"

namespace pagerank {

class Application {
public:
    Application(ssi::Session& session, const cli::Options& options);
    // The exit code, the same on every rank. Rank 0 has printed the report or the error.
    int run();

private:
    int open_source();  // exit code; 0: source_ is there
    graph::Outcome<cli::Source> read_source();
    void build();
    int go_back();  // exit code; what was saved is put back
    int look_at(const ssi::Restarted& from, graph::Saved& saved);
    int solve();    // exit code
    std::optional<int> save(const Ranking::Run& run);
    void show(std::uint32_t run, const Ranking::Run& so_far);
    void conclude();  // labels, top, verification, statistics
    double seconds() const { return static_cast<double>(clock_.now()) * 1e-9; }
    bool first() const { return session_.rank() == 0; }

    ssi::Session& session_;
    const cli::Options& options_;
    ssi::RealClock clock_;
    std::optional<cli::Source> source_;
    std::unique_ptr<LocalGraph> graph_;
    std::unique_ptr<Ranking> ranking_;
    std::unique_ptr<Components> components_;
    support::Progress progress_;
    support::Checkpoints checkpoints_;
    graph::Fingerprint fingerprint_;
    std::optional<Ranking::Run> saved_;  // what this run goes on from
    cli::Report report_;
};

}  // namespace pagerank
