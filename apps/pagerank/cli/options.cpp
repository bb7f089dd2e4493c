// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <bit>
#include <string_view>

#include "graph/partition.hpp"
#include "graph/rmat.hpp"
#include "support/text.hpp"

namespace cli {
namespace {

constexpr const char* inputs = "Input (exactly one)";

// What is parsed as text because the library would accept values that wrap around.
struct Raw {
    std::string seed = "1";
    std::string block;
    bool debian = false;
    bool no_serial = false;
    std::string packages, edges;
    support::CheckpointArguments checkpoints;
};

void add_input(CLI::App& app, Options& options, Raw& raw) {
    app.add_option("--edges", raw.edges, "edge list: `a b` a line, names or integers, # comments")
        ->type_name("FILE")
        ->group(inputs);
    app.add_option("--packages", raw.packages,
                   "Debian package index, as `apt-cache dumpavail` prints it")
        ->type_name("FILE")
        ->group(inputs);
    app.add_flag("--debian", raw.debian, "this machine's package index: runs `apt-cache dumpavail`")
        ->group(inputs);
    app.add_option("--rmat", options.rmat_scale, "generated R-MAT graph of 2^SCALE vertices")
        ->type_name("SCALE")
        ->group(inputs);
    app.add_option("--edge-factor", options.edge_factor, "edges per vertex of --rmat")
        ->capture_default_str()
        ->group(inputs);
    app.add_option("--seed", raw.seed, "seed of --rmat")
        ->capture_default_str()
        ->type_name("UINT")
        ->group(inputs);
    app.add_flag("--skip-malformed", options.skip_malformed,
                 "leave malformed lines out instead of failing")
        ->group(inputs);
}

void add_solver(CLI::App& app, Options& options, Raw& raw) {
    app.add_option("--damping", options.damping, "probability of following an edge")
        ->capture_default_str();
    app.add_option("--tolerance", options.tolerance,
                   "stop when the ranks change by less than this in sum")
        ->capture_default_str();
    app.add_option("--iterations", options.max_iterations, "stop after this many at the latest")
        ->capture_default_str();
    app.add_option("--block", raw.block,
                   "bytes of ranks in a block: a power of two from 512 to 512K [chosen by size]")
        ->type_name("SIZE");
    app.add_option("--repeat", options.repeat, "run this many times and report the mean rate")
        ->capture_default_str();
    app.add_option("--min-seconds", options.min_seconds, "repeat until this much time has passed")
        ->capture_default_str();
}

void add_output(CLI::App& app, Options& options, Raw& raw) {
    app.add_option("--top", options.top, "how many vertices to list")->capture_default_str();
    app.add_flag("--verify", options.verify,
                 "compare with a serial textbook run; fails when they differ");
    app.add_option("--verify-limit", options.verify_limit,
                   "largest relative difference that --verify accepts")
        ->capture_default_str();
    app.add_flag("--no-serial", raw.no_serial, "do not time a serial run for comparison");
    app.add_flag("--json", options.json, "print JSON instead of text");
}

void add_kddm_only(CLI::App& app, Options& options) {
    app.add_option("--volume", options.volumes,
                   "where kDFS is, for --edges or --packages fs:/PATH, of which every rank reads "
                   "its own part: directory of a volume; may be given several times. DIR/%n stands "
                   "for DIR/0, DIR/1, ..., volume k for rank k modulo their number")
        ->type_name("DIR")
        ->allow_extra_args(false)
        ->group(inputs);
    app.add_flag("--components", options.components, "also find the weakly connected components");
    app.add_flag("--log-iterations", options.log_iterations,
                 "print `iteration K` on standard error after each");
    app.add_flag("--progress", options.progress,
                 "a progress line on standard error even if it is no terminal");
}

template <class T>
std::string out_of_range(const char* option, T value, const char* accepted) {
    return fmt::format("{} {} is out of range: {}", option, value, accepted);
}

// What is wrong with the values, or an empty string. Written so that not-a-number fails too.
std::string fault_of(const CLI::App& app, const Options& options) {
    const auto given = [&](const char* name) { return app.count(name) > 0; };
    const int count = given("--edges") + given("--packages") + given("--debian") + given("--rmat");
    if (count == 0) return "an input is needed: --edges, --packages, --debian or --rmat";
    if (count > 1) return "only one of --edges, --packages, --debian and --rmat can be given";
    if (given("--rmat")) {
        if (options.rmat_scale < 1 || options.rmat_scale > graph::Rmat::max_scale)
            return out_of_range("--rmat", options.rmat_scale, "1 to 30");
    } else if (given("--edge-factor") || given("--seed")) {
        return "--edge-factor and --seed need --rmat";
    }
    if (options.edge_factor < 1 || options.edge_factor > 1024)
        return out_of_range("--edge-factor", options.edge_factor, "1 to 1024");
    if (!(options.damping >= 0 && options.damping < 1))
        return out_of_range("--damping", options.damping, "at least 0, less than 1");
    if (!(options.tolerance >= 0 && options.tolerance <= 1))
        return out_of_range("--tolerance", options.tolerance, "0 to 1");
    if (!(options.verify_limit >= 0 && options.verify_limit <= 1))
        return out_of_range("--verify-limit", options.verify_limit, "0 to 1");
    if (options.max_iterations < 1 || options.max_iterations > 1'000'000)
        return out_of_range("--iterations", options.max_iterations, "1 to 1000000");
    if (options.repeat < 1 || options.repeat > 1'000'000)
        return out_of_range("--repeat", options.repeat, "1 to 1000000");
    if (!(options.min_seconds >= 0 && options.min_seconds <= 1e6))
        return out_of_range("--min-seconds", options.min_seconds, "0 to 1000000");
    if (options.top > 1'000'000) return out_of_range("--top", options.top, "0 to 1000000");
    return {};
}

// A path in kDFS is written as `ssi fs cp` writes it.
std::string take_kdfs(Raw& raw, const Options& options) {
    constexpr std::string_view prefix = "fs:";
    for (std::string* path : {&raw.edges, &raw.packages}) {
        const bool in_kdfs = path->starts_with(prefix);
        if (in_kdfs && options.volumes.empty())
            return fmt::format("{} is in kDFS: --volume says where that is", *path);
        if (in_kdfs) return {};
    }
    if (options.volumes.empty()) return {};
    return "--volume needs --edges fs:/PATH or --packages fs:/PATH";
}

std::string take_seed(const std::string& text, std::uint64_t& seed) {
    if (support::to_integer(text, seed)) return {};
    return out_of_range("--seed", text, "an integer from 0 to 18446744073709551615");
}

std::string take_block(std::string_view text, std::uint32_t& vertices) {
    constexpr std::uint64_t smallest = 512, largest = 512 * 1024;
    if (text.empty()) return {};
    const bool kilo = text.back() == 'K' || text.back() == 'k';
    std::uint64_t bytes = 0;
    const bool good = support::to_integer(text.substr(0, text.size() - kilo), bytes);
    if (good && kilo && bytes <= largest) bytes *= 1024;
    if (!good || bytes < smallest || bytes > largest || !std::has_single_bit(bytes))
        return out_of_range("--block", text, "a power of two from 512 to 512K");
    vertices = static_cast<std::uint32_t>(bytes / sizeof(double));
    return {};
}

}  // namespace

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv) {
    Options options;
    Raw raw;
    const bool kddm = program == Program::kddm;
    const std::string name = kddm ? "pagerank" : "mpi_pagerank";
    CLI::App app(
        kddm ? "PageRank and connected components of a directed graph that lives in KDDM sets.\n"
               "Run it alone or under mpirun or srun; --ssi-* options configure libssi."
             : "PageRank over plain MPI: the twin that pagerank is measured against.",
        name);
    app.set_version_flag("--version", name + " " SSI_VERSION);
    add_input(app, options, raw);
    add_solver(app, options, raw);
    add_output(app, options, raw);
    if (kddm) add_kddm_only(app, options);
    if (kddm) support::add_checkpoint_options(app, raw.checkpoints, "iterations");
    const auto wrong = [&](std::string_view what) {
        return tl::unexpected(
            support::Leave{support::usage_exit_code,
                           fmt::format("{}: {} (see {} --help)\n", name, what, name)});
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return tl::unexpected(support::Leave{0, app.help()});
    } catch (const CLI::CallForVersion& version) {
        return tl::unexpected(support::Leave{0, std::string(version.what()) + "\n"});
    } catch (const CLI::ParseError& error) {
        return wrong(error.what());
    }
    std::string fault = take_seed(raw.seed, options.seed);
    if (fault.empty()) fault = take_block(raw.block, options.block_vertices);
    if (fault.empty()) fault = fault_of(app, options);
    if (fault.empty() && kddm) fault = take_kdfs(raw, options);
    if (fault.empty() && kddm)
        fault = support::take_checkpoint_options(app, raw.checkpoints, options.checkpoints);
    if (fault.empty() && !options.checkpoints.directory.empty() &&
        (options.repeat != 1 || options.min_seconds != 0))
        fault = "--checkpoint saves one run: give no --repeat and no --min-seconds";
    if (!fault.empty()) return wrong(fault);
    if (!raw.edges.empty()) options.input = InputKind::edges, options.path = raw.edges;
    if (!raw.packages.empty()) options.input = InputKind::packages, options.path = raw.packages;
    if (raw.debian) options.input = InputKind::debian;
    options.serial = !raw.no_serial;
    return options;
}

}  // namespace cli
