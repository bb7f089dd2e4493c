// SPDX-License-Identifier: BSD-3-Clause
// One-sided reads between processes: out of mapped memory, and by messages. The writers hammer.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/ssi.hpp"

namespace ssi {
namespace {

// Each word follows from the first: a mixture of two values gives itself away.
template <std::size_t words>
struct Checked {
    std::uint64_t word[words];
    void write(std::uint64_t value) {
        for (std::size_t i = 0; i < words; ++i) word[i] = value + i * 0x9e3779b97f4a7c15ull;
    }
    bool whole() const {
        bool good = true, blank = true;
        for (std::size_t i = 0; i < words; ++i) {
            good &= word[i] == word[0] + i * 0x9e3779b97f4a7c15ull;
            blank &= word[i] == 0;
        }
        return good || blank;
    }
};

struct SameHost {   // of the sessions of a test
    explicit SameHost(const char* value) { ::setenv("SSI_NET_SAME_HOST", value, 1); }
    ~SameHost() { ::unsetenv("SSI_NET_SAME_HOST"); }
};

struct ReadWay {    // likewise
    explicit ReadWay(const char* value) { ::setenv("SSI_KDDM_READ_WAY", value, 1); }
    ~ReadWay() { ::unsetenv("SSI_KDDM_READ_WAY"); }
};

Session session() { return Session::from_mpi(nullptr); }

// Until reads of the next rank's object need no message: it has been mapped.
template <class T>
bool becomes_one_sided(kddm::Set<T>& set, ObjectId id) {
    for (int i = 0; i < 5000; ++i) {
        const auto before = set.stats().reads_by_message;
        (void)set.read(id);
        if (set.stats().reads_by_message == before) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

TEST(ReadRanks, peers_of_the_host_are_mapped_and_read_without_messages) {
    Session s = session();
    const auto n = static_cast<std::uint64_t>(s.size());
    auto set = s.set<std::uint64_t>("small", {.count = n * 100, .placement = "blocked"});
    const std::uint64_t mine = static_cast<std::uint64_t>(s.rank()) * 100;
    for (std::uint64_t i = 0; i < 100; ++i) *set.grab(mine + i) = mine + i + 1;
    s.barrier();
    for (std::uint64_t r = 0; r < n; ++r) EXPECT_TRUE(becomes_one_sided(set, r * 100));
    std::vector<ObjectId> all;
    for (std::uint64_t i = 0; i < n * 100; ++i) all.emplace_back(i);
    for (int round = 0; round < 2; ++round)   // the second finds every place known
        for (const ObjectId id : all) EXPECT_EQ(set.read(id).value, id.lo + 1);
    const auto messages = set.stats().reads_by_message;
    const auto snapshots = set.read_many(all);
    for (std::uint64_t i = 0; i < n * 100; ++i) EXPECT_EQ(snapshots[i].value, i + 1);
    EXPECT_EQ(set.stats().reads_by_message, messages);
    EXPECT_EQ(set.stats().remote_gets, 0u);
    s.barrier();
}

TEST(ReadRanks, nobody_is_mapped_when_nodes_of_a_host_are_treated_as_apart) {
    SameHost off("off");
    Session s = session();
    auto set = s.set<std::uint64_t>("apart", {.placement = "node:0"});
    if (s.rank() == 0) *set.grab(1) = 42;
    s.barrier();
    for (int i = 0; i < 50; ++i) EXPECT_EQ(set.read(1).value, 42u);
    EXPECT_EQ(set.stats().reads_by_message, s.rank() == 0 ? 0u : 50u);
    s.barrier();
}

TEST(ReadRanks, memory_is_read_over_the_network_where_that_is_wanted) {
    SameHost off("off");
    ReadWay rma("rma");
    Session s = session();
    const auto n = static_cast<std::uint64_t>(s.size());
    auto small = s.set<std::uint64_t>("small", {.count = n * 100, .placement = "blocked"});
    auto large = s.set<Checked<4096>>("large", {.count = n * 100, .placement = "blocked"});
    const std::uint64_t mine = static_cast<std::uint64_t>(s.rank()) * 100;
    for (std::uint64_t i = mine; i < mine + 100; ++i) {
        *small.grab(i) = i + 1;
        large.grab(i)->write(i);
    }
    s.barrier();
    for (std::uint64_t r = 0; r < n; ++r) EXPECT_TRUE(becomes_one_sided(small, r * 100));
    for (int round = 0; round < 3; ++round)
        for (std::uint64_t i = 0; i < n * 100; ++i) {
            ASSERT_EQ(small.read(i).value, i + 1);
            ASSERT_TRUE(large.read(i).value.whole());
            ASSERT_EQ(large.read(i).value.word[0], i);
        }
    const auto others = (n - 1) * 100;
    EXPECT_LE(large.stats().reads_by_message, others);
    EXPECT_GE(large.stats().reads_by_rma, others * 5);
    EXPECT_GE(small.stats().reads_by_rma, others * 2);
    EXPECT_EQ(small.stats().reads_mapped + large.stats().reads_mapped, 0u);
    s.barrier();
}

// Every rank writes, every rank reads, with another thread.
template <std::size_t words>
void hammer(const char* name) {
    Session s = session();
    auto set = s.set<Checked<words>>(name, {.count = 4, .placement = "blocked"});
    s.barrier();
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
    const auto over = [&] { return std::chrono::steady_clock::now() > end; };
    std::thread writer([&] {
        for (std::uint64_t i = static_cast<std::uint64_t>(s.rank()); !over(); ++i) {
            set.grab(i % 4)->write(i << 20 | static_cast<std::uint64_t>(s.rank()));
            // would_block when another node has the object, or asks for it.
            if (i % 16 == 0) (void)set.raw().flush(i % 4);
        }
    });
    std::uint64_t version[4] = {}, torn = 0, backwards = 0, reads = 0;
    for (std::uint64_t i = 0; !over(); ++i, ++reads) {
        const auto snapshot = set.read(i % 4);
        torn += !snapshot.value.whole();
        backwards += snapshot.version < version[i % 4];
        version[i % 4] = snapshot.version;
    }
    writer.join();
    EXPECT_EQ(torn, 0u) << "of " << reads;
    EXPECT_EQ(backwards, 0u) << "of " << reads;
    s.barrier();
}

TEST(ReadRanks, small_objects_are_whole_while_everybody_writes_them) { hammer<2>("two"); }
TEST(ReadRanks, blocks_are_whole_while_everybody_writes_them) { hammer<512>("block"); }
TEST(ReadRanks, large_objects_are_whole_while_everybody_writes_them) { hammer<65536>("large"); }
TEST(ReadRanks, objects_are_whole_by_messages_alone) {
    SameHost off("off");
    hammer<512>("messages");
}

TEST(ReadRanks, small_objects_are_whole_over_the_network) {
    ReadWay rma("rma");
    hammer<2>("two");
}
TEST(ReadRanks, blocks_are_whole_over_the_network) {
    ReadWay rma("rma");
    hammer<512>("block");
}

TEST(ReadRanks, a_part_of_a_large_object_is_all_that_is_copied) {
    Session s = session();
    kddm::SetOptions options;
    options.object_bytes = kddm::max_object_bytes;
    options.placement = "node:0";
    auto set = value_or_throw(s.raw_set("huge", options));
    if (s.rank() == 0) {
        auto g = value_or_throw(set.grab(0));
        for (std::size_t i = 0; i < g.writable().size(); i += 4096)
            g.writable()[i] = static_cast<std::byte>(i / 4096);
    }
    s.barrier();
    for (int round = 0; round < 20; ++round)
        for (const std::size_t page : {0u, 1u, 8191u, 16383u}) {
            std::byte few[16];
            value_or_throw(set.read_into(0, page * 4096, few));
            EXPECT_EQ(few[0], static_cast<std::byte>(page));
            EXPECT_EQ(few[1], std::byte{0});
        }
    EXPECT_EQ(set.stats().bytes_in, 0u);
    std::byte few[16];
    EXPECT_FALSE(set.read_into(0, kddm::max_object_bytes - 8, few).has_value());
    s.barrier();
    if (s.rank() != 0) {
        const auto whole = value_or_throw(set.read(0));
        EXPECT_EQ(whole.bytes.size(), kddm::max_object_bytes);
        EXPECT_EQ(whole.bytes[4096 * 100], std::byte{100});
    }
    s.barrier();
}

}  // namespace
}  // namespace ssi
