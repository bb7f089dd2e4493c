// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <bit>
#include <string_view>

#include "support/text.hpp"

namespace gups {
namespace {

// Numbers are taken as text, because the library would accept some that wrap around or round.
struct Raw {
    std::string words, updates, seed, object, batch, mode = "accumulate";
};

void add_options(CLI::App& app, Options& options, Raw& raw, bool kddm) {
    app.add_option("--words", raw.words, "8-byte words of the table; K, M, G allowed [1M]")
        ->type_name("N");
    app.add_option("--updates", raw.updates,
                   "updates of each rank; K, M, G allowed [4 for each word, over all ranks]")
        ->type_name("N");
    app.add_option("--seed", raw.seed, "seed of the updates [1]")->type_name("N");
    app.add_flag("--verify", options.verify, "compare every word with the sum that it must hold");
    app.add_flag("--json", options.json, "print JSON instead of text");
    if (kddm) {
        app.add_option("--object", raw.object,
                       "bytes of an object: a power of two from 8 to 1M [64K]")
            ->type_name("SIZE");
        app.add_flag("--progress", options.progress,
                     "a progress line on standard error even if it is no terminal");
        return;
    }
    app.add_option("--mode", raw.mode, "accumulate, shm or alltoallv")->capture_default_str();
    app.add_option("--batch", raw.batch,
                   "updates that a rank may hold back before it flushes or exchanges [1024]")
        ->type_name("N");
}

std::string out_of_range(const char* option, std::string_view value, std::string_view accepted) {
    return fmt::format("{} {} is out of range: {}", option, value, accepted);
}

// With K, M and G as powers of 1024; false when it is anything else or does not fit.
bool to_count(std::string_view text, std::uint64_t& value) {
    unsigned shift = 0;
    if (!text.empty()) {
        constexpr std::string_view suffixes = "KkMmGg";
        const auto at = suffixes.find(text.back());
        if (at != std::string_view::npos) {
            shift = 10 * (static_cast<unsigned>(at) / 2 + 1);
            text.remove_suffix(1);
        }
    }
    if (!support::to_integer(text, value) || value > UINT64_MAX >> shift) return false;
    value <<= shift;
    return true;
}

std::string take(const char* option, const std::string& text, std::uint64_t least,
                 std::uint64_t most, std::uint64_t& value) {
    std::uint64_t found = 0;
    if (text.empty()) return {};
    if (!to_count(text, found) || found < least || found > most)
        return out_of_range(option, text, fmt::format("{} to {}", least, most));
    value = found;
    return {};
}

std::string take_all(const Raw& raw, Options& options) {
    // 2^40 updates a rank keep the streams of 2^24 ranks apart.
    constexpr std::uint64_t most = std::uint64_t{1} << 40;
    std::string fault = take("--words", raw.words, 1, most, options.words);
    if (fault.empty()) fault = take("--updates", raw.updates, 1, most, options.updates);
    if (fault.empty()) fault = take("--batch", raw.batch, 1, 1 << 24, options.batch);
    if (fault.empty() && !raw.seed.empty() && !support::to_integer(raw.seed, options.seed))
        fault = out_of_range("--seed", raw.seed, "an integer from 0 to 18446744073709551615");
    std::uint64_t object_bytes = options.object_bytes;
    if (fault.empty()) fault = take("--object", raw.object, 8, 1 << 20, object_bytes);
    if (fault.empty() && !std::has_single_bit(object_bytes))
        fault = out_of_range("--object", raw.object, "a power of two from 8 to 1M");
    options.object_bytes = static_cast<std::uint32_t>(object_bytes);
    if (!fault.empty()) return fault;
    if (raw.mode == "accumulate") options.mode = Mode::accumulate;
    else if (raw.mode == "shm") options.mode = Mode::shm;
    else if (raw.mode == "alltoallv") options.mode = Mode::alltoallv;
    else return fmt::format("--mode {} is none of accumulate, shm, alltoallv", raw.mode);
    return {};
}

}  // namespace

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv) {
    Options options;
    Raw raw;
    const bool kddm = program == Program::kddm;
    const std::string name = kddm ? "gups" : "mpi_gups";
    CLI::App app(kddm ? "Random updates of a table that lives in a KDDM set, after RandomAccess.\n"
                        "Run it alone or under mpirun or srun; --ssi-* options configure libssi."
                      : "Random updates of a table over plain MPI: what gups is measured against.",
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
    if (const std::string fault = take_all(raw, options); !fault.empty()) return wrong(fault);
    return options;
}

}  // namespace gups
