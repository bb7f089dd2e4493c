// SPDX-License-Identifier: BSD-3-Clause
// Check: one line of `ssi doctor`. The functions here judge facts that they are given, so that
// tests can hand them any machine; gather.cpp collects the facts of this one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/result.hpp"
#include "ssi/sys/memory_limits.hpp"
#include "ssi/sys/topology.hpp"

namespace ssi::cli {

enum class Status : std::uint8_t { ok, warn, fail };
const char* status_name(Status status);

struct Check {
    std::string name;      // "scratch"
    Status status = Status::ok;
    std::string measured;  // what was found, with the limit or variable by name
    std::string advice;    // the way out; empty when ok
};

// Ranks on this host and bytes of objects per rank that the user plans for.
struct Plan {
    int ranks = 1;
    std::string ranks_from;            // "--ranks", "OMPI_COMM_WORLD_LOCAL_SIZE", ...
    std::uint64_t arena_bytes = 0;     // per rank; 0: not said
    std::string arena_from;            // "--arena", "arena.limit_bytes"
    std::uint64_t warm_bytes = 0;      // arena.warm_bytes
    std::string progress;              // the setting
};

struct Budget {
    std::uint64_t left_bytes = 0;      // of the tightest limit
    std::uint64_t per_rank_bytes = 0;  // for objects, after what a node itself takes
    std::string limit;                 // its name
};
// What a node takes besides objects: resident memory above a bare MPI process, rounded up.
inline constexpr std::uint64_t node_bytes = std::uint64_t{64} << 20;

Budget memory_budget(const std::vector<sys::MemoryLimit>& limits, int ranks);
Check check_memory(const std::vector<sys::MemoryLimit>& limits, const Plan& plan);

Check check_transports(const Result<net::UcxProbe>& probe);

struct Trial {              // one message sent through UCX with certain transports
    bool passed = false;
    double microseconds = 0;
    std::string text;       // why not
};
Check check_messages(const Trial& shipped, const Trial& same_host, const Trial& tcp);

struct SharedMemory {
    std::string memfd_failure;      // "" when creating, growing and mapping one works
    std::uint64_t shm_bytes = 0;    // size of /dev/shm
    std::uint64_t shm_free_bytes = 0;
    std::string shm_failure;        // "" when it is there and writable
};
Check check_shared_memory(const SharedMemory& facts, const Plan& plan);

struct CrossMemory {
    int error = 0;              // errno of process_vm_readv between siblings
    std::string ptrace_scope;   // of yama, "" when there is none
    std::string failure;        // the trial itself did not work
};
Check check_cross_memory(const CrossMemory& facts);

Check check_cores(const sys::Topology& topology, const Plan& plan);
Check check_oversubscription(const sys::Topology& topology, const Plan& plan);

constexpr std::uint64_t unlimited = UINT64_MAX;
Check check_locked_memory(std::uint64_t limit_bytes, bool privileged, bool has_rdma);
Check check_open_files(std::uint64_t limit, const Plan& plan);
Check check_file_size(std::uint64_t limit_bytes, const Plan& plan);
Check check_address_space(std::uint64_t limit_bytes, const Plan& plan);

struct Scratch {
    std::string variable;   // that names it: "TMPDIR", or "" for /tmp
    std::string path;
    std::string failure;    // "" when a file can be made there
    std::uint64_t free_bytes = 0;
    std::string file_system;
    bool networked = false;
};
Check check_scratch(const Scratch& facts);

// `failure`: why no control socket can be made in `directory`; "" when one can.
Check check_control_socket(bool wanted, const std::string& directory, const std::string& failure);

Check check_launcher(const Launcher& launcher, const std::string& mpirun, const std::string& srun);
Check check_mpi(const std::string& version);
Check check_root(bool is_root, const std::string& mpi, const std::string& allow,
                 const std::string& confirm);
Check check_huge_pages(const std::string& enabled, bool wanted);
Check check_process_handles(int pidfd_error);
Check check_configuration(const std::optional<Failure>& failure, const std::string& sources);

// All of them for this machine. `config_failure` is why the configuration could not be loaded.
std::vector<Check> gather_checks(const Plan& plan, const Config& config,
                                 const std::optional<Failure>& config_failure);

}  // namespace ssi::cli
