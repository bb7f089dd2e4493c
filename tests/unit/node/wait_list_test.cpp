// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/wait_list.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "control_fixture.hpp"
#include "loop_nodes.hpp"

namespace ssi::node {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using LoopNodes = ssi::test::LoopNodes;

class Note final : public WaitNote {
public:
    using WaitNote::WaitNote;

private:
    WaitDescription describe() const override {
        WaitDescription what;
        what.verb = "test";
        return what;
    }
};

class LongWaits : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(modes, LongWaits, testing::Values("auto", "spin", "yield", "block"));

TEST_P(LongWaits, a_long_wait_is_listed_until_it_ends) {
    LoopNodes::Options options;
    value_or_throw(options.config.set("progress", GetParam(), "test"));
    LoopNodes nodes(1, options);
    nodes.start();
    WaitList& list = nodes[0].waits();
    sys::WaitCell cell;
    std::thread waiter([&] {
        Note note(list);
        cell.long_wait = &note;
        nodes[0].doors().waiter.wait(cell);
    });
    const bool listed = eventually([&] { return !list.items().empty(); });
    if (listed) {
        EXPECT_EQ(list.items().front().what.verb, "test");
        const Nanoseconds waited = nodes[0].doors().clock.now() - list.items().front().since;
        EXPECT_GE(waited, 0);
        EXPECT_LT(waited, 5'000'000'000);
    }
    nodes[0].doors().waiter.notify(cell);
    waiter.join();
    EXPECT_TRUE(listed);
    EXPECT_TRUE(list.items().empty());
}

TEST_P(LongWaits, a_short_wait_is_never_described) {
    LoopNodes::Options options;
    value_or_throw(options.config.set("progress", GetParam(), "test"));
    LoopNodes nodes(1, options);
    struct Never final : sys::LongWait {
        void on_long_wait(Nanoseconds) override { ++told; }
        int told = 0;
    } never;
    sys::WaitCell cell;
    cell.long_wait = &never;
    nodes[0].doors().waiter.notify(cell);
    nodes[0].doors().waiter.wait(cell);
    EXPECT_EQ(never.told, 0);
}

TEST(WaitList, who_waits_longest_comes_first) {
    WaitList list;
    const auto late = list.add(20, {});
    const auto early = list.add(10, {});
    ASSERT_EQ(list.items().size(), 2u);
    EXPECT_EQ(list.items()[0].since, 10);
    list.remove(early);
    EXPECT_EQ(list.items()[0].since, 20);
    list.remove(late);
    EXPECT_TRUE(list.items().empty());
}

TEST(WaitList, a_barrier_names_the_node_it_waits_for) {
    LoopNodes nodes(2);
    nodes.start();
    std::thread early([&] { EXPECT_TRUE(nodes[0].barrier()); });
    EXPECT_TRUE(eventually([&] { return !nodes[0].waits().items().empty(); }));
    const auto items = nodes[0].waits().items();
    if (!items.empty()) {
        EXPECT_EQ(items[0].what.verb, "barrier");
        EXPECT_EQ(items[0].what.from, NodeId{1});
    }
    EXPECT_TRUE(nodes[1].barrier());
    early.join();
    EXPECT_TRUE(nodes[0].waits().items().empty());
}

}  // namespace
}  // namespace ssi::node
