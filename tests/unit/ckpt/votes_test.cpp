// SPDX-License-Identifier: BSD-3-Clause
#include "votes.hpp"

#include <gtest/gtest.h>

#include "loop_session.hpp"

namespace ssi::ckpt::test {
namespace {

template <class Body>
void with_votes(Body&& body) {
    loop_session(3, [&](LoopMember& member) {
        const auto votes = value_or_throw(Votes::make(member.node, member.engine, member.hub));
        EXPECT_TRUE(member.node.barrier());
        body(member.node, *votes);
    });
}

TEST(VotesTest, all_hear_what_the_first_makes_of_what_each_has_given) {
    with_votes([&](node::Node& node, Votes& votes) {
        for (std::size_t round = 0; round < 50; ++round) {
            const Bytes mine(1 + round % 7, std::byte(node.rank() + 1));
            const auto heard = votes.vote(mine, [&](std::vector<Bytes> given) {
                EXPECT_EQ(node.rank(), 0);
                EXPECT_EQ(given.size(), 3u);
                Bytes all;
                for (const Bytes& one : given) all.insert(all.end(), one.begin(), one.end());
                return all;
            });
            ASSERT_TRUE(heard);
            Bytes wanted;
            for (int rank = 0; rank < 3; ++rank)
                wanted.insert(wanted.end(), 1 + round % 7, std::byte(rank + 1));
            EXPECT_EQ(*heard, wanted);
        }
    });
}

}  // namespace
}  // namespace ssi::ckpt::test
