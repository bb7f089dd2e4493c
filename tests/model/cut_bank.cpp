// SPDX-License-Identifier: BSD-3-Clause
// What the tasks of the bank do: they move money, in steps that a cut must not part.
#include "cut_bank.hpp"

#include <array>
#include <cstring>

#include "cut_workload.hpp"
#include "ssi/kddm/many.hpp"

namespace ssi::model {

namespace {

namespace sync = kddm::sync;

kddm::SetOptions options_of(std::uint32_t set) {
    if (set == 1) return {.object_bytes = 64, .placement = "high_bits"};
    if (set == 2) return {.kind = kddm::ObjectKind::variable};
    if (set == 3) return {.object_bytes = 40, .coherence = kddm::Coherence::home};
    if (set == pairs) return {.object_bytes = 32};
    return {.object_bytes = 16};
}

std::int64_t value_of(const kddm::RawGuard& guard) {
    std::int64_t value = 0;
    if (guard.bytes().size() >= sizeof value) std::memcpy(&value, guard.bytes().data(), 8);
    return value;
}

Result<void> set_value(kddm::RawGuard& guard, std::int64_t value) {
    if (guard.bytes().size() < sizeof value) SSI_TRY(guard.resize(24));
    std::memcpy(guard.writable().data(), &value, sizeof value);
    return {};
}

}  // namespace

bool CutWorkload::open(std::uint32_t node) {
    for (std::uint32_t set = 0; set < all_sets; ++set) {
        auto opened = world_.engine(node).create_or_open("bank " + std::to_string(set),
                                                         options_of(set));
        if (!opened) return excused("open", opened.error());
        sets_[node].push_back(*opened);
    }
    for (const auto& [name, capacity] : {std::pair{post_channel, 4u}, {silent_channel, 1u}})
        if (auto channel = hub(node).channel(name, capacity, 8); !channel)
            return excused("open", channel.error());
    return true;
}

void CutWorkload::spawn(std::uint32_t node, std::function<void()> body) {
    ++tasks_[node];
    world_.on_node(node, [this, node, body = std::move(body)] {
        body();
        ++ended_[node];
    });
}

void CutWorkload::bank_task(std::uint32_t node) {
    while (!over_) {
        pause(6'000);
        switch (random_.below(6)) {
            case 0:
            case 1: transfer(node, false); break;
            case 2: transfer(node, true); break;
            case 3: transfer_many(node); break;
            case 4: transfer_by_atomics(node); break;
            default: move_about(node); break;
        }
        world_.progressed();
    }
}

// In the order of guards.
std::pair<CutWorkload::Account, CutWorkload::Account> CutWorkload::two_accounts() {
    const std::uint64_t all = bank_sets * accounts;
    std::uint64_t a = random_.below(all), b = random_.below(all - 1);
    if (b >= a) ++b;
    if (b < a) std::swap(a, b);
    const auto account = [](std::uint64_t n) {
        return Account{static_cast<std::uint32_t>(n / accounts), n % accounts};
    };
    return {account(a), account(b)};
}

void CutWorkload::transfer(std::uint32_t node, bool upgrading) {
    const auto [from, to] = two_accounts();
    const auto amount = static_cast<std::int64_t>(1 + random_.below(100));
    auto first = set_of(node, from.set).grab(from.id);
    if (!first) return (void)excused("grab", first.error());
    if (frozen_now_) world_.verdict.fail("cut", "an object was grabbed while all was at rest");
    if (auto done = set_value(*first, value_of(*first) - amount); !done)
        return (void)excused("resize", done.error());
    if (random_.chance(1, 3)) pause(3'000);
    auto second = upgrading ? set_of(node, to.set).get(to.id) : set_of(node, to.set).grab(to.id);
    if (!second) return (void)excused("get", second.error());
    if (upgrading)
        if (auto upgraded = second->upgrade(); !upgraded)
            return (void)excused("upgrade", upgraded.error());
    if (auto done = set_value(*second, value_of(*second) + amount); !done)
        return (void)excused("resize", done.error());
}

void CutWorkload::transfer_many(std::uint32_t node) {
    const auto set = static_cast<std::uint32_t>(random_.below(bank_sets));
    const std::uint64_t first = random_.below(accounts);
    const std::array<ObjectId, 3> ids{ObjectId(first), ObjectId((first + 1) % accounts),
                                      ObjectId((first + 2) % accounts)};
    auto guards = set_of(node, set).grab_many(ids);
    if (!guards) return (void)excused("grab_many", guards.error());
    constexpr std::int64_t amounts[] = {30, -10, -20};
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (auto done = set_value((*guards)[i], value_of((*guards)[i]) + amounts[i]); !done)
            return (void)excused("resize", done.error());
}

// Each by itself, so a cut may come in between, were it not for the section.
void CutWorkload::transfer_by_atomics(std::uint32_t node) {
    constexpr std::uint32_t fixed_sets[] = {0, 1, 3};
    const kddm::CriticalSection section(world_.engine(node));
    for (const std::int64_t amount : {7, -7}) {
        const std::uint32_t set = fixed_sets[random_.below(std::size(fixed_sets))];
        auto added = set_of(node, set).fetch_add(random_.below(accounts), amount);
        if (!added) return (void)excused("fetch_add", added.error());
    }
}

void CutWorkload::move_about(std::uint32_t node) {
    const auto set = static_cast<std::uint32_t>(random_.below(bank_sets));
    const ObjectId id = random_.below(accounts);
    kddm::RawSet& s = set_of(node, set);
    switch (random_.below(5)) {
        case 0: (void)s.flush(id); return;
        case 1: (void)s.prefetch(id, random_.chance(1, 2) ? kddm::Access::read
                                                         : kddm::Access::write); return;
        case 2:
            if (auto guard = s.get(id); !guard) excused("get", guard.error());
            return;
        case 3:
            if (auto seen = s.read(id); !seen) excused("read", seen.error());
            return;
        default: break;
    }
    if (s.options().coherence == kddm::Coherence::home) return;
    const auto to = static_cast<std::uint32_t>(random_.below(world_.node_count()));
    if (auto moved = s.migrate(std::span(&id, 1), world_.id_of(to)); !moved)
        excused("migrate", moved.error());
}

void CutWorkload::pair_task(std::uint32_t node, std::uint32_t number) {
    for (std::int64_t n = 1; !over_; ++n) {
        for (const std::uint64_t id : {2 * number, 2 * number + 1}) {
            auto guard = set_of(node, pairs).grab(id);
            if (!guard) return (void)excused("grab", guard.error());
            (void)set_value(*guard, n);
            guard->put();
            if (random_.chance(1, 2)) pause(2'000);
        }
        pause(4'000);
    }
}

// Sends and receives, and says so in objects.
void CutWorkload::post_task(std::uint32_t node) {
    auto channel = hub(node).channel(post_channel, 4, 8);
    if (!channel) return (void)excused("channel", channel.error());
    while (!over_) {
        pause(5'000);
        const bool sends = random_.chance(1, 2);
        const kddm::CriticalSection section(world_.engine(node));
        const std::array<std::byte, 8> message{};
        const Result<void> sent = sends ? sync::send(**channel, message, 0) : Result<void>{};
        auto received = sends ? Result<std::vector<sync::Bytes>>{}
                              : sync::receive(**channel, 1, 0);
        if (!sent || !received) {
            const Failure& why = !sent ? sent.error() : received.error();
            if (why.code == Errc::would_block) continue;
            return (void)excused("post", why);
        }
        auto count = set_of(node, post).grab(sends ? 0 : 1);
        if (!count) return (void)excused("grab", count.error());
        (void)set_value(*count, value_of(*count) + 1);
    }
}

// Both are blocked through all cuts.
void CutWorkload::silent_task(std::uint32_t node) {
    auto channel = hub(node).channel(silent_channel, 1, 8);
    if (!channel) return (void)excused("channel", channel.error());
    auto received = sync::receive(**channel, 1);
    if (!received && received.error().code != Errc::cancelled)
        excused("receive", received.error());
}

void CutWorkload::meeting_task(std::uint32_t node) {
    auto meeting = hub(node).barrier(meeting_name, 2 * world_.node_count());
    if (!meeting) return (void)excused("barrier", meeting.error());
    if (auto met = sync::arrive_and_wait(**meeting); !met) excused("barrier", met.error());
}

}  // namespace ssi::model
