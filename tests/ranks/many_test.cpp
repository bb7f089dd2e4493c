// SPDX-License-Identifier: BSD-3-Clause
// Verbs over many objects and futures, over real processes and UCX.
#include <gtest/gtest.h>

#include <boost/serialization/string.hpp>

#include <string>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/kddm/serialized.hpp"
#include "ssi/ssi.hpp"

namespace ssi {
namespace {

struct Large {
    std::uint64_t words[8192];
};

struct Name {
    std::string text;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive & text;
    }
};

std::vector<ObjectId> range(std::uint64_t first, std::uint64_t count, std::uint64_t stride = 1) {
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < count; ++i) ids.emplace_back(first + i * stride);
    return ids;
}

Session session() { return Session::from_mpi(nullptr); }

TEST(ManyRanks, every_rank_reads_what_the_others_wrote) {
    Session s = session();
    constexpr std::uint64_t count = 5000;
    auto set = s.set<std::uint64_t>("many.small", {.count = count});
    const auto size = static_cast<std::uint64_t>(s.size());
    const auto rank = static_cast<std::uint64_t>(s.rank());
    for (std::uint64_t round = 1; round <= 3; ++round) {
        {
            const auto mine = range(rank, (count - rank + size - 1) / size, size);
            auto objects = set.grab_many(mine);
            for (std::size_t i = 0; i < mine.size(); ++i) objects[i] = mine[i].lo * round;
        }
        s.barrier();
        {
            const auto all = range(0, count);
            auto objects = set.get_many(all);
            std::uint64_t wrong = 0;
            for (std::size_t i = 0; i < count; ++i) wrong += objects[i] != i * round;
            EXPECT_EQ(wrong, 0u);
        }
        s.barrier();
    }
}

TEST(ManyRanks, large_objects_arrive_whole_from_every_rank) {
    Session s = session();
    constexpr std::uint64_t count = 128;
    auto set = s.set<Large>("many.large", {.count = count, .placement = "blocked"});
    const auto size = static_cast<std::uint64_t>(s.size());
    for (std::uint64_t i = static_cast<std::uint64_t>(s.rank()); i < count; i += size) {
        auto object = set.grab(i);
        for (std::uint64_t w = 0; w < 8192; ++w) object->words[w] = i * 8192 + w;
    }
    s.barrier();
    {
        auto objects = set.get_many(range(0, count));
        std::uint64_t wrong = 0;
        for (std::uint64_t i = 0; i < count; ++i)
            for (std::uint64_t w = 0; w < 8192; ++w)
                wrong += objects[i].words[w] != i * 8192 + w;
        EXPECT_EQ(wrong, 0u);
    }
    s.barrier();
}

TEST(ManyRanks, typed_objects_are_decoded_and_encoded) {
    Session s = session();
    auto set = s.set<Name>("many.names", {.count = 20});
    if (s.rank() == 0) {
        const auto ids = range(0, 20);
        auto names = set.grab_many(ids);
        for (std::size_t i = 0; i < 20; ++i) names[i].text = std::string(i * 100, 'a');
        names.put();
    }
    s.barrier();
    {
        const std::vector<ObjectId> ids{19, 3, 19, 0};
        auto names = set.get_many(ids);
        EXPECT_EQ(names[0].text, std::string(1900, 'a'));
        EXPECT_EQ(names[1].text, std::string(300, 'a'));
        EXPECT_EQ(names[2].text, std::string(1900, 'a'));
        EXPECT_EQ(names[3].text, "");
    }
    s.barrier();
}

TEST(ManyRanks, ranks_that_fight_for_the_same_objects_all_win) {
    Session s = session();
    auto set = s.set<std::uint64_t>("many.fight", {.count = 30});
    Random random(static_cast<std::uint64_t>(s.rank()) + 1);
    std::uint64_t added = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<ObjectId> ids;
        for (std::uint64_t n = 1 + random.below(10); n > 0; --n) ids.emplace_back(random.below(30));
        auto objects = set.grab_many(ids);
        for (std::size_t i = 0; i < ids.size(); ++i) ++objects[i];
        added += ids.size();
    }
    added = s.reduce(added, Reduce::sum);
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < 30; ++i) sum += *set.get(i);
    EXPECT_EQ(sum, added);
    s.barrier();
}

TEST(ManyRanks, updates_from_all_ranks_add_up) {
    Session s = session();
    constexpr std::uint64_t objects = 64, words = 512, each = 100'000;
    auto set = s.raw_set("many.updates", {.count = objects, .object_bytes = words * 8}).value();
    {
        kddm::Updates<std::uint64_t> updates(set, kddm::AtomicOp::add);
        Random random(static_cast<std::uint64_t>(s.rank()) + 1);
        for (std::uint64_t i = 0; i < each; ++i) {
            const std::uint64_t at = random.below(objects * words);
            updates.add(at / words, at, static_cast<std::uint32_t>(at % words * 8));
        }
        updates.flush();
    }
    s.barrier();
    std::vector<std::uint64_t> expected(objects * words);
    for (int rank = 0; rank < s.size(); ++rank) {
        Random random(static_cast<std::uint64_t>(rank) + 1);
        for (std::uint64_t i = 0; i < each; ++i) {
            const std::uint64_t at = random.below(objects * words);
            expected[at] += at;
        }
    }
    for (std::uint64_t i = 0; i < objects; ++i) {
        auto guard = set.get(i).value();
        EXPECT_EQ(std::memcmp(guard.bytes().data(), &expected[i * words], words * 8), 0);
    }
    s.barrier();
}

TEST(ManyRanks, futures_overlap) {
    Session s = session();
    auto set = s.set<std::int64_t>("many.futures", {.count = 1000});
    std::vector<Future<std::int64_t>> adds;
    for (std::uint64_t i = 0; i < 1000; ++i) adds.push_back(set.fetch_add_async(i, 1));
    when_all(adds);
    for (auto& add : adds) EXPECT_LT(add.get(), s.size());
    s.barrier();
    std::vector<Future<kddm::Guard<const std::int64_t>>> gets;
    for (std::uint64_t i = 1000; i > 0; --i) gets.push_back(set.get_async(i - 1));
    when_all(gets);
    std::int64_t sum = 0;
    for (auto& get : gets) sum += *get.get();
    EXPECT_EQ(sum, 1000 * s.size());
    gets.clear();
    s.barrier();
    const auto owned = set.for_each_owned([](auto& object) { *object += 1; });
    s.barrier();
    EXPECT_EQ(s.reduce(owned, Reduce::sum), 1000u);
    EXPECT_EQ(*set.get(17), s.size() + 1);
    s.barrier();
}

}  // namespace
}  // namespace ssi
