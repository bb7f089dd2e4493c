// SPDX-License-Identifier: BSD-3-Clause
#include "machine.hpp"

#include <dlfcn.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "child.hpp"

namespace ssi::cli {
namespace {

constexpr int probe_timeout_ms = 10'000;

int number_in(const char* name) {
    const std::string text = variable(name);
    int number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);  // "4(x2)": the first
    return number;
}

void note(std::string& evidence, const char* name) {
    const std::string value = variable(name);
    if (value.empty()) return;
    evidence += fmt::format("{}{} {}", evidence.empty() ? "" : ", ", name, value);
}

// One line each: version, then "kind<tab>transport<tab>device".
std::string encode(const net::UcxProbe& probe) {
    std::string text = probe.version + "\n";
    for (const auto& r : probe.resources)
        text += fmt::format("{}\t{}\t{}\n", r.kind, r.transport, r.device);
    return text;
}

net::UcxProbe decode(const std::string& text) {
    net::UcxProbe probe;
    std::istringstream lines(text);
    std::getline(lines, probe.version);
    for (net::UcxResource r; std::getline(lines, r.kind, '\t') &&
                             std::getline(lines, r.transport, '\t') &&
                             std::getline(lines, r.device);)
        probe.resources.push_back(r);
    return probe;
}

}  // namespace

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string find_program(const std::string& name) {
    std::istringstream path(variable("PATH"));
    for (std::string folder; std::getline(path, folder, ':');) {
        const std::string file = (folder.empty() ? "." : folder) + "/" + name;
        if (access(file.c_str(), X_OK) == 0) return file;
    }
    return "";
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    auto value = static_cast<double>(bytes);
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    const bool whole = value >= 100 || value == std::floor(value);
    return fmt::format("{:.{}f} {}", value, whole ? 0 : 1, units[unit]);
}

std::optional<std::uint64_t> parse_bytes(const std::string& text) {
    constexpr std::string_view suffixes = "KMGT";
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{}) return std::nullopt;
    if (rest == end) return number;
    const auto power = suffixes.find(static_cast<char>(*rest & ~0x20));
    if (rest + 1 != end || power == std::string_view::npos) return std::nullopt;
    const std::uint64_t factor = std::uint64_t{1} << (10 * (power + 1));
    if (__builtin_mul_overflow(number, factor, &number)) return std::nullopt;
    return number;
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

Launcher detect_launcher() {
    Launcher launcher;
    const bool slurm = !variable("SLURM_JOB_ID").empty();
    const bool mpirun = !variable("OMPI_COMM_WORLD_SIZE").empty() || !variable("PMI_SIZE").empty();
    launcher.name = slurm && mpirun ? "slurm and mpirun"
                    : slurm         ? "slurm"
                    : mpirun        ? "mpirun"
                                    : "none";
    for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_NTASKS", "SLURM_NNODES",
                             "SLURM_TASKS_PER_NODE", "OMPI_COMM_WORLD_SIZE",
                             "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_SIZE", "PMIX_RANK"})
        note(launcher.evidence, name);
    for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE",
                             "SLURM_TASKS_PER_NODE"})
        if (launcher.local_ranks == 0) launcher.local_ranks = number_in(name);
    return launcher;
}

// MPI_Get_library_version may be called before MPI_Init. Looked up by name: <mpi.h> belongs to
// runtime/node alone, and an ssi without MPI in its process can say so.
std::string mpi_version() {
    constexpr std::size_t longest = 8192;  // MPI_MAX_LIBRARY_VERSION_STRING of every MPI we know
    using Function = int (*)(char*, int*);
    auto* function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, "MPI_Get_library_version"));
    if (function == nullptr) return "";
    std::string text(longest, '\0');
    int length = 0;
    if (function(text.data(), &length) != 0 || length < 0) return "";
    text.resize(std::min(static_cast<std::size_t>(length), text.find('\0')));
    return text.substr(0, text.find('\n'));
}

Result<net::UcxProbe> probe_ucx_quietly() {
    const auto report = run_in_child(
        [] {
            const auto probe = net::probe_ucx();
            return probe ? fmt::format("+{}", encode(*probe)) : "-" + probe.error().text;
        },
        probe_timeout_ms);
    if (!report.answer || report.answer->empty())
        return fail(Errc::transport, "looking for UCX transports: " + report.end);
    if (report.answer->front() == '-') return fail(Errc::transport, report.answer->substr(1));
    return decode(report.answer->substr(1));
}

}  // namespace ssi::cli
