// SPDX-License-Identifier: BSD-3-Clause
// The command line of iobench.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "support/leave.hpp"

namespace iobench {

struct Options {
    std::vector<std::string> patterns;       // names of the table in application.cpp
    std::vector<std::string> volumes;        // as support::volumes_of takes them
    std::string posix;                       // instead: a directory that all ranks share
    std::uint64_t bytes = 256u << 20;        // of each rank
    std::uint64_t transfer_bytes = 1u << 20;
    std::uint64_t files = 10'000;            // of each rank
    std::uint64_t unit_bytes = 0;            // of stripes; 0: as the directory says
    std::uint64_t stripes = 0;
    std::uint64_t cache_bytes = 0;           // of each rank; 0: the default
    std::string top = "/iobench";            // where files are made
    bool sync = false, cold = false, shift = false, keep = false;
    bool json = false, progress = false;
};

inline constexpr const char* pattern_names[] = {"easy",   "hard",   "metadata", "small",
                                                "rename", "shared", "find", "crowd"};

tl::expected<Options, support::Leave> parse(int argc, const char* const* argv);

}  // namespace iobench
