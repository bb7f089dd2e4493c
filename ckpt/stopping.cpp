// SPDX-License-Identifier: BSD-3-Clause
#include "stopping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "collect.hpp"
#include "fault_point.hpp"

namespace ssi::ckpt {
namespace {

constexpr Nanoseconds first_pause = 20'000;
constexpr Nanoseconds longest_pause = 1'000'000;
// When something moved between the looks that found all at rest and the beginning of the cut.
constexpr int most_attempts = 8;
constexpr std::array<std::string_view, 4> plant_names{"none", "stop_stays_closed",
                                                      "stop_opens_early", "stop_without_rest"};

// Nodes look, and all is at rest when every one has seen the same twice, the second time after all
// had looked once; see kddm::at_rest. Told in one reduction.
struct Seen {
    std::uint64_t still = 0;       // quiet, and nothing happened since the last look
    std::uint64_t in_time = 0;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;

    static void combine(std::byte* into, const std::byte* from, std::size_t count, void*) {
        for (std::size_t i = 0; i < count; ++i) {
            Seen a, b;
            std::memcpy(&a, into + i * sizeof a, sizeof a);
            std::memcpy(&b, from + i * sizeof b, sizeof b);
            a = {std::min(a.still, b.still), std::min(a.in_time, b.in_time), a.sent + b.sent,
                 a.received + b.received};
            std::memcpy(into + i * sizeof a, &a, sizeof a);
        }
    }
};

bool unchanged(const kddm::CutLook& first, const kddm::CutLook& second) {
    return first.quiet && second.quiet && first.transitions == second.transitions &&
           first.sent == second.sent && first.received == second.received;
}

Result<void> restless(const kddm::CutLook& look, std::int64_t timeout_ms) {
    if (look.quiet) return {};
    return fail(Errc::timed_out,
                fmt::format("not at rest within {} ms (checkpoint.timeout_ms): {}", timeout_ms,
                            joined(look.in_the_way)));
}

Result<void> come_to_rest(node::Node& node, kddm::Cut& cut, const StopOptions& options) {
    const Clock& clock = node.doors().clock;
    const Nanoseconds end = clock.now() + options.timeout_ms * 1'000'000;
    kddm::CutLook before, now;
    for (Nanoseconds pause = first_pause;; pause = std::min(2 * pause, longest_pause)) {
        now = cut.look();
        const bool still = options.plant == StopPlant::stop_without_rest
                               ? now.quiet
                               : unchanged(before, now);
        Seen seen{still, node.rank() != 0 || clock.now() < end, now.sent, now.received};
        SSI_TRY(node.reduce(std::as_writable_bytes(std::span(&seen, 1)),
                            {sizeof seen, &Seen::combine, nullptr}, no_node));
        if (seen.still && seen.sent == seen.received) return {};
        if (!seen.in_time) break;
        // The second look follows at once.
        if (!now.quiet || before.quiet) node.doors().tasks.sleep_for(pause);
        before = std::move(now);
    }
    SSI_TRY(agree(node, restless(now, options.timeout_ms)));
    return fail(Errc::timed_out, fmt::format("not at rest within {} ms (checkpoint.timeout_ms): "
                                             "messages come and go all the time",
                                             options.timeout_ms));
}

Result<void> begin(node::Node& node, kddm::Cut& cut, const StopOptions& options,
                   const std::function<void()>& keep) {
    const auto number = largest(node, cut.last_number() + 1);
    if (!number) return tl::unexpected<Failure>(number.error());
    auto mine = cut.begin(*number, options.cut);
    fault_point(FaultPoint::cut_begun);
    keep();
    if (options.plant == StopPlant::stop_opens_early) cut.open();
    // All have begun when all agree: then the application may go on.
    return agree(node, std::move(mine));
}

// `at_rest`: all was, and the cut was to begin.
Result<void> stop_once(node::Node& node, kddm::Cut& cut, std::span<const kddm::RawSet> sets,
                       const StopOptions& options, const std::function<void()>& keep,
                       bool& at_rest) {
    auto closed = cut.close(sets);
    const bool ours = closed.has_value();
    auto begun = agree(node, std::move(closed));
    fault_point(FaultPoint::gate_closed);
    if (begun) begun = come_to_rest(node, cut, options);
    fault_point(FaultPoint::at_rest);
    at_rest = begun.has_value();
    if (begun) begun = begin(node, cut, options, keep);
    if (begun)
        cut.open();
    else if (ours && options.plant != StopPlant::stop_stays_closed)
        cut.abandon();
    return begun;
}

}  // namespace

std::string_view plant_name(StopPlant plant) {
    return plant_names[static_cast<std::size_t>(plant)];
}

std::vector<StopPlant> all_stop_plants() {
    std::vector<StopPlant> all;
    for (std::size_t i = 1; i < plant_names.size(); ++i) all.push_back(static_cast<StopPlant>(i));
    return all;
}

Result<void> stop_and_begin(node::Node& node, kddm::Cut& cut, std::span<const kddm::RawSet> sets,
                            const StopOptions& options, const std::function<void()>& keep) {
    for (int attempt = 1;; ++attempt) {
        bool at_rest = false;
        auto begun = stop_once(node, cut, sets, options, keep, at_rest);
        const bool moved = !begun && at_rest && begun.error().code == Errc::would_block;
        if (!moved || attempt == most_attempts) return begun;
    }
}

}  // namespace ssi::ckpt
