// SPDX-License-Identifier: BSD-3-Clause
// The coordinator and its checks; what the tasks of the bank do is in cut_bank.cpp.
#include "cut_workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cut_bank.hpp"
#include "meetings.hpp"
#include "votes.hpp"

namespace ssi::model {
namespace {

constexpr Nanoseconds longest_rest_ns = 3'000'000'000;   // a slow linker may be at work
constexpr std::uint64_t give_up_one_in = 6;
constexpr int most_moved = 3;   // cuts in a row, as a checkpoint tries
constexpr std::uint64_t writes_of_version = (1ull << 40) - 1;

}  // namespace

CutWorkload::CutWorkload(const Options& options, std::uint64_t seed, const Catalog& catalog,
                         World& world)
    : options_(options), catalog_(catalog), world_(world), random_(mix64(seed) + 6),
      sets_(options.nodes), tasks_(options.nodes), ended_(options.nodes), votes_(options.nodes),
      meetings_(options.nodes),
      kill_at_(static_cast<std::uint32_t>(random_.below(options.cuts / 2 + 1))),
      kill_moment_(static_cast<Moment>(random_.below(4))),
      kill_countdown_(1 + random_.below(options.nodes)) {}

void CutWorkload::start() {
    if (options_.cuts == 0) return;
    // The coordinator belongs to no node, so that it outlives them.
    world_.scheduler.spawn(sys::no_group, [this] { coordinate(); });
}

std::uint32_t CutWorkload::dead() const {
    std::uint32_t dead = 0;
    for (std::uint32_t node = 0; node < world_.node_count(); ++node) dead += !world_.alive(node);
    return dead;
}

bool CutWorkload::any_dead() {
    losses_ = losses_ || dead() != 0;
    return losses_;
}

bool CutWorkload::excused(const char* what, const Failure& failure) {
    if (any_dead() && (failure.code == Errc::peer_lost || failure.code == Errc::lost)) return true;
    world_.verdict.fail("errors", fmt::format("bank: {} failed: {}", what, failure.to_string()));
    return false;
}

void CutWorkload::pause(std::uint64_t longest_ns) {
    world_.tasks.sleep_for(static_cast<Nanoseconds>(random_.below(longest_ns)));
}

// A fiber on every node; returns when all have ended, or their nodes. False when a
// node has died since the cut was begun.
bool CutWorkload::everywhere(const std::function<void(std::uint32_t)>& body) {
    auto done = std::make_shared<std::vector<bool>>(world_.node_count());
    for (std::uint32_t node = 0; node < world_.node_count(); ++node) {
        if (!world_.alive(node)) continue;
        world_.on_node(node, [done, node, body] {
            body(node);
            (*done)[node] = true;
        });
    }
    for (const Nanoseconds begun = world_.scheduler.now();;) {
        if (world_.scheduler.now() - begun > longest_rest_ns)
            world_.verdict.fail("cut_stalls", "a step of a cut does not end:\n" +
                                                  world_.scheduler.describe_parked(40));
        bool missing = false;
        for (std::uint32_t node = 0; node < world_.node_count(); ++node)
            missing = missing || (world_.alive(node) && !(*done)[node]);
        if (!missing) return !lost_more();
        if (world_.verdict.failed()) return false;
        world_.tasks.sleep_for(500);
    }
}

void CutWorkload::coordinate() {
    if (everywhere([this](std::uint32_t node) { (void)(open(node) && open_votes(node)); })) {
        for (std::uint32_t node = 0; node < world_.node_count(); ++node) {
            for (std::uint32_t t = 0; t < bank_tasks; ++t)
                spawn(node, [this, node] { bank_task(node); });
            spawn(node, [this, node] { pair_task(node, node); });
            spawn(node, [this, node] { post_task(node); });
            spawn(node, [this, node] { silent_task(node); });
            spawn(node, [this, node] { meeting_task(node); });
        }
        for (std::uint32_t i = 0; i < options_.cuts && !world_.verdict.failed(); ++i) {
            pause(60'000);
            dead_before_ = dead();
            kill_now_ = options_.faults.kill_in_cut && i == kill_at_;
            // After a loss there are no checkpoints, and whoever tries to take one is told so.
            if (kill_now_ || dead_before_ != 0 || random_.chance(1, 2))
                (void)cut_together();
            else if (!make_cut() && !world_.verdict.failed())
                abandon();
            world_.progressed();
        }
    }
    over_ = true;
    (void)everywhere([this](std::uint32_t node) {
        if (auto silent = hub(node).channel(silent_channel, 1, 8); silent)
            (void)kddm::sync::close(**silent);
        auto meeting = hub(node).barrier(meeting_name, 2 * world_.node_count());
        if (meeting && !losses_) (void)kddm::sync::arrive_and_wait(**meeting);
    });
}

void CutWorkload::abandon() {
    frozen_now_ = false;
    (void)everywhere([this](std::uint32_t node) { cut_at(node).abandon(); });
}

std::vector<kddm::RawSet> CutWorkload::chosen_at(std::uint32_t node) {
    std::vector<kddm::RawSet> chosen = sets_[node];
    if (catalog_too_)
        for (const kddm::RawSet& set : world_.sets_at(node)) chosen.push_back(set);
    return chosen;
}

// False when a node has died meanwhile.
bool CutWorkload::make_cut() {
    const auto gives_up = [this] { return random_.chance(1, give_up_one_in); };
    catalog_too_ = random_.chance(1, 2);
    frozen_.clear();
    in_channels_ = 0;
    objection_.clear();
    together_ = false;
    if (!everywhere([this](std::uint32_t node) {
            pause(5'000);
            if (auto closed = cut_at(node).close(chosen_at(node)); !closed)
                world_.verdict.fail("cut", closed.error().to_string());
        }))
        return false;
    if (!come_to_rest()) return !world_.verdict.failed() && !lost_more();
    frozen_now_ = true;
    if (!everywhere([this](std::uint32_t node) { freeze(node); })) return false;
    check_money();
    if (gives_up()) {
        frozen_now_ = false;
        abandon();
        return true;
    }
    constexpr std::uint64_t shadows[] = {UINT64_MAX, UINT64_MAX, 3000, 0};
    const std::uint64_t shadow = shadows[random_.below(std::size(shadows))];
    for (std::uint32_t node = 0; node < world_.node_count(); ++node)
        if (world_.alive(node)) number_ = std::max(number_, cut_at(node).last_number());
    ++number_;
    bool moved = false;
    if (!everywhere([this, shadow, &moved](std::uint32_t node) {
            pause(5'000);
            const auto begun = cut_at(node).begin(number_, {shadow});
            if (begun) return count_channels(node);
            moved = moved || begun.error().code == Errc::would_block;
            if (!moved || in_a_row_ == most_moved)
                world_.verdict.fail("cut", begun.error().to_string());
        }))
        return false;
    frozen_now_ = false;
    in_a_row_ = moved ? in_a_row_ + 1 : 0;
    if (moved) {   // after the looks, such as an object that went home for want of memory
        abandon();
        return true;
    }
    if (!everywhere([this](std::uint32_t node) { cut_at(node).open(); })) return false;
    const bool whole = !gives_up();
    if (!everywhere([this, whole](std::uint32_t node) { (void)read_out(node, whole); }))
        return false;
    if (!world_.verdict.failed() && whole) check_complete();
    if (!objection_.empty()) world_.verdict.fail("cut", objection_);
    if (whole) ++made_;
    return everywhere([this](std::uint32_t node) { cut_at(node).end(); });
}

bool CutWorkload::come_to_rest() {
    const Nanoseconds begun = world_.scheduler.now();
    std::vector<kddm::CutLook> first, second;
    do {
        first = std::exchange(second, std::vector<kddm::CutLook>(world_.node_count()));
        if (!everywhere(
                [this, &second](std::uint32_t node) { second[node] = cut_at(node).look(); }))
            return false;
        if (world_.scheduler.now() - begun > longest_rest_ns) {
            std::string why;
            for (const kddm::CutLook& look : second)
                for (const std::string& text : look.in_the_way) why += "\n" + text;
            world_.verdict.fail("cut_stalls", "the world does not come to rest:" + why);
            return false;
        }
        pause(10'000);
    } while (first.empty() || !kddm::at_rest(first, second));
    if (!random_.chance(1, give_up_one_in)) return true;
    abandon();
    return false;
}

// What this node has of the cut's sets, by another way than the cut itself.
void CutWorkload::freeze(std::uint32_t node) {
    for (std::uint32_t set = 0; set < sets_[node].size(); ++set)
        for (std::uint64_t id = 0; id < accounts_of(set, world_.node_count()); ++id)
            freeze_object(node, sets_[node][set], id);
    if (!catalog_too_) return;
    for (std::uint32_t object = 0; object < catalog_.object_count(); ++object)
        freeze_object(node, world_.set_at(node, object), catalog_.id_of(object));
}

void CutWorkload::freeze_object(std::uint32_t node, kddm::RawSet& set, ObjectId id) {
    const kddm::Inspection seen = world_.engine(node).inspect(set.id(), id);
    if (!seen.owner) return;
    Frozen frozen{.node = node, .version = seen.version & writes_of_version};
    // Where another object's hint is in the way a read would have to wait at the gate. So it would
    // when the object leaves meanwhile, as it may to a node that knows of a loss and goes on.
    if (!together_ && set.length_here(id)) {
        auto snapshot = set.read(id);
        if (!snapshot) return (void)excused("read", snapshot.error());
        frozen.bytes = std::move(snapshot->bytes);
        frozen.known = true;
        if (snapshot->version != frozen.version)
            object_to("an object changed while all was at rest");
    }
    const bool first = frozen_.emplace(Name{set.id().value, id}, std::move(frozen)).second;
    if (!first)
        object_to(fmt::format("object {} of set '{}' has two owners at rest", id.lo, set.name()));
}

void CutWorkload::count_channels(std::uint32_t node) {
    for (const kddm::CutChannel& channel : cut_at(node).channels())
        if (channel.id == kddm::Cut::channel_id(post_channel)) in_channels_ += channel.messages;
}

// After a loss it may turn out that there is no such cut.
void CutWorkload::object_to(std::string what) {
    if (!any_dead()) return world_.verdict.fail("cut", std::move(what));
    if (objection_.empty()) objection_ = std::move(what);
}

std::int64_t CutWorkload::number_in(std::uint32_t set, std::uint64_t id) const {
    const auto at = frozen_.find(Name{sets_[0][set].id().value, ObjectId(id)});
    std::int64_t value = 0;   // of what nobody has used
    if (at != frozen_.end() && at->second.bytes.size() >= sizeof value)
        std::memcpy(&value, at->second.bytes.data(), sizeof value);
    return value;
}

void CutWorkload::check_money() {
    if (dead_before_ != 0) return;   // some of it is lost
    if (std::ranges::any_of(frozen_, [](const auto& f) { return !f.second.known; })) return;
    std::int64_t sum = 0;
    for (std::uint32_t set = 0; set < bank_sets; ++set)
        for (std::uint64_t id = 0; id < accounts; ++id) sum += number_in(set, id);
    if (sum != 0)
        world_.verdict.fail("cut", fmt::format("{} of money at rest, not 0", sum));
    for (std::uint32_t task = 0; task < world_.node_count(); ++task) {
        const std::int64_t first = number_in(pairs, 2 * task);
        const std::int64_t second = number_in(pairs, 2 * task + 1);
        if (first < second || first > second + 1)
            world_.verdict.fail("cut", fmt::format("a task that writes {} and then {} has both in "
                                                   "the cut that way", first, second));
    }
}

// Returns how many objects that were.
std::uint64_t CutWorkload::read_out(std::uint32_t node, bool whole) {
    kddm::Cut cut = cut_at(node);
    std::uint64_t seen = 0;
    const auto visit = [&](const kddm::CutObject& object) {
        hand_out(node, object);
        ++seen;
    };
    std::uint64_t left = whole ? UINT64_MAX : random_.below(20);
    // It takes its time, so that much changes meanwhile.
    while (left-- > 0 && cut.next(visit) && !world_.verdict.failed())
        if (random_.chance(1, 2)) pause(4'000);
    return seen;
}

void CutWorkload::hand_out(std::uint32_t node, const kddm::CutObject& object) {
    const auto fail = [&](const std::string& what) {
        object_to(fmt::format("object {}:{} of set {} {}", object.id.hi, object.id.lo,
                              object.set.value, what));
    };
    const auto at = frozen_.find(Name{object.set.value, object.id});
    if (at == frozen_.end()) return fail(fmt::format("is no part of the cut, but node {} hands it "
                                                     "out", node));
    Frozen& frozen = at->second;
    if (std::exchange(frozen.handed_out, true)) return fail("is handed out twice");
    if (frozen.node != node)
        return fail(fmt::format("was at node {}, but node {} hands it out", frozen.node, node));
    if (frozen.version != object.version)
        return fail(fmt::format("had version {} at the cut, not {}", frozen.version,
                                object.version));
    if (!std::exchange(frozen.known, true))
        frozen.bytes.assign(object.bytes.begin(), object.bytes.end());
    if (!std::ranges::equal(frozen.bytes, object.bytes)) fail("has other bytes than at the cut");
}

void CutWorkload::check_handed_out(std::uint32_t node) {
    for (const auto& [name, frozen] : frozen_)
        if (frozen.node == node && !frozen.handed_out)
            return object_to(fmt::format("object {}:{} of set {} at node {} was not handed out",
                                         name.second.hi, name.second.lo, name.first, node));
}

void CutWorkload::check_complete() {
    for (std::uint32_t node = 0; node < world_.node_count(); ++node) check_handed_out(node);
    if (dead_before_ != 0) return;
    check_money();
    const std::int64_t on_the_way = number_in(post, 0) - number_in(post, 1);
    if (on_the_way != static_cast<std::int64_t>(in_channels_))
        world_.verdict.fail("cut", fmt::format("{} messages were sent and not received, {} are in "
                                               "the channel", on_the_way, in_channels_));
}

void CutWorkload::check_rest() {
    if (options_.cuts == 0) return;
    std::uint32_t waiting = 0;
    for (std::uint32_t node = 0; node < world_.node_count(); ++node)
        if (world_.alive(node)) waiting += tasks_[node] - ended_[node];
    if (waiting != 0)
        return world_.verdict.fail("cut_stalls", fmt::format("{} tasks of the bank have not ended:"
                                                             "\n{}", waiting,
                                                             world_.scheduler.describe_parked(20)));
    if (options_.faults.kill_in_cut && !any_dead())
        return world_.verdict.fail("cut", "no node was killed during a cut");
    if (!any_dead() && options_.cuts >= 6 && made_ == 0)
        world_.verdict.fail("cut", "no cut was read out");
}

}  // namespace ssi::model
