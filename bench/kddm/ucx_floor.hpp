// SPDX-License-Identifier: BSD-3-Clause
// UcxFloor: raw UCX between ranks 0 and 1, without libssi: what the machine can do. Its own context
// and worker, wakeup off, no error handling, both sides polling. Ranks above 1 must not make one.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ssi::bench {

// One way of using UCX; the fastest of several is taken as the floor.
struct UcxChoice {
    std::string name;  // as reported
    ucs_thread_mode_t thread_mode = UCS_THREAD_MODE_SINGLE;
    std::vector<std::pair<std::string, std::string>> config;  // UCX variables of this context
    bool rma = false;           // a window for get() on rank 1
    bool rma_allocate = false;  // the window is UCX's own memory
};

class UcxFloor {
public:
    // Collective over ranks 0 and 1. `peer` is the other one's rank.
    UcxFloor(const UcxChoice& choice, int peer);
    ~UcxFloor();
    UcxFloor(const UcxFloor&) = delete;
    UcxFloor& operator=(const UcxFloor&) = delete;

    // What goes there and back, and where from and to.
    struct Shape {
        std::size_t request_bytes = 8;
        std::size_t reply_bytes = 8;
        // 0: the same hot buffer each time, the receiver looks at it in place. Otherwise both sides
        // send from and copy to a table of so many bytes, as an owner of data would.
        std::size_t table_bytes = 0;
    };
    // Nanoseconds per round trip on rank 0; rank 1 echoes. Verifies what came back.
    double ping_pong(const Shape& shape, std::uint64_t rounds, std::vector<double>* samples);

    // The window that get() reads on rank 1, filled with its offsets; 0 on rank 0.
    static constexpr std::size_t window_bytes = 256u << 20;
    // Gets `length` bytes at growing offsets, one after the other, into growing offsets; rank 1
    // only progresses meanwhile.
    double get(std::size_t length, std::uint64_t operations, std::vector<double>* samples);

private:
    static ucs_status_t on_message(void* self, const void* header, std::size_t header_length,
                                   void* data, std::size_t length,
                                   const ucp_am_recv_param_t* param);
    void open_window();
    void send(const std::byte* bytes, std::size_t length);
    void complete(void* request);
    void await_message(std::uint64_t number);
    std::byte* place(std::vector<std::byte>& table, const Shape& shape, std::size_t length,
                     std::uint64_t round);

    ucp_context_h context_ = nullptr;
    ucp_worker_h worker_ = nullptr;
    ucp_ep_h endpoint_ = nullptr;
    int peer_;
    bool lead_;                            // rank 0
    bool rma_allocate_;
    std::uint64_t received_ = 0;           // messages, since the start of a ping_pong
    std::size_t received_length_ = 0;
    std::uint64_t received_word_ = 0;      // the first 8 bytes of the newest message
    std::byte* copy_to_ = nullptr;         // where the handler copies the next message, if at all
    std::vector<std::byte> source_, target_;
    ucp_mem_h memory_ = nullptr;
    std::byte* window_ = nullptr;
    ucp_rkey_h remote_key_ = nullptr;
    std::uint64_t remote_address_ = 0;
    std::uint64_t window_position_ = 0;
};

// Tries the choices for `shape` (collective) and names the fastest, for ranks 0 and 1.
UcxChoice fastest(const std::vector<UcxChoice>& choices, int peer, const UcxFloor::Shape& shape);
std::vector<UcxChoice> am_choices(bool tcp);
std::vector<UcxChoice> get_choices();

}  // namespace ssi::bench
