// SPDX-License-Identifier: BSD-3-Clause
#include "history.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <utility>

namespace ssi::ckpt {
namespace {

constexpr double gain = 1.0 / 8;         // of a new time between points

double number_of(const Config& config, std::string_view key) {
    return static_cast<double>(config.integer(key));
}

// As Slurm tells it (sbatch(1), OUTPUT ENVIRONMENT VARIABLES).
double slurm_job_end_s() {
    const char* const text = std::getenv("SLURM_JOB_END_TIME");
    return text ? std::strtod(text, nullptr) : 0;
}

}  // namespace

History::History(const Clock& clock, const Config& config, std::uint32_t possible)
    : clock_(clock),
      begun_(clock.now()),
      mtbf_s_(number_of(config, "checkpoint.mtbf_s")),
      failures_(number_of(config, "checkpoint.failures")),
      ran_s_(number_of(config, "checkpoint.ran_s")),
      job_end_s_(number_of(config, "checkpoint.job_end_s")),
      view_(empty_view()) {
    if (job_end_s_ == 0) job_end_s_ = slurm_job_end_s();
    for (std::uint32_t level = 0; level < SSI_CHECKPOINT_LEVELS; ++level) {
        view_.levels[level].possible = possible >> level & 1u;
        taken_[level] = begun_;
    }
    view_.mtbf_s = mtbf_s_ > 0 ? mtbf_s_ : -1;
    view_.observed_failures = static_cast<std::uint64_t>(failures_);
}

double History::seconds_since(Nanoseconds time) const {
    return static_cast<double>(clock_.now() - time) * 1e-9;
}

double History::left_s() const {
    if (!(job_end_s_ > 0)) return -1;
    return std::max(0.0, job_end_s_ - static_cast<double>(clock_.wall()) * 1e-9);
}

void History::came_by() {
    const Nanoseconds now = clock_.now();
    if (last_point_) {
        const double seconds = static_cast<double>(now - *last_point_) * 1e-9;
        double& mean = view_.between_points_s;
        mean = mean < 0 ? seconds : mean + gain * (seconds - mean);
    }
    last_point_ = now;
}

void History::stood_still() { last_point_.reset(); }

void History::took(std::shared_ptr<CheckpointTicket::State> ticket, const Taking& how) {
    settle();
    for (const std::uint32_t level : {0u, how.level}) ++view_.levels[level].taken;
    // A program that takes another level than was wanted is not asked for it at each point.
    for (const std::uint32_t level : {0u, how.level, how.wanted_level})
        taken_[level] = clock_.now();
    stood_still();
    open_ = Open{std::move(ticket), how, 0};
    open_->blocked = clock_.now() - open_->ticket->begun;
}

// One that failed says nothing about what one costs.
void History::settle() {
    if (!open_) return;
    CheckpointTicket::State& ticket = *open_->ticket;
    ssi_checkpoint_cost cost{};
    {
        std::lock_guard lock(ticket.mutex);
        // What the drain takes afterwards the program does not wait for.
        const bool drained_later = open_->how.asynchronous && ticket.saved;
        if (!ticket.done && !drained_later) return;
        const Nanoseconds end = drained_later ? ticket.saved_at : ticket.end;
        const double seconds = static_cast<double>(end - ticket.begun) * 1e-9;
        cost.durable_s = drained_later || ticket.outcome ? seconds : -1;
    }
    cost.blocked_s = open_->how.asynchronous ? static_cast<double>(open_->blocked) * 1e-9
                                             : cost.durable_s;
    cost.bytes = ticket.saved_bytes.load();
    for (const std::uint32_t level : {0u, open_->how.level}) {
        if (cost.durable_s < 0) break;
        auto& seen = view_.levels[level];
        (open_->how.incremental ? seen.incremental : seen.full) = cost;
    }
    open_.reset();
}

ssi_checkpoint_view History::view(bool asked, bool leaving) {
    settle();
    view_.asked = asked ? 1 : 0;
    view_.leaving = leaving ? 1 : 0;
    view_.now_s = seconds_since(begun_);
    view_.left_s = left_s();
    view_.observed_mtbf_s = failures_ > 0 ? (ran_s_ + view_.now_s) / failures_ : -1;
    for (std::uint32_t level = 0; level < SSI_CHECKPOINT_LEVELS; ++level)
        view_.levels[level].since_s = seconds_since(taken_[level]);
    return view_;
}

}  // namespace ssi::ckpt
