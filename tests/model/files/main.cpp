// SPDX-License-Identifier: BSD-3-Clause
// ssi-sim-files: kDFS in the simulator; see help below.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <system_error>

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

struct Sums {
    std::uint64_t operations = 0, promises = 0, cuts = 0;
};

int run_seed(const FilesOptions& options, std::uint64_t seed, Sums& sums) {
    const auto outcome = FilesRun(options, seed).run();
    if (!outcome.checker.empty()) {
        fmt::print("{}\nchecker {} seed {}\n", outcome.text, outcome.checker, seed);
        std::fflush(stdout);
        std::_Exit(checker_exit_code);   // what the world holds is not taken apart
    }
    sums.operations += outcome.operations;
    sums.promises += outcome.promises;
    sums.cuts += outcome.cut;
    return 0;
}

// A world that was cut is never freed, so that each has a process: its end frees it.
int run_in_child(const FilesOptions& options, std::uint64_t seed, Sums& sums) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) std::_Exit(run_seed(options, seed, sums));
    int status = 0;
    if (::waitpid(child, &status, 0) != child)
        throw std::system_error(errno, std::generic_category(), "waitpid");
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    fmt::print("the process of seed {} was ended by signal {}\n", seed, WTERMSIG(status));
    return 1;
}

int run_all(const FilesOptions& options) {
    void* const shared = ::mmap(nullptr, sizeof(Sums), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    Sums& sums = *new (shared) Sums;
    for (std::uint64_t seed = options.first_seed;; ++seed) {
        const int code = options.cut ? run_in_child(options, seed, sums)
                                     : run_seed(options, seed, sums);
        if (code != 0) return code;
        if (seed == options.last_seed) break;
    }
    fmt::print("{} seeds: {} operations, {} files promised to last, {} power cuts; all as it "
               "should be\n",
               options.last_seed - options.first_seed + 1, sums.operations, sums.promises,
               sums.cuts);
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
    app.add_option("--plant", plant, "a bug to be found: forget_way, parts_apart, unordered_link");
    CLI11_PARSE(app, argc, argv);
    if (const char* seed = std::getenv("SSI_SEED")) seeds = seed;
    std::string wrong = parse_seeds(seeds, options);
    if (wrong.empty()) wrong = parse_faults(faults, options);
    if (plant == "forget_way") options.plant = fs::Plant::forget_way;
    else if (plant == "parts_apart") options.plant = fs::Plant::parts_apart;
    else if (plant == "unordered_link") options.plant = fs::Plant::unordered_link;
    else if (plant != "none" && wrong.empty()) wrong = "there is no plant '" + plant + "'";
    if (!wrong.empty()) {
        fmt::print(stderr, "ssi-sim-files: {}\n", wrong);
        return 2;
    }
    return run_all(options);
}
