// SPDX-License-Identifier: BSD-3-Clause
#include "child.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace ssi::cli {
namespace {

TEST(Child, returns_the_answer_and_keeps_the_noise_apart) {
    const auto report = run_in_child(
        [] {
            std::printf("noise\n");
            std::fprintf(stderr, "more\n");
            return std::string(100'000, 'x');
        },
        5000);
    ASSERT_TRUE(report.answer) << report.end;
    EXPECT_EQ(report.answer->size(), 100'000u);
    EXPECT_EQ(report.output, "more\nnoise\n");
    EXPECT_EQ(report.end, "");
}

TEST(Child, names_the_signal_that_killed_it) {
    const auto report = run_in_child(
        []() -> std::string {
            std::signal(SIGTERM, SIG_DFL);
            raise(SIGTERM);
            return "never";
        },
        5000);
    EXPECT_FALSE(report.answer);
    EXPECT_EQ(report.end, "killed by signal 15 (Terminated)");
}

TEST(Child, names_the_exit_code_of_a_body_that_leaves) {
    const auto report = run_in_child([]() -> std::string { _exit(7); }, 5000);
    EXPECT_FALSE(report.answer);
    EXPECT_EQ(report.end, "ended with exit code 7");
}

TEST(Child, ends_one_that_hangs_and_its_children) {
    int witness[2];
    ASSERT_EQ(pipe(witness), 0);
    const auto report = run_in_child(
        [&]() -> std::string {
            if (fork() == 0) pause();
            pause();
            return "never";
        },
        200);
    EXPECT_FALSE(report.answer);
    EXPECT_EQ(report.end, "no answer in 0 s");
    close(witness[1]);
    char byte = 0;
    EXPECT_EQ(read(witness[0], &byte, 1), 0) << "ends only when no child holds the pipe any more";
    close(witness[0]);
}

}  // namespace
}  // namespace ssi::cli
