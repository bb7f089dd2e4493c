// SPDX-License-Identifier: BSD-3-Clause
// Runs a check in a forked child, for tests that change limits of the process.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>

namespace ssi {

// `check` returns "" when all is well, otherwise what is wrong.
inline void in_child(const std::function<std::string()>& check) {
    std::fflush(nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const std::string wrong = check();
        if (!wrong.empty()) std::fprintf(stderr, "in the child: %s\n", wrong.c_str());
        std::fflush(nullptr);
        _exit(wrong.empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace ssi
