// SPDX-License-Identifier: BSD-3-Clause
// Arguments of fs-compare.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::test {

struct CompareOptions {
    std::string reference;               // directory of a local file system
    std::string volumes;                 // `a,b;c;`: kDFS on these directories of the ranks
    std::string against;                 // instead: another local directory
    std::uint64_t seed = 1, seeds = 1;
    std::uint64_t operations = 5000;     // of each seed
    std::vector<std::uint64_t> only;     // these operations alone, ascending
    std::uint32_t threads = 2;           // of each rank
    bool users = false;
    bool apart = false;                  // all issuers at once, each with names of its own
    bool verify = false;                 // only compare what an earlier run left
    std::uint64_t lie_at = UINT64_MAX, lose_at = UINT64_MAX;
    std::uint64_t cache_bytes = 0;
    std::uint64_t shrink_seconds = 60;
    bool coverage = false;
};

const char* compare_usage();
Result<CompareOptions> parse_compare(int argc, char** argv);
// "3,5-9": the way back from numbers_text.
Result<std::vector<std::uint64_t>> parse_numbers(const std::string& text);
std::string numbers_text(const std::vector<std::uint64_t>& numbers);

}  // namespace ssi::test
