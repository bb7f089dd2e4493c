// SPDX-License-Identifier: BSD-3-Clause
// Application: one run of jacobi, from the command line to the report. Collective throughout: every
// rank of the session makes one and calls run(). Throws ssi::Error.
#pragma once

#include <optional>
#include <string>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "grid/saved.hpp"
#include "kddm_plate.hpp"
#include "pictures.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/ssi.hpp"
#include "support/checkpoints.hpp"
#include "support/progress.hpp"

namespace jacobi {

class Application {
public:
    Application(ssi::Session& session, const Options& options);
    // The exit code, the same on every rank. Rank 0 has printed the report or the error.
    int run();

private:
    // Each an exit code.
    int prepare();   // what can be known to fail before the work
    int look_back(); // the blocks of the run that this one goes on from
    int begin();     // the plate as it is at the start, or was saved
    int solve();
    int look_at(const ssi::Restarted& from, Saved& saved);
    int refuse(const ssi::Restarted& from, const std::string& fault);
    std::optional<int> save(std::uint64_t step, double spent);
    void lay_out(const Layout& layout);
    int frame(std::uint64_t step);
    int picture(const std::string& path);
    void verify();
    int report();
    // Rank 0's problem, if any, is said there; its exit code on every rank.
    int agree(const std::string& problem, ssi::Errc code);
    double seconds() const { return static_cast<double>(clock_.now()) * 1e-9; }
    bool first() const { return session_.rank() == 0; }

    ssi::Session& session_;
    const Options& options_;
    ssi::RealClock clock_;
    Layout layout_;
    support::Progress progress_;
    std::optional<KddmPlate> plate_;
    std::optional<Pictures> pictures_;
    support::Checkpoints checkpoints_;
    std::uint64_t first_step_ = 0;       // that were done before this run
    double spent_before_ = 0;            // seconds
    Report report_;
};

}  // namespace jacobi
