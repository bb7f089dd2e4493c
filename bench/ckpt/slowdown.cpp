// SPDX-License-Identifier: BSD-3-Clause
// What checkpoints cost a program that goes on meanwhile: jacobi on every core, 512 MiB of state a
// rank, an eighth of which is the plate and changes with every step; an incremental checkpoint each
// 5 s, not waited for. Stretches of 5 s with and without one, in turn, and in either order: what
// the machine gives changes by more within a minute than is to be measured. 2 ranks.
#include "kddm_plate.hpp"
#include "slices.hpp"
#include "state.hpp"

namespace ssi::bench {
namespace {

constexpr jacobi::Plate plate{4096, 2048};   // 64 MiB a rank, two planes
constexpr double stretch_seconds = 5;        // with one take, a quarter into it

class Slowdown {
public:
    explicit Slowdown(Session& session)
        : session_(session), sets_(session, 2 * (state_bytes - 64 * mib) / mib, mib),
          plate_(session, jacobi::Layout(plate, 512, session.size()), 0.2),
          checkpoint_(session, {.directory = directory_.path() + "/%n", .application = "bench",
                                .keep = 1, .signals = false}) {
        sets_.write(1);
        plate_.start();
        checkpoint_.protect(sets_.set());
        checkpoint_.protect(plate_.blocks());
        stretch(1, false);                   // unmeasured
        take();
        value_or_throw(ticket_.wait());      // else it is steps beside it that are timed
        session_.barrier();
        steps_ = static_cast<std::uint64_t>(
            from_rank0(stretch_seconds / (stretch(20, false) / 20)));
    }

    // Seconds. What is still being written at the end counts, too.
    double with() { return stretch(steps_, true); }
    double without() { return stretch(steps_, false); }
    double stopped() const { return stopped_; }

private:
    void take() {
        ticket_ = value_or_throw(
            checkpoint_.take("", {.asynchronous = true, .incremental = true}));
        stopped_ = std::max(stopped_, ticket_.progress().stopped_seconds);
    }
    double stretch(std::uint64_t steps, bool saving) {
        session_.barrier();
        const double start = now_ns();
        for (std::uint64_t step = 0; step < steps; ++step) {
            if (saving && step == steps / 4) take();
            plate_.step();
        }
        if (saving) value_or_throw(ticket_.wait());
        return max_over_ranks(since(start)) * 1e-9;
    }

    Session& session_;
    Shared directory_;
    Sets sets_;
    jacobi::KddmPlate plate_;
    Checkpoint checkpoint_;
    CheckpointTicket ticket_{nullptr};
    std::uint64_t steps_ = 0;
    double stopped_ = 0;
};

void run(const Settings& settings, Report& report) {
    Session session = Session::from_mpi(nullptr);
    {
        Slowdown slowdown(session);
        Row row{.name = "ckpt/slowdown", .unit = "s"};
        std::vector<double> percents;
        for (int i = 0; i < (settings.quick ? 6 : 12); ++i) {
            double seconds[2] = {};          // without, with
            for (const bool saving : {i % 2 != 0, i % 2 == 0})
                seconds[saving] = saving ? slowdown.with() : slowdown.without();
            row.slices.push_back(seconds[1]);
            percents.push_back(100 * (seconds[1] / seconds[0] - 1));
        }
        std::ranges::sort(percents);
        row.counters["percent"] =
            (percents[(percents.size() - 1) / 2] + percents[percents.size() / 2]) / 2;
        row.counters["percent_least"] = percents.front();
        row.counters["percent_most"] = percents.back();
        row.counters["stopped_seconds"] = slowdown.stopped();
        row.iterations = row.slices.size();
        row.note = "5 s with one incremental checkpoint; an eighth changes";
        report.add(std::move(row));
    }
    value_or_throw(session.close());
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
