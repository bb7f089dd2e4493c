// SPDX-License-Identifier: BSD-3-Clause
#include "checkpoint_simulate.hpp"

#include <algorithm>
#include <cmath>

#include "ssi/base/random.hpp"

namespace ssi::cli {
namespace {

constexpr double least_step_s = 1e-3;
constexpr double unknown_step_s = 60;    // where a strategy does not say when it will want one
constexpr std::uint64_t most_decisions = 5'000'000;

class Simulation {
public:
    explicit Simulation(const SimulatedJob& job) : job_(job), random_(job.seed) {
        draw();
        begin();
    }

    Result<SimulatedRun> run(ckpt::Policies& policies) {
        for (std::uint64_t i = 0; now_ < job_.seconds; ++i) {
            if (i == most_decisions)
                return fail(Errc::unsupported, "it decides too often for so long a job: give fewer "
                                               "--hours");
            const ckpt::PolicyDecision decision = policies.decide(view());
            if (decision.take)
                save(decision.level);
            else
                work(decision.next_s < 0 ? unknown_step_s : decision.next_s);
            if (decision.leave) break;
        }
        run_.total_s = job_.seconds;
        run_.useful_s = done_;
        return run_;
    }

private:
    void draw() { failure_ = now_ - job_.mtbf_s * std::log(1 - random_.unit()); }

    // A process that knows nothing yet.
    void begin() {
        begun_ = now_;
        view_ = ckpt::empty_view();
        for (auto& level : view_.levels) level.possible = 1;
        std::ranges::fill(taken_, now_);
    }

    ssi_checkpoint_view view() {
        view_.now_s = now_ - begun_;
        view_.mtbf_s = job_.mtbf_s;
        view_.left_s = job_.seconds - now_;
        view_.observed_failures = run_.failures;
        if (run_.failures != 0)
            view_.observed_mtbf_s = now_ / static_cast<double>(run_.failures);
        for (std::size_t level = 0; level < taken_.size(); ++level)
            view_.levels[level].since_s = now_ - taken_[level];
        return view_;
    }

    // Until then, or until something fails: how long.
    double pass(double seconds) {
        const double end = std::min({now_ + seconds, failure_, job_.seconds});
        const double passed = end - now_;
        now_ = end;
        return passed;
    }
    bool failed() const { return now_ >= failure_ && now_ < job_.seconds; }

    void work(double seconds) {
        done_ += pass(std::max(seconds, least_step_s));
        if (failed()) restart();
    }

    void save(std::uint32_t level) {
        const double cut = now_;
        run_.saving_s += pass(job_.cost_s);
        if (failed()) return restart();
        if (now_ >= job_.seconds) return;
        ++run_.taken;
        saved_ = done_;
        for (const std::uint32_t one : {0u, std::max(1u, level)}) {
            taken_[one] = cut;
            ++view_.levels[one].taken;
            view_.levels[one].full = {.blocked_s = job_.cost_s, .durable_s = job_.cost_s,
                                      .bytes = 0};
        }
    }

    void restart() {
        run_.lost_s += done_ - saved_;
        done_ = saved_;
        do {
            ++run_.failures;
            draw();
            run_.restarting_s += pass(job_.restart_s);
        } while (failed());
        begin();
    }

    const SimulatedJob job_;
    Random random_;
    SimulatedRun run_;
    double now_ = 0, failure_ = 0, begun_ = 0;
    double done_ = 0, saved_ = 0;        // seconds of work
    ssi_checkpoint_view view_{};
    std::array<double, SSI_CHECKPOINT_LEVELS> taken_{};
};

}  // namespace

Result<SimulatedRun> simulate(ckpt::Policies& policies, const SimulatedJob& job) {
    return Simulation(job).run(policies);
}

}  // namespace ssi::cli
