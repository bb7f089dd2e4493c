// SPDX-License-Identifier: BSD-3-Clause
// Checks of memory: budgets, shared memory, access between processes, limits of bytes.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "check.hpp"

namespace ssi::cli {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
// UCX's queues in /dev/shm: some 5 MiB a rank seen, Open MPI's 4 MiB; doubled.
constexpr std::uint64_t shm_bytes_per_rank = 16 * mib;
constexpr std::uint64_t rdma_locked_bytes = 1024 * mib;
constexpr std::uint64_t least_locked_bytes = 64 * 1024;  // the kernel's own default of old

std::string limit_text(std::uint64_t bytes) {
    return bytes == unlimited ? "unlimited" : human_bytes(bytes);
}

std::uint64_t needed_bytes(const Plan& plan) {
    return node_bytes + std::max(plan.arena_bytes, plan.warm_bytes);
}

}  // namespace

Budget memory_budget(const std::vector<sys::MemoryLimit>& limits, int ranks) {
    const sys::MemoryLimit& limit = sys::tightest(limits);
    const std::uint64_t share = limit.left_bytes() / static_cast<std::uint64_t>(ranks);
    return {limit.left_bytes(), share - std::min(share, node_bytes), limit.name};
}

Check check_memory(const std::vector<sys::MemoryLimit>& limits, const Plan& plan) {
    const Budget budget = memory_budget(limits, plan.ranks);
    Check check{"memory", Status::ok, "", ""};
    for (const auto& limit : limits)
        check.measured += fmt::format("{}: {} of {} left; ", limit.name,
                                      human_bytes(limit.left_bytes()),
                                      human_bytes(limit.limit_bytes));
    check.measured += fmt::format("{} {} (by {}): {} per rank for objects", plan.ranks,
                                  plan.ranks == 1 ? "rank" : "ranks", plan.ranks_from,
                                  human_bytes(budget.per_rank_bytes));
    const auto ranks = static_cast<std::uint64_t>(plan.ranks);
    std::uint64_t needed = 0;
    if (!__builtin_mul_overflow(needed_bytes(plan), ranks, &needed) && needed <= budget.left_bytes)
        return check;
    check.status = Status::fail;
    const bool by_arena = plan.arena_bytes > plan.warm_bytes;
    const std::string what =
        fmt::format("{} {}", by_arena ? plan.arena_from : "arena.warm_bytes",
                    human_bytes(by_arena ? plan.arena_bytes : plan.warm_bytes));
    check.measured += fmt::format("; {} ranks with {} and {} each for the node do not fit into {}",
                                  plan.ranks, what, human_bytes(node_bytes), budget.limit);
    const std::uint64_t most_ranks = budget.left_bytes / needed_bytes(plan);
    check.advice = fmt::format(
        "use at most {} ranks on this host, or at most {} per rank (SSI_ARENA_LIMIT_BYTES), or "
        "raise {}",
        most_ranks, human_bytes(budget.per_rank_bytes), budget.limit);
    return check;
}

Check check_shared_memory(const SharedMemory& facts, const Plan& plan) {
    Check check{"shared memory", Status::ok, "", ""};
    if (!facts.memfd_failure.empty()) {
        return {"shared memory", Status::fail, facts.memfd_failure,
                "allow memfd_create and shared mappings (a seccomp profile or container refuses "
                "them), or set SSI_NET_SAME_HOST=off"};
    }
    check.measured = "memfd can be created, grown and mapped; ";
    if (!facts.shm_failure.empty()) {
        check.status = Status::warn;
        check.measured += "/dev/shm: " + facts.shm_failure;
        check.advice = "mount a writable tmpfs at /dev/shm, or set UCX_TLS=tcp,self";
        return check;
    }
    check.measured += fmt::format("/dev/shm: {} of {} free", human_bytes(facts.shm_free_bytes),
                                  human_bytes(facts.shm_bytes));
    const std::uint64_t needed = shm_bytes_per_rank * static_cast<std::uint64_t>(plan.ranks);
    if (facts.shm_free_bytes >= needed) return check;
    check.status = facts.shm_free_bytes < needed / 4 ? Status::fail : Status::warn;
    check.measured += fmt::format(", {} ranks may need {}", plan.ranks, human_bytes(needed));
    check.advice = fmt::format("enlarge /dev/shm (docker run --shm-size={}m, or mount -o "
                               "remount,size={}m /dev/shm), or set UCX_TLS=tcp,self",
                               needed / mib, needed / mib);
    return check;
}

