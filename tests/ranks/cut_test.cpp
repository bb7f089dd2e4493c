// SPDX-License-Identifier: BSD-3-Clause
// Cuts over real processes and UCX: a bank whose money is all there in each of many cuts, made
// while threads of all ranks move it, and others are blocked.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "bank.hpp"
#include "ssi/kddm/cut.hpp"
#include "ssi/ssi.hpp"

namespace ssi {
namespace {

using test::Account;
using test::accounts;
using test::move_money;

constexpr int threads = 3;            // of each rank
// By hand, with 1000 in each and more ranks: CUTS=1000 mpirun ...
int cuts() {
    const char* text = std::getenv("CUTS");
    return text ? std::stoi(text) : 1000;
}

// What a rank sees, as it travels.
struct Seen {
    std::uint64_t quiet, transitions, sent, received;
    static Seen of(const kddm::CutLook& look) {
        return {look.quiet, look.transitions, look.sent, look.received};
    }
    kddm::CutLook look() const { return {quiet != 0, transitions, sent, received, {}}; }
};

std::vector<kddm::CutLook> look_everywhere(Session& s, kddm::Cut& cut, kddm::CutLook& mine) {
    mine = cut.look();
    std::vector<kddm::CutLook> looks;
    for (const Seen& seen : s.all_gather(Seen::of(mine))) looks.push_back(seen.look());
    return looks;
}

// The same answer on every rank.
bool come_to_rest(Session& s, kddm::Cut& cut) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::seconds(20);
    kddm::CutLook mine;
    for (auto first = look_everywhere(s, cut, mine);;) {
        const bool late = s.all_reduce(clock::now() > end ? 1 : 0, Reduce::max) != 0;
        auto second = look_everywhere(s, cut, mine);
        if (kddm::at_rest(first, second)) return true;
        if (late) {
            for (const std::string& what : mine.in_the_way) ADD_FAILURE() << what;
            return false;
        }
        first = std::move(second);
    }
}

TEST(CutRanks, the_money_is_all_there_in_each_cut_and_blocked_threads_stop_none) {
    Session s = Session::from_mpi(nullptr);
    auto near = s.set<Account>("near", {.count = accounts});
    auto far = s.set<Account>("far", {.count = accounts});
    auto silence = s.channel<int>("silence");
    kddm::Engine& engine = s.internal_engine();
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> blocked_returned{0};
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t)
        team.emplace_back([&, t] {
            move_money(s, near, far, static_cast<unsigned>(s.rank() * threads + t), over);
        });
    team.emplace_back([&] {
        silence.receive();
        ++blocked_returned;
    });
    team.emplace_back([&] {
        s.barrier("nobody comes", static_cast<std::uint32_t>(2 * s.size())).arrive_and_wait();
        ++blocked_returned;
    });
    s.barrier();
    const std::vector<kddm::RawSet> sets{value_or_throw(s.open("near")),
                                         value_or_throw(s.open("far"))};
    kddm::Cut cut(engine, &s.internal_hub());
    std::uint64_t writes = 0;
    for (int i = 1; i <= cuts(); ++i) {
        ASSERT_TRUE(cut.close(sets).has_value());
        ASSERT_TRUE(come_to_rest(s, cut)) << "cut " << i;
        ASSERT_TRUE(cut.begin(static_cast<std::uint64_t>(i)).has_value());
        s.barrier();
        cut.open();
        std::array<std::int64_t, 3> sums{};   // money, writes, objects
        while (cut.next([&](const kddm::CutObject& object) {
            Account account;
            ASSERT_EQ(object.bytes.size(), sizeof account);
            std::memcpy(&account, object.bytes.data(), sizeof account);
            sums[0] += account.balance;
            sums[1] += static_cast<std::int64_t>(account.writes);
            ++sums[2];
        })) {
        }
        cut.end();
        s.all_reduce(std::span<std::int64_t>(sums), Reduce::sum);
        ASSERT_EQ(sums[0], 0) << "cut " << i;
        ASSERT_LE(sums[2], static_cast<std::int64_t>(2 * accounts));
        ASSERT_GE(static_cast<std::uint64_t>(sums[1]), writes) << "an older value in cut " << i;
        writes = static_cast<std::uint64_t>(sums[1]);
    }
    EXPECT_EQ(blocked_returned, 0u);
    EXPECT_GT(writes, 0u);
    over = true;
    s.barrier();
    silence.close();
    s.barrier("nobody comes", static_cast<std::uint32_t>(2 * s.size())).arrive_and_wait();
    for (auto& thread : team) thread.join();
    if (s.rank() == 0) RecordProperty("writes", static_cast<int>(writes));
    s.barrier();
}

}  // namespace
}  // namespace ssi
