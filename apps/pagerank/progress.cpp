// SPDX-License-Identifier: BSD-3-Clause
#include "progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

namespace pagerank {
namespace {

constexpr ssi::Nanoseconds terminal_interval = 100'000'000;
constexpr ssi::Nanoseconds line_interval = 1'000'000'000;

}  // namespace

Progress::Progress(const cli::Options& options, bool speaks, std::uint64_t edges,
                   const ssi::Clock& clock)
    : terminal_(::isatty(STDERR_FILENO) == 1),
      shows_(speaks && (terminal_ || options.progress)),
      logs_iterations_(speaks && options.log_iterations),
      edges_(edges),
      clock_(clock) {}

void Progress::show(std::string_view text) {
    // A terminal's line is erased and written again.
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\x1b[K" : "", text, terminal_ ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal_;
}

void Progress::stage(std::string_view what) {
    if (shows_) show(fmt::format("pagerank: {}", what));
}

void Progress::iteration(std::uint32_t run, const Ranking::Run& so_far) {
    if (logs_iterations_) {
        finish();
        fmt::print(stderr, "iteration {}\n", so_far.iterations);
        std::fflush(stderr);
    }
    if (!shows_ || clock_.now() < next_) return;
    next_ = clock_.now() + (terminal_ ? terminal_interval : line_interval);
    const double rate = so_far.seconds > 0
                            ? static_cast<double>(edges_) * so_far.iterations / so_far.seconds / 1e6
                            : 0;
    show(fmt::format("pagerank: run {}, iteration {}, residual {:.2e}, {:.1f} M edges/s", run,
                     so_far.iterations, so_far.residual, rate));
}

void Progress::finish() {
    if (!dirty_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    dirty_ = false;
}

}  // namespace pagerank