Check check_cross_memory(const CrossMemory& facts) {
    const std::string scope =
        facts.ptrace_scope.empty() ? "" : "; kernel.yama.ptrace_scope is " + facts.ptrace_scope;
    if (!facts.failure.empty())
        return {"cma", Status::warn, "could not be tried: " + facts.failure,
                "libssi works without; see the other checks first"};
    if (facts.error == 0)
        return {"cma", Status::ok, "process_vm_readv works between processes" + scope, ""};
    return {"cma", Status::warn,
            fmt::format("process_vm_readv between processes fails: {}{}",
                        strerrordesc_np(facts.error), scope),
            "large messages on one host are copied twice; allow it by --cap-add=SYS_PTRACE for a "
            "container or sysctl kernel.yama.ptrace_scope=0"};
}

Check check_locked_memory(std::uint64_t limit_bytes, bool privileged, bool has_rdma) {
    Check check{"locked memory", Status::ok,
                fmt::format("RLIMIT_MEMLOCK (ulimit -l) is {}{}{}", limit_text(limit_bytes),
                            privileged ? ", not held against root" : "",
                            has_rdma ? "" : "; no RDMA device needs it here"),
                ""};
    const bool enough = limit_bytes >= (has_rdma ? rdma_locked_bytes : least_locked_bytes);
    if (enough || (privileged && has_rdma)) return check;
    check.status = has_rdma ? Status::fail : Status::warn;
    check.advice = has_rdma ? "RDMA registers memory by locking it: set `* - memlock unlimited` in "
                              "/etc/security/limits.conf (Slurm: PropagateResourceLimitsExcept)"
                            : "raise it with ulimit -l before a network with RDMA is used";
    return check;
}

Check check_file_size(std::uint64_t limit_bytes, const Plan& plan) {
    Check check{"file size", Status::ok,
                fmt::format("RLIMIT_FSIZE (ulimit -f) is {}", limit_text(limit_bytes)), ""};
    const std::uint64_t needed = std::max(plan.arena_bytes, plan.warm_bytes);
    if (limit_bytes >= needed && limit_bytes >= 64 * mib) return check;
    check.status = Status::fail;
    check.measured += fmt::format(
        "; it also limits the shared memory of objects, which needs {}",
        human_bytes(std::max(needed, 64 * mib)));
    check.advice = "ulimit -f unlimited";
    return check;
}

Check check_address_space(std::uint64_t limit_bytes, const Plan& plan) {
    Check check{"address space", Status::ok,
                fmt::format("RLIMIT_AS (ulimit -v) is {}", limit_text(limit_bytes)), ""};
    // UCX and MPI map some GiB that they never touch; arenas are mapped ahead of their use.
    const std::uint64_t needed = 4096 * mib + 2 * std::max(plan.arena_bytes, plan.warm_bytes);
    if (limit_bytes >= needed) return check;
    check.status = Status::fail;
    check.measured += fmt::format(", a rank may map {}", human_bytes(needed));
    check.advice = "ulimit -v unlimited: resident memory is limited by control groups instead";
    return check;
}

Check check_huge_pages(const std::string& enabled, bool wanted) {
    Check check{"huge pages", Status::ok,
                fmt::format("transparent_hugepage/enabled: {}; arena.huge_pages is {}",
                            enabled.empty() ? "not there" : enabled, wanted ? "true" : "false"),
                ""};
    const bool off = enabled.empty() || enabled.find("[never]") != std::string::npos;
    if (!off || !wanted) return check;
    check.status = Status::warn;
    check.advice = "the first touch of memory is up to 50 times slower: echo madvise > "
                   "/sys/kernel/mm/transparent_hugepage/enabled, or keep more memory warm "
                   "(SSI_ARENA_WARM_BYTES)";
    return check;
}

}  // namespace ssi::cli
