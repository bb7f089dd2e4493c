// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 11_checkpoint DIR`: random walks that are saved, and go on in the next run, on more
// nodes or fewer. A run makes 50 of the 100 steps, as a job does that has no more time.
#include <ssi/ckpt/checkpoint.hpp>
#include <ssi/ssi.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

constexpr std::uint64_t walkers = 1000, steps = 100, steps_of_run = 50;
constexpr std::size_t bins = 16;

struct Walker {
    std::uint64_t random;
    std::int64_t position;
};
using Bins = std::array<std::uint64_t, bins>;   // visits, by distance

Bins walk(std::span<Walker> mine) {
    Bins visits{};
    for (Walker& w : mine) {
        w.random = w.random * 6364136223846793005u + 1442695040888963407u;
        w.position += w.random >> 63 ? 1 : -1;
        visits[static_cast<std::uint64_t>(w.position * w.position) / 40 % bins] += 1;
    }
    return visits;
}

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: 11_checkpoint DIR\n");
        return 2;
    }
    const auto rank = static_cast<std::uint64_t>(session.rank());
    const auto size = static_cast<std::uint64_t>(session.size());
    const std::uint64_t first = walkers * rank / size, end = walkers * (rank + 1) / size;
    std::vector<Walker> mine;
    for (std::uint64_t i = first; i < end; ++i) mine.push_back({i, 0});
    auto visits = session.set<std::uint64_t>("visits");            // an object for each bin

    ssi::Checkpoint checkpoint(session, {.directory = argv[1]});
    checkpoint.protect(visits);                                    // all objects of a set
    checkpoint.protect_array("walkers", std::span(mine), first, walkers);   // my piece of them
    std::uint64_t step = 0;
    if (const auto from = ssi::value_or_throw(checkpoint.restart())) step = from->number;
    if (session.rank() == 0 && step != 0)
        std::printf("goes on at step %llu\n", static_cast<unsigned long long>(step));

    for (const std::uint64_t last = step + steps_of_run; step < steps; ++step) {
        const bool wanted = checkpoint.need();   // a signal, `ssi checkpoint take`, or it is time
        const bool leave = checkpoint.should_exit() || step == last;
        if (wanted || leave)
            ssi::value_or_throw(checkpoint.take("walks", {.number = step, .asynchronous = !leave}));
        if (leave) {
            if (session.rank() == 0)
                std::printf("stops at step %llu\n", static_cast<unsigned long long>(step));
            return ssi::Checkpoint::exit_again;
        }
        const Bins seen = walk(mine);
        for (std::size_t bin = 0; bin < bins; ++bin) visits.fetch_add(bin, seen[bin]);
    }
    std::int64_t squares = 0;
    for (const Walker& w : mine) squares += w.position * w.position;
    squares = session.reduce(squares, ssi::Reduce::sum);
    session.barrier();
    std::uint64_t seen = 0;
    for (std::size_t bin = 0; bin < bins; ++bin) seen += *visits.get(bin);
    if (session.rank() == 0)
        std::printf("%llu visits, mean square distance %.2f\n",
                    static_cast<unsigned long long>(seen), static_cast<double>(squares) / walkers);
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "11_checkpoint: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
