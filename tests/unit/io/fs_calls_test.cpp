// SPDX-License-Identifier: BSD-3-Clause
// What a node does with requests of others that make no sense: it refuses them.
#include <gtest/gtest.h>

#include "fs_core.hpp"
#include "fs_session.hpp"

namespace ssi::fs {
namespace {

using Verb = Core::Verb;

class Refusals : public testing::Test {
protected:
    Refusals() : session_(shelf_, {{"a"}, {"b"}}) {
        EXPECT_FINE(session_[0].make_directory("/at-a"));
        EXPECT_FINE(session_[1].make_directory("/at-b"));
        of_a_ = InodeId(session_[0].stat("/at-a")->inode);
        of_b_ = InodeId(session_[0].stat("/at-b")->inode);
    }
    // Node 0 asks node 1, or the other way round.
    Result<std::vector<std::byte>> ask(Verb verb, std::span<const std::byte> arguments,
                                       std::uint32_t node = 1) {
        return session_[1 - node].core().calls().call(
            NodeId(node), static_cast<std::uint8_t>(verb), arguments);
    }
    void expect_refused(Verb verb, const Writer& arguments, std::uint32_t node = 1) {
        auto answer = ask(verb, arguments.bytes(), node);
        ASSERT_FALSE(answer) << static_cast<unsigned>(verb);
        EXPECT_EQ(answer.error().code, Errc::bad_message) << answer.error().to_string();
    }

    PagesShelf shelf_;
    FsSession session_;
    InodeId of_a_, of_b_;
};

TEST_F(Refusals, opens_are_counted_by_the_home_alone) {
    for (const Verb verb : {Verb::count_open, Verb::close, Verb::keeps_open}) {
        expect_refused(verb, Writer(), 0);
        expect_refused(verb, Writer().put(std::uint32_t{7}), 0);   // half an inode
        expect_refused(verb, Writer().put(of_a_));              // of the other node
    }
    EXPECT_TRUE(ask(Verb::count_open, Writer().put(of_b_).bytes()));
    auto kept = ask(Verb::keeps_open, Writer().put(of_b_).bytes());
    ASSERT_TRUE(kept);
    EXPECT_EQ(*kept, std::vector{std::byte{1}});
    EXPECT_TRUE(ask(Verb::close, Writer().put(of_b_).bytes()));
}

TEST_F(Refusals, volumes_are_committed_where_they_are) {
    expect_refused(Verb::commit, Writer());
    expect_refused(Verb::commit, Writer().put(std::uint16_t{1}));
    expect_refused(Verb::commit, Writer().put(std::uint32_t{0}));                        // a
    expect_refused(Verb::commit, Writer().put(std::uint32_t{0}).put(std::uint32_t{99}));
    // A list for several nodes.
    EXPECT_TRUE(ask(Verb::commit, Writer().put(std::uint32_t{0}).put(std::uint32_t{1}).bytes()));
}

TEST_F(Refusals, steps_of_a_look_are_whole_and_of_one_that_has_begun) {
    expect_refused(Verb::look, Writer());
    const auto never_begun = Writer().put(std::uint8_t{1}).put(std::uint64_t{5})
                                 .put(std::uint64_t{0}).take();
    auto answer = ask(Verb::look, never_begun);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::would_block);
}

}  // namespace
}  // namespace ssi::fs
