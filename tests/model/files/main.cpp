// SPDX-License-Identifier: BSD-3-Clause
// ssi-sim-files: kDFS in the simulator; see help below.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "files_run.hpp"

namespace ssi::model {
namespace {

constexpr int checker_exit_code = 3;   // as ssi-sim's

// "7" or "1..20".
std::string parse_seeds(const std::string& text, FilesOptions& options) {
    const auto dots = text.find("..");
    try {
        options.first_seed = std::stoull(text.substr(0, dots));
        options.last_seed = dots == std::string::npos ? options.first_seed
                                                      : std::stoull(text.substr(dots + 2));
    } catch (const std::exception&) {
        return "a seed is a number, or two with .. between: " + text;
    }
    return options.first_seed <= options.last_seed ? "" : "the first seed is beyond the last";
}

std::string parse_faults(const std::vector<std::string>& faults, FilesOptions& options) {
    for (const std::string& fault : faults) {
        if (fault == "delay") options.faults.delay = true;
        else if (fault == "reorder") options.faults.reorder = true;
        else if (fault == "duplicate") options.faults.duplicate = true;
        else if (fault == "cut") options.cut = true;
        else return "faults are delay, reorder, duplicate and cut; not '" + fault + "'";
    }
    return "";
}

int run_all(const FilesOptions& options) {
    std::uint64_t operations = 0, promises = 0, cuts = 0;
    for (std::uint64_t seed = options.first_seed;; ++seed) {
        const auto outcome = FilesRun(options, seed).run();
        if (!outcome.checker.empty()) {
            fmt::print("{}\nchecker {} seed {}\n", outcome.text, outcome.checker, seed);
            std::fflush(stdout);
            std::_Exit(checker_exit_code);   // what the world holds is not taken apart
        }
        operations += outcome.operations;
        promises += outcome.promises;
        cuts += outcome.cut;
        if (seed == options.last_seed) break;
    }
    fmt::print("{} seeds: {} operations, {} files promised to last, {} power cuts; all as it "
               "should be\n",
               options.last_seed - options.first_seed + 1, operations, promises, cuts);
    std::fflush(stdout);
    if (options.cut) std::_Exit(0);   // what was cut is never freed: no leak checker shall look
    return 0;
}

}  // namespace
}  // namespace ssi::model

int main(int argc, char** argv) {
    using namespace ssi;
    using namespace ssi::model;
    FilesOptions options;
    std::string seeds = "1", plant = "none";
    std::vector<std::string> faults;
    CLI::App app{"kDFS as it ships, in simulated sessions: random operations on shared names from "
                 "all nodes, checked against one order; then a restart on other nodes, after a "
                 "power cut or not."};
    app.add_option("--nodes", options.nodes, "of the first session")->check(CLI::Range(1, 100));
    app.add_option("--volumes", options.volumes)->check(CLI::Range(1, 16));
    app.add_option("--tasks", options.tasks, "of each node")->check(CLI::Range(1, 8));
    app.add_option("--ops", options.ops, "of each task")->check(CLI::Range(1, 1000));
    app.add_option("--preempt", options.preempt_every,
                   "one in so many points suspends its task; 0: none");
    app.add_option("--seed", seeds, "N or N..M");
    app.add_option("--faults", faults, "of delay,reorder,duplicate,cut")->delimiter(',');
    app.add_option("--plant", plant, "a bug to be found: forget_way, parts_apart");
    CLI11_PARSE(app, argc, argv);
    if (const char* seed = std::getenv("SSI_SEED")) seeds = seed;
    std::string wrong = parse_seeds(seeds, options);
    if (wrong.empty()) wrong = parse_faults(faults, options);
    if (plant == "forget_way") options.plant = fs::Plant::forget_way;
    else if (plant == "parts_apart") options.plant = fs::Plant::parts_apart;
    else if (plant != "none" && wrong.empty()) wrong = "there is no plant '" + plant + "'";
    if (!wrong.empty()) {
        fmt::print(stderr, "ssi-sim-files: {}\n", wrong);
        return 2;
    }
    return run_all(options);
}
