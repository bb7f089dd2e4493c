// SPDX-License-Identifier: BSD-3-Clause
// main() of gtest binaries that run under mpirun: every rank runs every test. MPI is initialised
// here, as by an application that uses MPI itself. Only rank 0 reports and writes the XML that
// meson reads; a failure on any rank is a failure on all.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstdio>
#include <string>

namespace {

// Ranks above 0 speak only of failures.
class FailuresOnly : public testing::EmptyTestEventListener {
public:
    explicit FailuresOnly(int rank) : rank_(rank) {}
    void OnTestPartResult(const testing::TestPartResult& result) override {
        if (!result.failed()) return;
        std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_,
                     result.file_name() ? result.file_name() : "?", result.line_number(),
                     result.summary());
    }

private:
    int rank_;
};

// All ranks begin a test together and learn whether it failed anywhere.
class Together : public testing::EmptyTestEventListener {
    void OnTestStart(const testing::TestInfo&) override { MPI_Barrier(MPI_COMM_WORLD); }
    void OnTestEnd(const testing::TestInfo& info) override {
        int bad = info.result()->Failed() ? 1 : 0, all = 0;
        MPI_Allreduce(&bad, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        failures += all;
    }

public:
    int failures = 0;
};

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    std::string no_output = "--gtest_output=";
    if (rank != 0)
        for (int i = 1; i < argc; ++i)
            if (std::string(argv[i]).starts_with(no_output)) argv[i] = no_output.data();
    testing::InitGoogleTest(&argc, argv);
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    if (rank != 0) {
        delete listeners.Release(listeners.default_result_printer());
        testing::GTEST_FLAG(output) = "";
        listeners.Append(new FailuresOnly(rank));
    }
    auto* together = new Together;
    listeners.Append(together);
    const int own = RUN_ALL_TESTS();
    const int result = own != 0 || together->failures > 0 ? 1 : 0;
    if (rank == 0 && result != 0 && own == 0)
        std::fprintf(stderr, "%d failure(s) on other ranks\n", together->failures);
    MPI_Finalize();
    return result;
}
