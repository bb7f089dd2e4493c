// SPDX-License-Identifier: BSD-3-Clause
// The judges of `ssi doctor` on machines that we do not have.
#include "check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace ssi::cli {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;

Plan plan_of(int ranks, std::uint64_t arena_bytes = 0) {
    return {.ranks = ranks, .ranks_from = "--ranks", .arena_bytes = arena_bytes,
            .arena_from = "--arena", .warm_bytes = 16 * mib, .progress = "auto"};
}

void expect(const Check& check, Status status, const std::string& text) {
    EXPECT_STREQ(status_name(check.status), status_name(status)) << check.measured;
    EXPECT_THAT(check.measured + "\n" + check.advice, HasSubstr(text));
    EXPECT_EQ(check.advice.empty(), status == Status::ok) << check.advice;
}

TEST(CheckMemory, budget_is_the_tightest_limit_shared_by_the_ranks) {
    const std::vector<sys::MemoryLimit> limits{{"memory of the machine", 64 * gib, 0},
                                               {"memory.max of cgroup /job", 5 * gib, gib}};
    const Budget budget = memory_budget(limits, 4);
    EXPECT_EQ(budget.limit, "memory.max of cgroup /job");
    EXPECT_EQ(budget.left_bytes, 4 * gib);
    EXPECT_EQ(budget.per_rank_bytes, gib - node_bytes);
    expect(check_memory(limits, plan_of(4, gib - node_bytes)), Status::ok, "4 ranks");
    expect(check_memory(limits, plan_of(4, gib)), Status::fail,
           "use at most 3 ranks on this host, or at most 960 MiB per rank");
    expect(check_memory(limits, plan_of(1, UINT64_MAX / 2)), Status::fail, "do not fit");
    expect(check_memory(limits, plan_of(1 << 20, UINT64_MAX / 2)), Status::fail, "do not fit");
}

TEST(CheckMemory, idle_ranks_that_do_not_fit_are_refused) {
    const std::vector<sys::MemoryLimit> limits{{"memory.max of cgroup /job", 100 * mib, 0}};
    expect(check_memory(limits, plan_of(1)), Status::ok, "36 MiB per rank");
    expect(check_memory(limits, plan_of(2)), Status::fail, "arena.warm_bytes 16 MiB");
}

TEST(CheckSharedMemory, tells_a_refusal_from_a_small_dev_shm) {
    expect(check_shared_memory({"memfd_create fails: Operation not permitted", 0, 0, ""},
                               plan_of(1)),
           Status::fail, "SSI_NET_SAME_HOST=off");
    expect(check_shared_memory({"", 64 * mib, 64 * mib, ""}, plan_of(4)), Status::ok, "64 MiB");
    expect(check_shared_memory({"", 64 * mib, 64 * mib, ""}, plan_of(8)), Status::warn,
           "--shm-size=128m");
    expect(check_shared_memory({"", 64 * mib, 10 * mib, ""}, plan_of(8)), Status::fail,
           "10 MiB of 64 MiB free");
    expect(check_shared_memory({"", 0, 0, "No such file or directory"}, plan_of(1)), Status::warn,
           "mount a writable tmpfs");
}

TEST(CheckCrossMemory, names_yama_and_the_container) {
    expect(check_cross_memory({0, "", ""}), Status::ok, "works");
    expect(check_cross_memory({EPERM, "1", ""}), Status::warn, "kernel.yama.ptrace_scope is 1");
    expect(check_cross_memory({EPERM, "", ""}), Status::warn, "SYS_PTRACE");
    expect(check_cross_memory({0, "", "no answer in 5 s"}), Status::warn, "no answer in 5 s");
}

TEST(CheckLimits, locked_memory_matters_with_rdma) {
    expect(check_locked_memory(8 * mib, false, false), Status::ok, "no RDMA");
    expect(check_locked_memory(16 * 1024, false, false), Status::warn, "ulimit -l");
    expect(check_locked_memory(8 * mib, false, true), Status::fail, "limits.conf");
    expect(check_locked_memory(8 * mib, true, true), Status::ok, "not held against root");
    expect(check_locked_memory(unlimited, false, true), Status::ok, "unlimited");
}

TEST(CheckLimits, files_sizes_and_address_space) {
    expect(check_open_files(unlimited, plan_of(4)), Status::ok, "unlimited");
    expect(check_open_files(300, plan_of(4)), Status::warn, "ulimit -n 4096");
    expect(check_open_files(100, plan_of(4)), Status::fail, "is 100");
    expect(check_file_size(unlimited, plan_of(1)), Status::ok, "unlimited");
    expect(check_file_size(gib, plan_of(1, 2 * gib)), Status::fail, "needs 2 GiB");
    expect(check_address_space(unlimited, plan_of(1, gib)), Status::ok, "unlimited");
    expect(check_address_space(5 * gib, plan_of(1, gib)), Status::fail, "may map 6 GiB");
}

