// SPDX-License-Identifier: BSD-3-Clause
// The one user of UCT, UCX's lower interface: only it can list transports.
#include "ssi/net/ucx_probe.hpp"

#include <fmt/core.h>
#include <ucp/api/ucp.h>
#include <uct/api/uct.h>

#include <algorithm>
#include <tuple>

namespace ssi::net {
namespace {

const char* kind_name(uct_device_type_t type) {
    switch (type) {
        case UCT_DEVICE_TYPE_NET: return "network";
        case UCT_DEVICE_TYPE_SHM: return "shared memory";
        case UCT_DEVICE_TYPE_ACC: return "accelerator";
        case UCT_DEVICE_TYPE_SELF: return "loopback";
        default: return "unknown";
    }
}

void list_transports(uct_md_h domain, std::vector<UcxResource>& out) {
    uct_tl_resource_desc_t* found = nullptr;
    unsigned count = 0;
    if (uct_md_query_tl_resources(domain, &found, &count) != UCS_OK) return;
    for (unsigned i = 0; i < count; ++i)
        out.push_back({found[i].tl_name, found[i].dev_name, kind_name(found[i].dev_type)});
    uct_release_tl_resource_list(found);
}

// A memory domain that does not open is hardware that is not there: no failure.
void list_domains(uct_component_h component, std::vector<UcxResource>& out) {
    uct_component_attr_t attributes{};
    attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
    if (uct_component_query(component, &attributes) != UCS_OK) return;
    if (attributes.md_resource_count == 0) return;  // only connects, has no memory and no config
    std::vector<uct_md_resource_desc_t> domains(attributes.md_resource_count);
    attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
    attributes.md_resources = domains.data();
    if (uct_component_query(component, &attributes) != UCS_OK) return;
    uct_md_config_t* config = nullptr;
    if (uct_md_config_read(component, nullptr, nullptr, &config) != UCS_OK) return;
    for (const auto& each : domains) {
        uct_md_h domain = nullptr;
        if (uct_md_open(component, each.md_name, config, &domain) != UCS_OK) continue;
        list_transports(domain, out);
        uct_md_close(domain);
    }
    uct_config_release(config);
}

}  // namespace

bool UcxProbe::has(const std::string& transport) const {
    return std::any_of(resources.begin(), resources.end(),
                       [&](const UcxResource& r) { return r.transport == transport; });
}

bool UcxProbe::has_kind(const std::string& kind) const {
    return std::any_of(resources.begin(), resources.end(),
                       [&](const UcxResource& r) { return r.kind == kind; });
}

Result<UcxProbe> probe_ucx() {
    UcxProbe probe;
    unsigned major = 0, minor = 0, release = 0;
    ucp_get_version(&major, &minor, &release);
    probe.version = fmt::format("{}.{}.{}", major, minor, release);
    uct_component_h* components = nullptr;
    unsigned count = 0;
    const ucs_status_t status = uct_query_components(&components, &count);
    if (status != UCS_OK)
        return fail(Errc::transport, fmt::format("UCX {} cannot list its transports: {}",
                                                 probe.version, ucs_status_string(status)));
    for (unsigned i = 0; i < count; ++i) list_domains(components[i], probe.resources);
    uct_release_component_list(components);
    std::sort(probe.resources.begin(), probe.resources.end(), [](const auto& a, const auto& b) {
        return std::tie(a.kind, a.transport, a.device) < std::tie(b.kind, b.transport, b.device);
    });
    return probe;
}

}  // namespace ssi::net
