// SPDX-License-Identifier: BSD-3-Clause
// Tests of stores, one for each rank, some of which are destroyed between one session and the next.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "checkpoint_ranks.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace ssi::test {

class LostStores : public CheckpointRanks {
protected:
    void SetUp() override {
        CheckpointRanks::SetUp();
        if (world_size() < 2) GTEST_SKIP() << "one rank has no other one";
        ::setenv("SSI_CHECKPOINT_ALLOW_SAME_HOST", "1", 1);
    }
    void TearDown() override {
        ::unsetenv("SSI_CHECKPOINT_ALLOW_SAME_HOST");
        CheckpointRanks::TearDown();
    }
    CheckpointOptions each() const {
        return {.directory = directory_ + "/%n", .application = "test", .keep = 3};
    }

    // A third of the objects never changes.
    static std::uint64_t word_of(std::uint64_t id, std::uint64_t salt, std::size_t at) {
        return (id + 1) * 0x9e3779b97f4a7c15ull + (id % 3 == 0 ? 0 : salt) + at;
    }
    static void fill(Session& s, kddm::RawSet& set, std::uint64_t salt) {
        for (std::uint64_t id = 0; id < 40; ++id) {
            if (set.home(id) != s.node()) continue;
            auto guard = value_or_throw(set.grab(id));
            for (std::size_t i = 0; i < guard.writable().size(); i += 8) {
                const std::uint64_t word = word_of(id, salt, i);
                std::memcpy(guard.writable().data() + i, &word, 8);
            }
        }
        s.barrier();
    }
    static void check(Session& s, kddm::RawSet& set, std::uint64_t salt) {
        for (std::uint64_t id = 0; id < 40; ++id) {
            const auto guard = value_or_throw(set.get(id));
            for (std::size_t i = 0; i < guard.bytes().size(); i += 8) {
                const std::uint64_t wanted = word_of(id, salt, i);
                std::uint64_t word = 0;
                std::memcpy(&word, guard.bytes().data() + i, 8);
                ASSERT_EQ(word, wanted) << "object " << id << " byte " << i;
            }
        }
        s.barrier();
    }
    static kddm::RawSet open(Session& s) {
        return value_or_throw(s.raw_set("state", {.count = 40, .object_bytes = 100'000,
                                                  .placement = "blocked"}));
    }
    // Takes three versions of the level, the last two incremental.
    void save(CheckpointLevel level) {
        session_of(world_size(), [&](Session& s) {
            auto set = open(s);
            Checkpoint checkpoint(s, each());
            checkpoint.protect(set);
            for (std::uint64_t salt = 1; salt <= 3; ++salt) {
                fill(s, set, salt);
                good(checkpoint.take("", {.number = salt,
                                          .asynchronous = salt == 2,
                                          .incremental = true,
                                          .level = level}));
            }
        });
    }
    // The channels that ranks sent their members through are none of the application's.
    void expect_no_channels(CheckpointLevel level) {
        if (world_rank() != 0) return;
        const auto disk = good(io::make_libaio_disk(directory_ + "/0"));
        const auto manifest = good(good(ckpt::Store::open({.disk = disk.get()}))->manifest(3));
        EXPECT_EQ(manifest.level, static_cast<std::uint32_t>(level));
        ASSERT_EQ(manifest.items.front().kind, ckpt::ItemKind::channel);
        EXPECT_EQ(manifest.items.front().objects, 0u);
    }
    // What goes on says how many members had lost a copy.
    void go_on(int ranks, std::uint64_t number, std::optional<std::uint64_t> rebuilt = {}) {
        session_of(ranks, [&](Session& s) {
            auto set = open(s);
            Checkpoint checkpoint(s, each());
            checkpoint.protect(set);
            const auto from = good(checkpoint.restart());
            ASSERT_TRUE(from);
            EXPECT_EQ(from->number, number);
            if (rebuilt) {
                EXPECT_EQ(from->rebuilt_members, *rebuilt);
            }
            check(s, set, number);
        });
    }
    // Where a second store or another host is wanted, and is not there.
    void expect_refused(CheckpointLevel level) {
        const auto refused = [&](const CheckpointOptions& options, const char* words) {
            session_of(world_size(), [&](Session& s) {
                auto set = open(s);
                Checkpoint checkpoint(s, options);
                checkpoint.protect(set);
                const auto failed = checkpoint.take("", {.level = level});
                ASSERT_FALSE(failed);
                EXPECT_EQ(failed.error().code, Errc::unsupported);
                EXPECT_NE(failed.error().text.find(words), std::string::npos)
                    << failed.error().text;
            });
        };
        refused(options(), "%n");
        ::unsetenv("SSI_CHECKPOINT_ALLOW_SAME_HOST");
        refused(each(), "allow_same_host");
    }
    static std::map<std::string, std::string> files_in(const std::string& folder) {
        std::map<std::string, std::string> files;
        for (const auto& entry : stdfs::directory_iterator(folder)) {
            std::ifstream in(entry.path(), std::ios::binary);
            std::ostringstream text;
            text << in.rdbuf();
            files[entry.path().filename()] = std::move(text).str();
        }
        return files;
    }
    // One bit of a byte in a hundred of the file.
    void flip(const std::string& path) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == 0) {
            const auto bytes = static_cast<std::streamoff>(stdfs::file_size(path));
            std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
            for (std::streamoff at = bytes / 200; at < bytes; at += bytes / 100) {
                file.seekg(at);
                const int byte = file.get();
                file.seekp(at);
                file.put(static_cast<char>(byte ^ 1));
            }
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    void destroy(int rank) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == 0) stdfs::remove_all(fmt::format("{}/{}", directory_, rank));
        MPI_Barrier(MPI_COMM_WORLD);
    }
};

}  // namespace ssi::test
