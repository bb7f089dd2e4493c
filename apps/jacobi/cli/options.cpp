// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <string_view>

#include "grid/png.hpp"
#include "support/text.hpp"

namespace jacobi {
namespace {

// Two planes of a block, with their frames, fit the largest object: 64 MiB.
constexpr std::int64_t largest_block = 2040;

// Numbers are taken as text, because the library would accept some that wrap around or round.
struct Raw {
    std::string size, rows, cols, iterations, block, every, pixels;
    support::CheckpointArguments checkpoints;
};

struct Number {
    const char* name;
    const char* help;
    std::string Raw::*text;
    std::uint64_t least, most;
};
constexpr Number numbers[] = {
    {"--size", "rows and columns of the plate [1024]", &Raw::size, 1, 1'000'000},
    {"--rows", "rows, where they differ from the columns", &Raw::rows, 1, 1'000'000},
    {"--cols", "columns", &Raw::cols, 1, 1'000'000},
    {"--iterations", "time steps [100]", &Raw::iterations, 0, 1'000'000'000},
    {"--block", "most cells on the side of a block [512]", &Raw::block, 1, largest_block},
    {"--every", "time steps from one frame to the next", &Raw::every, 1, 1'000'000'000},
    {"--pixels", "most pixels on the longer side of a picture [1024]", &Raw::pixels, 1, 16384},
};

bool only_kddm(std::string_view name) {
    return name == "--block" || name == "--every" || name == "--pixels";
}

void add_options(CLI::App& app, Options& options, Raw& raw, bool kddm) {
    for (const Number& number : numbers)
        if (kddm || !only_kddm(number.name))
            app.add_option(number.name, raw.*number.text, number.help)->type_name("N");
    app.add_option("--speed", options.speed,
                   "diffusivity x time step / cell size squared: above 0, at most 0.25")
        ->capture_default_str();
    app.add_flag("--verify", options.verify,
                 "compare every bit with a serial run; fails when one differs");
    app.add_flag("--json", options.json, "print JSON instead of text");
    if (!kddm) return;
    const std::string without = can_write_png() ? "" : " (not in this build: no libpng)";
    app.add_option("--png", options.png, "write a picture of the plate at the end" + without)
        ->type_name("FILE");
    app.add_option("--frames", options.frames,
                   "write DIR/frame-000000.png and so on, one each --every steps" + without)
        ->type_name("DIR");
    app.add_option("--beside", options.beside,
                   "put the rate beside another run's: what `mpi_jacobi --json` printed")
        ->type_name("FILE");
    app.add_flag("--progress", options.progress,
                 "a progress line on standard error even if it is no terminal");
    support::add_checkpoint_options(app, raw.checkpoints, "steps");
}

// Fills what was given; the fault, or an empty string.
std::string take_numbers(const Raw& raw, Options& options) {
    const auto take = [&](const Number& number, auto& value) -> std::string {
        const std::string& text = raw.*number.text;
        std::uint64_t found = 0;
        if (text.empty()) return {};
        if (!support::to_integer(text, found) || found < number.least || found > number.most)
            return fmt::format("{} {} is out of range: {} to {}", number.name, text, number.least,
                               number.most);
        value = static_cast<std::remove_reference_t<decltype(value)>>(found);
        return {};
    };
    if (!raw.size.empty() && (!raw.rows.empty() || !raw.cols.empty()))
        return "--size stands for both --rows and --cols: give it or them";
    std::string fault = take(numbers[0], options.plate.rows);
    options.plate.cols = options.plate.rows;
    if (fault.empty()) fault = take(numbers[1], options.plate.rows);
    if (fault.empty()) fault = take(numbers[2], options.plate.cols);
    if (fault.empty()) fault = take(numbers[3], options.iterations);
    if (fault.empty()) fault = take(numbers[4], options.block);
    if (fault.empty()) fault = take(numbers[5], options.every);
    if (fault.empty()) fault = take(numbers[6], options.pixels);
    return fault;
}

// Written so that not-a-number fails too.
std::string fault_of(const CLI::App& app, const Options& options) {
    if (!(options.speed > 0 && options.speed <= 0.25))
        return fmt::format("--speed {} is out of range: above 0, at most 0.25", options.speed);
    const auto empty = [&](const char* name, const std::string& value) {
        return app.get_option_no_throw(name) && app.count(name) > 0 && value.empty();
    };
    for (const auto& [name, value] : {std::pair("--png", &options.png),
                                      std::pair("--frames", &options.frames),
                                      std::pair("--beside", &options.beside)})
        if (empty(name, *value)) return fmt::format("{} needs a name", name);
    if (!options.frames.empty() && options.every == 0) return "--frames needs --every N";
    if (options.frames.empty() && options.every != 0) return "--every needs --frames DIR";
    if (!can_write_png() && !(options.png.empty() && options.frames.empty()))
        return "--png and --frames need libpng, which this build was configured without: install "
               "libpng-dev and configure again";
    return {};
}

}  // namespace

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv) {
    Options options;
    Raw raw;
    const bool kddm = program == Program::kddm;
    const std::string name = kddm ? "jacobi" : "mpi_jacobi";
    CLI::App app(kddm ? "Heat spreads over a plate whose blocks live in KDDM sets.\n"
                        "Run it alone or under mpirun or srun; --ssi-* options configure libssi."
                      : "Heat spreads over a plate, by plain MPI: the twin that jacobi is measured "
                        "against.",
                 name);
    app.set_version_flag("--version", name + " " SSI_VERSION);
    add_options(app, options, raw, kddm);
    const auto wrong = [&](std::string_view what) {
        return tl::unexpected(support::Leave{
            support::usage_exit_code, fmt::format("{}: {} (see {} --help)\n", name, what, name)});
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
    std::string fault = take_numbers(raw, options);
    if (fault.empty()) fault = fault_of(app, options);
    if (fault.empty() && kddm)
        fault = support::take_checkpoint_options(app, raw.checkpoints, options.checkpoints);
    if (!fault.empty()) return wrong(fault);
    return options;
}

}  // namespace jacobi
