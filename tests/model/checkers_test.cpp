// SPDX-License-Identifier: BSD-3-Clause
// The oracle, the byte patterns, the catalogue and the command line.
#include <gtest/gtest.h>

#include <set>

#include "catalog.hpp"
#include "oracle.hpp"
#include "pattern.hpp"

namespace ssi::model {
namespace {

struct OracleTest : testing::Test {
    sys::FiberScheduler scheduler{{}};
    Verdict verdict{scheduler};
    Oracle oracle{verdict, 2};
    static constexpr bool write = true, read = false;
};

TEST_F(OracleTest, is_content_with_readers_together_and_writers_alone) {
    oracle.acquired(0, 1, 10, read, {0, 1});
    oracle.acquired(0, 2, 11, read, {0, 1});
    oracle.released(0, 1);
    oracle.released(0, 2);
    oracle.acquired(0, 3, 11, write, {0, 1});
    oracle.released(0, 3, 77);
    oracle.acquired(0, 4, 10, read, {77, 2});
    EXPECT_FALSE(verdict.failed());
}

TEST_F(OracleTest, notices_a_writer_beside_a_reader) {
    oracle.acquired(0, 1, 10, read, {0, 1});
    oracle.acquired(0, 2, 11, write, {0, 1});
    EXPECT_EQ(verdict.checker(), "exclusion");
}

TEST_F(OracleTest, notices_a_stale_value) {
    oracle.acquired(0, 1, 10, write, {0, 1});
    oracle.released(0, 1, 77);
    oracle.acquired(0, 2, 11, read, {0, 2});
    EXPECT_EQ(verdict.checker(), "value");
}

TEST_F(OracleTest, notices_versions_that_go_back_or_lie) {
    oracle.acquired(0, 1, 10, read, {0, 5});
    oracle.released(0, 1);
    oracle.acquired(0, 2, 11, read, {0, 4});
    EXPECT_EQ(verdict.checker(), "version");
    Verdict second(scheduler);
    Oracle other(second, 1);
    other.acquired(0, 1, 10, write, {0, 5});
    other.released(0, 1, 77);
    other.acquired(0, 2, 11, read, {77, 5});
    EXPECT_EQ(second.checker(), "version");
}

TEST_F(OracleTest, notices_a_snapshot_that_pairs_a_version_with_anothers_value) {
    oracle.acquired(0, 1, 10, write, {0, 1});
    oracle.released(0, 1, 77);
    oracle.acquired(0, 2, 11, write, {77, 2});
    oracle.released(0, 2, 88);
    oracle.read(0, 3, oracle.newest_version(0), {88, 3});
    oracle.read(0, 4, 0, {77, 2});
    EXPECT_FALSE(verdict.failed());
    oracle.read(0, 5, 0, {88, 2});
    EXPECT_EQ(verdict.checker(), "version");
}

TEST_F(OracleTest, notices_a_snapshot_older_than_what_was_known) {
    oracle.acquired(0, 1, 10, read, {0, 7});
    oracle.read(0, 2, oracle.newest_version(0), {0, 7});
    EXPECT_FALSE(verdict.failed());
    oracle.read(0, 3, oracle.newest_version(0), {5, 6});
    EXPECT_EQ(verdict.checker(), "version");
}

TEST_F(OracleTest, notices_a_function_that_runs_twice_or_beside_a_holder) {
    oracle.executed(0, 1, false, 0, 7);
    EXPECT_TRUE(oracle.was_executed(1));
    EXPECT_FALSE(oracle.was_executed(2));
    oracle.acquired(0, 2, 10, read, {7, 2});
    oracle.executed(0, 3, false, 7, 8);
    EXPECT_EQ(verdict.checker(), "exclusion");
    Verdict second(scheduler);
    Oracle other(second, 1);
    other.executed(0, 1, false, 0, 7);
    other.executed(0, 1, false, 7, 8);
    EXPECT_EQ(second.checker(), "executed_once");
}

TEST_F(OracleTest, notices_a_release_hook_beside_a_writer_or_with_old_bytes) {
    oracle.acquired(0, 1, 10, write, {0, 1});
    oracle.release_hook(0, 11, 0);
    EXPECT_FALSE(verdict.failed());
    oracle.release_hook(0, 10, 0);
    EXPECT_EQ(verdict.checker(), "release_hook");
    Verdict second(scheduler);
    Oracle other(second, 1);
    other.acquired(0, 1, 10, write, {0, 1});
    other.released(0, 1, 77);
    other.release_hook(0, 10, 0);
    EXPECT_EQ(second.checker(), "release_hook");
}

TEST_F(OracleTest, notices_who_starves) {
    oracle.set_patience(3);
    oracle.called(0, 1);
    for (std::uint32_t op = 2; op < 5; ++op) {
        oracle.called(0, op);
        oracle.acquired(0, op, 10, read, {0, 1});
    }
    EXPECT_FALSE(verdict.failed());
    EXPECT_EQ(oracle.most_passed(), 3u);
    oracle.called(0, 5);
    oracle.acquired(0, 5, 10, read, {0, 1});
    EXPECT_EQ(verdict.checker(), "fairness");
}

TEST_F(OracleTest, forgets_what_a_dead_node_held) {
    oracle.acquired(0, 1, 10, write, {0, 1});
    oracle.node_died(10);
    oracle.acquired(0, 2, 11, read, {99, 2});
    EXPECT_FALSE(verdict.failed());
}

TEST(Pattern, a_value_survives_in_any_length) {
    for (std::size_t length : {8, 9, 15, 16, 100, 16384}) {
        std::vector<std::byte> bytes(length);
        fill(bytes, 0x123456789abcdefull);
        EXPECT_EQ(value_of(bytes), 0x123456789abcdefull) << length;
    }
    EXPECT_EQ(value_of({}), 0u);
    EXPECT_EQ(value_of(std::vector<std::byte>(64)), 0u);
}

TEST(Pattern, a_mixture_of_two_values_is_torn) {
    std::vector<std::byte> bytes(100), other(100);
    fill(bytes, 1000);
    fill(other, 1001);
    for (std::size_t cut = 1; cut < 100; ++cut) {
        auto mixed = bytes;
        std::copy(other.begin() + static_cast<std::ptrdiff_t>(cut), other.end(),
                  mixed.begin() + static_cast<std::ptrdiff_t>(cut));
        if (mixed != bytes) {
            EXPECT_FALSE(value_of(mixed)) << cut;
        }
    }
}

TEST(Pattern, lengths_of_variable_objects_go_beyond_what_is_copied) {
    std::size_t longest = 0, shortest = SIZE_MAX;
    for (std::uint64_t value = 1; value < 1000; ++value) {
        longest = std::max(longest, variable_length(value));
        shortest = std::min(shortest, variable_length(value));
    }
    EXPECT_GT(longest, net::max_copied_payload);
    EXPECT_GE(shortest, 8u);
    EXPECT_EQ(variable_length(0), 0u);
}

TEST(Catalog, numbers_every_object_once) {
    Options options;
    options.nodes = 100;
    const Catalog catalog(options);
    std::set<std::pair<std::uint32_t, ObjectId>> seen;
    for (std::uint32_t object = 0; object < catalog.object_count(); ++object) {
        const std::uint32_t set = catalog.set_of(object);
        EXPECT_EQ(catalog.number_of(set, catalog.id_of(object)), object);
        EXPECT_TRUE(seen.insert({set, catalog.id_of(object)}).second);
    }
}

TEST(CommandLine, reads_every_option) {
    const auto options = parse_options({"--nodes", "7", "--ops=100", "--seed", "3..9", "--faults",
                                        "delay,kill", "--objects", "5", "--tasks", "4", "--json",
                                        "--trace", "--preempt", "0"});
    ASSERT_TRUE(options) << options.error().text;
    EXPECT_EQ(options->nodes, 7u);
    EXPECT_EQ(options->ops, 100u);
    EXPECT_EQ(options->first_seed, 3u);
    EXPECT_EQ(options->last_seed, 9u);
    EXPECT_TRUE(options->faults.delay && options->faults.kill && !options->faults.reorder);
    EXPECT_EQ(options->cold_objects(), 5u);
    EXPECT_TRUE(options->json && options->trace && !options->sequential);
}

TEST(CommandLine, a_plant_brings_its_faults_unless_told_otherwise) {
    EXPECT_TRUE(parse_options({"--plant", "skip_invalidation"})->faults.duplicate);
    EXPECT_FALSE(parse_options({"--plant", "skip_invalidation", "--faults", "none"})->any_fault());
    EXPECT_TRUE(parse_options({"--plant", "double_execution", "--faults", "none"})->any_fault());
}

TEST(CommandLine, refuses_what_it_cannot_use_and_says_what_it_takes) {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"--nodes", "0"}, "--nodes takes a number from 1 to 100000, not '0'"},
        {{"--nodes"}, "--nodes needs a value"},
        {{"--ops", "many"}, "--ops takes a number"},
        {{"--seed", "9..3"}, "--seed takes a number from 9"},
        {{"--faults", "fire"}, "not 'fire'"},
        {{"--plant", "tree"}, "no plant is called 'tree'"},
        {{"--frobnicate"}, "no option is called '--frobnicate'"},
        {{"--nodes", "2", "--faults", "kill"}, "needs --nodes of at least 3"},
        {{"--sequential", "--faults", "kill"}, "goes with no fault kill"},
    };
    for (const auto& [arguments, text] : cases) {
        const auto options = parse_options(arguments);
        ASSERT_FALSE(options) << text;
        EXPECT_EQ(options.error().code, Errc::invalid_argument);
        EXPECT_NE(options.error().text.find(text), std::string::npos) << options.error().text;
    }
}

}  // namespace
}  // namespace ssi::model
