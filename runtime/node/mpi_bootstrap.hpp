// SPDX-License-Identifier: BSD-3-Clause
// MpiBootstrap: everything libssi does with MPI: it brings the members of a communicator together,
// up and down a binomial tree, before the session's own transport works. Every phase has a time
// limit and every failure of one rank reaches all that still live, so that each reports the same
// cause. Called by one thread, the application's; MPI is not called between finish of the start and
// the end of the session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/result.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

using Blob = std::vector<std::byte>;

class MpiBootstrap {
public:
    // Initialises MPI when nobody did. `mpi_comm`: address of an MPI_Comm, or null.
    static Result<std::unique_ptr<MpiBootstrap>> begin(const void* mpi_comm, const Clock& clock,
                                                       sys::Tasks& tasks, Nanoseconds timeout);
    ~MpiBootstrap();  // MPI is left as it is: see finalize()

    int rank() const { return rank_; }
    int size() const { return size_; }
    // The tree: rank 0 at its root.
    int parent() const;                  // -1 for the root
    std::vector<int> children() const;

    // Brings the blobs of this rank's whole subtree to it, own one included. What comes back to
    // the root is everybody's. A failure, own or of the subtree, is passed on instead.
    Result<std::map<int, Blob>> gather(Result<Blob> own);
    // The root's `all` for everyone, or its failure, and with it the sender's `for_children`.
    struct FromParent {
        Blob all;
        Blob for_children;               // of the parent; empty at the root
    };
    Result<FromParent> scatter(Result<Blob> all, const Blob& for_children);
    // To and from the ranks before and after this one, cyclically: the blobs of both neighbours.
    Result<std::map<int, Blob>> ring(const Blob& own);

    // Collective, everybody alive: gives the communicator back, and ends MPI if we began it.
    void finalize();
    // Nobody is known to be dead or missing, so MPI may still be ended.
    bool healthy() const { return healthy_; }

private:
    struct Comm;
    MpiBootstrap(std::unique_ptr<Comm> comm, const Clock& clock, sys::Tasks& tasks);
    Result<void> send(int to, int tag, std::shared_ptr<const Blob> blob, Nanoseconds deadline);
    Result<Blob> receive(int from, int tag, Nanoseconds deadline);
    Nanoseconds gather_deadline() const;

    std::unique_ptr<Comm> comm_;
    const Clock& clock_;
    sys::Tasks& tasks_;
    Nanoseconds timeout_ns_ = 0;
    Nanoseconds deadline_ = 0;           // of the whole start
    int rank_ = 0;
    int size_ = 1;
    int round_ = 0;                      // a tag for each exchange
    bool healthy_ = true;
    std::vector<std::shared_ptr<const Blob>> unfinished_;  // MPI may still read them
};

}  // namespace ssi::node
