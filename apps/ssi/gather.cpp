// SPDX-License-Identifier: BSD-3-Clause
// Collects this machine's facts and has each judged.
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.hpp"
#include "ssi/node/runtime_directory.hpp"
#include "trials.hpp"

namespace ssi::cli {
namespace {

std::uint64_t resource(decltype(RLIMIT_AS) which) {
    rlimit limit{};
    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
    return limit.rlim_cur;
}

// Transports whose memory registration locks pages: InfiniBand verbs and vendors' networks.
bool has_rdma(const Result<net::UcxProbe>& probe) {
    if (!probe) return false;
    for (const auto& r : probe->resources)
        if (r.kind == "network" && r.transport != "tcp") return true;
    return false;
}

// "SSI_PROGRESS: progress spin; --ssi-..."
std::string sources(const Config& config) {
    std::string text;
    for (const Setting& setting : settings_table()) {
        const std::string& source = config.source(setting.key);
        if (source == "default") continue;
        text += fmt::format("{}{} set by {}", text.empty() ? "" : ", ", setting.key, source);
    }
    return text;
}

}  // namespace

std::vector<Check> gather_checks(const Plan& plan, const Config& config,
                                 const std::optional<Failure>& config_failure) {
    const auto probe = probe_ucx_quietly();
    const auto topology = sys::read_topology();
    const std::string mpi = mpi_version();
    std::vector<Check> checks;
    checks.push_back(check_configuration(config_failure, sources(config)));
    checks.push_back(check_transports(probe));
    checks.push_back(check_messages(try_messages(config, ""), try_messages(config, "sm,self"),
                                    try_messages(config, "tcp,self")));
    checks.push_back(check_shared_memory(try_shared_memory(), plan));
    checks.push_back(check_cross_memory(try_cross_memory()));
    checks.push_back(check_memory(sys::read_memory_limits(), plan));
    checks.push_back(check_cores(topology, plan));
    checks.push_back(check_oversubscription(topology, plan));
    const bool root = geteuid() == 0;
    checks.push_back(check_locked_memory(resource(RLIMIT_MEMLOCK), root, has_rdma(probe)));
    checks.push_back(check_open_files(resource(RLIMIT_NOFILE), plan));
    checks.push_back(check_file_size(resource(RLIMIT_FSIZE), plan));
    checks.push_back(check_address_space(resource(RLIMIT_AS), plan));
    checks.push_back(check_scratch(try_scratch()));
    const auto control = node::try_control_socket(config);
    checks.push_back(check_control_socket(config.text("control.socket") == "on",
                                          control.value_or(""),
                                          control ? "" : control.error().to_string()));
    checks.push_back(
        check_launcher(detect_launcher(), find_program("mpirun"), find_program("srun")));
    checks.push_back(check_mpi(mpi));
    checks.push_back(check_root(root, mpi, variable("OMPI_ALLOW_RUN_AS_ROOT"),
                                variable("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")));
    checks.push_back(check_huge_pages(first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
                                      config.boolean("arena.huge_pages")));
    checks.push_back(check_process_handles(try_pidfd()));
    return checks;
}

}  // namespace ssi::cli
