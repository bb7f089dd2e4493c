// SPDX-License-Identifier: BSD-3-Clause
// Tests of checkpoints of real sessions on real directories: sessions of some of the ranks save,
// sessions of others go on from there.
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/ssi.hpp"

namespace ssi::test {

namespace stdfs = std::filesystem;

inline int world_rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}
inline int world_size() {
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

// A directory that all ranks have, for one test.
class CheckpointRanks : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (stdfs::temp_directory_path() / "ssi-checkpoint-XXXXXX").string();
        if (world_rank() == 0 && !::mkdtemp(name.data())) std::abort();
        MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, MPI_COMM_WORLD);
        directory_ = name;
    }
    void TearDown() override {
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == 0) stdfs::remove_all(directory_);
    }

    // A session of the first `ranks` ranks; the others wait.
    template <class Body>
    void session_of(int ranks, Body&& body) {
        MPI_Comm some = MPI_COMM_NULL;
        MPI_Comm_split(MPI_COMM_WORLD, world_rank() < ranks ? 0 : MPI_UNDEFINED, world_rank(),
                       &some);
        if (some != MPI_COMM_NULL) {
            {
                Session session = Session::from_mpi(&some);
                body(session);
                value_or_throw(session.close());
            }
            MPI_Comm_free(&some);
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }

    CheckpointOptions options() const {
        return {.directory = directory_, .application = "test"};
    }

    std::string directory_;
};

template <class T>
T good(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().to_string());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace ssi::test
