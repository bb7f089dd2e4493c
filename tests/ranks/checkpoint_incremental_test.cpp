// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <random>

#include "checkpoint_ranks.hpp"

namespace ssi::test {
namespace {

std::uintmax_t bytes_in(const stdfs::path& folder) {
    std::uintmax_t bytes = 0;
    for (const auto& entry : stdfs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) bytes += entry.file_size();
    return bytes;
}

// Large objects of which little changes, small ones of which a few do, memory, and objects that
// come, go, move to other nodes and change their length.
struct Slow {
    explicit Slow(Session& s)
        : session(s), random(static_cast<unsigned>(77 + s.rank())),
          large(value_or_throw(s.raw_set("large", {.object_bytes = 1 << 20}))),
          small(s.set<std::uint64_t>("small")),
          lengths(value_or_throw(s.raw_set("lengths", {.kind = kddm::ObjectKind::variable}))),
          memory(std::size_t{1} << 18) {}

    void protect(Checkpoint& checkpoint) {
        checkpoint.protect(large);
        checkpoint.protect(small);
        checkpoint.protect(lengths);
        checkpoint.protect_array("memory", std::span(memory),
                                 static_cast<std::uint64_t>(session.rank()) * memory.size(),
                                 static_cast<std::uint64_t>(session.size()) * memory.size());
    }
    void write(kddm::RawSet& set, ObjectId id, std::size_t changes, std::size_t length) {
        auto guard = value_or_throw(set.grab(id));
        if (length != 0) value_or_throw(guard.resize(length));
        const auto bytes = guard.writable();
        for (std::size_t i = 0; i < changes && !bytes.empty(); ++i)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    void fill() {
        for (auto id = static_cast<std::uint64_t>(session.rank()); id < 12;
             id += static_cast<std::uint64_t>(session.size())) {
            auto guard = value_or_throw(large.grab(id));
            for (std::byte& byte : guard.writable()) byte = static_cast<std::byte>(random());
        }
        for (double& value : memory) value = static_cast<double>(random());
    }
    void change() {
        // By the same node each time: what moves is saved anew.
        const auto ranks = static_cast<std::uint64_t>(session.size());
        write(large, random() % (12 / ranks) * ranks + static_cast<std::uint64_t>(session.rank()),
              3, 0);
        *small.grab(random() % 500) = random();
        write(lengths, random() % 20, 10, 1 + random() % 20'000);
        if (random() % 4 == 0) value_or_throw(lengths.remove(random() % 20));
        for (int i = 0; i < 5; ++i) memory[random() % memory.size()] = static_cast<double>(i);
    }
    std::uint64_t digest() {
        std::uint64_t sum = 0;
        const auto add = [&](std::uint64_t id, std::span<const std::byte> bytes) {
            std::uint64_t hash = id + 1;
            for (const std::byte byte : bytes)
                hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3ull;
            sum += hash;
        };
        for (std::uint64_t id = 0; id < 12; ++id) add(id, value_or_throw(large.get(id)).bytes());
        for (std::uint64_t id = 0; id < 500; ++id) add(id, value_or_throw(small.raw().get(id))
                                                               .bytes());
        for (std::uint64_t id = 0; id < 20; ++id) add(id, value_or_throw(lengths.get(id)).bytes());
        add(static_cast<std::uint64_t>(session.rank()), std::as_bytes(std::span(memory)));
        return session.reduce(sum, Reduce::sum);
    }

    Session& session;
    std::mt19937_64 random;
    kddm::RawSet large;
    kddm::Set<std::uint64_t> small;
    kddm::RawSet lengths;
    std::vector<double> memory;
};

TEST_F(CheckpointRanks, incremental_ones_are_small_and_each_eighth_is_whole) {
    std::vector<std::uint64_t> digests{0};   // by version
    std::uintmax_t whole = 0;
    session_of(world_size(), [&](Session& s) {
        Slow all(s);
        CheckpointOptions kept = options();
        kept.keep = 4;
        Checkpoint checkpoint(s, kept);
        all.protect(checkpoint);
        all.fill();
        for (std::uint64_t version = 1; version <= 20; ++version) {
            for (int i = 0; i < 4; ++i) all.change();
            s.barrier();
            digests.push_back(all.digest());
            const auto ticket = good(checkpoint.take("", {.number = version,
                                                          .asynchronous = version % 3 == 0,
                                                          .incremental = true}));
            if (version % 3 == 0) all.change();
            good(ticket.wait());
            ASSERT_EQ(ticket.version(), version);
            s.barrier();
            if (s.rank() != 0) continue;
            const auto bytes = bytes_in(stdfs::path(directory_) / fmt::format("v{}", version));
            if (version == 1) whole = bytes;
            // Each eighth is whole.
            if (version % 8 == 1)
                EXPECT_GT(bytes, whole / 2) << "version " << version;
            else
                EXPECT_LT(bytes, whole / 4) << "version " << version;
        }
        s.barrier();
    });
    // Version 17 is whole; the others of those that are kept need it.
    for (std::uint64_t version = 17; version <= 20; ++version)
        session_of(world_size(), [&](Session& s) {
            Slow all(s);
            Checkpoint checkpoint(s, options());
            all.protect(checkpoint);
            EXPECT_EQ(good(checkpoint.restart(version)).number, version);
            EXPECT_EQ(all.digest(), digests[version]) << "version " << version;
        });
    session_of(1, [&](Session& s) {
        Checkpoint checkpoint(s, options());
        const auto gone = checkpoint.restart(9);
        ASSERT_FALSE(gone);
        EXPECT_EQ(gone.error().code, Errc::not_found) << gone.error().text;
    });
}

}  // namespace
}  // namespace ssi::test
