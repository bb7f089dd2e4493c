// SPDX-License-Identifier: BSD-3-Clause
#include "channel_state.hpp"

#include <gtest/gtest.h>

namespace ssi::kddm::sync {
namespace {

ChannelState example() {
    ChannelState state{.capacity = 8, .type = 4, .closed = true, .sent = 12, .received = 9};
    state.queue = {Bytes(4, std::byte{1}), Bytes(), Bytes(3000, std::byte{3})};
    return state;
}

TEST(ChannelState, comes_back_from_its_bytes_as_it_was) {
    const auto again = ChannelState::decode(example().encode());
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(*again, example());
}

TEST(ChannelState, refuses_bytes_that_are_cut_or_changed) {
    Bytes bytes = example().encode();
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_FALSE(ChannelState::decode(std::span(bytes).first(length)).has_value());
    bytes[0] = std::byte{2};
    EXPECT_FALSE(ChannelState::decode(bytes).has_value());
}

}  // namespace
}  // namespace ssi::kddm::sync
