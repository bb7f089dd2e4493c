// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <bit>
#include <iterator>
#include <string_view>

#include "support/text.hpp"

namespace iobench {
namespace {

constexpr const char* about =
    "Patterns of IOR and mdtest on kDFS, or on a directory of the machine.\n"
    "  easy      a file of each rank, in large transfers: write, read\n"
    "  hard      one file of all ranks, in interleaved transfers of 47008 bytes: write, read\n"
    "  metadata  empty files, a directory for each rank: create, stat, unlink\n"
    "  small     files of 3901 bytes, one directory of all ranks: create, stat, read, unlink\n"
    "  rename    empty files, one directory of all ranks: create, rename, unlink\n"
    "  shared    empty files, one directory of all ranks: create, list, stat of another rank's\n"
    "  find      a tree of directories: made by all, walked by all\n"
    "  crowd     empty files by the million, one directory of all ranks: create, list by all,\n"
    "            stat of another rank's, unlink; how it spreads over nodes, and their memory\n"
    "What is read is checked. Run it alone or under mpirun or srun; --ssi-* options configure\n"
    "libssi.";

// Numbers are taken as text, because the library would accept some that wrap around or round.
struct Raw {
    std::vector<std::string> patterns;
    std::string bytes, transfer, files, unit, stripes, cache;
};

void add_options(CLI::App& app, Options& options, Raw& raw) {
    app.add_option("--pattern", raw.patterns, "what to do; several in this order [easy]")
        ->type_name("NAME")
        ->delimiter(',');
    app.add_option("--volume", options.volumes,
                   "directory of a volume, made when it is not there; may be given several times. "
                   "DIR/%n stands for DIR/0, DIR/1, ..., one for each rank")
        ->type_name("DIR");
    app.add_option("--posix", options.posix, "instead of kDFS a directory that all ranks share")
        ->type_name("DIR");
    app.add_option("--size", raw.bytes, "bytes of each rank; K, M, G allowed [256M]")
        ->type_name("SIZE");
    app.add_option("--transfer", raw.transfer, "bytes of a transfer of pattern easy [1M]")
        ->type_name("SIZE");
    app.add_option("--files", raw.files, "files of each rank [10000]")->type_name("N");
    app.add_option("--unit", raw.unit, "bytes of a stripe unit [as the directory says]")
        ->type_name("SIZE");
    app.add_option("--stripes", raw.stripes, "volumes of a file [as the directory says]")
        ->type_name("N");
    app.add_option("--cache", raw.cache, "bytes of file data in a rank's memory")
        ->type_name("SIZE");
    app.add_option("--top", options.top, "directory for the files [/iobench]")->type_name("PATH");
    app.add_flag("--sync", options.sync, "writes end with a sync, which counts");
    app.add_flag("--cold", options.cold, "forget what memory has before files are read");
    app.add_flag("--shift", options.shift, "each rank reads what its neighbour wrote");
    app.add_flag("--keep", options.keep, "leave the files there");
    app.add_flag("--json", options.json, "print JSON instead of text");
    app.add_flag("--progress", options.progress,
                 "a progress line on standard error even if it is no terminal");
}

// With K, M, G and T as powers of 1024; false when it is anything else or does not fit.
bool to_count(std::string_view text, std::uint64_t& value) {
    unsigned shift = 0;
    constexpr std::string_view suffixes = "KkMmGgTt";
    if (const auto at = text.empty() ? text.npos : suffixes.find(text.back()); at != text.npos) {
        shift = 10 * (static_cast<unsigned>(at) / 2 + 1);
        text.remove_suffix(1);
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
        return fmt::format("{} {} is out of range: {} to {}", option, text, least, most);
    value = found;
    return {};
}

std::string take_all(const Raw& raw, Options& options) {
    constexpr std::uint64_t most = std::uint64_t{1} << 50;
    struct Number {
        const char* option;
        const std::string& text;
        std::uint64_t least, most;
        std::uint64_t& value;
    };
    const Number numbers[] = {{"--size", raw.bytes, 1, most, options.bytes},
                              {"--transfer", raw.transfer, 1, 1u << 30, options.transfer_bytes},
                              {"--files", raw.files, 1, 1u << 30, options.files},
                              {"--unit", raw.unit, 64u << 10, 2u << 30, options.unit_bytes},
                              {"--stripes", raw.stripes, 1, 255, options.stripes},
                              {"--cache", raw.cache, 1u << 20, most, options.cache_bytes}};
    for (const Number& number : numbers)
        if (auto fault = take(number.option, number.text, number.least, number.most, number.value);
            !fault.empty())
            return fault;
    if (options.unit_bytes && !std::has_single_bit(options.unit_bytes))
        return fmt::format("--unit {} is no power of two", raw.unit);
    options.patterns = raw.patterns.empty() ? std::vector<std::string>{"easy"} : raw.patterns;
    for (const std::string& pattern : options.patterns)
        if (std::ranges::find(pattern_names, pattern) == std::end(pattern_names))
            return fmt::format("--pattern {} is none of easy, hard, metadata, small, rename, "
                               "shared, find, crowd", pattern);
    if (options.volumes.empty() == options.posix.empty())
        return "either --volume or --posix is needed";
    if (!options.top.starts_with('/') || options.top.size() < 2)
        return fmt::format("--top {} must begin with / and name a directory", options.top);
    return {};
}

}  // namespace

tl::expected<Options, support::Leave> parse(int argc, const char* const* argv) {
    Options options;
    Raw raw;
    CLI::App app(about, "iobench");
    app.set_version_flag("--version", "iobench " SSI_VERSION);
    add_options(app, options, raw);
    const auto wrong = [&](std::string_view what) {
        return tl::unexpected(support::Leave{
            support::usage_exit_code, fmt::format("iobench: {} (see iobench --help)\n", what)});
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

}  // namespace iobench
