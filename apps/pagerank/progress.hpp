// SPDX-License-Identifier: BSD-3-Clause
// Progress: what rank 0 tells on standard error while a run lasts. Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "cli/options.hpp"
#include "ranking.hpp"
#include "ssi/base/clock.hpp"

namespace pagerank {

class Progress {
public:
    // Says nothing unless `speaks` (rank 0). A line that overwrites itself on a terminal, or lines
    // when --progress asks for them elsewhere.
    Progress(const cli::Options& options, bool speaks, std::uint64_t edges,
             const ssi::Clock& clock);
    ~Progress() { finish(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void stage(std::string_view what);
    void iteration(std::uint32_t run, const Ranking::Run& so_far);
    void finish();  // leaves the line clean

private:
    void show(std::string_view text);

    bool terminal_;
    bool shows_;
    bool logs_iterations_;
    std::uint64_t edges_;
    const ssi::Clock& clock_;
    ssi::Nanoseconds next_ = 0;
    bool dirty_ = false;
};

}  // namespace pagerank
