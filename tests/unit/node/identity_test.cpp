// SPDX-License-Identifier: BSD-3-Clause
#include "identity.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>

#include "bytes.hpp"

namespace ssi::node {
namespace {

TEST(Identity, the_build_id_is_of_this_program_and_can_be_replaced_by_a_test) {
    const std::string own = build_id();
    EXPECT_GE(own.size(), 16u);
    EXPECT_EQ(build_id(), own);
    setenv("SSI_TEST_BUILD_ID", "another", 1);
    EXPECT_EQ(build_id(), "another");
    unsetenv("SSI_TEST_BUILD_ID");
}

TEST(Identity, the_host_id_is_stable_and_can_be_replaced_by_a_test) {
    const auto own = host_id();
    EXPECT_EQ(host_id(), own);
    setenv("SSI_TEST_HOST_ID", "another", 1);
    EXPECT_NE(host_id(), own);
    unsetenv("SSI_TEST_HOST_ID");
    EXPECT_FALSE(host_name().empty());
}

TEST(Identity, the_affinity_id_changes_with_the_cores) {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "one core only";
    const auto before = affinity_id();
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_NE(affinity_id(), before);
    ASSERT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    EXPECT_EQ(affinity_id(), before);
}

TEST(Bytes, come_back_as_they_were_written) {
    ByteWriter out;
    out.put(std::uint32_t{7});
    out.put_text("text");
    out.put_text("");
    out.put(std::int8_t{-1});
    const auto bytes = std::move(out).take();
    ByteReader in(bytes);
    EXPECT_EQ(in.get<std::uint32_t>(), 7u);
    EXPECT_EQ(in.get_text(), "text");
    EXPECT_EQ(in.get_text(), "");
    EXPECT_EQ(in.get<std::int8_t>(), -1);
    EXPECT_TRUE(in.ok());
    EXPECT_TRUE(in.at_end());
}

TEST(Bytes, a_reader_that_runs_out_says_so_and_reads_zeroes) {
    ByteWriter out;
    out.put(std::uint32_t{1000});  // the length of a text that is not there
    const auto bytes = std::move(out).take();
    ByteReader in(bytes);
    EXPECT_EQ(in.get_text(), "");
    EXPECT_FALSE(in.ok());
    EXPECT_EQ(in.get<std::uint64_t>(), 0u);
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace ssi::node
