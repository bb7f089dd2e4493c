// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <sys/utsname.h>

#include "commands.hpp"
#include "ssi/base/json.hpp"
#include "machine.hpp"
#include "ssi/sys/memory_limits.hpp"
#include "ssi/sys/topology.hpp"

namespace ssi::cli {
namespace {

struct Facts {
    utsname system{};
    sys::Topology topology;
    std::vector<sys::MemoryLimit> memory;
    Result<net::UcxProbe> ucx;
    std::string mpi;
    Launcher launcher;
};

Facts read_facts() {
    Facts facts{{}, sys::read_topology(), sys::read_memory_limits(), probe_ucx_quietly(),
                mpi_version(), detect_launcher()};
    uname(&facts.system);
    return facts;
}

void print_text(const Facts& facts, const Config& config) {
    const auto row = [](std::string_view name, std::string_view text) {
        fmt::print("{:<10} {}\n", name, text);
    };
    row("libssi", SSI_VERSION);
    row("host", fmt::format("{}, {} {} {}", facts.system.nodename, facts.system.sysname,
                            facts.system.release, facts.system.machine));
    const auto& cores = facts.topology;
    row("cores", fmt::format("{} usable of {} online (affinity {}), {} NUMA nodes",
                             cores.usable_cores, cores.online_cores, cores.affinity,
                             cores.numa_nodes));
    for (const auto& limit : facts.memory)
        row("memory", fmt::format("{}: {} of {} left", limit.name,
                                  human_bytes(limit.left_bytes()), human_bytes(limit.limit_bytes)));
    if (facts.ucx) {
        row("ucx", facts.ucx->version);
        for (const auto& r : facts.ucx->resources)
            row("", fmt::format("{} on {} ({})", r.transport, r.device, r.kind));
    } else {
        row("ucx", facts.ucx.error().text);
    }
    row("mpi", facts.mpi.empty() ? "none in this process" : facts.mpi);
    row("launcher", facts.launcher.evidence.empty()
                        ? facts.launcher.name
                        : fmt::format("{} ({})", facts.launcher.name, facts.launcher.evidence));
    for (const Setting& setting : settings_table())
        if (config.source(setting.key) != "default")
            row("setting", fmt::format("{} set by {}", setting.key, config.source(setting.key)));
}

void print_json(const Facts& facts, const Config& config) {
    Json json;
    json.object().field("version", SSI_VERSION);
    json.object("host")
        .field("name", static_cast<const char*>(facts.system.nodename))
        .field("kernel", static_cast<const char*>(facts.system.release))
        .field("machine", static_cast<const char*>(facts.system.machine))
        .end();
    json.object("cores")
        .field("usable", facts.topology.usable_cores)
        .field("online", facts.topology.online_cores)
        .field("affinity", facts.topology.affinity)
        .field("numa_nodes", facts.topology.numa_nodes)
        .end();
    json.array("memory");
    for (const auto& limit : facts.memory)
        json.object()
            .field("name", limit.name)
            .field("limit_bytes", limit.limit_bytes)
            .field("left_bytes", limit.left_bytes())
            .end();
    json.end().object("ucx");
    if (facts.ucx) {
        json.field("version", facts.ucx->version).array("transports");
        for (const auto& r : facts.ucx->resources)
            json.object()
                .field("transport", r.transport)
                .field("device", r.device)
                .field("kind", r.kind)
                .end();
        json.end();
    } else {
        json.field("error", facts.ucx.error().text);
    }
    json.end().field("mpi", facts.mpi);
    json.object("launcher")
        .field("name", facts.launcher.name)
        .field("evidence", facts.launcher.evidence)
        .field("local_ranks", facts.launcher.local_ranks)
        .end();
    json.object("settings");
    for (const Setting& setting : settings_table())
        if (config.source(setting.key) != "default")
            json.field(setting.key, config.source(setting.key));
    json.end().end();
    fmt::print("{}\n", json.text());
}

}  // namespace

int run_info(const Config& config, bool json) {
    const Facts facts = read_facts();
    if (json)
        print_json(facts, config);
    else
        print_text(facts, config);
    return 0;
}

}  // namespace ssi::cli
