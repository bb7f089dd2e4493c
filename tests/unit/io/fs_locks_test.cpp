// SPDX-License-Identifier: BSD-3-Clause
// Locks of files: what fcntl and flock say, case by case, and against a model that knows nothing
// but bytes.
#include "fs_locks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include "ssi/base/random.hpp"

namespace ssi::fs {
namespace {

using Outcome = LockMachine::Outcome;
using Grants = LockMachine::Grants;

const LockName file{InodeId(7), LockFamily::range};
const LockName other_file{InodeId(8), LockFamily::range};
const LockName whole_file{InodeId(7), LockFamily::whole};

LockOwner owner(std::uint32_t node, std::uint64_t number = 1) { return {NodeId(node), number}; }
FileLock exclusive(LockOwner who, std::uint64_t first = 0, std::uint64_t last = LockRange::end) {
    return {who, LockKind::exclusive, {first, last}, who.number};
}
FileLock shared(LockOwner who, std::uint64_t first = 0, std::uint64_t last = LockRange::end) {
    return {who, LockKind::shared, {first, last}, who.number};
}

struct Locks {
    LockMachine machine;
    Grants grants;
    Outcome lock(const FileLock& wanted, std::uint64_t ticket = 0, LockName name = file) {
        return machine.lock(name, wanted, ticket, grants);
    }
    void unlock(LockOwner who, std::uint64_t first, std::uint64_t last, LockName name = file) {
        machine.unlock(name, who, {first, last}, grants);
    }
};

TEST(LockMachine, shared_locks_go_together_and_exclusive_ones_do_not) {
    Locks l;
    EXPECT_EQ(l.lock(shared(owner(1), 0, 9)), Outcome::granted);
    EXPECT_EQ(l.lock(shared(owner(2), 5, 15)), Outcome::granted);
    EXPECT_EQ(l.lock(exclusive(owner(3), 9, 20)), Outcome::busy);
    EXPECT_EQ(l.lock(exclusive(owner(3), 16, LockRange::end)), Outcome::granted);
    EXPECT_EQ(l.lock(shared(owner(1), 1'000'000)), Outcome::busy);
    EXPECT_EQ(l.lock(exclusive(owner(3), 0, 0)), Outcome::busy);
    EXPECT_EQ(l.machine.in_the_way(file, exclusive(owner(3))), shared(owner(1), 0, 9));
    EXPECT_EQ(l.machine.in_the_way(file, shared(owner(3))), std::nullopt);
    EXPECT_EQ(l.lock(exclusive(owner(3)), 0, other_file), Outcome::granted);
}

TEST(LockMachine, the_owners_newest_request_counts_for_its_bytes) {
    Locks l;
    ASSERT_EQ(l.lock(exclusive(owner(1), 10, 29)), Outcome::granted);
    ASSERT_EQ(l.lock(shared(owner(1), 15, 19)), Outcome::granted);
    EXPECT_EQ(l.machine.locks(file),
              (std::vector{exclusive(owner(1), 10, 14), shared(owner(1), 15, 19),
                           exclusive(owner(1), 20, 29)}));
    l.unlock(owner(1), 12, 12);
    l.unlock(owner(1), 25, LockRange::end);
    EXPECT_EQ(l.machine.locks(file),
              (std::vector{exclusive(owner(1), 10, 11), exclusive(owner(1), 13, 14),
                           shared(owner(1), 15, 19), exclusive(owner(1), 20, 24)}));
    ASSERT_EQ(l.lock(exclusive(owner(1), 12, 19)), Outcome::granted);
    EXPECT_EQ(l.machine.locks(file), (std::vector{exclusive(owner(1), 10, 24)}));
    l.unlock(owner(1), 0, LockRange::end);
    EXPECT_TRUE(l.machine.empty());
}

TEST(LockMachine, waiters_go_on_in_their_order_when_locks_go) {
    Locks l;
    ASSERT_EQ(l.lock(exclusive(owner(1))), Outcome::granted);
    EXPECT_EQ(l.lock(exclusive(owner(2), 0, 9), 21), Outcome::waiting);
    EXPECT_EQ(l.lock(shared(owner(3), 5, 5), 31), Outcome::waiting);
    EXPECT_EQ(l.lock(shared(owner(4), 50, 59), 41), Outcome::waiting);
    EXPECT_TRUE(l.machine.waits(file, NodeId(3), 31));
    l.unlock(owner(1), 0, 20);
    EXPECT_EQ(l.grants, (Grants{{owner(2), 21}}));
    l.grants.clear();
    l.lock(shared(owner(1), 21));   // a lock that becomes less
    EXPECT_EQ(l.grants, (Grants{{owner(4), 41}}));
    l.grants.clear();
    EXPECT_TRUE(l.machine.withdraw(file, NodeId(3), 31));
    EXPECT_FALSE(l.machine.withdraw(file, NodeId(3), 31));
    l.unlock(owner(2), 0, LockRange::end);
    EXPECT_TRUE(l.grants.empty());
}

TEST(LockMachine, a_cycle_of_waits_is_refused) {
    Locks l;
    ASSERT_EQ(l.lock(exclusive(owner(1), 0, 0)), Outcome::granted);
    ASSERT_EQ(l.lock(exclusive(owner(2), 1, 1)), Outcome::granted);
    ASSERT_EQ(l.lock(exclusive(owner(3)), 0, other_file), Outcome::granted);
    ASSERT_EQ(l.lock(exclusive(owner(1), 1, 1), 11), Outcome::waiting);
    ASSERT_EQ(l.lock(exclusive(owner(2)), 22, other_file), Outcome::waiting);
    EXPECT_EQ(l.lock(exclusive(owner(3), 0, 0), 33), Outcome::deadlock);
    EXPECT_EQ(l.lock(exclusive(owner(3), 0, 0)), Outcome::busy);
    EXPECT_EQ(l.lock(exclusive(owner(3), 5, 5), 34), Outcome::granted);
    EXPECT_EQ(l.lock(shared(owner(4), 0, 0), 44), Outcome::waiting);
    // Two that share and both want to write.
    Locks two;
    ASSERT_EQ(two.lock(shared(owner(1))), Outcome::granted);
    ASSERT_EQ(two.lock(shared(owner(2))), Outcome::granted);
    EXPECT_EQ(two.lock(exclusive(owner(1)), 1), Outcome::waiting);
    EXPECT_EQ(two.lock(exclusive(owner(2)), 2), Outcome::deadlock);
    two.unlock(owner(2), 0, LockRange::end);
    EXPECT_EQ(two.grants, (Grants{{owner(1), 1}}));
}

TEST(LockMachine, a_whole_file_lock_is_converted_by_letting_it_go) {
    Locks l;
    const auto lock = [&](const FileLock& wanted, std::uint64_t ticket = 0) {
        return l.lock(wanted, ticket, whole_file);
    };
    ASSERT_EQ(lock(shared(owner(1))), Outcome::granted);
    ASSERT_EQ(lock(shared(owner(2))), Outcome::granted);
    EXPECT_EQ(lock(shared(owner(2))), Outcome::granted);
    EXPECT_EQ(l.lock(exclusive(owner(3))), Outcome::granted) << "the families do not meet";
    EXPECT_EQ(lock(exclusive(owner(1))), Outcome::busy);
    EXPECT_EQ(l.machine.locks(whole_file), (std::vector{shared(owner(2))})) << "it let go";
    EXPECT_EQ(lock(exclusive(owner(1)), 11), Outcome::waiting);
    EXPECT_EQ(lock(exclusive(owner(2)), 22), Outcome::waiting) << "nobody speaks of deadlocks";
    EXPECT_EQ(l.grants, (Grants{{owner(1), 11}}));
    l.machine.forget(whole_file, owner(1), l.grants);
    EXPECT_EQ(l.grants, (Grants{{owner(1), 11}, {owner(2), 22}}));
}

TEST(LockMachine, who_closes_or_dies_leaves_nothing) {
    Locks l;
    ASSERT_EQ(l.lock(exclusive(owner(1, 1), 0, 9)), Outcome::granted);
    ASSERT_EQ(l.lock(exclusive(owner(1, 2), 10, 19)), Outcome::granted);
    ASSERT_EQ(l.lock(exclusive(owner(1, 1)), 0, whole_file), Outcome::granted);
    ASSERT_EQ(l.lock(shared(owner(1, 2)), 12, whole_file), Outcome::waiting);
    ASSERT_EQ(l.lock(shared(owner(2), 0, 19), 21), Outcome::waiting);
    ASSERT_EQ(l.lock(shared(owner(3), 5, 5), 31), Outcome::waiting);
    l.machine.forget(file, owner(1, 1), l.grants);
    EXPECT_EQ(l.grants, (Grants{{owner(3), 31}}));
    EXPECT_EQ(l.machine.nodes(), (std::vector{NodeId(1), NodeId(2), NodeId(3)}));
    l.machine.forget(NodeId(1), l.grants);
    EXPECT_EQ(l.grants, (Grants{{owner(3), 31}, {owner(2), 21}}));
    EXPECT_EQ(l.machine.nodes(), (std::vector{NodeId(2), NodeId(3)}));
    l.machine.forget(NodeId(2), l.grants);
    l.machine.forget(NodeId(3), l.grants);
    EXPECT_TRUE(l.machine.empty());
}

// The same in bytes. Bytes stand for runs of the file: the last one for all up to its end.
constexpr std::size_t bytes = 12;
constexpr std::size_t owners = 4;

struct Model {
    enum Kind { none, shared, exclusive };
    struct Request {
        std::size_t who;
        Kind kind;
        std::size_t first, last;
        std::uint64_t ticket;
    };
    struct File {
        std::array<std::array<Kind, bytes>, owners> held{};
        std::deque<Request> waiting;
    };
    std::array<File, 2> files;

