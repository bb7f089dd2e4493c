// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace {

using cli::Options;
using cli::Program;
using testing::HasSubstr;
using testing::StartsWith;

auto parse(std::vector<const char*> arguments, Program program = Program::kddm) {
    arguments.insert(arguments.begin(), "pagerank");
    return cli::parse(program, static_cast<int>(arguments.size()), arguments.data());
}

std::string error_of(std::vector<const char*> arguments, Program program = Program::kddm) {
    const auto options = parse(std::move(arguments), program);
    if (options) return "";
    EXPECT_EQ(options.error().exit_code, support::usage_exit_code);
    EXPECT_EQ(options.error().text.back(), '\n');
    return options.error().text;
}

TEST(PagerankOptions, default_to_the_documented_values) {
    const auto options = parse({"--rmat", "20"});
    ASSERT_TRUE(options);
    EXPECT_EQ(options->rmat_scale, 20u);
    EXPECT_EQ(options->edge_factor, 16u);
    EXPECT_EQ(options->damping, 0.85);
    EXPECT_EQ(options->top, 20u);
    EXPECT_EQ(options->block_vertices, 0u);
    EXPECT_TRUE(options->serial);
    EXPECT_FALSE(options->verify);
}

TEST(PagerankOptions, name_the_input) {
    EXPECT_EQ(parse({"--edges", "x"})->input, cli::InputKind::edges);
    EXPECT_EQ(parse({"--packages", "x"})->path, "x");
    EXPECT_EQ(parse({"--debian"})->input, cli::InputKind::debian);
}

TEST(PagerankOptions, need_exactly_one_input) {
    EXPECT_THAT(error_of({}), HasSubstr("an input is needed"));
    EXPECT_THAT(error_of({"--debian", "--rmat", "4"}), HasSubstr("only one of"));
    EXPECT_THAT(error_of({"--edges", "x", "--seed", "1"}), HasSubstr("need --rmat"));
}

TEST(PagerankOptions, take_block_sizes_with_and_without_a_suffix) {
    EXPECT_EQ(parse({"--rmat", "4", "--block", "512"})->block_vertices, 64u);
    EXPECT_EQ(parse({"--rmat", "4", "--block", "128K"})->block_vertices, 16384u);
    EXPECT_EQ(parse({"--rmat", "4", "--block", "512k"})->block_vertices, 65536u);
}

TEST(PagerankOptions, take_every_seed_of_64_bits) {
    EXPECT_EQ(parse({"--rmat", "4", "--seed", "18446744073709551615"})->seed, UINT64_MAX);
    EXPECT_EQ(parse({"--rmat", "4", "--seed", "0"})->seed, 0u);
}

TEST(PagerankOptions, refuse_values_out_of_range_by_name) {
    const std::vector<std::vector<const char*>> cases = {
        {"--rmat", "0"},
        {"--rmat", "31"},
        {"--edge-factor", "0"},
        {"--edge-factor", "1025"},
        {"--seed", "18446744073709551616"},
        {"--seed", "-1"},
        {"--seed", "x"},
        {"--seed", ""},
        {"--damping", "1"},
        {"--damping", "-0.1"},
        {"--damping", "nan"},
        {"--damping", "inf"},
        {"--tolerance", "-1"},
        {"--tolerance", "nan"},
        {"--tolerance", "2"},
        {"--iterations", "0"},
        {"--iterations", "1000001"},
        {"--repeat", "0"},
        {"--min-seconds", "-1"},
        {"--min-seconds", "nan"},
        {"--top", "1000001"},
        {"--verify-limit", "nan"},
        {"--verify-limit", "2"},
        {"--block", "0"},
        {"--block", "256"},
        {"--block", "1000"},
        {"--block", "1M"},
        {"--block", "1024K"},
        {"--block", "K"},
        {"--block", "-512"},
        {"--block", "18446744073709551615K"},
    };
    for (auto arguments : cases) {
        const std::string name = arguments[0];
        const std::string given = name + " " + arguments[1];
        if (name != "--rmat") arguments.insert(arguments.end(), {"--rmat", "4"});
        const std::string text = error_of(arguments);
        EXPECT_THAT(text, StartsWith("pagerank: " + name)) << given;
        EXPECT_THAT(text, HasSubstr("out of range")) << given;
    }
}

TEST(PagerankOptions, refuse_what_is_no_number) {
    EXPECT_THAT(error_of({"--rmat", "abc"}), HasSubstr("--rmat"));
    EXPECT_THAT(error_of({"--rmat", "-3"}), HasSubstr("--rmat"));
    EXPECT_THAT(error_of({"--rmat", "4.5"}), HasSubstr("--rmat"));
    EXPECT_THAT(error_of({"--rmat", "99999999999999999999"}), HasSubstr("--rmat"));
    EXPECT_THAT(error_of({"--rmat"}), HasSubstr("--rmat"));
    EXPECT_THAT(error_of({"--rmat", "4", "--damping", "high"}), HasSubstr("--damping"));
}

TEST(PagerankOptions, refuse_what_they_do_not_know) {
    EXPECT_THAT(error_of({"--rmat", "4", "--frobnicate"}), HasSubstr("--frobnicate"));
    EXPECT_THAT(error_of({"graph.txt"}), HasSubstr("graph.txt"));
    EXPECT_THAT(error_of({"--rmat", "4", "--components"}, Program::mpi_twin),
                HasSubstr("--components"));
}

TEST(PagerankOptions, print_help_and_version_to_succeed) {
    for (const char* argument : {"-h", "--help", "--version"}) {
        const auto options = parse({argument});
        ASSERT_FALSE(options);
        EXPECT_EQ(options.error().exit_code, 0) << argument;
    }
    EXPECT_THAT(parse({"--help"}).error().text, HasSubstr("--skip-malformed"));
}

}  // namespace
