// SPDX-License-Identifier: BSD-3-Clause
// What UCX finds on this machine, for `ssi info` and `ssi doctor`. No <ucp/...> here.
#pragma once

#include <string>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::net {

struct UcxResource {
    std::string transport;  // "tcp", "posix", "cma", "rc_mlx5"
    std::string device;     // "eth0", "memory"
    std::string kind;       // "network", "shared memory", "loopback", "accelerator"
};

struct UcxProbe {
    std::string version;                 // of the library that runs: "1.13.1"
    std::vector<UcxResource> resources;  // sorted; UCX itself found each usable here
    bool has(const std::string& transport) const;
    bool has_kind(const std::string& kind) const;
};

// Opens every memory domain of UCX once and closes it again; some milliseconds. UCX may print
// warnings of its own to standard output. Ignores UCX_TLS and UCX_NET_DEVICES.
Result<UcxProbe> probe_ucx();

}  // namespace ssi::net
