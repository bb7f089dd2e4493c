// SPDX-License-Identifier: BSD-3-Clause
// Making a UCX context and worker with the settings libssi needs.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "ucx_worker.hpp"

namespace ssi::net {
namespace {

// What we set in UCX, each unless the user set the variable of that name. Errors of shared memory
// peers are only told of with MM_ERROR_HANDLING; without it error mode PEER silently falls to tcp.
// FIFO elements of 256 instead of 128 bytes carry a whole KDDM request or small object in the FIFO
// itself: 0.9 us instead of 1.2 us for a round trip of 120 bytes. Segments of 9280 bytes carry the
// largest copied payload with the largest header in one piece.
Result<void> apply(ucp_config_t* config, const char* name, const char* user_variable,
                   const std::string& value) {
    if (std::getenv(user_variable)) return {};
    const ucs_status_t status = ucp_config_modify(config, name, value.c_str());
    if (status == UCS_OK) return {};
    return fail(Errc::transport, fmt::format("UCX refuses {} \"{}\": {}", user_variable, value,
                                             ucs_status_string(status)));
}

std::string transports(const Config& config) {
    const std::string& tls = config.text("net.ucx_tls");
    if (!tls.empty()) return tls;
    const char* variable = std::getenv("UCX_TLS");
    return variable ? variable : "";
}

// UCX warns of settings that none of its transports takes.
bool may_use_shared_memory(const std::string& tls) {
    if (tls.empty() || tls.front() == '^') return true;
    for (const char* name : {"all", "sm", "shm", "mm", "posix", "sysv", "xpmem"})
        if (tls.find(name) != std::string::npos) return true;
    return false;
}

Result<void> configure(ucp_config_t* ucx, const Config& config, bool keepalive) {
    if (may_use_shared_memory(transports(config))) {
        SSI_TRY(apply(ucx, "MM_ERROR_HANDLING", "UCX_MM_ERROR_HANDLING", "y"));
        SSI_TRY(apply(ucx, "MM_FIFO_ELEM_SIZE", "UCX_MM_FIFO_ELEM_SIZE", "256"));
        SSI_TRY(apply(ucx, "MM_SEG_SIZE", "UCX_MM_SEG_SIZE", "9280"));
    }
    SSI_TRY(apply(ucx, "KEEPALIVE_INTERVAL", "UCX_KEEPALIVE_INTERVAL",
                  keepalive ? fmt::format("{}ms", config.integer("net.keepalive_ms"))
                            : std::string("inf")));
    const std::string& tls = config.text("net.ucx_tls");
    if (tls.empty()) return {};
    const ucs_status_t status = ucp_config_modify(ucx, "TLS", tls.c_str());
    if (status == UCS_OK) return {};
    return fail(Errc::bad_config, fmt::format("UCX refuses net.ucx_tls \"{}\" (from {}): {}", tls,
                                              config.source("net.ucx_tls"),
                                              ucs_status_string(status)));
}

std::string transports_in_force(const Config& config) {
    const std::string tls = transports(config);
    return tls.empty() ? "all transports" : fmt::format("UCX_TLS {}", tls);
}

}  // namespace

std::string describe(ucs_status_t status) {
    return fmt::format("UCX says: {}", ucs_status_string(status));
}

UcxContext::~UcxContext() {
    if (worker) ucp_worker_destroy(worker);
    if (context) ucp_cleanup(context);
}

Result<std::unique_ptr<UcxContext>> UcxContext::make(const Config& config, bool keepalive,
                                                     bool gets) {
    auto made = std::make_unique<UcxContext>();
    ucp_config_t* ucx = nullptr;
    ucs_status_t status = ucp_config_read(nullptr, nullptr, &ucx);
    if (status != UCS_OK)
        return fail(Errc::transport, fmt::format("UCX cannot read its UCX_* variables: {}",
                                                 ucs_status_string(status)));
    Result<void> configured = configure(ucx, config, keepalive);
    if (configured) {
        ucp_params_t params{};
        params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
        params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP | (gets ? UCP_FEATURE_RMA : 0);
        params.name = "ssi";
        status = ucp_init(&params, ucx, &made->context);
    }
    ucp_config_release(ucx);
    if (!configured) return tl::unexpected(std::move(configured).error());
    if (status != UCS_OK)
        return fail(Errc::transport,
                    fmt::format("UCX finds no usable network ({}): {}; see `ucx_info -d`",
                                transports_in_force(config), ucs_status_string(status)));

    ucp_worker_params_t params{};
    params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
    status = ucp_worker_create(made->context, &params, &made->worker);
    if (status != UCS_OK)
        return fail(Errc::transport,
                    fmt::format("UCX cannot open its devices ({}): {}; /dev/shm full, or a limit "
                                "on shared memory, files or locked memory?",
                                transports_in_force(config), ucs_status_string(status)));
    // Not every transport can wake a sleeper; then the progress thread polls on a timer.
    if (ucp_worker_get_efd(made->worker, &made->event_fd) != UCS_OK) made->event_fd = -1;

    ucp_address_t* address = nullptr;
    std::size_t length = 0;
    status = ucp_worker_get_address(made->worker, &address, &length);
    if (status != UCS_OK)
        return fail(Errc::transport, fmt::format("UCX has no address to give to other nodes: {}",
                                                 ucs_status_string(status)));
    made->address.resize(length);
    std::memcpy(made->address.data(), address, length);
    ucp_worker_release_address(made->worker, address);
    return made;
}

}  // namespace ssi::net
