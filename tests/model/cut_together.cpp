// SPDX-License-Identifier: BSD-3-Clause
// Cuts by the steps of checkpoints, as all nodes take them together, and a node that dies in the
// middle of one.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cut_bank.hpp"
#include "cut_workload.hpp"
#include "meetings.hpp"
#include "stopping.hpp"
#include "votes.hpp"

namespace ssi::model {
namespace {

constexpr Nanoseconds meet_ns = 1'000'000'000;
constexpr std::int64_t rest_ms = 2'000;
// How long after a moment a node may die: until the next one has come everywhere, about.
constexpr std::uint64_t windows_ns[] = {500'000, 20'000, 300'000, 30'000};

}  // namespace

CutWorkload::~CutWorkload() = default;

bool CutWorkload::open_votes(std::uint32_t node) {
    auto made = ckpt::Votes::make(world_.node(node), world_.engine(node), hub(node));
    if (!made) return excused("votes", made.error());
    votes_[node] = std::move(*made);
    auto meetings = ckpt::Meetings::make(world_.node(node), world_.engine(node));
    if (!meetings) return excused("meetings", meetings.error());
    meetings_[node] = std::move(*meetings);
    return true;
}

// A node dies when so many nodes have come so far, or a little later.
void CutWorkload::reached(Moment moment) {
    if (!kill_now_ || moment != kill_moment_ || --kill_countdown_ != 0) return;
    const std::uint64_t window = windows_ns[static_cast<std::size_t>(moment)];
    world_.scheduler.at(
        world_.scheduler.now() + static_cast<Nanoseconds>(random_.below(window)),
        [](void* self, std::uint64_t) {
            auto& cuts = *static_cast<CutWorkload*>(self);
            cuts.kill(static_cast<std::uint32_t>(cuts.random_.below(cuts.world_.node_count())));
        },
        this, 0);
}

// While nothing goes on anywhere, unless a node has died: who knows of that goes on alone.
void CutWorkload::keep(std::uint32_t node) {
    reached(Moment::begun);
    freeze(node);
    count_channels(node);
    ++kept_;
    for (std::uint32_t other = 0; other < world_.node_count(); ++other)
        disturbed_ = disturbed_ || world_.node(other).any_lost();
}

// As Checkpoint::take does it. The number of objects that were saved is every node's vote.
CutWorkload::Taken CutWorkload::take(std::uint32_t node) {
    pause(5'000);
    if (auto met = meetings_[node]->meet(meet_ns); !met) return {Step::meeting, met.error()};
    reached(Moment::closing);
    kddm::Cut cut = cut_at(node);
    ckpt::StopOptions how;
    how.timeout_ms = rest_ms;
    how.cut.shadow_bytes = shadow_bytes_;
    how.plant = options_.stop_plant;
    const auto chosen = chosen_at(node);
    auto begun = ckpt::stop_and_begin(world_.node(node), cut, chosen, how, [&] { keep(node); });
    if (!begun) return {Step::stopping, begun.error()};
    reached(Moment::open);
    std::uint64_t saved = read_out(node, true);
    cut.end();
    const auto decide = [](const std::vector<ckpt::Bytes>& all) {
        std::uint64_t sum = 0, one = 0;
        for (const ckpt::Bytes& given : all) {
            std::memcpy(&one, given.data(), std::min(given.size(), sizeof one));
            sum += one;
        }
        const auto bytes = std::as_bytes(std::span(&sum, 1));
        return ckpt::Bytes(bytes.begin(), bytes.end());
    };
    reached(Moment::saved);
    auto decided = votes_[node]->vote(std::as_bytes(std::span(&saved, 1)), decide);
    if (!decided) return {Step::voting, decided.error()};
    std::memcpy(&saved, decided->data(), std::min(decided->size(), sizeof saved));
    return {Step::end, {}, saved};
}

// False when a node has died meanwhile, or before.
bool CutWorkload::cut_together() {
    constexpr std::uint64_t shadows[] = {UINT64_MAX, UINT64_MAX, 3000, 0};
    shadow_bytes_ = shadows[random_.below(std::size(shadows))];
    catalog_too_ = random_.chance(1, 2);
    frozen_.clear();
    in_channels_ = 0;
    together_ = true;
    kept_ = 0;
    disturbed_ = false;
    objection_.clear();
    std::vector<Taken> all(world_.node_count());
    const bool no_loss = everywhere([this, &all](std::uint32_t node) { all[node] = take(node); });
    if (world_.verdict.failed()) return false;
    std::uint32_t decided = 0;
    for (std::uint32_t node = 0; node < world_.node_count(); ++node) {
        if (!world_.alive(node)) continue;
        check_taken(node, all[node]);
        decided += all[node].step == Step::end;
    }
    made_ += decided != 0;
    if (!disturbed_ && !objection_.empty()) world_.verdict.fail("cut", objection_);
    if (!world_.verdict.failed()) check_gates();
    return no_loss;
}

// Who has heard a decision knows that all nodes have saved all of the cut, dead ones too.
void CutWorkload::check_taken(std::uint32_t node, const Taken& taken) {
    const auto fail = [&](const std::string& what) {
        world_.verdict.fail("cut", fmt::format("checkpoint at node {}: {}", node, what));
    };
    if (taken.step == Step::end) {
        if (disturbed_ || kept_ != world_.node_count())
            return fail("decided, but a node has not begun");
        if (taken.saved != frozen_.size())
            return fail(fmt::format("{} objects decided, {} in the cut", taken.saved,
                                    frozen_.size()));
        check_complete();
        return;
    }
    const Failure& why = taken.failure;
    if (taken.step == Step::voting && !disturbed_) check_handed_out(node);
    if (!any_dead()) return fail("nothing was lost: " + why.to_string());
    const bool by_objects = taken.step != Step::stopping && why.code == Errc::lost;
    if (why.code != Errc::peer_lost && !by_objects) return fail(why.to_string());
    if (why.code == Errc::peer_lost &&
        (why.node == no_node || world_.alive(world_.index_of(why.node))))
        return fail("names another node than one that died: " + why.to_string());
}

// However it ended: nobody waits at a gate, and another cut may begin.
void CutWorkload::check_gates() {
    (void)everywhere([this](std::uint32_t node) {
        auto mine = set_of(node, pairs).grab(2 * node);
        if (!mine) excused("grab", mine.error());
        mine = tl::unexpected(Failure{});
        if (auto closed = cut_at(node).close(chosen_at(node)); !closed)
            world_.verdict.fail("cut", "the gate was left closed: " + closed.error().to_string());
        cut_at(node).abandon();
    });
}

}  // namespace ssi::model
