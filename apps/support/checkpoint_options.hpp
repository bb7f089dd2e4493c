// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints on a command line and in a report. Without libssi.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "support/text.hpp"

namespace support {

// What is asked for. A unit is what an application does between two moments at which it can be
// saved: a step, an iteration.
struct CheckpointOptions {
    std::string directory;       // empty: no checkpoints
    std::uint64_t every = 0;     // units from one to the next; 0: none by count
    double seconds = 0;          // the same in time; 0: none by time
    std::string policy;          // empty: as the settings say
    bool wait = false;           // until each is durable
    bool restart = false;        // from the newest version, when there is one
    std::uint64_t version = 0;   // not 0: from this one
};

// What a report tells.
struct CheckpointReport {
    struct Restart {
        std::uint64_t version = 0;
        std::uint64_t number = 0;         // of units that were done
        std::uint64_t saved_ranks = 0;
    };
    std::string directory;                // empty: no checkpoints
    std::string unit;
    std::uint64_t taken = 0;              // and durable
    std::uint64_t failed = 0;
    double stopped_seconds = 0;           // the longest of any rank, all checkpoints together
    std::optional<Restart> restart;

    std::string text() const;
    std::string json() const;             // a member of an object and its comma, or nothing
};

// As they are given; numbers as text, because libraries accept some that wrap around.
struct CheckpointArguments {
    std::string directory, every, seconds, policy, version;
    bool wait = false, restart = false;
};

// App: a CLI::App. `unit`: such as "steps".
template <class App>
void add_checkpoint_options(App& app, CheckpointArguments& arguments, const std::string& unit) {
    constexpr const char* group = "Checkpoints";
    const auto add = [&](const char* name, std::string& value, const char* type,
                         const std::string& help) {
        app.add_option(name, value, help)->type_name(type)->group(group);
    };
    add("--checkpoint", arguments.directory, "DIR",
        "save to this store: by the options below, as checkpoint.policy says, at SIGUSR1, and, "
        "before the program leaves, at SIGTERM. %n stands for the rank");
    add("--checkpoint-every", arguments.every, "N", "save each N " + unit);
    add("--checkpoint-seconds", arguments.seconds, "S", "save when S seconds have passed");
    add("--checkpoint-policy", arguments.policy, "TEXT",
        "when, at which level, whole or incremental, instead of checkpoint.policy, such as "
        "\"young_daly mtbf_s=86400\"; ssi checkpoint policy list explains the strategies");
    app.add_flag("--checkpoint-wait", arguments.wait, "go on only when what is saved is durable")
        ->group(group);
    app.add_flag("--restart", arguments.restart,
                 "go on from the newest version in the store, on any number of ranks; from the "
                 "start when there is none")
        ->group(group);
    add("--restart-version", arguments.version, "N", "go on from this version");
}

// The fault, or an empty string.
template <class App>
std::string take_checkpoint_options(const App& app, const CheckpointArguments& arguments,
                                    CheckpointOptions& options) {
    if (app.count("--checkpoint") == 0) {
        for (const char* name : {"--checkpoint-every", "--checkpoint-seconds",
                                 "--checkpoint-policy", "--checkpoint-wait", "--restart",
                                 "--restart-version"})
            if (app.count(name) > 0) return fmt::format("{} needs --checkpoint DIR", name);
        return {};
    }
    if (arguments.directory.empty()) return "--checkpoint needs a name";
    constexpr std::uint64_t most = 1'000'000'000;
    const auto wrong = [](const char* name, const std::string& text, const char* accepted) {
        return fmt::format("{} {} is out of range: {}", name, text, accepted);
    };
    const auto take = [&](const std::string& text, std::uint64_t& value) {
        return text.empty() || (to_integer(text, value) && value >= 1 && value <= most);
    };
    options.directory = arguments.directory;
    options.policy = arguments.policy;
    options.wait = arguments.wait;
    options.restart = arguments.restart || !arguments.version.empty();
    if (!take(arguments.every, options.every))
        return wrong("--checkpoint-every", arguments.every, "1 to 1000000000");
    if (!take(arguments.version, options.version))
        return wrong("--restart-version", arguments.version, "1 to 1000000000");
    // Written so that not-a-number fails too.
    if (!arguments.seconds.empty() &&
        !(to_number(arguments.seconds, options.seconds) && options.seconds >= 0.001 &&
          options.seconds <= 1e9))
        return wrong("--checkpoint-seconds", arguments.seconds, "0.001 to 1000000000");
    return {};
}

}  // namespace support
