// SPDX-License-Identifier: BSD-3-Clause
// Checks of cores, files, the launcher and the rights of the process.
#include <fmt/core.h>

#include <cstring>

#include "check.hpp"

namespace ssi::cli {
namespace {

constexpr std::uint64_t files_per_rank = 256;
constexpr std::uint64_t little_scratch_bytes = std::uint64_t{1} << 30;

}  // namespace

const char* status_name(Status status) {
    constexpr const char* names[] = {"ok", "warn", "fail"};
    return names[static_cast<unsigned>(status)];
}

Check check_cores(const sys::Topology& topology, const Plan&) {
    Check check{"cores", Status::ok,
                fmt::format("{} usable of {} online (affinity {}{}); {} NUMA nodes, {} packages",
                            topology.usable_cores, topology.online_cores, topology.affinity,
                            topology.quota_cores > 0
                                ? fmt::format(", cgroup CPU quota {:.2f}", topology.quota_cores)
                                : "",
                            topology.numa_nodes, topology.packages),
                ""};
    if (topology.quota_cores > 0 && topology.quota_cores < topology.affinity_cores) {
        check.status = Status::warn;
        check.advice = "the CPU quota stops all threads of the group at once when it is used up: "
                       "ask for whole cores (cpuset, --cpuset-cpus) instead of a quota";
    }
    return check;
}

Check check_oversubscription(const sys::Topology& topology, const Plan& plan) {
    Check check{"oversubscription", Status::ok,
                fmt::format("{} {} (by {}) on {} usable {}, progress is {}", plan.ranks,
                            plan.ranks == 1 ? "rank" : "ranks", plan.ranks_from,
                            topology.usable_cores, topology.usable_cores == 1 ? "core" : "cores",
                            plan.progress),
                ""};
    if (plan.ranks <= topology.usable_cores) return check;
    if (plan.progress == "spin") {
        check.status = Status::fail;
        check.advice = "more ranks than cores must not spin: set SSI_PROGRESS=auto";
        return check;
    }
    check.status = Status::warn;
    check.advice = "ranks will wait for each other's time slices: start at most one per core; "
                   "mpirun needs --oversubscribe and --bind-to none";
    return check;
}

Check check_open_files(std::uint64_t limit, const Plan& plan) {
    Check check{"open files", Status::ok,
                fmt::format("RLIMIT_NOFILE (ulimit -n) is {}",
                            limit == unlimited ? "unlimited" : std::to_string(limit)),
                ""};
    if (limit >= 2 * files_per_rank) return check;
    check.status = limit < files_per_rank ? Status::fail : Status::warn;
    check.advice = fmt::format("a rank opens sockets to the ranks it talks to, of {} here: ulimit "
                               "-n 4096",
                               plan.ranks);
    return check;
}

Check check_scratch(const Scratch& facts) {
    const std::string name = facts.variable.empty() ? facts.path : "$" + facts.variable;
    Check check{"scratch", Status::ok, "", ""};
    check.measured = facts.variable.empty() ? facts.path : fmt::format("{} {}", name, facts.path);
    if (!facts.failure.empty()) {
        check.status = Status::fail;
        check.measured += ": " + facts.failure;
        check.advice = facts.variable.empty()
                           ? "make it a writable directory, or name another by TMPDIR"
                           : fmt::format("set {} to a writable directory on a local disk",
                                         facts.variable);
        return check;
    }
    check.measured += fmt::format(": {}, {} free", facts.file_system,
                                  human_bytes(facts.free_bytes));
    if (facts.networked) {
        check.status = Status::warn;
        check.advice = "it is a network file system: name a local disk by TMPDIR";
    } else if (facts.free_bytes < little_scratch_bytes) {
        check.status = Status::warn;
        check.advice = "less than 1 GiB is left: clean up, or name another directory by TMPDIR";
    }
    return check;
}

Check check_control_socket(bool wanted, const std::string& directory, const std::string& failure) {
    if (!wanted) return {"control socket", Status::ok, "off, by control.socket", ""};
    if (failure.empty()) return {"control socket", Status::ok, "in " + directory, ""};
    return {"control socket", Status::warn, failure,
            "sessions run, but `ssi stat`, `ssi nodes` and SIGUSR2 cannot look into them: name a "
            "directory of your own by SSI_CONTROL_DIRECTORY"};
}

Check check_launcher(const Launcher& launcher, const std::string& mpirun,
                     const std::string& srun) {
    Check check{"launcher", Status::ok, "", ""};
    check.measured = launcher.name == "none"
                         ? "not started by a launcher"
                         : fmt::format("started by {} ({})", launcher.name, launcher.evidence);
    check.measured += fmt::format("; mpirun: {}; srun: {}", mpirun.empty() ? "not found" : mpirun,
                                  srun.empty() ? "not found" : srun);
    if (launcher.name == "none" && mpirun.empty() && srun.empty()) {
        check.status = Status::warn;
        check.advice = "sessions of several nodes need mpirun or srun in PATH (Debian: apt-get "
                       "install openmpi-bin; clusters: module load openmpi)";
    }
    return check;
}

Check check_mpi(const std::string& version) {
    if (version.empty())
        return {"mpi", Status::fail, "no MPI library in this process",
                "install the MPI that libssi was built with (Debian: libopenmpi3)"};
    return {"mpi", Status::ok, version, ""};
}

Check check_root(bool is_root, const std::string& mpi, const std::string& allow,
                 const std::string& confirm) {
    if (!is_root) return {"root", Status::ok, "an ordinary user", ""};
    if (mpi.find("Open MPI") == std::string::npos) return {"root", Status::ok, "root", ""};
    const bool allowed = allow == "1" && confirm == "1";
    Check check{"root", Status::ok,
                fmt::format("root; OMPI_ALLOW_RUN_AS_ROOT and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM are "
                            "{}",
                            allowed ? "1" : "not both 1"),
                ""};
    if (allowed) return check;
    check.status = Status::warn;
    check.advice = "Open MPI's mpirun refuses root: use an ordinary user, or in a container export "
                   "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1";
    return check;
}

Check check_process_handles(int pidfd_error) {
    if (pidfd_error == 0)
        return {"process handles", Status::ok, "pidfd_open works: a dead rank is seen at once", ""};
    return {"process handles", Status::warn,
            fmt::format("pidfd_open fails: {}", strerrordesc_np(pidfd_error)),
            "a dead rank of this host is noticed by its connections only: allow pidfd_open (Linux "
            "5.3, container seccomp profile)"};
}

Check check_configuration(const std::optional<Failure>& failure, const std::string& sources) {
    if (failure)
        return {"configuration", Status::fail, failure->to_string(),
                "correct or unset it; `ssi config --markdown` lists all settings"};
    return {"configuration", Status::ok,
            sources.empty() ? "all settings have their defaults" : sources, ""};
}

}  // namespace ssi::cli
