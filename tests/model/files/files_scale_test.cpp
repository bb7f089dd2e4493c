// SPDX-License-Identifier: BSD-3-Clause
// What kDFS asks of the network does not grow with the session. bench/scale measures the same on up
// to 10,000 nodes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "files.hpp"

namespace ssi::bench {
namespace {

struct Most {
    double delays = 0, messages = 0;
    bool operator==(const Most&) const = default;
};

struct Measured {
    double mount_bytes_per_node = 0;
    std::map<FileVerb, Most> most;
};

Measured measure(std::uint32_t nodes) {
    constexpr std::uint32_t volumes = 4;
    constexpr int samples = 25;
    World world(nodes);
    Measured result;
    {
        Files files(world, volumes);
        result.mount_bytes_per_node = files.mounting().bytes / nodes;
        for (int i = 0; i < samples; ++i) {
            for (const auto& [verb, cost] : files.sample()) {
                Most& most = result.most[verb];
                most.delays = std::max(most.delays, cost.delays);
                most.messages = std::max(most.messages, cost.messages);
            }
        }
        files.close();
    }
    world.close();
    return result;
}

TEST(FilesScale, what_operations_and_mounting_cost_does_not_grow_with_the_nodes) {
    const Measured few = measure(8), many = measure(64);
    for (const FileVerb verb : file_verbs) {
        EXPECT_EQ(few.most.at(verb).delays, many.most.at(verb).delays) << name_of(verb);
        EXPECT_EQ(few.most.at(verb).messages, many.most.at(verb).messages) << name_of(verb);
    }
    EXPECT_LT(many.mount_bytes_per_node, 1.5 * few.mount_bytes_per_node);
}

TEST(FilesScale, create_and_stat_wait_for_three_messages_at_most_and_a_second_stat_for_none) {
    const Measured measured = measure(8);
    EXPECT_LE(measured.most.at(FileVerb::create).delays, 3);
    EXPECT_LE(measured.most.at(FileVerb::stat).delays, 3);
    EXPECT_LE(measured.most.at(FileVerb::stat_changed).delays, 3);
    EXPECT_EQ(measured.most.at(FileVerb::stat_again), Most{});
}

}  // namespace
}  // namespace ssi::bench
