// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "stopping.hpp"

namespace ssi::model {
namespace {

Result<std::uint64_t> number(std::string_view option, std::string_view text, std::uint64_t least,
                             std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
        return fail(Errc::invalid_argument,
                    fmt::format("{} takes a number from {} to {}, not '{}'", option, least, most,
                                text));
    return value;
}

Result<void> parse_seed(std::string_view text, Options& options) {
    const auto dots = text.find("..");
    const auto first = number("--seed", text.substr(0, dots), 0, UINT64_MAX);
    if (!first) return tl::unexpected(first.error());
    const auto last = dots == std::string_view::npos
                          ? first
                          : number("--seed", text.substr(dots + 2), *first, UINT64_MAX);
    if (!last) return tl::unexpected(last.error());
    options.first_seed = *first;
    options.last_seed = *last;
    return {};
}

Result<void> parse_faults(std::string_view text, Options& options) {
    options.faults_given = true;
    options.faults = {};
    while (!text.empty()) {
        const auto comma = text.find(',');
        const std::string_view fault = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
        if (fault == "delay") options.faults.delay = true;
        else if (fault == "reorder") options.faults.reorder = true;
        else if (fault == "duplicate") options.faults.duplicate = true;
        else if (fault == "kill") options.faults.kill = true;
        else if (fault == "kill_in_cut") options.faults.kill_in_cut = true;
        else if (fault != "none")
            return fail(Errc::invalid_argument,
                        fmt::format("--faults takes a list of delay, reorder, duplicate, kill and "
                                    "kill_in_cut, or none; not '{}'",
                                    fault));
    }
    return {};
}

Result<void> parse_plant(std::string_view text, Options& options) {
    for (const kddm::Plant plant : kddm::all_plants())
        if (text == kddm::plant_name(plant)) {
            options.plant = plant;
            return {};
        }
    for (const kddm::sync::Plant plant : kddm::sync::all_plants())
        if (text == kddm::sync::plant_name(plant)) {
            options.sync_plant = plant;
            return {};
        }
    for (const ckpt::StopPlant plant : ckpt::all_stop_plants())
        if (text == ckpt::plant_name(plant)) {
            options.stop_plant = plant;
            return {};
        }
    return fail(Errc::invalid_argument,
                fmt::format("no plant is called '{}': --list-plants lists them", text));
}

// Options that take a number.
struct NumberOption {
    const char* name;
    std::uint64_t least;
    std::uint64_t most;
    std::uint32_t Options::*value;
};
constexpr NumberOption number_options[] = {
    {"--nodes", 1, 100'000, &Options::nodes},
    {"--ops", 0, 1'000'000'000, &Options::ops},
    {"--objects", 1, 1'000'000, &Options::objects},
    {"--tasks", 1, 1000, &Options::tasks},
    {"--preempt", 0, 1'000'000, &Options::preempt_every},
    {"--reads", 0, 100, &Options::reads},
    {"--cuts", 0, 1000, &Options::cuts},
};

struct FlagOption {
    const char* name;
    bool Options::*flag;
};
constexpr FlagOption flag_options[] = {
    {"--evict", &Options::evict},
    {"--sequential", &Options::sequential}, {"--trace", &Options::trace},
    {"--json", &Options::json},             {"--list-plants", &Options::list_plants},
    {"--help", &Options::help},
};

Result<void> parse_value(std::string_view name, std::string_view value, Options& options) {
    if (name == "--seed") return parse_seed(value, options);
    if (name == "--faults") return parse_faults(value, options);
    if (name == "--plant") return parse_plant(value, options);
    for (const NumberOption& option : number_options) {
        if (name != option.name) continue;
        const auto parsed = number(name, value, option.least, option.most);
        if (!parsed) return tl::unexpected(parsed.error());
        options.*(option.value) = static_cast<std::uint32_t>(*parsed);
    }
    return {};
}

bool takes_value(std::string_view name) {
    return name == "--seed" || name == "--faults" || name == "--plant" ||
           std::any_of(std::begin(number_options), std::end(number_options),
                       [&](const NumberOption& option) { return name == option.name; });
}

Result<void> check_together(Options& options) {
    // A plant without faults would often have nothing to break.
    const bool planted = options.plant != kddm::Plant::none ||
                         options.sync_plant != kddm::sync::Plant::none ||
                         options.stop_plant != ckpt::StopPlant::none;
    if (planted && !options.faults_given)
        options.faults = {.delay = true, .reorder = true, .duplicate = true};
    // These bugs are about one thing each: without it they are no bugs.
    if (options.plant == kddm::Plant::double_execution) options.faults.duplicate = true;
    if (options.plant == kddm::Plant::stale_slot) options.faults.reorder = true;
    if (options.plant == kddm::Plant::drop_dirty) options.evict = true;
    if (options.stop_plant == ckpt::StopPlant::stop_stays_closed) options.faults.kill_in_cut = true;
    const bool about_cuts = options.stop_plant != ckpt::StopPlant::none ||
                            (options.plant >= kddm::Plant::cut_ignores_gate &&
                             options.plant <= kddm::Plant::cut_takes_newborn);
    if (about_cuts && options.cuts == 0) options.cuts = 12;
    if (options.faults.kills() && options.nodes < 3)
        return fail(Errc::invalid_argument, "--faults kill needs --nodes of at least 3");
    if (options.faults.kills() && options.sequential)
        return fail(Errc::invalid_argument, "--sequential counts undisturbed operations: it goes "
                                            "with no fault kill");
    if (options.faults.kill_in_cut && options.cuts == 0)
        return fail(Errc::invalid_argument, "--faults kill_in_cut needs --cuts");
    return {};
}

}  // namespace

std::uint32_t Options::cold_objects() const {
    return objects != 0 ? objects : std::clamp<std::uint32_t>(2 * nodes, 32, 4096);
}

Result<Options> parse_options(const std::vector<std::string>& arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string name = arguments[i];
        const auto flag = std::find_if(std::begin(flag_options), std::end(flag_options),
                                       [&](const FlagOption& f) { return name == f.name; });
        if (flag != std::end(flag_options)) {
            options.*(flag->flag) = true;
            continue;
        }
        std::string value;
        const auto equals = name.find('=');
        const bool attached = equals != std::string::npos;
        if (attached) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        if (!takes_value(name))
            return fail(Errc::invalid_argument,
                        fmt::format("no option is called '{}': --help lists them", arguments[i]));
        if (!attached) {
            if (++i == arguments.size())
                return fail(Errc::invalid_argument, fmt::format("{} needs a value", name));
            value = arguments[i];
        }
        if (auto parsed = parse_value(name, value, options); !parsed)
            return tl::unexpected(parsed.error());
    }
    if (auto fits = check_together(options); !fits) return tl::unexpected(fits.error());
    return options;
}

std::vector<std::string> plant_names() {
    std::vector<std::string> names;
    for (const kddm::Plant plant : kddm::all_plants()) names.emplace_back(kddm::plant_name(plant));
    for (const kddm::sync::Plant plant : kddm::sync::all_plants())
        names.emplace_back(kddm::sync::plant_name(plant));
    for (const ckpt::StopPlant plant : ckpt::all_stop_plants())
        names.emplace_back(ckpt::plant_name(plant));
    return names;
}

std::string help_text() {
    return R"(ssi-sim runs many nodes of libssi in one process, in virtual time, and checks them.

  --nodes N         nodes, 1 to 100000 (default 4)
  --ops N           operations in all (default 5000)
  --seed S|A..B     one seed, or each of a range in turn (default 1); same seed, same run
  --faults LIST     delay, reorder, duplicate, kill, kill_in_cut, separated by commas (default
                    none); kill_in_cut kills a node in the middle of a cut
  --plant BUG       break the protocol on purpose; without --faults this implies
                    delay,reorder,duplicate
  --list-plants     print the names that --plant takes
  --objects K       cold objects of the largest set (default twice the nodes, 32 to 4096)
  --tasks T         concurrent operations of each node (default 2)
  --preempt K       suspend a task at one in K atomic operations, 0 never (default 200)
  --reads P         make P percent of the operations get, the rest as usual (default 0)
  --cuts N          try N cuts while all goes on, as checkpoints do, beside a bank whose money must
                    be there in each of them (default 0)
  --evict           give a set less memory than it needs, and add sets that a linker keeps, which is
                    slow and fails at times
  --sequential      one operation at a time in the whole world: counts messages, bytes and delays
                    of operations that nobody disturbs
  --trace           print every event, one a line
  --json            print the summary as one JSON object a seed
  --help            print this

Exit code 0: all checkers agree. 3: one failed; the end of the trace is printed, then the line
`checker NAME seed S`. 2: the command line cannot be used. SSI_SEED in the environment is as a last
--seed on the command line.
)";
}

}  // namespace ssi::model
