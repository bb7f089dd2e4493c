// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 04_jacobi`: heat on a plate that is hot at its upper edge. A row of the plate is an
// object; each process computes a band of rows and reads the two rows next to its band, which are
// its neighbours'. The result is the same, bit for bit, on any number of processes.
#include <ssi/ssi.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

constexpr std::uint64_t width = 64, height = 64;
constexpr int sweeps = 200;

struct Row {
    double t[width];
};

// One sweep over my rows: the mean of the four neighbours. Returns the largest change.
double sweep(ssi::kddm::Set<Row>& from, ssi::kddm::Set<Row>& to, std::uint64_t first,
             std::uint64_t last) {
    double change = 0;
    for (std::uint64_t y = first; y < last; ++y) {
        Row next;
        {
            auto above = from.get(y - 1);   // in ascending order ...
            auto here = from.get(y);
            auto below = from.get(y + 1);
            next = *here;
            for (std::uint64_t x = 1; x + 1 < width; ++x) {
                next.t[x] = (above->t[x] + below->t[x] + here->t[x - 1] + here->t[x + 1]) / 4;
                change = std::max(change, std::abs(next.t[x] - here->t[x]));
            }
        }   // ... and let go before `to`, which may be the older of the two sets
        *to.grab_new(y) = next;   // nobody needs what stood there: it is not fetched
    }
    return change;
}

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    // "blocked": consecutive rows have the same home, so that most of mine stay in my memory.
    const ssi::kddm::SetOptions options{.count = height, .placement = "blocked"};
    auto from = session.set<Row>("even sweeps", options);
    auto to = session.set<Row>("odd sweeps", options);

    if (session.rank() == 0)
        for (auto* plate : {&from, &to}) {
            auto edge = plate->grab(0);
            std::fill_n(edge->t, width, 100.0);
        }
    session.barrier();

    const auto rank = static_cast<std::uint64_t>(session.rank());
    const auto size = static_cast<std::uint64_t>(session.size());
    const std::uint64_t inner = height - 2;   // the first and the last row never change
    const std::uint64_t first = 1 + inner * rank / size, last = 1 + inner * (rank + 1) / size;
    double change = 0;
    for (int i = 0; i < sweeps; ++i) {
        change = session.reduce(sweep(from, to, first, last), ssi::Reduce::max);   // and all wait
        std::swap(from, to);
    }
    if (session.rank() == 0) {
        std::printf("after %d sweeps: last change %.6f\n", sweeps, change);
        for (std::uint64_t y = 0; y < 16; y += 5)
            std::printf("row %2d, middle: %.6f\n", static_cast<int>(y),
                        from.get(y)->t[width / 2]);
    }
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "04_jacobi: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
