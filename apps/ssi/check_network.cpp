// SPDX-License-Identifier: BSD-3-Clause
// Checks of UCX.
#include <fmt/core.h>

#include <map>

#include "check.hpp"

namespace ssi::cli {
namespace {

std::string devices_by_transport(const net::UcxProbe& probe) {
    std::map<std::string, std::string> by_transport;
    for (const auto& resource : probe.resources) {
        std::string& devices = by_transport[resource.transport];
        devices += (devices.empty() ? "" : " ") + resource.device;
    }
    std::string text;
    for (const auto& [transport, devices] : by_transport)
        text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", transport, devices);
    return text;
}

std::string took(const Trial& trial) {
    return trial.passed ? fmt::format("{:.1f} us", trial.microseconds) : "failed: " + trial.text;
}

}  // namespace

Check check_transports(const Result<net::UcxProbe>& probe) {
    if (!probe)
        return {"ucx", Status::fail, probe.error().text,
                "install UCX 1.13 or newer with its modules (libucx0), and see `ucx_info -d`"};
    Check check{"ucx", Status::ok,
                fmt::format("version {}: {}", probe->version, devices_by_transport(*probe)), ""};
    if (!probe->has_kind("network") && !probe->has_kind("shared memory")) {
        check.status = Status::fail;
        check.advice = "UCX finds neither a network nor shared memory: check that its modules are "
                       "installed beside libuct.so and that an interface is up (ip link)";
    } else if (!probe->has_kind("network")) {
        check.status = Status::warn;
        check.advice = "no network: only ranks of this host can form a session; bring an interface "
                       "up (ip link)";
    } else if (!probe->has_kind("shared memory")) {
        check.status = Status::warn;
        check.advice = "no shared memory transport: ranks of one host will talk over the network";
    }
    return check;
}

Check check_messages(const Trial& shipped, const Trial& same_host, const Trial& tcp) {
    Check check{"messages", Status::ok,
                fmt::format("round trip between two workers, with the settings in force {}; over "
                            "shared memory {}; over tcp {}",
                            took(shipped), took(same_host), took(tcp)),
                ""};
    if (!shipped.passed) {
        check.status = Status::fail;
        check.advice = "unset UCX_TLS, UCX_NET_DEVICES and SSI_NET_UCX_TLS, or name transports "
                       "that the ucx check lists";
    } else if (!same_host.passed) {
        check.status = Status::warn;
        check.advice = "ranks of one host will talk over the network, some 100 times slower: see "
                       "the shared memory check";
    } else if (!tcp.passed) {
        check.status = Status::warn;
        check.advice = "without RDMA only ranks of this host can form a session: bring an "
                       "interface up, or correct UCX_NET_DEVICES";
    }
    return check;
}

}  // namespace ssi::cli
