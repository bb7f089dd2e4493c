// SPDX-License-Identifier: BSD-3-Clause
// Volumes of sessions of engines in one process, on disks in memory that outlive them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/io/volumes.hpp"

namespace ssi::io::test_volumes {

using ssi::test::Cluster;
using ssi::test::number;
using ssi::test::set_number;

// A Disk that is somebody else's: the test's, which outlives the session.
class Borrowed final : public Disk {
public:
    explicit Borrowed(Disk& disk) : disk_(disk) {}
    Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) override {
        return disk_.open(name, mode);
    }
    Result<void> remove(const std::string& name) override { return disk_.remove(name); }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return disk_.rename(from, to);
    }
    Result<void> make_directory(const std::string& name) override {
        return disk_.make_directory(name);
    }
    Result<std::vector<std::string>> list(const std::string& directory) override {
        return disk_.list(directory);
    }
    Result<std::vector<std::string>> list_directories(const std::string& directory) override {
        return disk_.list_directories(directory);
    }
    Result<void> remove_directory(const std::string& name) override {
        return disk_.remove_directory(name);
    }
    Result<void> sync_directory(const std::string& directory) override {
        return disk_.sync_directory(directory);
    }
    Result<DiskSpace> space() override { return disk_.space(); }
    void submit(std::span<DiskRequest* const> requests) override { disk_.submit(requests); }
    std::size_t poll() override { return disk_.poll(); }
    void wait(DiskRequest& request) override { disk_.wait(request); }
    const std::string& name() const override { return disk_.name(); }

private:
    Disk& disk_;
};

// Disks by name, from one session to the next.
struct Shelf {
    std::map<std::string, std::unique_ptr<MemoryDisk>> disks;
    std::function<Result<std::unique_ptr<Disk>>(const std::string&)> wrap;

    MemoryDisk& disk(const std::string& name) {
        auto& disk = disks[name];
        if (!disk) disk = make_memory_disk({.name = name});
        return *disk;
    }
    void cut_power(std::uint64_t seed) {
        for (auto& [name, disk] : disks) disk = disk->after_power_cut(seed++);
    }
    VolumesOptions options(std::vector<std::string> directories) {
        return {.directories = std::move(directories), .slots = 64, .segment_bytes = 64 << 10,
                .limit_bytes = 0, .open_disk = [this](const std::string& name) {
                    if (wrap) return wrap(name);
                    return Result<std::unique_ptr<Disk>>(
                        std::make_unique<Borrowed>(*disks.at(name)));
                }};
    }
};

using Layout = std::vector<std::vector<std::string>>;   // directories by node

// A session whose nodes mount what the layout says.
struct Running {
    Cluster cluster;
    std::vector<std::unique_ptr<Volumes>> volumes;
    std::vector<Failure> failures;

    Running(Shelf& shelf, const Layout& layout, test::LoopNodes::Options nodes = {})
        : cluster(static_cast<int>(layout.size()), kddm::Plant::none, std::move(nodes)),
          volumes(layout.size()) {
        for (const auto& directories : layout)
            for (const std::string& name : directories) shelf.disk(name);
        std::vector<std::optional<Failure>> failed(layout.size());
        cluster.run([&](int i) {
            const auto at = static_cast<std::size_t>(i);
            auto mounted =
                Volumes::mount(cluster.nodes()[i], cluster[i], shelf.options(layout[at]));
            if (mounted)
                volumes[at] = std::move(*mounted);
            else
                failed[at] = mounted.error();
        });
        for (auto& failure : failed)
            if (failure) failures.push_back(std::move(*failure));
    }
    // The same failure on every node.
    Failure failure() {
        EXPECT_EQ(failures.size(), volumes.size());
        for (const Failure& failure : failures) {
            EXPECT_EQ(failure.code, failures[0].code);
            EXPECT_EQ(failure.text, failures[0].text);
        }
        return failures.empty() ? Failure{Errc::ok, 0, no_node, "mounted"} : failures[0];
    }
    std::vector<kddm::RawSet> keep(const std::string& name, kddm::SetOptions options,
                                   KeptIn where = KeptIn::metadata,
                                   kddm::PlacementFunction slot_of = nullptr) {
        std::vector<kddm::RawSet> sets(volumes.size());
        cluster.run([&](int i) {
            const auto at = static_cast<std::size_t>(i);
            auto kept = volumes[at]->keep(name, options, where, slot_of);
            ASSERT_TRUE(kept) << kept.error().to_string();
            auto set = cluster[i].create_or_open(name, *kept);
            ASSERT_TRUE(set) << set.error().to_string();
            sets[at] = *set;
        });
        return sets;
    }
    static void sync(std::vector<kddm::RawSet>& sets) {
        for (auto& set : sets) {
            auto done = set.sync();
            ASSERT_TRUE(done) << done.error().to_string();
        }
    }
    // Volumes end before the engines do, as linkers must not be asked any more.
    ~Running() {
        for (auto& one : volumes) {
            EXPECT_TRUE(!one || one->close());
        }
    }
};

inline kddm::SetOptions numbers() {
    kddm::SetOptions o;
    o.object_bytes = 8;
    return o;
}
inline kddm::SetOptions texts() {
    kddm::SetOptions o;
    o.kind = kddm::ObjectKind::variable;
    return o;
}

inline void put(kddm::RawSet& set, ObjectId id, const std::string& text) {
    auto guard = set.grab(id);
    ASSERT_TRUE(guard) << guard.error().to_string();
    ASSERT_TRUE(guard->resize(text.size()));
    std::memcpy(guard->writable().data(), text.data(), text.size());
}
inline std::string text(kddm::RawSet& set, ObjectId id) {
    auto guard = set.get(id);
    EXPECT_TRUE(guard) << guard.error().to_string();
    if (!guard) return "?";
    const auto bytes = guard->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline const Layout three{{"a"}, {"b"}, {"c"}};

}  // namespace ssi::io::test_volumes
