// SPDX-License-Identifier: BSD-3-Clause
// The logs of volumes: which one keeps a set, who else may use them, and how they were closed.
#include <atomic>
#include <thread>

#include "superblock.hpp"
#include "volumes_support.hpp"

namespace ssi::io {
namespace {

using namespace test_volumes;

SlotId by_high_half(SetId, ObjectId id, std::uint32_t) {
    return SlotId(static_cast<std::uint32_t>(id.hi));
}

TEST(Volumes, bulk_data_lies_in_a_log_of_its_own_where_its_placement_says) {
    Shelf shelf;
    for (const Layout& layout : {three, Layout{{"c", "a"}, {}, {"b"}}}) {
        Running run(shelf, layout);
        auto pages = run.keep("pages", texts(), KeptIn::data, &by_high_half);
        auto names = run.keep("names", texts(), KeptIn::metadata, &by_high_half);
        auto table = run.keep("table", numbers());
        const Volumes& volumes = *run.volumes[0];
        ASSERT_EQ(volumes.slots(), 64u);
        for (std::uint64_t slot = 0; slot < 100; ++slot) {
            const ObjectId id{slot, slot + 7};
            const std::uint32_t volume =
                volumes.volume_of(SlotId(static_cast<std::uint32_t>(slot % 64)));
            EXPECT_EQ(pages[1].home(id), volumes.node_of(volume));
            EXPECT_EQ(names[2].home(id), volumes.node_of(volume));
            const bool again = &layout != &three && !run.volumes[0]->is_new();
            if (again) {
                EXPECT_EQ(text(pages[slot % 3], id), fmt::format("page {}", slot));
                EXPECT_EQ(text(names[slot % 3], id), fmt::format("name {}", slot));
                continue;
            }
            put(pages[slot % 3], id, fmt::format("page {}", slot));
            put(names[slot % 3], id, fmt::format("name {}", slot));
        }
        Running::sync(pages);
        Running::sync(names);
        const SetId number = Volumes::number_of("pages");
        for (const auto& mounted : run.volumes) {
            const auto hold = mounted->hold();
            ASSERT_TRUE(hold);
            for (std::uint32_t volume = 0; volume < 3; ++volume) {
                const bool ours = mounted->node_of(volume) ==
                                  run.cluster.nodes()[int(&mounted - &run.volumes[0])].id();
                ObjectLog* data = mounted->log(volume, KeptIn::data);
                ObjectLog* metadata = mounted->log(volume, KeptIn::metadata);
                ASSERT_EQ(data != nullptr, ours);
                ASSERT_EQ(metadata != nullptr, ours);
                if (!ours) continue;
                EXPECT_TRUE(metadata->objects(number).empty());
                for (const ObjectFacts& facts : data->objects(number))
                    EXPECT_EQ(mounted->volume_of(SlotId(facts.id.hi % 64)), volume);
                EXPECT_FALSE(data->objects(number).empty());
                EXPECT_TRUE(data->objects(Volumes::number_of("names")).empty());
                EXPECT_EQ(data->last(), data->durable());
            }
            EXPECT_EQ(mounted->log(3, KeptIn::data), nullptr);
        }
    }
}

TEST(Volumes, a_set_stays_in_the_log_that_it_was_kept_in) {
    Shelf shelf;
    {
        Running run(shelf, {{"a"}, {"b"}});
        run.keep("s", numbers(), KeptIn::data);
    }
    Running run(shelf, {{"a"}, {"b"}});
    run.cluster.run([&](int i) {
        auto& volumes = *run.volumes[static_cast<std::size_t>(i)];
        const auto refused = volumes.keep("s", numbers());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::mismatch);
        EXPECT_NE(refused.error().text.find("in the other log"), std::string::npos);
        EXPECT_TRUE(volumes.keep("s", numbers(), KeptIn::data));
    });
}

TEST(Volumes, close_waits_for_whoever_holds_the_logs) {
    Shelf shelf;
    Running run(shelf, {{"a"}});
    auto hold = *run.volumes[0]->hold();
    ObjectLog* log = run.volumes[0]->log(0, KeptIn::metadata);
    std::atomic<bool> closed{false};
    std::thread closer([&] {
        EXPECT_TRUE(run.volumes[0]->close());
        closed = true;
    });
    while (run.volumes[0]->hold()) std::this_thread::yield();   // close has begun
    const std::byte value[4]{};
    LogTransaction change;
    change.put(SetId(5), 1, value);
    EXPECT_TRUE(log->apply(change));
    EXPECT_FALSE(closed);
    hold.reset();
    closer.join();
    EXPECT_EQ(run.volumes[0]->hold().error().code, Errc::cancelled);
    EXPECT_EQ(run.volumes[0]->log(0, KeptIn::metadata), nullptr);
}

TEST(Volumes, know_whether_they_were_closed_cleanly) {
    enum class End { closed, destroyed, power_cut, power_cut_after_close };
    Shelf shelf;
    bool expected = true;
    bool first = true;
    for (const End end : {End::closed, End::destroyed, End::closed, End::power_cut, End::power_cut,
                          End::power_cut_after_close, End::closed, End::closed}) {
        Running run(shelf, first ? three : Layout{{"b"}, {"c", "a"}});
        ASSERT_TRUE(run.failures.empty());
        for (const auto& volumes : run.volumes) {
            EXPECT_EQ(volumes->was_clean(), expected);
            EXPECT_EQ(volumes->is_new(), first);
        }
        first = false;
        // One that is not is enough.
        if (end != End::destroyed)
            for (std::size_t i = end == End::power_cut; i < run.volumes.size(); ++i)
                EXPECT_TRUE(run.volumes[i]->close());
        if (end == End::power_cut || end == End::power_cut_after_close) {
            std::map<std::string, std::unique_ptr<MemoryDisk>> cut;
            for (auto& [name, disk] : shelf.disks) cut[name] = disk->after_power_cut(11);
            run.volumes.clear();
            shelf.disks = std::move(cut);
        }
        run.volumes.clear();
        expected = end == End::closed || end == End::power_cut_after_close;
    }
}

// A mount that does not come about changes nothing.
TEST(Volumes, stay_clean_when_others_are_missing) {
    Shelf shelf;
    { Running run(shelf, three); }
    { EXPECT_EQ(Running(shelf, {{"a"}, {"b"}}).failure().code, Errc::not_found); }
    Running run(shelf, three);
    EXPECT_TRUE(run.volumes[0]->was_clean());
}

// Whatever the power takes while marks are removed: what was changed is never called clean.
TEST(Volumes, no_power_cut_leaves_a_mark_beside_a_change) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        Shelf shelf;
        { Running run(shelf, {{"a"}}); }
        {
            Running run(shelf, {{"a"}});
            EXPECT_TRUE(run.volumes[0]->was_clean());
            auto sets = run.keep("s", numbers());
            set_number(*sets[0].grab(1), seed);
            Running::sync(sets);
            auto cut = shelf.disk("a").after_power_cut(seed);
            run.volumes.clear();
            shelf.disks["a"] = std::move(cut);
        }
        Running run(shelf, {{"a"}});
        EXPECT_FALSE(run.volumes[0]->was_clean());
        EXPECT_EQ(number(*run.keep("s", numbers())[0].get(1)), seed);
    }
}

