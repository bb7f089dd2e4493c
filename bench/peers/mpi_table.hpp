// SPDX-License-Identifier: BSD-3-Clause
// Tables of apps/gups in plain MPI, three ways. Every function is collective over MPI_COMM_WORLD
// unless it says otherwise.
#pragma once

#include <mpi.h>

#include <memory>
#include <string>
#include <vector>

#include "table/shape.hpp"
#include "table/stream.hpp"

namespace peers {

class Table {
public:
    Table(std::uint64_t words, std::uint64_t batch);
    virtual ~Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    virtual std::string method() const = 0;
    // The next `count` updates of this rank's stream, and the same of every other rank; all are
    // done everywhere when it returns.
    virtual void update(gups::Stream& stream, std::uint64_t count) = 0;
    // How many words of this rank are not what `updates` of each rank make of them.
    std::uint64_t wrong_words(std::uint64_t seed, std::uint64_t updates);

protected:
    virtual const std::uint64_t* words() = 0;   // this rank's
    std::uint64_t mine() const { return shape_.count(rank_); }

    gups::Shape shape_;
    std::uint64_t batch_;
    int rank_ = 0;
};

// MPI_Accumulate in a passive epoch over everything, flushed every `batch` updates.
std::unique_ptr<Table> accumulate_table(std::uint64_t words, std::uint64_t batch);
// One shared window and atomic additions of the processor. Throws when the ranks share no memory.
std::unique_ptr<Table> shared_table(std::uint64_t words);
// Rounds of `batch` updates, sorted by owner and exchanged by MPI_Alltoallv.
std::unique_ptr<Table> exchange_table(std::uint64_t words, std::uint64_t batch);

}  // namespace peers
