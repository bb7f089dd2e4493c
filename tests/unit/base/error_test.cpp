// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "ssi/base/result.hpp"

namespace ssi {
namespace {

TEST(ErrorTable, has_one_row_per_number_in_order_with_a_sentence) {
    std::set<std::string> names;
    std::uint16_t number = 0;
    for (const ErrorInfo& info : error_table()) {
        EXPECT_EQ(static_cast<std::uint16_t>(info.code), number++);
        EXPECT_TRUE(names.insert(info.name).second) << info.name;
        EXPECT_EQ(std::string(info.text).back(), '.') << info.name;
    }
    EXPECT_EQ(number, 25);
    EXPECT_STREQ(error_info(Errc::peer_lost).name, "peer_lost");
    EXPECT_STREQ(error_info(static_cast<Errc>(999)).name, "internal");
}

TEST(ErrorTable, gives_every_failure_an_exit_code_of_its_own_but_usage_errors) {
    std::set<int> codes;
    for (const ErrorInfo& info : error_table()) {
        if (info.code == Errc::ok) {
            EXPECT_EQ(info.exit_code, 0);
        } else if (info.exit_code == 2) {
            EXPECT_TRUE(info.code == Errc::invalid_argument || info.code == Errc::bad_config);
        } else {
            EXPECT_TRUE(codes.insert(info.exit_code).second) << info.name;
            EXPECT_GE(info.exit_code, 40);
            EXPECT_LT(info.exit_code, 128);
            EXPECT_TRUE(info.exit_code < 64 || info.exit_code > 78) << "taken by sysexits.h";
        }
    }
}

TEST(Failure, says_name_node_cause_and_errno) {
    const Failure lost{Errc::peer_lost, 0, NodeId{3},
                       "node 3 lost: process 4711 exited (home of object 7)"};
    EXPECT_EQ(lost.to_string(),
              "peer_lost: node 3 lost: process 4711 exited (home of object 7)");
    EXPECT_EQ((Failure{Errc::transport, 0, NodeId{2}, "endpoint closed"}.to_string()),
              "transport: node 2: endpoint closed");
    EXPECT_EQ((Failure{Errc::io, ENOSPC, no_node, "cannot write x"}.to_string()),
              "io: cannot write x (ENOSPC: No space left on device)");
    EXPECT_EQ((Failure{Errc::io, 99999, no_node, "odd"}.to_string()),
              "io: odd (errno 99999: unknown error)");
}

TEST(Error, carries_the_failure_to_the_catcher) {
    try {
        value_or_throw(Result<int>(fail(Errc::not_found, "no set named x", NodeId{4})));
        FAIL() << "did not throw";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::not_found);
        EXPECT_EQ(error.node(), NodeId{4});
        EXPECT_EQ(error.sys_errno(), 0);
        EXPECT_STREQ(error.what(), "not_found: node 4: no set named x");
    }
}

Result<void> leaves_early(bool& reached) {
    SSI_TRY(Result<void>(fail_errno(Errc::io, EIO, "first")));
    reached = true;
    return {};
}

TEST(Result, try_leaves_the_function_with_the_first_failure) {
    bool reached = false;
    const auto result = leaves_early(reached);
    ASSERT_FALSE(result);
    EXPECT_FALSE(reached);
    EXPECT_EQ(result.error().text, "first");
    EXPECT_EQ(result.error().sys_errno, EIO);
}

}  // namespace
}  // namespace ssi
