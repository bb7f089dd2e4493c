// SPDX-License-Identifier: BSD-3-Clause
// Litmus tests over real processes and UCX: rank r plays a program's thread r. Programs with more
// threads than there are ranks are left out; with one rank nothing is left.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstdio>
#include <cstdlib>

#include "litmus.hpp"
#include "ssi/ssi.hpp"

namespace ssi {
namespace {

using namespace test::litmus;

constexpr std::uint32_t runs_per_batch = 16;
constexpr std::uint64_t batches = 3;

// What all ranks saw, in each run.
std::vector<Outcome> summed(std::vector<Outcome> part) {
    std::vector<Outcome> all(part.size());
    MPI_Allreduce(part.data(), all.data(), static_cast<int>(part.size()), MPI_UINT32_T, MPI_BOR,
                  MPI_COMM_WORLD);
    return all;
}

void no_forbidden_outcome(kddm::Coherence coherence, const char* name) {
    Session s = Session::from_mpi(nullptr);
    auto set = s.set<std::uint64_t>(name, {.coherence = coherence});
    std::uint64_t batch = 0;
    for (const Way& way : ways())
        for (const Program& program : programs()) {
            if (static_cast<int>(threads_of(program).size()) > s.size()) continue;
            Counts counts(program, way.order);
            for (std::uint64_t b = 0; b < batches; ++b, ++batch) {
                const std::uint64_t first = batch * runs_per_batch * objects_per_run;
                const auto seen = summed(play({program, way, set.raw(), s.rank(), first,
                                               runs_per_batch, batch, [&] { s.barrier(); }}));
                for (const Outcome outcome : seen) counts.add(outcome);
            }
            EXPECT_EQ(counts.forbidden(), "") << way.name;
            if (s.rank() == 0 && std::getenv("LITMUS_COUNTS"))
                std::printf("%.*s, %s\n", static_cast<int>(way.name.size()), way.name.data(),
                            counts.line().c_str());
        }
    s.barrier();
}

TEST(LitmusRanks, coherent_sets_show_no_forbidden_outcome) {
    no_forbidden_outcome(kddm::Coherence::coherent, "litmus.coherent");
}

TEST(LitmusRanks, home_sets_show_no_forbidden_outcome) {
    no_forbidden_outcome(kddm::Coherence::home, "litmus.home");
}

}  // namespace
}  // namespace ssi
