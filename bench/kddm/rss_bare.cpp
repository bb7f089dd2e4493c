// SPDX-License-Identifier: BSD-3-Clause
// Resident memory of a rank that has MPI and a UCX endpoint to every other rank, and nothing else:
// what node/idle_rss is measured against. Not linked with libssi.
#include <mpi.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "slices.hpp"
#include "rss.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t address_room = 4096;

void check(ucs_status_t status) {
    if (status != UCS_OK) throw std::runtime_error(ucs_status_string(status));
}

ucs_status_t count_message(void* counter, const void*, std::size_t, void*, std::size_t,
                           const ucp_am_recv_param_t*) {
    ++*static_cast<int*>(counter);
    return UCS_OK;
}

// Endpoints to all others, used once each way, so that they are really connected.
void connect_all(const Settings& settings, ucp_worker_h worker, int& received) {
    ucp_address_t* address = nullptr;
    std::size_t length = 0;
    check(ucp_worker_get_address(worker, &address, &length));
    std::vector<char> mine(address_room);
    std::vector<char> all(address_room * static_cast<std::size_t>(settings.size));
    std::memcpy(mine.data(), address, std::min(length, address_room));
    ucp_worker_release_address(worker, address);
    MPI_Allgather(mine.data(), address_room, MPI_BYTE, all.data(), address_room, MPI_BYTE,
                  MPI_COMM_WORLD);
    for (int rank = 0; rank < settings.size; ++rank) {
        if (rank == settings.rank) continue;
        ucp_ep_params_t params{};
        params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS;
        params.address = reinterpret_cast<const ucp_address_t*>(
            all.data() + address_room * static_cast<std::size_t>(rank));
        ucp_ep_h endpoint = nullptr;
        check(ucp_ep_create(worker, &params, &endpoint));
        static const std::uint64_t hello = 1;
        ucp_request_param_t plain{};
        void* request = ucp_am_send_nbx(endpoint, 1, nullptr, 0, &hello, sizeof hello, &plain);
        if (UCS_PTR_IS_PTR(request)) ucp_request_free(request);
    }
    while (received < settings.size - 1) ucp_worker_progress(worker);
}

void run(const Settings& settings, Report& report) {
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features = UCP_FEATURE_AM | UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
    ucp_context_h context = nullptr;
    check(ucp_init(&params, nullptr, &context));
    ucp_worker_params_t worker_params{};
    worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    worker_params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
    ucp_worker_h worker = nullptr;
    check(ucp_worker_create(context, &worker_params, &worker));
    static int received = 0;
    ucp_am_handler_param_t handler{};
    handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                         UCP_AM_HANDLER_PARAM_FIELD_ARG;
    handler.id = 1;
    handler.cb = count_message;
    handler.arg = &received;
    check(ucp_worker_set_am_recv_handler(worker, &handler));
    connect_all(settings, worker, received);
    sleeping_barrier();
    ::sleep(1);
    Row row{.name = "raw/rss_bare", .unit = "bytes"};
    row.slices = {max_over_ranks(resident_bytes())};
    row.iterations = 1;
    report.add(std::move(row));
    sleeping_barrier();
    ucp_worker_destroy(worker);
    ucp_cleanup(context);
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    return ssi::bench::run_program(argc, argv, ssi::bench::run);
}
