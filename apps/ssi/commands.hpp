// SPDX-License-Identifier: BSD-3-Clause
// The verbs of `ssi`. Each prints to standard output and returns what the process exits with; a
// Failure is printed by main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/result.hpp"

namespace ssi::cli {

int run_info(const Config& config, bool json);

struct DoctorOptions {
    int ranks = 0;                            // on this host; 0: not said
    std::optional<std::uint64_t> arena_bytes; // per rank
    bool json = false;
};
// 0 when healthy, warnings included; 1 when a check failed.
int run_doctor(const DoctorOptions& options, const Config& config,
               const std::optional<Failure>& config_failure);

Result<void> run_stat(const std::vector<std::string>& files, bool json);

struct StatOptions {
    std::string session;                // the beginning of its id; empty: the only one
    std::optional<std::uint32_t> node;  // empty: all
    bool waits = false;
    double watch_seconds = 0;           // 0: once
    bool json = false;
};
// Of a running session. A node that does not answer is the failure, after the others are printed.
Result<void> run_stat_session(const Config& config, const StatOptions& options);
Result<void> run_nodes(const Config& config, const std::string& session, bool json);

// `verb`: dump (each record a line) or verify. A fault found is the failure, after all is printed.
Result<void> run_log(const std::string& verb, const std::string& directory, bool json);

enum class ConfigFormat : std::uint8_t { toml, markdown, json };
void run_config(const Config& config, ConfigFormat format);

// What the command line offers, for the manual page.
struct OptionHelp {
    std::string names;  // "--ranks N"
    std::string text;
};
struct VerbHelp {
    std::string name;
    std::string operands;  // "FILE..."
    std::string text;
    std::vector<OptionHelp> options;
};
std::string manual_of_program(const std::vector<VerbHelp>& verbs);  // ssi(1)
std::string manual_of_config();                                     // libssi-config(5)
std::string manual_of_errors();                                     // libssi-errors(7)

// Reads the command line, runs the verb. Exit codes are those of the error table.
int main_of_ssi(int argc, char** argv);

}  // namespace ssi::cli
