// SPDX-License-Identifier: BSD-3-Clause
// ProcessNode: this process as one node of a session started by mpirun or srun: MPI bootstrap, UCX
// transport, progress thread, death detection. One per process and session. No <mpi.h> here: the
// communicator travels as a pointer to an MPI_Comm.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ssi/base/config.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/node.hpp"

namespace ssi::node {

class ProcessNode {
public:
    // Collective over the communicator (null: MPI_COMM_WORLD, initialising MPI when nobody did;
    // then stop() also finalizes it). Fails by name when builds differ. MPI is not called again
    // until stop().
    static Result<std::unique_ptr<ProcessNode>> start(Config config, const void* mpi_comm);
    ~ProcessNode();

    Node& node();
    const Config& config() const;
    Stats& stats();
    Log& log();

    // Collective: waits for all, for so long, then closes the transport. When a peer was lost, did
    // not come in time or called another collective (mismatch), it waits for nobody and leaves MPI
    // unfinalized; the process should then end by _exit (see must_exit_hard).
    Result<void> stop(Nanoseconds patience = sys::Waiter::forever);
    // True when the process must not call MPI_Finalize any more.
    bool must_exit_hard() const;

private:
    struct Impl;
    explicit ProcessNode(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::node
