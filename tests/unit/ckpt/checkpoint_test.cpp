// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of nodes in one process, on real directories: what the sanitizers look at. Over real
// processes: tests/ranks/checkpoint_test.cpp.
#include "ssi/ckpt/checkpoint.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "loop_session.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::ckpt::test {
namespace {

namespace stdfs = std::filesystem;

template <class T>
T good(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().to_string());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Member : LoopMember {
    template <class T>
    kddm::Set<T> set(std::string_view name) {
        return kddm::Set<T>(good(engine.create_or_open(name, kddm::options_of<T>({}))));
    }
};

class CheckpointTest : public testing::Test {
protected:
    void SetUp() override {
        directory_ = (stdfs::temp_directory_path() / "ssi-checkpoint-XXXXXX").string();
        ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    }
    void TearDown() override { stdfs::remove_all(directory_); }

    template <class Body>
    void session_of(int count, Body&& body, const Config& config = {}) {
        loop_session(count, [&](LoopMember& plain) {
            Member member{plain};
            body(member);
        }, config);
    }

    std::unique_ptr<Checkpoint> open(Member& member, std::uint32_t keep = 2) {
        return std::make_unique<Checkpoint>(
            member.node, member.engine, member.hub,
            CheckpointOptions{.directory = directory_, .application = "test", .keep = keep,
                              .signals = false});
    }

