// SPDX-License-Identifier: BSD-3-Clause
// Tables of words, streams of updates, what they add up to, and the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "table/expected.hpp"

namespace gups {
namespace {

using testing::HasSubstr;

TEST(Shape, gives_every_word_to_one_rank) {
    for (const std::uint64_t words : {1, 2, 5, 64, 1000})
        for (int ranks = 1; ranks <= 5; ++ranks)
            for (const std::uint64_t unit : {1, 8, 512}) {
                const Shape shape(words, ranks, unit);
                std::uint64_t counted = 0;
                for (int rank = 0; rank < ranks; ++rank) {
                    EXPECT_EQ(shape.first(rank), counted);
                    for (std::uint64_t i = 0; i < shape.count(rank); ++i)
                        ASSERT_EQ(shape.owner(counted + i), rank);
                    counted += shape.count(rank);
                    EXPECT_EQ(shape.per_rank % unit, 0u);
                }
                EXPECT_EQ(counted, words);
            }
}

TEST(Stream, spreads_over_all_words_and_differs_by_rank_and_seed) {
    constexpr std::uint64_t words = 100, updates = 100'000;
    std::vector<std::uint64_t> hits(words);
    Stream stream(1, 0, words), again(1, 0, words);
    Stream other_rank(1, 1, words), other_seed(2, 0, words);
    std::uint64_t same_as_rank = 0, same_as_seed = 0;
    for (std::uint64_t i = 0; i < updates; ++i) {
        const Update update = stream.next(), copy = again.next();
        ASSERT_LT(update.word, words);
        EXPECT_NE(update.delta, 0u);
        EXPECT_EQ(update.word, copy.word);
        EXPECT_EQ(update.delta, copy.delta);
        ++hits[update.word];
        same_as_rank += other_rank.next().delta == update.delta;
        same_as_seed += other_seed.next().delta == update.delta;
    }
    for (const std::uint64_t times : hits) EXPECT_NEAR(static_cast<double>(times), 1000, 200);
    EXPECT_EQ(same_as_rank, 0u);
    EXPECT_EQ(same_as_seed, 0u);
}

TEST(Expected, is_the_sum_of_all_ranks_updates) {
    const Shape shape(37, 3, 4);
    std::vector<std::uint64_t> whole(37);
    for (int rank = 0; rank < 3; ++rank) {
        Stream stream(9, rank, 37);
        for (int i = 0; i < 500; ++i) {
            const Update update = stream.next();
            whole[update.word] += update.delta;
        }
    }
    std::vector<std::uint64_t> joined;
    for (int rank = 0; rank < 3; ++rank)
        for (const std::uint64_t word : expected_words(shape, rank, 9, 500))
            joined.push_back(word);
    EXPECT_EQ(joined, whole);
    EXPECT_NE(expected_words(shape, 0, 9, 499), expected_words(shape, 0, 9, 500));
}

tl::expected<Options, support::Leave> parsed(std::vector<const char*> arguments,
                                             Program program = Program::kddm) {
    arguments.insert(arguments.begin(), "gups");
    return parse(program, static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, takes_suffixes) {
    EXPECT_EQ(parsed({"--words", "3K"})->words, 3072u);
    EXPECT_EQ(parsed({"--words", "2M", "--updates", "1G"})->updates, 1u << 30);
    EXPECT_EQ(parsed({"--object", "64K"})->object_bytes, 65536u);
    EXPECT_EQ(parsed({"--mode", "shm"}, Program::mpi_peer)->mode, Mode::shm);
}

TEST(Options, refuses_what_it_cannot_use_in_one_line) {
    const std::pair<std::vector<const char*>, const char*> cases[] = {
        {{"--words", "0"}, "--words 0 is out of range"},
        {{"--words", "-1"}, "--words -1 is out of range"},
        {{"--words", "K"}, "--words K is out of range"},
        {{"--words", "99999999999G"}, "is out of range"},
        {{"--updates", "0"}, "--updates 0"},
        {{"--object", "12"}, "--object 12 is out of range: a power of two"},
        {{"--object", "4"}, "--object 4 is out of range"},
        {{"--object", "2M"}, "--object 2M is out of range"},
        {{"--seed", "x"}, "--seed x"},
        {{"--mode", "shm"}, "--mode"},
        {{"extra"}, "extra"},
    };
    for (const auto& [arguments, text] : cases) {
        const auto options = parsed(arguments);
        ASSERT_FALSE(options) << text;
        EXPECT_EQ(options.error().exit_code, 2);
        EXPECT_THAT(options.error().text, HasSubstr(text));
        EXPECT_EQ(std::count(options.error().text.begin(), options.error().text.end(), '\n'), 1);
    }
    EXPECT_THAT(parsed({"--mode", "x"}, Program::mpi_peer).error().text,
                HasSubstr("--mode x is none of accumulate, shm, alltoallv"));
}

TEST(Report, says_how_many_words_are_wrong) {
    Report report;
    report.program = "gups";
    report.updates = 3'000'000;
    report.seconds = 1.5;
    EXPECT_THAT(report.text(), HasSubstr("2.000 M updates/s (0.002000 GUPS)"));
    EXPECT_THAT(report.json(), Not(HasSubstr("verify")));
    report.wrong_words = 0;
    EXPECT_THAT(report.text(), HasSubstr("every word holds"));
    report.wrong_words = 1234;
    EXPECT_THAT(report.text(), HasSubstr("1,234 words are WRONG"));
    EXPECT_THAT(report.json(), HasSubstr("\"passed\": false, \"wrong_words\": 1234"));
}

}  // namespace
}  // namespace gups