net::UcxProbe probe_of(std::vector<net::UcxResource> resources) {
    return {"1.13.1", std::move(resources)};
}

TEST(CheckNetwork, tells_what_is_missing) {
    const net::UcxResource tcp{"tcp", "eth0", "network"}, lo{"tcp", "lo", "network"},
        posix{"posix", "memory", "shared memory"}, self{"self", "memory0", "loopback"};
    expect(check_transports(probe_of({tcp, lo, posix, self})), Status::ok,
           "version 1.13.1: posix (memory), self (memory0), tcp (eth0 lo)");
    expect(check_transports(probe_of({posix, self})), Status::warn, "no network");
    expect(check_transports(probe_of({tcp, self})), Status::warn, "no shared memory transport");
    expect(check_transports(probe_of({self})), Status::fail, "neither");
    expect(check_transports(fail(Errc::transport, "killed by signal 11")), Status::fail,
           "killed by signal 11");
}

TEST(CheckNetwork, only_the_settings_in_force_decide_over_health) {
    const Trial good{true, 1.25, ""}, bad{false, 0, "UCX finds no usable network"};
    expect(check_messages(good, good, good), Status::ok, "in force 1.2 us");
    expect(check_messages(good, bad, good), Status::warn, "shared memory failed: UCX finds");
    expect(check_messages(good, good, bad), Status::warn, "only ranks of this host");
    expect(check_messages(bad, good, good), Status::fail, "unset UCX_TLS");
}

TEST(CheckCores, quotas_are_told_apart_from_affinity) {
    sys::Topology topology{.usable_cores = 2, .affinity_cores = 8, .online_cores = 8,
                           .quota_cores = 1.5, .affinity = "0-7"};
    expect(check_cores(topology, plan_of(1)), Status::warn, "quota 1.50");
    topology.quota_cores = 0;
    expect(check_cores(topology, plan_of(1)), Status::ok, "2 usable of 8");
}

TEST(CheckScratch, network_and_full_file_systems_are_warned_of) {
    expect(check_scratch({"TMPDIR", "/local", "", 5 * gib, "ext4", false}), Status::ok,
           "$TMPDIR /local: ext4, 5 GiB free");
    expect(check_scratch({"", "/tmp", "", 5 * gib, "nfs4", true}), Status::warn, "local disk");
    expect(check_scratch({"", "/tmp", "", mib, "ext4", false}), Status::warn, "less than 1 GiB");
    expect(check_scratch({"", "/tmp", "Read-only file system", 0, "", false}), Status::fail,
           "/tmp: Read-only file system");
}

TEST(CheckSystem, control_sockets_are_optional) {
    expect(check_control_socket(true, "/run/x", ""), Status::ok, "in /run/x");
    expect(check_control_socket(false, "", "whatever"), Status::ok, "off, by control.socket");
    expect(check_control_socket(true, "", "io: no"), Status::warn, "SSI_CONTROL_DIRECTORY");
}

TEST(CheckSystem, mpi_root_huge_pages_and_process_handles) {
    expect(check_mpi(""), Status::fail, "no MPI library");
    expect(check_mpi("Open MPI v4.1.4"), Status::ok, "v4.1.4");
    expect(check_root(false, "Open MPI v4", "", ""), Status::ok, "ordinary user");
    expect(check_root(true, "Open MPI v4", "1", ""), Status::warn, "OMPI_ALLOW_RUN_AS_ROOT=1");
    expect(check_root(true, "Open MPI v4", "1", "1"), Status::ok, "root");
    expect(check_root(true, "MPICH 4", "", ""), Status::ok, "root");
    expect(check_huge_pages("always madvise [never]", true), Status::warn, "SSI_ARENA_WARM_BYTES");
    expect(check_huge_pages("always madvise [never]", false), Status::ok, "false");
    expect(check_huge_pages("", true), Status::warn, "not there");
    expect(check_process_handles(0), Status::ok, "pidfd_open works");
    expect(check_process_handles(ENOSYS), Status::warn, "pidfd_open fails: Function not");
}

TEST(Machine, sizes_are_read_and_written_for_people) {
    EXPECT_EQ(human_bytes(0), "0 bytes");
    EXPECT_EQ(human_bytes(1536), "1.5 KiB");
    EXPECT_EQ(human_bytes(2 * gib), "2 GiB");
    EXPECT_EQ(human_bytes(300 * mib + 1), "300 MiB");
    EXPECT_EQ(parse_bytes("4g"), 4 * gib);
    EXPECT_EQ(parse_bytes("12"), 12u);
    for (const char* text : {"", "G", "4GB", "-1", "1.5G", "99999999999999999999", "99999999999T"})
        EXPECT_FALSE(parse_bytes(text)) << text;
}

}  // namespace
}  // namespace ssi::cli
