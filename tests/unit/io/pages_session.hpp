// SPDX-License-Identifier: BSD-3-Clause
// Nodes of one process with Pages on volumes, on disks that outlive them: for tests of file data.
//     PagesShelf shelf;
//     PagesSession session(shelf, {{"a"}, {"b"}, {}});      // volumes by node
//     session[0].write(inode, layout, 0, bytes);
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calls.hpp"
#include "cluster.hpp"
#include "fs_pages.hpp"
#include "pages.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/io/volumes.hpp"

namespace ssi::fs {

// Disks in memory by name; each session has a FaultyDisk in front of each.
struct PagesShelf {
    std::map<std::string, std::unique_ptr<io::MemoryDisk>> disks;
    std::map<std::string, io::FaultyDisk*> faulty;   // of the session that runs
    std::uint64_t capacity_bytes = 0;
    std::uint64_t limit_bytes = 0;
    std::uint64_t segment_bytes = 1u << 20;
    sys::Mutex mutex;

    // The disks as a power cut would leave them now; for the next session.
    std::map<std::string, std::unique_ptr<io::MemoryDisk>> after_power_cut(std::uint64_t seed) {
        std::map<std::string, std::unique_ptr<io::MemoryDisk>> out;
        for (auto& [name, disk] : disks) out[name] = disk->after_power_cut(seed++);
        return out;
    }

    io::VolumesOptions options(std::vector<std::string> directories) {
        return {.directories = std::move(directories), .slots = 64,
                .segment_bytes = segment_bytes, .limit_bytes = limit_bytes,
                .open_disk = [this](const std::string& name) {
                    std::lock_guard lock(mutex);
                    auto& disk = disks[name];
                    if (!disk)
                        disk = io::make_memory_disk({.name = name,
                                                     .capacity_bytes = capacity_bytes});
                    auto opened = io::make_faulty_disk(*disk);
                    faulty[name] = opened.get();
                    return Result<std::unique_ptr<io::Disk>>(std::move(opened));
                }};
    }
};

using Directories = std::vector<std::vector<std::string>>;   // by node

class PagesSession {
public:
    PagesSession(PagesShelf& shelf, const Directories& directories, PagesOptions options = {},
                 test::LoopNodes::Options nodes = {})
        : cluster(static_cast<int>(directories.size()), kddm::Plant::none, std::move(nodes)) {
        const std::size_t count = directories.size();
        volumes.resize(count);
        calls.resize(count);
        pages_.resize(count);
        cluster.run([&](int i) {
            const auto at = static_cast<std::size_t>(i);
            volumes[at] = value_or_throw(io::Volumes::mount(cluster.nodes()[i], cluster[i],
                                                            shelf.options(directories[at])));
            calls[at] = std::make_unique<io::Calls>(cluster.nodes()[i],
                                                    node::ChannelId::file_system, 2);
            pages_[at] = std::make_unique<Pages>(cluster.nodes()[i], cluster[i], *volumes[at],
                                                 *calls[at], options);
            EXPECT_FINE(calls[at]->start());
            EXPECT_FINE(pages_[at]->open());
            EXPECT_FINE(cluster.nodes()[i].barrier());
        });
    }
    ~PagesSession() {
        for (auto& one : pages_) one->stop();
        for (auto& one : calls) one->stop();
        for (auto& one : volumes) {
            auto closed = one->close();
            EXPECT_TRUE(closed || cluster.expect_errors)
                << (closed ? "" : closed.error().to_string());
        }
    }

    Pages& operator[](std::size_t i) { return *pages_[i]; }
    std::size_t size() const { return pages_.size(); }
    void sync_all() {
        for (auto& one : pages_) EXPECT_FINE(one->sync_all());
    }
    // Bytes of the file as node `i` reads them.
    std::vector<std::byte> read(std::size_t i, InodeId inode, Layout layout, std::uint64_t offset,
                                std::size_t length, Stream* stream = nullptr) {
        std::vector<std::byte> out(length, std::byte{0xee});
        EXPECT_FINE(pages_[i]->read(inode, layout, offset, out, stream));
        return out;
    }

    test::Cluster cluster;
    std::vector<std::unique_ptr<io::Volumes>> volumes;
    std::vector<std::unique_ptr<io::Calls>> calls;

private:
    std::vector<std::unique_ptr<Pages>> pages_;
};

// Bytes that tell their place in the file and who wrote them.
inline std::vector<std::byte> pattern(std::size_t length, std::uint64_t tag) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
        bytes[i] = static_cast<std::byte>(mix64(tag ^ (i / 8) * 0x9e37) >> (i % 8 * 8));
    return bytes;
}

}  // namespace ssi::fs