TEST(Volumes, of_an_earlier_build_get_a_log_of_data) {
    Shelf shelf;
    {
        Running run(shelf, {{"a"}});
        auto sets = run.keep("s", numbers());
        set_number(*sets[0].grab(1), 5);
        Running::sync(sets);
    }
    MemoryDisk& disk = shelf.disk("a");
    auto superblock = **read_superblock(disk);
    const auto erase_data = [&] {
        const auto names = disk.list("data");
        ASSERT_TRUE(names);
        for (const std::string& name : *names) ASSERT_TRUE(disk.remove("data/" + name));
    };
    erase_data();
    EXPECT_EQ(Running(shelf, {{"a"}}).failure().code, Errc::not_found) << "it had one: it is lost";
    ASSERT_TRUE(superblock.has_data);
    superblock.has_data = false;
    ASSERT_TRUE(write_superblock(disk, superblock));
    {
        Running run(shelf, {{"a"}});
        auto sets = run.keep("s", numbers());
        EXPECT_EQ(number(*sets[0].get(1)), 5u);
        auto pages = run.keep("pages", texts(), KeptIn::data);
        put(pages[0], 3, "page");
        Running::sync(pages);
    }
    EXPECT_TRUE((**read_superblock(disk)).has_data);
    Running run(shelf, {{"a"}});
    EXPECT_EQ(text(run.keep("pages", texts(), KeptIn::data)[0], 3), "page");
}

}  // namespace
}  // namespace ssi::io
