// SPDX-License-Identifier: BSD-3-Clause
// Sets that are kept on volumes, from one session to the next.
#include "ssi/io/volumes.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "mount_plan.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "superblock.hpp"
#include "volumes_support.hpp"

namespace ssi::io {
namespace {

using namespace test_volumes;

TEST(Volumes, what_one_session_kept_the_next_finds_on_any_number_of_nodes) {
    Shelf shelf;
    {
        Running run(shelf, three);
        auto sets = run.keep("table", numbers());
        auto words = run.keep("words", texts());
        for (std::uint64_t i = 0; i < 300; ++i) {
            set_number(*sets[i % 3].grab(i), i * i);
            put(words[i % 3], {i, 7}, fmt::format("word {}", std::string(i % 50, 'x')));
        }
        Running::sync(sets);
        Running::sync(words);
    }
    for (const Layout& layout : {Layout{{"c", "a", "b"}}, Layout{{"b", "c"}, {"a"}},
                                 Layout{{}, {"a"}, {"b"}, {}, {"c"}}}) {
        SCOPED_TRACE(layout.size());
        Running run(shelf, layout);
        // Other sets before it: the number of a set in its session does not matter.
        run.cluster.open("other", numbers());
        auto words = run.keep("words", texts());
        auto sets = run.keep("table", numbers());
        const std::size_t last = sets.size() - 1;
        for (std::uint64_t i = 0; i < 300; ++i) {
            EXPECT_EQ(number(*sets[i % sets.size()].get(i)), i * i);
            EXPECT_EQ(text(words[last], {i, 7}),
                      fmt::format("word {}", std::string(i % 50, 'x')));
        }
        std::set<std::uint32_t> homes;
        for (std::uint64_t i = 0; i < 300; ++i) homes.insert(sets[0].home(i).value);
        EXPECT_EQ(homes.size(), static_cast<std::size_t>(std::ranges::count_if(
                                    layout, [](const auto& one) { return !one.empty(); })));
    }
}

TEST(Volumes, every_node_knows_all_of_them_and_slots_are_spread) {
    Shelf shelf;
    Running run(shelf, {{"a", "b"}, {}, {"c"}});
    for (const auto& volumes : run.volumes) {
        ASSERT_TRUE(volumes);
        ASSERT_EQ(volumes->volumes().size(), 3u);
        EXPECT_EQ(volumes->id(), run.volumes[0]->id());
        for (const VolumeInfo& info : volumes->volumes()) EXPECT_GE(info.slots, 21u);
        EXPECT_EQ(volumes->volumes()[1].node, NodeId{0});
        EXPECT_EQ(volumes->volumes()[2].node, NodeId{2});
        EXPECT_TRUE(volumes->volumes()[2].label.ends_with(":c")) << volumes->volumes()[2].label;
    }
}

TEST(Volumes, a_missing_volume_is_named_and_nothing_starts) {
    Shelf shelf;
    VolumeId missing;
    {
        Running run(shelf, three);
        missing = run.volumes[0]->volumes()[1].id;
    }
    Running run(shelf, {{"a"}, {"c"}});
    const Failure failure = run.failure();
    EXPECT_EQ(failure.code, Errc::not_found) << failure.text;
    EXPECT_NE(failure.text.find(missing.text()), std::string::npos) << failure.text;
    EXPECT_NE(failure.text.find(":b"), std::string::npos) << failure.text;
}

TEST(Volumes, refuses_what_does_not_belong_together) {
    Shelf shelf;
    { Running run(shelf, {{"a"}, {"b"}}); }
    { Running run(shelf, {{"x"}}); }
    EXPECT_EQ(Running(shelf, {{"a"}, {"b"}, {"x"}}).failure().code, Errc::mismatch);
    EXPECT_EQ(Running(shelf, {{"a"}, {"b"}, {"new"}}).failure().code, Errc::mismatch);
    EXPECT_EQ(Running(shelf, {{"a"}, {"b", "a"}}).failure().code, Errc::exists);
    EXPECT_EQ(Running(shelf, {{}, {}}).failure().code, Errc::not_found);
    { EXPECT_TRUE(Running(shelf, {{"a", "b"}}).volumes[0]) << "and it harms nobody"; }
}

TEST(Volumes, a_damaged_superblock_is_named_on_every_node) {
    Shelf shelf;
    { Running run(shelf, {{"a"}, {"b"}}); }
    {
        auto file = shelf.disk("b").open("superblock", OpenMode::write);
        ASSERT_TRUE(file);
        alignas(4096) static std::byte block[4096];
        ASSERT_TRUE(read(shelf.disk("b"), **file, block, 0));
        block[50] ^= std::byte{4};
        ASSERT_TRUE(write(shelf.disk("b"), **file, block, 0));
    }
    const Failure failure = Running(shelf, {{"a"}, {"b"}}).failure();
    EXPECT_EQ(failure.code, Errc::parse);
    EXPECT_EQ(failure.node, NodeId{1});
    EXPECT_NE(failure.text.find("b: the superblock is damaged"), std::string::npos)
        << failure.text;
}

TEST(Volumes, the_same_name_with_other_objects_is_refused) {
    Shelf shelf;
    {
        Running run(shelf, {{"a"}});
        auto sets = run.keep("s", numbers());
        set_number(*sets[0].grab(1), 1);
        Running::sync(sets);
    }
    Running run(shelf, {{"a"}});
    const auto refused = run.volumes[0]->keep("s", texts());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::mismatch);
    kddm::SetOptions placed = numbers();
    placed.placement = "node:0";
    EXPECT_EQ(run.volumes[0]->keep("t", placed).error().code, Errc::invalid_argument);
    EXPECT_TRUE(run.volumes[0]->keep("s", numbers()));
}

TEST(Volumes, keeping_a_set_goes_wrong_everywhere_or_nowhere) {
    Shelf shelf;
    {
        Running run(shelf, {{"a"}, {}});
        auto sets = run.keep("s", numbers());
        set_number(*sets[0].grab(1), 1);
        Running::sync(sets);
    }
    Running run(shelf, {{}, {"a"}});
    std::vector<Result<kddm::SetOptions>> kept(2);
    run.cluster.run([&](int i) {
        const auto at = static_cast<std::size_t>(i);
        kept[at] = run.volumes[at]->keep("s", texts());
    });
    for (const auto& one : kept) {
        ASSERT_FALSE(one);
        EXPECT_EQ(one.error().code, Errc::mismatch);
        EXPECT_EQ(one.error().text, kept[0].error().text);
        EXPECT_EQ(one.error().node, NodeId{1});
    }
}

// The first node that comes asks the others for objects at once.
TEST(Volumes, a_set_can_be_used_as_soon_as_it_is_kept) {
    Shelf shelf;
    for (int round = 0; round < 20; ++round) {
        Running run(shelf, three);
        run.cluster.run([&](int i) {
            if (i == round % 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
            auto kept = run.volumes[static_cast<std::size_t>(i)]->keep("s", numbers());
            ASSERT_TRUE(kept) << kept.error().to_string();
            auto set = run.cluster[i].create_or_open("s", *kept);
            ASSERT_TRUE(set) << set.error().to_string();
            for (std::uint64_t id = 0; id < 20; ++id) {
                auto guard = set->get(id);
                ASSERT_TRUE(guard) << guard.error().to_string();
            }
        });
    }
}

// Eviction goes on by itself while the volumes end: it is told so, and harms nobody.
TEST(Volumes, ends_while_objects_are_being_written_back) {
    for (int round = 0; round < 2; ++round) {
        Shelf shelf;
        test::LoopNodes::Options nodes;   // who waits for memory gives up soon
        value_or_throw(nodes.config.set("kddm.evict_timeout_ms", "50", "test"));
        Running run(shelf, {{"a"}, {"b"}}, std::move(nodes));
        run.cluster.expect_errors = true;
        kddm::SetOptions options = texts();
        options.memory_bytes = 256 << 10;
        auto sets = run.keep("s", options);
        run.cluster.run([&](int i) {
            for (std::uint64_t id = 0; id < 5000; ++id) {
                auto guard = sets[static_cast<std::size_t>(i)].grab(id);
                if (!guard || !guard->resize(4000)) return;   // the volumes were closed
                if (i == 0 && id == 200) {
                    (void)guard->put();
                    for (auto& volumes : run.volumes) EXPECT_TRUE(volumes->close());
                }
            }
        });
    }
}

TEST(Volumes, removed_objects_and_destroyed_sets_stay_away) {
    Shelf shelf;
    for (const int session : {0, 1}) {
        Running run(shelf, {{"a"}, {"b"}});
        auto sets = run.keep("s", numbers());
        auto doomed = run.keep("doomed", numbers());
        if (session == 0) {
            for (std::uint64_t i = 0; i < 50; ++i) {
                set_number(*sets[0].grab(i), i + 1);
                set_number(*doomed[0].grab(i), i + 1);
            }
            Running::sync(sets);
            Running::sync(doomed);
            for (std::uint64_t i = 0; i < 50; i += 2) ASSERT_TRUE(sets[1].remove(i));
            ASSERT_TRUE(run.cluster[1].destroy("doomed"));
            Running::sync(sets);
            continue;
        }
        for (std::uint64_t i = 0; i < 50; ++i) {
            EXPECT_EQ(number(*sets[0].get(i)), i % 2 ? i + 1 : 0u);
            EXPECT_EQ(number(*doomed[1].get(i)), 0u);
        }
    }
}

// The same name again, at once: nothing of the old set comes back, and nothing of the new one goes.
TEST(Volumes, a_set_that_is_destroyed_makes_room_for_another_of_its_name) {
    Shelf shelf;
    constexpr std::uint64_t objects = 40;
    for (int round = 0; round < 5; ++round) {
        Running run(shelf, three);
        auto sets = run.keep("s", texts());
        for (std::uint64_t i = 0; i < objects; ++i) put(sets[i % 3], i, fmt::format("old {}", i));
        if (round % 2 == 0) Running::sync(sets);
        ASSERT_TRUE(run.cluster[round % 3].destroy("s"));
        auto again = run.keep("s", numbers());
        for (std::uint64_t i = 0; i < objects; ++i) {
            EXPECT_EQ(number(*again[0].get(i)), 0u);
            set_number(*again[i % 3].grab(i), i + 1);
        }
        Running::sync(again);
        for (auto& volumes : run.volumes) ASSERT_TRUE(volumes->close());
        run.volumes.clear();
        Running next(shelf, {{"a", "b", "c"}});
        auto kept = next.keep("s", numbers());
        for (std::uint64_t i = 0; i < objects; ++i) EXPECT_EQ(number(*kept[0].get(i)), i + 1);
        ASSERT_TRUE(next.cluster[0].destroy("s"));
    }
}

TEST(Volumes, nodes_that_never_opened_a_set_lose_their_part_of_it_too) {
    Shelf shelf;
    {
        Running run(shelf, three);
        auto sets = run.keep("s", numbers());
        for (std::uint64_t i = 0; i < 40; ++i) set_number(*sets[0].grab(i), i + 1);
        Running::sync(sets);
    }
    {
        Running run(shelf, three);
        run.cluster.run([&](int i) {
            const auto kept = run.volumes[static_cast<std::size_t>(i)]->keep("s", numbers());
            ASSERT_TRUE(kept);
            ASSERT_TRUE(i != 0 || run.cluster[0].create_or_open("s", *kept));
        });   // no other node opens it
        ASSERT_TRUE(run.cluster[0].destroy("s"));
    }
    Running run(shelf, three);
    auto sets = run.keep("s", numbers());
    for (std::uint64_t i = 0; i < 40; ++i) EXPECT_EQ(number(*sets[1].get(i)), 0u) << i;
}

TEST(Volumes, whoever_comes_after_close_is_refused) {
    Shelf shelf;
    Running run(shelf, {{"a"}});
    run.cluster.expect_errors = true;
    auto sets = run.keep("s", numbers());
    set_number(*sets[0].grab(1), 1);
    ASSERT_TRUE(run.volumes[0]->close());
    const auto synced = sets[0].sync();
    ASSERT_FALSE(synced);
    EXPECT_NE(synced.error().text.find("the volumes were closed"), std::string::npos);
    EXPECT_EQ(run.volumes[0]->sync().error().code, Errc::cancelled);
    EXPECT_EQ(run.volumes[0]->keep("t", numbers()).error().code, Errc::cancelled);
}

// One node's options make the map of new volumes; others' bad ones hang nobody.
TEST(Volumes, nodes_that_differ_about_slots_agree) {
    for (const std::uint32_t first : {64u, 1u, 3u}) {
        SCOPED_TRACE(first);
        Shelf shelf;
        shelf.disk("a");
        shelf.disk("b");
        Cluster cluster(2);
        std::vector<Result<std::unique_ptr<Volumes>>> mounted(2);
        cluster.run([&](int i) {
            auto options = shelf.options({i == 0 ? "a" : "b"});
            options.slots = i == 0 ? first : 2;
            mounted[static_cast<std::size_t>(i)] =
                Volumes::mount(cluster.nodes()[i], cluster[i], std::move(options));
        });
        for (auto& one : mounted) {
            ASSERT_EQ(one.has_value(), first == 64);
            if (one) {
                EXPECT_EQ((*one)->volumes()[0].slots, 32u);
                EXPECT_TRUE((*one)->close());
            } else {
                EXPECT_EQ(one.error().code, Errc::invalid_argument);
                EXPECT_EQ(one.error().text, mounted[0].error().text);
            }
        }
    }
}

// The power goes at any time: what was synced before is there, and nothing that was never written.
TEST(Volumes, what_was_synced_survives_power_cuts) {
    for (std::uint64_t seed = 1; seed <= 15; ++seed) {
        SCOPED_TRACE(seed);
        Shelf shelf;
        Random random(seed);
        std::map<std::uint64_t, std::uint64_t> synced;
        std::uint64_t stamp = 0;
        for (int session = 0; session < 4; ++session) {
            Layout layout = session % 2 == 0 ? Layout{{"a"}, {"b"}} : Layout{{"b", "a"}};
            Running run(shelf, layout);
            ASSERT_TRUE(run.failures.empty()) << run.failures[0].to_string();
            auto sets = run.keep("s", numbers());
            for (const auto& [id, value] : synced)
                ASSERT_GE(number(*sets[0].get(id)), value) << id;
            for (std::uint64_t i = 0; i < 60; ++i) {
                const std::uint64_t id = random.below(40);
                set_number(*sets[random.below(sets.size())].grab(id), ++stamp);
                if (random.chance(1, 20)) {
                    Running::sync(sets);
                    for (std::uint64_t each = 0; each < 40; ++each)
                        synced[each] = number(*sets[0].get(each));
                }
            }
            // As the disks are now, before the volumes close in order.
            std::map<std::string, std::unique_ptr<MemoryDisk>> cut;
            for (auto& [name, disk] : shelf.disks) cut[name] = disk->after_power_cut(random.next());
            for (auto& volumes : run.volumes) volumes.reset();
            shelf.disks = std::move(cut);
        }
    }
}

// A start that was cut off begins anew, wherever it was; once it is complete nothing is lost.
TEST(Volumes, a_first_start_that_is_cut_off_can_be_repeated) {
    for (std::uint64_t operation = 1;; ++operation) {
        SCOPED_TRACE(operation);
        Shelf shelf;
        std::map<std::string, std::unique_ptr<FaultyDisk>> faulty;
        shelf.wrap = [&](const std::string& name) -> Result<std::unique_ptr<Disk>> {
            return std::make_unique<Borrowed>(*faulty.at(name));
        };
        for (const std::string name : {"a", "b"}) {
            const FaultPlan plan{.fail_at = name == "b" ? operation : 0, .fail_after = true};
            faulty[name] = make_faulty_disk(shelf.disk(name), {.plan = plan});
        }
        bool failed = false;
        {
            Running run(shelf, {{"a"}, {"b"}});
            run.cluster.expect_errors = true;
            failed = !run.failures.empty();
            for (auto& volumes : run.volumes) {
                if (volumes) (void)volumes->close();
                volumes.reset();
            }
        }
        faulty.clear();
        shelf.wrap = nullptr;
        shelf.cut_power(operation);
        Running again(shelf, {{"a"}, {"b"}});
        ASSERT_TRUE(again.failures.empty()) << again.failures[0].to_string();
        auto sets = again.keep("s", numbers());
        set_number(*sets[0].grab(3), 4);
        Running::sync(sets);
        if (!failed) {
            EXPECT_GT(operation, 10u) << "no operation was made to fail";
            return;
        }
        ASSERT_LT(operation, 200u);
    }
}

}  // namespace
}  // namespace ssi::io
