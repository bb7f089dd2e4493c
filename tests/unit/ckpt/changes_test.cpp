// SPDX-License-Identifier: BSD-3-Clause
#include "changes.hpp"

#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

constexpr std::size_t grain = Changes::grain;

struct ChangesTest : testing::Test {
    Part part(std::uint64_t version, std::uint64_t id = 7) const {
        return {SetId{2}, id, version, 0, bytes.size()};
    }
    // What is as in the base, as text: "+4096 =8192 +100".
    std::string look(std::uint64_t version, bool versioned = true, std::uint64_t id = 7) {
        changes.look(part(version, id), bytes, versioned, out);
        std::string text;
        std::uint64_t at = 0;
        for (const ckpt::Run& run : out.runs) {
            EXPECT_EQ(run.offset, at);
            at += run.length;
            text += fmt::format("{}{}{}", text.empty() ? "" : " ", run.same ? '=' : '+',
                                run.length);
        }
        EXPECT_EQ(at, bytes.size());
        return text;
    }

    Random random{3};
    Bytes bytes = random_bytes(random, 5 * grain + 104);
    Changes changes;
    Changed out;
};

TEST_F(ChangesTest, all_is_new_until_a_version_is_committed) {
    changes.begin(false);
    EXPECT_EQ(look(1), "+20584");
    EXPECT_FALSE(changes.has_base());
    changes.begin(false);
    EXPECT_EQ(look(1), "+20584");
    changes.committed(1);
    changes.begin(false);
    EXPECT_EQ(look(1), "=20584");
    changes.committed(2);
    EXPECT_EQ(changes.base(), 2u);
    changes.begin(true);
    EXPECT_EQ(look(1), "+20584");
    changes.forget();
    EXPECT_FALSE(changes.has_base());
}

TEST_F(ChangesTest, blocks_are_told_apart_by_what_is_in_them) {
    changes.begin(false);
    look(1);
    changes.committed(1);
    bytes[grain] ^= std::byte{1};
    bytes[3 * grain - 1] ^= std::byte{1};
    bytes.back() ^= std::byte{128};
    changes.begin(false);
    EXPECT_EQ(look(2), "=4096 +8192 =8192 +104");
    changes.committed(2);
    // Written, and as it was.
    changes.begin(false);
    EXPECT_EQ(look(3), "=20584");
    changes.committed(3);
    // What was looked at and not committed is no base, nor is what was there before.
    bytes[0] ^= std::byte{1};
    changes.begin(false);
    EXPECT_EQ(look(4), "+4096 =16488");
    EXPECT_FALSE(changes.has_base());
    changes.begin(false);
    EXPECT_EQ(look(4), "+20584");
    changes.committed(4);
    // A version that was begun, and nothing of it looked at, changes nothing.
    changes.begin(false);
    EXPECT_TRUE(changes.has_base());
    changes.begin(false);
    EXPECT_EQ(look(4), "=20584");
}

TEST_F(ChangesTest, what_was_not_looked_at_is_forgotten) {
    const auto all = [&](std::uint64_t objects, std::uint64_t version) {
        for (std::uint64_t id = 0; id < objects; ++id) look(version, true, id);
    };
    changes.begin(false);
    all(10, 1);
    changes.committed(1);
    for (const std::uint64_t left : {8, 2}) {   // few are gone, then most
        changes.begin(false);
        all(left, 1);
        changes.committed(2);
    }
    bytes[0] ^= std::byte{1};
    changes.begin(false);
    EXPECT_EQ(look(2, true, 1), "+4096 =16488");
    EXPECT_EQ(look(1, true, 7), "+20584");
    EXPECT_EQ(look(1, true, 9), "+20584");
}

TEST_F(ChangesTest, an_object_that_changes_its_length_again_and_again_is_told_apart) {
    for (std::uint64_t round = 1; round < 20; ++round) {
        bytes.resize(bytes.size() + grain, std::byte{1});
        changes.begin(false);
        EXPECT_EQ(look(round), fmt::format("+{}", bytes.size()));
        look(1, true, 8);
        changes.committed(round);
        bytes.back() ^= std::byte{1};
        changes.begin(false);
        const auto tail = bytes.size() % grain;
        EXPECT_EQ(look(round + 100), fmt::format("={} +{}", bytes.size() - tail, tail));
        EXPECT_EQ(look(1, true, 8), fmt::format("={}", bytes.size()));
        changes.committed(round);
    }
}

TEST_F(ChangesTest, equal_versions_are_not_looked_at_where_there_are_versions) {
    changes.begin(false);
    look(5);
    look(0, false, 8);
    changes.committed(1);
    bytes[0] ^= std::byte{1};
    changes.begin(false);
    EXPECT_EQ(look(5), "=20584");
    EXPECT_EQ(look(0, false, 8), "+4096 =16488");
    changes.committed(2);
    // The hashes of what was not looked at are still known.
    bytes[0] ^= std::byte{1};
    changes.begin(false);
    EXPECT_EQ(look(6), "=20584");
}

TEST_F(ChangesTest, another_length_or_another_object_is_new) {
    changes.begin(false);
    look(1);
    changes.committed(1);
    changes.begin(false);
    EXPECT_EQ(look(1, true, 9), "+20584");
    bytes.resize(grain);
    EXPECT_EQ(look(1), "+4096");
    bytes.clear();
    EXPECT_EQ(look(2), "+0");
    changes.committed(2);
    changes.begin(false);
    EXPECT_EQ(look(2), "=0");
}

}  // namespace
}  // namespace ssi::ckpt::test
