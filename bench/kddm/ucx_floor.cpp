// SPDX-License-Identifier: BSD-3-Clause
#include "ucx_floor.hpp"

#include <mpi.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "slices.hpp"

namespace ssi::bench {

namespace {

constexpr unsigned message_id = 1;
constexpr int address_tag = 41, window_tag = 42, rounds_tag = 43;

void check(ucs_status_t status, const char* what) {
    if (status != UCS_OK)
        throw std::runtime_error(std::string("raw ucx: ") + what + ": " +
                                 ucs_status_string(status));
}

// Both sides send theirs and get the other's.
std::vector<std::byte> swap_bytes(const void* mine, std::size_t length, int peer, int tag) {
    std::uint64_t my_length = length, their_length = 0;
    MPI_Sendrecv(&my_length, 1, MPI_UINT64_T, peer, tag, &their_length, 1, MPI_UINT64_T, peer, tag,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    std::vector<std::byte> theirs(their_length);
    MPI_Sendrecv(mine, static_cast<int>(length), MPI_BYTE, peer, tag, theirs.data(),
                 static_cast<int>(their_length), MPI_BYTE, peer, tag, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    return theirs;
}

}  // namespace

UcxFloor::UcxFloor(const UcxChoice& choice, int peer)
    : peer_(peer), lead_(peer == 1), rma_allocate_(choice.rma_allocate) {
    ucp_config_t* config = nullptr;
    check(ucp_config_read(nullptr, nullptr, &config), "configuration");
    for (const auto& [name, value] : choice.config)
        check(ucp_config_modify(config, name.c_str(), value.c_str()), name.c_str());
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features = choice.rma ? UCP_FEATURE_RMA : UCP_FEATURE_AM;
    check(ucp_init(&params, config, &context_), "context");
    ucp_config_release(config);

    ucp_worker_params_t worker_params{};
    worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    worker_params.thread_mode = choice.thread_mode;
    check(ucp_worker_create(context_, &worker_params, &worker_), "worker");

    ucp_address_t* address = nullptr;
    std::size_t length = 0;
    check(ucp_worker_get_address(worker_, &address, &length), "address");
    const auto theirs = swap_bytes(address, length, peer, address_tag);
    ucp_worker_release_address(worker_, address);
    ucp_ep_params_t ep_params{};
    ep_params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS;
    ep_params.address = reinterpret_cast<const ucp_address_t*>(theirs.data());
    check(ucp_ep_create(worker_, &ep_params, &endpoint_), "endpoint");

    if (choice.rma) {
        open_window();
    } else {
        ucp_am_handler_param_t handler{};
        handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                             UCP_AM_HANDLER_PARAM_FIELD_ARG;
        handler.id = message_id;
        handler.cb = on_message;
        handler.arg = this;
        check(ucp_worker_set_am_recv_handler(worker_, &handler), "handler");
    }
    MPI_Sendrecv(nullptr, 0, MPI_BYTE, peer, address_tag, nullptr, 0, MPI_BYTE, peer, address_tag,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

UcxFloor::~UcxFloor() {
    if (remote_key_) ucp_rkey_destroy(remote_key_);
    ucp_request_param_t none{};
    void* closing = ucp_ep_close_nbx(endpoint_, &none);
    // Both sides progress until both have closed: a flush may need the peer.
    MPI_Request done = MPI_REQUEST_NULL;
    int all = 0;
    bool mine = !UCS_PTR_IS_PTR(closing);
    while (!all) {
        ucp_worker_progress(worker_);
        if (!mine && ucp_request_check_status(closing) != UCS_INPROGRESS) {
            ucp_request_free(closing);
            mine = true;
        }
        if (mine && done == MPI_REQUEST_NULL) {
            MPI_Isend(nullptr, 0, MPI_BYTE, peer_, address_tag, MPI_COMM_WORLD, &done);
            MPI_Request_free(&done);
            MPI_Irecv(nullptr, 0, MPI_BYTE, peer_, address_tag, MPI_COMM_WORLD, &done);
        }
        if (done != MPI_REQUEST_NULL) MPI_Test(&done, &all, MPI_STATUS_IGNORE);
    }
    if (memory_) ucp_mem_unmap(context_, memory_);
    if (window_ && !rma_allocate_) ::munmap(window_, window_bytes);
    ucp_worker_destroy(worker_);
    ucp_cleanup(context_);
}

ucs_status_t UcxFloor::on_message(void* self, const void*, std::size_t, void* data,
                                  std::size_t length, const ucp_am_recv_param_t*) {
    auto& floor = *static_cast<UcxFloor*>(self);
    std::memcpy(&floor.received_word_, data, sizeof floor.received_word_);
    if (floor.copy_to_) std::memcpy(floor.copy_to_, data, length);
    floor.received_length_ = length;
    ++floor.received_;
    return UCS_OK;
}

void UcxFloor::complete(void* request) {
    if (!request) return;
    if (UCS_PTR_IS_ERR(request)) check(UCS_PTR_STATUS(request), "operation");
    ucs_status_t status;
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
        ucp_worker_progress(worker_);
    ucp_request_free(request);
    check(status, "operation");
}

void UcxFloor::send(const std::byte* bytes, std::size_t length) {
    static constexpr ucp_request_param_t plain{};
    complete(ucp_am_send_nbx(endpoint_, message_id, nullptr, 0, bytes, length, &plain));
}

void UcxFloor::await_message(std::uint64_t number) {
    while (received_ < number) ucp_worker_progress(worker_);
}

std::byte* UcxFloor::place(std::vector<std::byte>& table, const Shape& shape, std::size_t length,
                           std::uint64_t round) {
    if (shape.table_bytes == 0) return table.data();
    // A stride that visits all places in an order no prefetcher follows.
    const std::uint64_t places = shape.table_bytes / length;
    return table.data() + (round * 7919 % places) * length;
}

double UcxFloor::ping_pong(const Shape& shape, std::uint64_t rounds,
                           std::vector<double>* samples) {
    const std::size_t largest = std::max(shape.request_bytes, shape.reply_bytes);
    source_.resize(std::max(shape.table_bytes, largest), std::byte{1});
    target_.resize(std::max(shape.table_bytes, largest), std::byte{1});
    MPI_Sendrecv(nullptr, 0, MPI_BYTE, peer_, rounds_tag, nullptr, 0, MPI_BYTE, peer_, rounds_tag,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    received_ = 0;
    const std::size_t out_bytes = lead_ ? shape.request_bytes : shape.reply_bytes;
    const std::size_t in_bytes = lead_ ? shape.reply_bytes : shape.request_bytes;
    const double start = now_ns();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        std::byte* from = place(source_, shape, out_bytes, round);
        if (shape.table_bytes) copy_to_ = place(target_, shape, in_bytes, round);
        const std::uint64_t before = samples ? ticks() : 0;
        if (lead_) {
            std::memcpy(from, &round, sizeof round);
            send(from, out_bytes);
            await_message(round + 1);
            if (received_word_ != round || received_length_ != in_bytes)
                wrong_data("raw ucx ping-pong");
        } else {
            await_message(round + 1);
            std::memcpy(from, &received_word_, sizeof received_word_);
            send(from, out_bytes);
        }
        if (samples) samples->push_back(static_cast<double>(ticks() - before));
    }
    const double spent = now_ns() - start;
    copy_to_ = nullptr;
    return spent / static_cast<double>(rounds);
}

void UcxFloor::open_window() {
    ucp_mem_map_params_t params{};
    params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                        UCP_MEM_MAP_PARAM_FIELD_FLAGS;
    params.length = window_bytes;
    if (rma_allocate_) {
        params.flags = UCP_MEM_MAP_ALLOCATE;
    } else {
        void* memory = ::mmap(nullptr, window_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("raw ucx: no memory for the window");
        ::madvise(memory, window_bytes, MADV_HUGEPAGE);
        window_ = static_cast<std::byte*>(memory);
        params.address = memory;
    }
    check(ucp_mem_map(context_, &params, &memory_), "memory");
    ucp_mem_attr_t attributes{};
    attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS;
    check(ucp_mem_query(memory_, &attributes), "memory");
    window_ = static_cast<std::byte*>(attributes.address);
    for (std::uint64_t offset = 0; offset < window_bytes; offset += 8)
        std::memcpy(window_ + offset, &offset, sizeof offset);

    void* key = nullptr;
    std::size_t key_length = 0;
    check(ucp_rkey_pack(context_, memory_, &key, &key_length), "key");
    const auto their_key = swap_bytes(key, key_length, peer_, window_tag);
    ucp_rkey_buffer_release(key);
    const auto address = reinterpret_cast<std::uint64_t>(window_);
    const auto theirs = swap_bytes(&address, sizeof address, peer_, window_tag);
    std::memcpy(&remote_address_, theirs.data(), sizeof remote_address_);
    check(ucp_ep_rkey_unpack(endpoint_, their_key.data(), &remote_key_), "key");
}

double UcxFloor::get(std::size_t length, std::uint64_t operations, std::vector<double>* samples) {
    static constexpr ucp_request_param_t plain{};
    if (!lead_) {
        MPI_Request done;
        int finished = 0;
        MPI_Irecv(nullptr, 0, MPI_BYTE, peer_, rounds_tag, MPI_COMM_WORLD, &done);
        while (!finished) {
            for (int i = 0; i < 100; ++i) ucp_worker_progress(worker_);
            MPI_Test(&done, &finished, MPI_STATUS_IGNORE);
        }
        return 0;
    }
    // Reads land in the other half of the own window, so that both sides are cold.
    const std::uint64_t places = window_bytes / 2 / length;
    double spent = 0;
    for (std::uint64_t i = 0; i < operations; ++i) {
        const std::uint64_t from = (window_position_++ % places) * length;
        std::byte* to = window_ + window_bytes / 2 + from;
        const double start = now_ns();
        complete(ucp_get_nbx(endpoint_, to, length, remote_address_ + from, remote_key_, &plain));
        const double took = now_ns() - start;
        spent += took;
        if (samples) samples->push_back(took / ns_per_tick());
        std::uint64_t first = 0, last = 0;
        std::memcpy(&first, to, 8);
        std::memcpy(&last, to + length - 8, 8);
        if (first != from || last != from + length - 8) wrong_data("raw ucx get");
    }
    MPI_Send(nullptr, 0, MPI_BYTE, peer_, rounds_tag, MPI_COMM_WORLD);
    return spent / static_cast<double>(operations);
}

UcxChoice fastest(const std::vector<UcxChoice>& choices, int peer, const UcxFloor::Shape& shape) {
    // All of them alive and in turn, because the machine's speed changes while we look.
    std::vector<std::unique_ptr<UcxFloor>> floors;
    for (const UcxChoice& choice : choices)
        floors.push_back(std::make_unique<UcxFloor>(choice, peer));
    constexpr int rounds = 9;
    std::vector<std::vector<double>> took(choices.size());
    for (int round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < choices.size(); ++i) {
            const double ns = choices[i].rma ? floors[i]->get(1u << 20, 64, nullptr)
                                             : floors[i]->ping_pong(shape, 2000, nullptr);
            if (round > 0) took[i].push_back(ns);
        }
    std::uint64_t best = 0;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        std::nth_element(took[i].begin(), took[i].begin() + rounds / 2, took[i].end());
        if (took[i][rounds / 2] < took[best][rounds / 2]) best = i;
    }
    // Rank 0's clock decides for both.
    if (peer == 1)
        MPI_Send(&best, 1, MPI_UINT64_T, peer, rounds_tag, MPI_COMM_WORLD);
    else
        MPI_Recv(&best, 1, MPI_UINT64_T, peer, rounds_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return choices[best];
}

std::vector<UcxChoice> am_choices(bool tcp) {
    const std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>>
        shared{{"TLS posix", {{"TLS", "posix"}}}, {"TLS sysv", {{"TLS", "sysv"}}}},
        network{{"TLS tcp", {{"TLS", "tcp"}}}};
    std::vector<UcxChoice> choices;
    for (const auto& [name, config] : tcp ? network : shared) {
        choices.push_back({name + ", SINGLE", UCS_THREAD_MODE_SINGLE, config});
        choices.push_back({name + ", SERIALIZED", UCS_THREAD_MODE_SERIALIZED, config});
    }
    return choices;
}

std::vector<UcxChoice> get_choices() {
    return {{.name = "TLS posix, memory from ucp_mem_map, SINGLE",
             .config = {{"TLS", "posix"}},
             .rma = true,
             .rma_allocate = true},
            {.name = "TLS posix and cma, own memory with huge pages, SINGLE",
             .config = {{"TLS", "posix,cma"}},
             .rma = true}};
}

}  // namespace ssi::bench
