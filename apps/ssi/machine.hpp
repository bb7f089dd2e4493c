// SPDX-License-Identifier: BSD-3-Clause
// What `info` and `doctor` both look at. Everything here only reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ssi/base/result.hpp"
#include "ssi/net/ucx_probe.hpp"

namespace ssi::cli {

// Empty when unset.
std::string variable(const char* name);
// The program's path as a shell would find it, or "".
std::string find_program(const std::string& name);
// "2 GiB", "512 MiB", "100 bytes".
std::string human_bytes(std::uint64_t bytes);
// "64K", "2G", "1048576": as settings in bytes are written. Nothing when malformed.
std::optional<std::uint64_t> parse_bytes(const std::string& text);
// First line of a file, or "".
std::string first_line(const std::string& path);

// Who started this process, by the variables it left.
struct Launcher {
    std::string name;        // "slurm", "mpirun", "slurm and mpirun", "none"
    std::string evidence;    // the variables that say so
    int local_ranks = 0;     // ranks on this host as the launcher says; 0: unknown
};
Launcher detect_launcher();

// Of the MPI library that libssi runs with: "Open MPI v4.1.4, ...", or "".
std::string mpi_version();

// In a child process: UCX prints as it likes.
Result<net::UcxProbe> probe_ucx_quietly();

}  // namespace ssi::cli
