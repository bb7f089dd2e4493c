// SPDX-License-Identifier: BSD-3-Clause
#include "names_history.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace ssi::model {
namespace {

using What = NameOperation::What;

NameOperation operation(What what, std::uint32_t name, std::uint64_t called,
                        std::uint64_t answered, int error = 0, std::uint64_t inode = 0,
                        std::uint32_t to = 0) {
    return {what, name, to, called, answered, error, inode};
}

TEST(NamesHistory, accepts_what_one_after_the_other_gives) {
    NamesHistory h(2);
    h.add(operation(What::look, 0, 1, 2, ENOENT));
    h.add(operation(What::create, 0, 3, 4, 0, 7));
    h.add(operation(What::create, 0, 5, 6, EEXIST));
    h.add(operation(What::link, 0, 7, 8, 0, 0, 1));
    h.add(operation(What::move, 0, 9, 10, 0, 0, 1));    // two names of one file stay
    h.add(operation(What::look, 0, 11, 12, 0, 7));
    h.add(operation(What::remove, 1, 13, 14));
    h.add(operation(What::move, 0, 15, 16, 0, 0, 1));
    h.add(operation(What::look, 1, 17, 18, 0, 7));
    h.add(operation(What::remove, 0, 19, 20, ENOENT));
    EXPECT_EQ(h.wrong(), std::nullopt);
}

TEST(NamesHistory, accepts_any_order_of_what_overlaps) {
    NamesHistory h(1);
    h.add(operation(What::look, 0, 1, 10, 0, 7));
    h.add(operation(What::create, 0, 2, 9, 0, 7));
    h.add(operation(What::remove, 0, 3, 8));
    h.add(operation(What::look, 0, 4, 7, ENOENT));
    EXPECT_EQ(h.wrong(), std::nullopt);
}

TEST(NamesHistory, lets_others_between_the_steps_of_a_link) {
    NamesHistory h(3);
    h.add(operation(What::create, 0, 1, 2, 0, 7));
    h.add(operation(What::link, 0, 3, 10, 0, 0, 2));
    h.add(operation(What::move, 0, 4, 5, 0, 0, 1));
    h.add(operation(What::look, 0, 6, 7, ENOENT));
    h.add(operation(What::look, 2, 8, 9, ENOENT));
    h.add(operation(What::look, 2, 11, 12, 0, 7));
    EXPECT_EQ(h.wrong(), std::nullopt);
    NamesHistory late(3);            // there was nothing to be found any more
    late.add(operation(What::create, 0, 1, 2, 0, 7));
    late.add(operation(What::move, 0, 3, 4, 0, 0, 1));
    late.add(operation(What::link, 0, 5, 6, 0, 0, 2));
    EXPECT_NE(late.wrong(), std::nullopt);
}

TEST(NamesHistory, finds_what_no_order_explains) {
    NamesHistory twice(1);
    twice.add(operation(What::create, 0, 1, 4, 0, 7));
    twice.add(operation(What::create, 0, 2, 3, 0, 8));
    EXPECT_NE(twice.wrong(), std::nullopt);
    NamesHistory stale(1);
    stale.add(operation(What::create, 0, 1, 2, 0, 7));
    stale.add(operation(What::remove, 0, 3, 4));
    stale.add(operation(What::look, 0, 5, 6, 0, 7));
    EXPECT_NE(stale.wrong(), std::nullopt);
    NamesHistory halfway(2);   // moved, and for a moment under neither name
    halfway.add(operation(What::create, 0, 1, 2, 0, 7));
    halfway.add(operation(What::move, 0, 3, 10, 0, 0, 1));
    halfway.add(operation(What::look, 0, 4, 5, ENOENT));
    halfway.add(operation(What::look, 1, 6, 7, ENOENT));
    EXPECT_NE(halfway.wrong(), std::nullopt);
}

// Made by applying operations at a random moment of their time; then one answer is changed.
TEST(NamesHistory, tells_true_histories_from_changed_ones) {
    std::mt19937_64 random(3);
    int found = 0;
    for (int round = 0; round < 200; ++round) {
        NamesHistory truth(2), lie(2);
        std::uint64_t there[2] = {}, next = 1;
        const std::size_t changed = random() % 60;
        for (std::uint64_t i = 0; i < 60; ++i) {
            const std::uint64_t moment = 1'000 + 100 * i;
            const auto name = static_cast<std::uint32_t>(random() % 2);
            NameOperation o = operation(static_cast<What>(random() % 2 ? 4 : random() % 2), name,
                                        moment - random() % 150, moment + 1 + random() % 150);
            if (o.what == What::create) {
                o.error = there[name] ? EEXIST : 0;
                if (!there[name]) o.inode = there[name] = next++;
            } else if (there[name] == 0) {
                o.error = ENOENT;
            } else if (o.what == What::remove) {
                there[name] = 0;
            } else {
                o.inode = there[name];
            }
            truth.add(o);
            if (i == changed) o.inode = o.error ? o.inode : 999;
            lie.add(o);
        }
        EXPECT_EQ(truth.wrong(), std::nullopt);
        found += lie.wrong().has_value();
    }
    EXPECT_GT(found, 40);   // a changed create that nobody looked at, or an error, is no lie
}

}  // namespace
}  // namespace ssi::model
