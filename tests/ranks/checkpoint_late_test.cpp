// SPDX-License-Identifier: BSD-3-Clause
// Ranks that come late to a take or not at all, and callbacks that hang or throw.
#include <atomic>
#include <chrono>
#include <thread>

#include "checkpoint_ranks.hpp"

namespace ssi::test {
namespace {

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class LateRanks : public CheckpointRanks {
protected:
    void SetUp() override {
        if (world_size() < 2) GTEST_SKIP() << "one rank waits for nobody";
        CheckpointRanks::SetUp();
        ::setenv("SSI_CHECKPOINT_MEET_MS", "400", 1);
    }
    void TearDown() override {
        ::unsetenv("SSI_CHECKPOINT_MEET_MS");
        if (!directory_.empty()) CheckpointRanks::TearDown();
    }
    // What every rank that failed so has in its text.
    static void expect_given_up(const Result<CheckpointTicket>& taken, std::string_view who) {
        ASSERT_FALSE(taken);
        EXPECT_EQ(taken.error().code, Errc::timed_out);
        EXPECT_NE(taken.error().text.find(who), std::string::npos) << taken.error().text;
    }
    static int late_rank() { return world_size() - 1; }
    static std::string late(std::string_view what) {
        return "rank " + std::to_string(late_rank()) + " " + std::string(what);
    }
};

TEST_F(LateRanks, who_comes_seconds_late_fails_like_the_others_and_meets_them_next_time) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        good(checkpoint.take("first"));
        const bool is_late = s.rank() == late_rank();
        if (is_late) sleep_ms(3000);
        expect_given_up(checkpoint.take("second"), late("has not come"));
        // Nobody waits at a gate meanwhile.
        *set.grab(static_cast<std::uint64_t>(s.rank())) = 1;
        // The others have long come to their next one when this rank comes to its second.
        if (!is_late) expect_given_up(checkpoint.take("third"), late("has not come"));
        if (is_late) expect_given_up(checkpoint.take("third"), late("has not come"));
        s.barrier();
        EXPECT_EQ(good(checkpoint.take("fourth")).version(), 2u);
    });
    session_of(1, [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        EXPECT_EQ(good(checkpoint.restart())->description, "fourth");
        for (int rank = 0; rank < world_size(); ++rank)
            EXPECT_EQ(*set.get(static_cast<std::uint64_t>(rank)), 1u);
    });
}

TEST_F(LateRanks, who_sleeps_in_a_callback_before_is_told_and_everybody_goes_on) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        bool sleeps = s.rank() == late_rank();
        int afterwards = 0;
        checkpoint.on(CheckpointEvent::before, [&]() -> Result<void> {
            if (sleeps) sleep_ms(1500);
            return {};
        });
        checkpoint.on(CheckpointEvent::after, [&]() -> Result<void> {
            ++afterwards;
            return {};
        });
        const auto begun = std::chrono::steady_clock::now();
        expect_given_up(checkpoint.take(""), late("is in a callback `before`"));
        if (!sleeps) {
            EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(1400));
            *set.grab(7) = 1;
        }
        EXPECT_EQ(afterwards, 1);
        sleeps = false;
        s.barrier();
        EXPECT_EQ(good(checkpoint.take("")).version(), 1u);
        EXPECT_EQ(afterwards, 2);
        s.barrier();
    });
}

TEST_F(LateRanks, who_hangs_in_a_callback_after_keeps_no_version_from_its_end) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        const bool hangs = s.rank() == late_rank();
        auto over = s.set<std::uint64_t>("over");
        checkpoint.on(CheckpointEvent::after, [&]() -> Result<void> {
            while (hangs && over.read(1).value == 0) sleep_ms(1);
            return {};
        });
        if (hangs) {
            good(checkpoint.take("first"));
            expect_given_up(checkpoint.take("second"), late("is in a callback `after`"));
        } else {
            EXPECT_EQ(good(checkpoint.take("first")).version(), 1u);   // durable
            expect_given_up(checkpoint.take("second"), late("is in a callback `after`"));
            *over.grab(1) = 1;
        }
        s.barrier();
        EXPECT_EQ(good(checkpoint.take("third")).version(), 2u);
        s.barrier();
    });
}

TEST_F(LateRanks, who_never_comes_lets_the_others_go_on) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        good(checkpoint.take("first"));
        if (s.rank() != late_rank())
            for (int i = 0; i < 2; ++i)
                expect_given_up(checkpoint.take(""), late("has not come"));
        *set.grab(static_cast<std::uint64_t>(s.rank())) = 1;
        s.barrier();
    });
    // Nothing is left of those.
    if (world_rank() == 0) {
        EXPECT_FALSE(stdfs::exists(stdfs::path(directory_) / "v2"));
    }
}

TEST_F(LateRanks, who_hangs_in_a_callback_restarted_fails_the_restart_of_all) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        *set.grab(static_cast<std::uint64_t>(s.rank())) = 5;
        s.barrier();
        good(checkpoint.take(""));
    });
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        checkpoint.on(CheckpointEvent::restarted, [&]() -> Result<void> {
            if (s.rank() == late_rank()) sleep_ms(1000);
            return {};
        });
        const auto restarted = checkpoint.restart();
        ASSERT_FALSE(restarted);
        EXPECT_EQ(restarted.error().code, Errc::timed_out);
        EXPECT_NE(restarted.error().text.find(late("is in a callback `restarted`")),
                  std::string::npos) << restarted.error().text;
        s.barrier();
    });
}

// Every callback there is, and everything that can be thrown.
TEST_F(LateRanks, what_callbacks_throw_is_a_failure_of_all_ranks) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        const bool last = s.rank() == late_rank();
        int what = 0;
        std::string event;
        const auto callback = [&](std::string_view name) {
            return [&, name]() -> Result<void> {
                if (!last || event != name) return {};
                if (what == 0) throw std::runtime_error("no mood");
                if (what == 1) throw 42;
                throw Error(Failure{Errc::not_found, 0, no_node, "no mood"});
            };
        };
        checkpoint.on(CheckpointEvent::before, callback("before"));
        checkpoint.on(CheckpointEvent::after, callback("after"));
        checkpoint.on(CheckpointEvent::restarted, callback("restarted"));
        for (what = 0; what < 3; ++what) {
            event = "before";
            const auto failed = checkpoint.take("");
            ASSERT_FALSE(failed);
            EXPECT_EQ(failed.error().code, what == 2 ? Errc::not_found : Errc::function_failed);
            event = "after";
            good(checkpoint.take(""));   // a line in the log
        }
        event = "restarted";
        for (what = 0; what < 3; ++what) EXPECT_FALSE(checkpoint.restart());
        event = "";
        good(checkpoint.take(""));
    });
}

}  // namespace
}  // namespace ssi::test