    std::set<std::size_t> blockers(const File& f, const Request& r) const {
        std::set<std::size_t> who;
        for (std::size_t o = 0; o < owners; ++o)
            for (std::size_t b = r.first; b <= r.last && o != r.who; ++b)
                if (f.held[o][b] == exclusive || (f.held[o][b] == shared && r.kind == exclusive))
                    who.insert(o);
        return who;
    }
    void give(File& f, const Request& r) {
        for (std::size_t b = r.first; b <= r.last; ++b) f.held[r.who][b] = r.kind;
    }
    std::vector<std::uint64_t> advance(File& f) {
        std::vector<std::uint64_t> granted;
        for (;;) {
            const auto at = std::ranges::find_if(
                f.waiting, [&](const Request& r) { return blockers(f, r).empty(); });
            if (at == f.waiting.end()) return granted;
            granted.push_back(at->ticket);
            give(f, *at);
            f.waiting.erase(at);
        }
    }
    bool deadlock(const File& f, const Request& r) const {
        std::set<std::size_t> reached = blockers(f, r);
        for (std::size_t before = 0; before != reached.size();) {
            before = reached.size();
            for (const File& each : files)
                for (const Request& w : each.waiting)
                    if (reached.contains(w.who)) reached.merge(blockers(each, w));
        }
        return reached.contains(r.who);
    }
};

const std::array<LockName, 2> names{file, other_file};

LockRange range_of(std::size_t first, std::size_t last) {
    return {first, last + 1 == bytes ? LockRange::end : last};
}

// Byte by byte; `apart`: in as few pieces as can be.
using Held = std::array<std::array<Model::Kind, bytes>, owners>;
Held bytes_held(const LockMachine& machine, const LockName& name, bool& apart) {
    Held held{};
    apart = true;
    const auto locks = machine.locks(name);
    for (std::size_t i = 0; i < locks.size(); ++i) {
        const FileLock& lock = locks[i];
        for (std::size_t b = lock.range.first;
             b <= std::min<std::uint64_t>(lock.range.last, bytes - 1); ++b)
            held[lock.owner.node.value][b] =
                lock.kind == LockKind::shared ? Model::shared : Model::exclusive;
        if (i > 0 && locks[i - 1].owner == lock.owner && locks[i - 1].kind == lock.kind &&
            locks[i - 1].range.last + 1 == lock.range.first)
            apart = false;
    }
    return held;
}

TEST(LockMachine, does_what_a_model_of_bytes_does) {
    std::array<std::uint64_t, 4> seen{};
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        Random random(seed);
        LockMachine machine;
        Model model;
        std::uint64_t last_ticket = 0;
        for (int step = 0; step < 250; ++step) {
            const std::size_t f = random.below(2), who = random.below(owners);
            std::size_t first = random.below(bytes), last = random.below(bytes);
            if (first > last) std::swap(first, last);
            const auto kind = random.chance(1, 2) ? Model::shared : Model::exclusive;
            const FileLock wanted{owner(static_cast<std::uint32_t>(who)),
                                  kind == Model::shared ? LockKind::shared : LockKind::exclusive,
                                  range_of(first, last), 0};
            Model::File& in = model.files[f];
            Grants grants;
            std::vector<std::uint64_t> expected;
            switch (random.below(8)) {
                case 0: case 1: case 2: case 3: {
                    const bool waits = random.chance(1, 2);
                    const Model::Request r{who, kind, first, last, waits ? ++last_ticket : 0};
                    Outcome outcome = Outcome::granted;
                    if (!model.blockers(in, r).empty())
                        outcome = !waits ? Outcome::busy
                                         : model.deadlock(in, r) ? Outcome::deadlock
                                                                 : Outcome::waiting;
                    ++seen[static_cast<std::size_t>(outcome)];
                    ASSERT_EQ(machine.in_the_way(names[f], wanted).has_value(),
                              outcome != Outcome::granted);
                    ASSERT_EQ(machine.lock(names[f], wanted, r.ticket, grants), outcome)
                        << "seed " << seed << " step " << step;
                    if (outcome == Outcome::waiting) in.waiting.push_back(r);
                    if (outcome == Outcome::granted) {
                        model.give(in, r);
                        expected = model.advance(in);
                    }
                    break;
                }
                case 4: case 5:
                    machine.unlock(names[f], wanted.owner, wanted.range, grants);
                    model.give(in, {who, Model::none, first, last, 0});
                    expected = model.advance(in);
                    break;
                case 6: {
                    if (in.waiting.empty()) break;
                    const auto& r = in.waiting[random.below(in.waiting.size())];
                    ASSERT_TRUE(machine.withdraw(
                        names[f], NodeId(static_cast<std::uint32_t>(r.who)), r.ticket));
                    std::erase_if(in.waiting,
                                  [t = r.ticket](const auto& w) { return w.ticket == t; });
                    break;
                }
                default:
                    machine.forget(names[f], wanted.owner, grants);
                    std::erase_if(in.waiting, [&](const auto& w) { return w.who == who; });
                    in.held[who].fill(Model::none);
                    expected = model.advance(in);
            }
            std::vector<std::uint64_t> granted;
            for (const auto& one : grants) granted.push_back(one.ticket);
            ASSERT_EQ(granted, expected) << "seed " << seed << " step " << step;
            bool apart = false;
            const auto held = bytes_held(machine, names[f], apart);
            ASSERT_TRUE(apart);
            ASSERT_EQ(held, in.held) << "seed " << seed << " step " << step;
        }
    }
    for (const std::uint64_t times : seen) EXPECT_GT(times, 500u);
}

}  // namespace
}  // namespace ssi::fs