    std::string directory_;
    std::uint64_t expected_ = 0;         // the number of what is gone on from
};

constexpr std::uint64_t accounts = 24;

void move_money(Member& member, kddm::Set<std::int64_t>& set, unsigned seed,
                const std::atomic<bool>& over) {
    std::mt19937 random(seed);
    while (!over) {
        const std::uint64_t a = random() % accounts, b = random() % accounts;
        if (a == b) continue;
        {
            auto low = set.grab(std::min(a, b));
            auto high = set.grab(std::max(a, b));
            *low -= 3;
            *high += 3;
        }
        const kddm::CriticalSection section(member.engine);
        set.fetch_add(a, std::int64_t{1});
        set.fetch_add(b, std::int64_t{-1});
    }
}

std::int64_t money(kddm::Set<std::int64_t>& set) {
    std::int64_t sum = 0;
    for (std::uint64_t i = 0; i < accounts; ++i) sum += set.read(i).value;
    return sum;
}

TEST_F(CheckpointTest, taken_under_load_they_are_whole_on_other_numbers_of_nodes) {
    for (const int count : {2, 3, 1, 2}) {
        session_of(count, [&](Member& member) {
            auto set = member.set<std::int64_t>("money");
            auto checkpoint = open(member);
            checkpoint->protect(set);
            good(checkpoint->restart());
            EXPECT_EQ(money(set), 0);
            EXPECT_TRUE(member.node.barrier());
            std::atomic<bool> over{false};
            std::vector<std::thread> team;
            for (unsigned t = 0; t < 2; ++t)
                team.emplace_back([&, t] {
                    move_money(member, set, t + 2 * static_cast<unsigned>(member.node.rank()),
                               over);
                });
            for (int i = 0; i < 6; ++i) {
                const auto ticket = checkpoint->take(
                    "", {.asynchronous = i % 2 == 0, .incremental = i % 3 != 0});
                EXPECT_TRUE(ticket) << ticket.error().to_string();
                if (!ticket) break;
                // Asked by somebody else meanwhile.
                std::thread watcher([&] {
                    while (!ticket->test()) (void)ticket->progress();
                });
                EXPECT_TRUE(ticket->wait());
                watcher.join();
            }
            over = true;
            for (auto& thread : team) thread.join();
            EXPECT_TRUE(member.node.barrier());
        });
        if (HasFailure()) return;
    }
}

// With as many versions as come while others are copied. Of each session the nodes' stores go.
TEST_F(CheckpointTest, drained_under_load_they_are_whole_in_the_global_store) {
    for (const int count : {2, 3, 1, 2}) {
        stdfs::remove_all(directory_ + "/near");
        session_of(count, [&](Member& member) {
            auto set = member.set<std::int64_t>("money");
            Checkpoint checkpoint(member.node, member.engine, member.hub,
                                  {.directory = directory_ + "/near",
                                   .global_directory = directory_ + "/far",
                                   .application = "test",
                                   .signals = false});
            checkpoint.protect(set);
            const auto from = good(checkpoint.restart());
            EXPECT_EQ(from ? from->number : 0, expected_);
            EXPECT_EQ(money(set), 0);
            EXPECT_TRUE(member.node.barrier());
            std::atomic<bool> over{false};
            std::thread worker([&] {
                move_money(member, set, static_cast<unsigned>(member.node.rank()), over);
            });
            for (std::uint64_t i = 1; i <= 6; ++i) {
                const auto ticket = checkpoint.take(
                    "", {.number = i, .asynchronous = true, .incremental = i % 3 != 0,
                         .level = CheckpointLevel::global});
                EXPECT_TRUE(ticket) << ticket.error().to_string();
                if (!ticket || i % 3 != 0) continue;
                const auto drained = ticket->wait();
                EXPECT_TRUE(drained) << drained.error().to_string();
            }
            over = true;
            worker.join();
            EXPECT_TRUE(member.node.barrier());
        });
        expected_ = 6;
        if (HasFailure()) return;
    }
}

TEST_F(CheckpointTest, memory_and_arrays_are_as_of_the_take_and_divided_anew) {
    constexpr std::uint64_t length = 5000;
    const auto piece_of = [](Member& member, std::uint64_t& begin) {
        const auto nodes = static_cast<std::uint64_t>(member.node.size());
        const auto rank = static_cast<std::uint64_t>(member.node.rank());
        begin = length * rank / nodes;
        return std::vector<std::uint64_t>(length * (rank + 1) / nodes - begin);
    };
    session_of(3, [&](Member& member) {
        std::uint64_t begin = 0;
        auto piece = piece_of(member, begin);
        for (std::uint64_t i = 0; i < piece.size(); ++i) piece[i] = (begin + i) * 7;
        auto checkpoint = open(member);
        checkpoint->protect_array("array", std::span(piece), begin, length);
        const auto ticket = good(checkpoint->take("", {.asynchronous = true}));
        std::ranges::fill(piece, 1);
        good(ticket.wait());
    });
    session_of(2, [&](Member& member) {
        std::uint64_t begin = 0;
        auto piece = piece_of(member, begin);
        auto checkpoint = open(member);
        checkpoint->protect_array("array", std::span(piece), begin, length);
        EXPECT_TRUE(good(checkpoint->restart()));
        for (std::uint64_t i = 0; i < piece.size(); ++i) {
            if (piece[i] != (begin + i) * 7) ADD_FAILURE() << "element " << begin + i;
        }
    });
}

TEST_F(CheckpointTest, a_store_that_goes_away_fails_the_take_and_is_found_again) {
    session_of(2, [&](Member& member) {
        auto set = member.set<std::int64_t>("money");
        auto checkpoint = open(member);
        checkpoint->protect(set);
        good(checkpoint->take(""));
        EXPECT_TRUE(member.node.barrier());
        const std::string away = directory_ + ".away";
        if (member.first()) stdfs::rename(directory_, away);
        EXPECT_TRUE(member.node.barrier());
        const auto failed = checkpoint->take("");
        EXPECT_FALSE(failed);
        *set.grab(static_cast<std::uint64_t>(member.node.rank())) = 5;   // goes on
        EXPECT_TRUE(member.node.barrier());
        if (member.first()) stdfs::rename(away, directory_);
        EXPECT_TRUE(member.node.barrier());
        EXPECT_TRUE(checkpoint->take(""));
    });
}

TEST_F(CheckpointTest, a_node_that_comes_late_is_named_and_may_come_next_time) {
    Config config;
    good(config.set("checkpoint.meet_ms", "300", "test"));
    session_of(3, [&](Member& member) {
        auto set = member.set<std::int64_t>("money");
        auto checkpoint = open(member);
        checkpoint->protect(set);
        for (int absent = 0; absent < 3; ++absent) {
            good(checkpoint->take(""));
            if (member.node.rank() == absent) member.node.doors().tasks.sleep_for(600'000'000);
            const auto failed = checkpoint->take("");
            ASSERT_FALSE(failed);
            EXPECT_EQ(failed.error().code, Errc::timed_out);
            EXPECT_NE(failed.error().text.find(fmt::format("rank {} has not come", absent)),
                      std::string::npos) << failed.error().text;
            EXPECT_TRUE(member.node.barrier());
        }
        EXPECT_EQ(good(checkpoint->take("")).version(), 4u);
    }, config);
}

TEST_F(CheckpointTest, two_in_one_session_do_not_disturb_each_other) {
    session_of(2, [&](Member& member) {
        auto set = member.set<std::int64_t>("money");
        auto first = open(member);
        first->protect(set);
        const auto ticket = good(first->take("", {.asynchronous = true}));
        good(ticket.wait());
        EXPECT_THROW(open(member), Error);
        first.reset();
        EXPECT_TRUE(member.node.barrier());
        auto second = open(member);
        second->protect(set);
        EXPECT_EQ(good(second->take("")).version(), 2u);
    });
}

}  // namespace
}  // namespace ssi::ckpt::test
