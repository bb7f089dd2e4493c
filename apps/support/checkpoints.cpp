// SPDX-License-Identifier: BSD-3-Clause
#include "support/checkpoints.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <utility>

namespace support {
namespace {

bool is_loss(const ssi::Failure& failure) {
    return failure.code == ssi::Errc::peer_lost || failure.code == ssi::Errc::lost;
}

template <class T>
std::optional<T> any(T value) {
    return value;
}

}  // namespace

Checkpoints::Checkpoints(ssi::Session& session, const CheckpointOptions& options,
                         std::string program, std::string unit, const ssi::Clock& clock)
    : session_(session),
      options_(options),
      program_(std::move(program)),
      clock_(clock),
      since_(clock.now()) {
    report_.directory = options.directory;
    report_.unit = std::move(unit);
}

void Checkpoints::say(const std::string& text) const {
    if (session_.rank() != 0) return;
    fmt::print(stderr, "{}: {}\n", program_, text);
    std::fflush(stderr);
}

ssi::Result<std::optional<ssi::Restarted>> Checkpoints::find() {
    if (options_.directory.empty()) return std::nullopt;
    try {
        checkpoint_.emplace(session_, ssi::CheckpointOptions{.directory = options_.directory,
                                                             .application = program_,
                                                             .policy = options_.policy});
    } catch (const ssi::Error& error) {
        return tl::unexpected(error.failure());
    }
    if (!options_.restart) return std::nullopt;
    if (options_.version == 0) return checkpoint_->find();
    return checkpoint_->find(options_.version).map(any<ssi::Restarted>);
}

void Checkpoints::protect(const ssi::kddm::RawSet& set) {
    if (checkpoint_) checkpoint_->protect(set);
}

ssi::Result<std::optional<ssi::Restarted>> Checkpoints::restart() {
    if (!options_.restart) return std::nullopt;
    auto from = options_.version == 0
                    ? checkpoint_->restart()
                    : checkpoint_->restart(options_.version).map(any<ssi::Restarted>);
    if (!from) return from;
    if (!*from) {
        say(fmt::format("nothing is saved in {}: begins at {} 0", options_.directory,
                        report_.unit));
        return from;
    }
    const ssi::Restarted& found = **from;
    say(fmt::format("goes on from version {} of {}: {} {}, saved by {} rank{}", found.version,
                    options_.directory, report_.unit, found.number, found.saved_ranks,
                    found.saved_ranks == 1 ? "" : "s"));
    report_.restart = {found.version, found.number, found.saved_ranks};
    begun_at_ = found.number;
    return from;
}

bool Checkpoints::is_due(std::uint64_t number) {
    if (number == begun_at_) return false;
    if (options_.every != 0 && number % options_.every == 0) return true;
    if (options_.seconds == 0) return false;
    const double mine = static_cast<double>(clock_.now() - since_) * 1e-9;
    return session_.reduce(mine, ssi::Reduce::max) >= options_.seconds;
}

std::optional<int> Checkpoints::at(std::uint64_t number, std::span<const std::byte> bytes) {
    if (!checkpoint_) return std::nullopt;
    const bool asked = checkpoint_->need();
    const bool leaves = checkpoint_->should_exit();
    if (!asked && !leaves && !is_due(number)) return std::nullopt;
    const auto done = take(number, bytes, options_.wait || leaves);
    if (!done && is_loss(done.error())) throw ssi::Error(done.error());
    if (!done)
        say(fmt::format("the checkpoint at {} {} failed: {}", report_.unit, number,
                        done.error().text));
    if (!leaves) return std::nullopt;
    if (!done) return ssi::error_info(done.error().code).exit_code;
    say(fmt::format("asked to leave: leaves at {} {}, which is saved; --restart goes on from there",
                    report_.unit, number));
    return ssi::Checkpoint::exit_again;
}

ssi::Result<void> Checkpoints::take(std::uint64_t number, std::span<const std::byte> bytes,
                                    bool wait) {
    const auto before = settle();
    if (!before && is_loss(before.error())) return before;
    if (!before) say(fmt::format("a checkpoint failed: {}", before.error().text));
    since_ = clock_.now();
    auto ticket = checkpoint_->take(
        fmt::format("{} {}", report_.unit, number),
        checkpoint_->wanted({.number = number, .bytes = bytes, .asynchronous = !wait}));
    if (!ticket) {
        ++report_.failed;
        return tl::unexpected(std::move(ticket).error());
    }
    last_ = std::move(*ticket);
    return wait ? settle() : ssi::Result<void>();
}

// What became of the last one.
ssi::Result<void> Checkpoints::settle() {
    if (!last_) return {};
    const auto ticket = *std::exchange(last_, std::nullopt);
    auto done = ticket.wait();
    report_.stopped_seconds += ticket.progress().stopped_seconds;
    ++(done ? report_.taken : report_.failed);
    return done;
}

CheckpointReport Checkpoints::finish() {
    if (!checkpoint_) return report_;
    const auto done = settle();
    if (!done && is_loss(done.error())) throw ssi::Error(done.error());
    if (!done) say(fmt::format("a checkpoint failed: {}", done.error().text));
    report_.stopped_seconds = session_.reduce(report_.stopped_seconds, ssi::Reduce::max);
    return report_;
}

int leave_with(ssi::Session& session, const std::string& program, const ssi::Failure& failure) {
    if (is_loss(failure)) throw ssi::Error(failure);
    if (session.rank() == 0) fmt::print(stderr, "{}: {}\n", program, failure.text);
    return ssi::error_info(failure.code).exit_code;
}

}  // namespace support
