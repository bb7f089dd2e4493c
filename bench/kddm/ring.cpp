// SPDX-License-Identifier: BSD-3-Clause
// More ranks than cores: every rank gets from rank + 1 at once. The floor is ranks 0 and 1 alone,
// the others asleep. Any number of ranks; the row is named after it.
#include <mpi.h>

#include <memory>

#include "table.hpp"
#include "ucx_floor.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint32_t table_size = 30'000;  // more than a slice can visit

class Ring {
public:
    Ring(const Settings& settings, Session& session)
        : settings_(settings), session_(session),
          own_(session, "ring-" + std::to_string(settings.rank), settings.rank, table_size),
          next_(session, "ring-" + std::to_string((settings.rank + 1) % settings.size),
                (settings.rank + 1) % settings.size, table_size) {}

    // Every home takes back what its reader read; the first time, all of it.
    void prepare() {
        ++stamp_;
        const int before = (settings_.rank + settings_.size - 1) % settings_.size;
        const int after = (settings_.rank + 1) % settings_.size;
        std::uint64_t read_here = stamp_ == 1 ? table_size : done_, read_of_own = 0;
        MPI_Sendrecv(&read_here, 1, MPI_UINT64_T, after, 0, &read_of_own, 1, MPI_UINT64_T, before,
                     0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        own_.take_back(read_of_own, 0, stamp_);
        // The values that the next reads expect: of this stamp as far as they were taken back.
        stamps_.resize(table_size, 1);
        for (std::uint64_t i = 0; i < read_here; ++i) stamps_[i] = stamp_;
        session_.barrier();
    }

    // Reads until the time is over; mean over all ranks. With `samples` every operation of every
    // rank is in it, on rank 0.
    double run(std::vector<double>* samples) {
        const double start = now_ns();
        const double limit = settings_.long_slice_seconds() * 1e9;
        double spent = 0;
        std::uint64_t wrong = 0;
        for (done_ = 0; done_ < table_size && spent < limit; ++done_) {
            const std::uint64_t before = samples ? ticks() : 0;
            const std::uint64_t id = next_.id(done_);
            wrong += *next_.set().get(id) != value_of(id, stamps_[done_]);
            if (samples) samples->push_back(static_cast<double>(ticks() - before));
            spent = now_ns() - start;
        }
        if (wrong != 0) wrong_data("ring: " + std::to_string(wrong) + " objects");
        session_.barrier();
        if (samples) gather(*samples);
        return sum_over_ranks(spent / static_cast<double>(done_)) / settings_.size;
    }
    std::uint64_t done() const { return done_; }

private:
    void gather(std::vector<double>& samples) const {
        int mine = static_cast<int>(samples.size()), all = 0;
        std::vector<int> counts(static_cast<std::size_t>(settings_.size));
        std::vector<int> starts(counts.size());
        MPI_Allgather(&mine, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD);
        for (std::size_t i = 0; i < counts.size(); ++i) {
            starts[i] = all;
            all += counts[i];
        }
        std::vector<double> everything(static_cast<std::size_t>(all));
        MPI_Gatherv(samples.data(), mine, MPI_DOUBLE, everything.data(), counts.data(),
                    starts.data(), MPI_DOUBLE, 0, MPI_COMM_WORLD);
        samples = std::move(everything);
    }

    const Settings& settings_;
    Session& session_;
    RemoteTable<std::uint64_t> own_, next_;
    std::vector<std::uint64_t> stamps_;
    std::uint64_t stamp_ = 0;
    std::uint64_t done_ = 0;
};

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/get_remote_8B/ranks:" + std::to_string(settings.size)};
    if (!settings.wants(row.name)) return;
    Row floor_row{.name = "floor/am_roundtrip_8B"};
    std::unique_ptr<UcxFloor> floor;
    if (settings.rank < 2)
        floor = std::make_unique<UcxFloor>(
            UcxChoice{.name = "TLS posix, SINGLE", .config = {{"TLS", "posix"}}},
            1 - settings.rank);
    sleeping_barrier();
    Side floor_side;
    floor_side.run = [&](std::uint64_t rounds, std::vector<double>* samples) {
        const double ns = floor ? floor->ping_pong({}, rounds, samples) : 0;
        sleeping_barrier();
        return ns;
    };
    Ring ring(settings, session);
    Side ours;
    ours.most_operations = table_size;
    ours.prepare = [&] { ring.prepare(); };
    ours.run = [&](std::uint64_t, std::vector<double>* samples) {
        const double ns = ring.run(samples);
        ours.operations = ring.done();
        return ns;
    };
    alternate(settings, ours, row, &floor_side, &floor_row);
    row.note = "all ranks at once; floor at 2 ranks";
    report.add(std::move(row));
    sleeping_barrier();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size < 3) throw std::runtime_error("needs at least 3 ranks");
        ssi::Session session = open_session();
        run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
