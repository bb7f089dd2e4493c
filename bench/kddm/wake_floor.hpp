// SPDX-License-Identifier: BSD-3-Clause
// WakeFloor: rank 0 wakes a thread of rank 1 by an eventfd and spins until that thread has
// answered through shared memory. What the kernel allows any progress thread.
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace ssi::bench {

// A page that ranks 0 and 1 share.
struct SharedFlags {
    alignas(64) std::atomic<std::uint64_t> round;     // rank 1 computes until it changes
    alignas(64) std::atomic<std::uint64_t> answered;  // by the woken thread
};

class WakeFloor {
public:
    // Collective over ranks 0 and 1; MPI must be running.
    WakeFloor();
    ~WakeFloor();
    WakeFloor(const WakeFloor&) = delete;
    WakeFloor& operator=(const WakeFloor&) = delete;

    // Rank 0: `count` wakes, one after the other. Nanoseconds per wake.
    double wake(std::uint64_t count, std::vector<double>* samples);
    // Rank 1: computes, calling nothing, until rank 0 says finish().
    void compute();
    void finish();

private:
    void answer_wakes();
    MPI_Win window_ = MPI_WIN_NULL;
    SharedFlags* flags_ = nullptr;
    int event_fd_ = -1;                 // rank 1's, also open in rank 0
    std::uint64_t wakes_ = 0;
    std::uint64_t rounds_ = 0;
    std::thread answerer_;              // rank 1
};

}  // namespace ssi::bench
