// SPDX-License-Identifier: BSD-3-Clause
// Policies of sessions of several ranks: the first decides, all do the same.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <thread>
#include <vector>

#include "checkpoint_ranks.hpp"
#include "ssi/base/json.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/node.hpp"

namespace ssi::test {
namespace {

// A variable of the environment, until the scope ends.
class Variable {
public:
    Variable(const char* name, const std::string& value) : name_(name) {
        ::setenv(name, value.c_str(), 1);
    }
    ~Variable() { ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* const name_;
};

class PolicyRanks : public CheckpointRanks {
protected:
    CheckpointOptions by(std::string policy) const {
        return {.directory = directory_, .application = "test", .policy = std::move(policy)};
    }
    static Result<JsonValue> ask(Session& s, const std::string& request) {
        const auto parsed = good(JsonValue::parse(request));
        auto answer = s.internal_node().control().call(parsed).value;
        if (!answer) return tl::unexpected<Failure>(answer.error());
        return good(JsonValue::parse(*answer));
    }
    static Result<JsonValue> set(Session& s, const std::string& policy) {
        return ask(s, R"({"verb":"checkpoint.policy","policy":")" + policy + R"("})");
    }
    // How many complete versions of each level a store has.
    static std::map<std::uint32_t, int> levels_in(const std::string& directory) {
        const auto disk = good(io::make_libaio_disk(directory));
        std::map<std::uint32_t, int> found;
        for (const auto& info : good(good(ckpt::Store::open({.disk = disk.get()}))->list()))
            if (info.manifest) ++found[info.manifest->level];
        return found;
    }
    // Whether all ranks say the same.
    static bool same(Session& s, std::uint64_t mine) {
        return s.reduce(mine, Reduce::min) == s.reduce(mine, Reduce::max);
    }
};

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

TEST_F(PolicyRanks, another_policy_counts_on_every_rank_from_the_next_point_on) {
    session_of(world_size(), [&](Session& s) {
        Checkpoint checkpoint(s, by("on_request"));
        for (int i = 0; i < 3; ++i) {
            nap();
            EXPECT_FALSE(checkpoint.need());
        }
        // Ranks that do not decide have none.
        if (s.rank() == 0) {
            good(set(s, "interval every_s=0.001 level=local kind=incremental"));
        } else {
            EXPECT_EQ(set(s, "on_request").error().code, Errc::invalid_argument);
        }
        nap();
        EXPECT_TRUE(checkpoint.need());
        const TakeOptions own{.number = 5, .asynchronous = true};
        TakeOptions wanted = checkpoint.wanted(own);
        EXPECT_TRUE(wanted.incremental);
        EXPECT_EQ(wanted.number, 5u);
        EXPECT_TRUE(wanted.asynchronous);
        good(good(checkpoint.take("", wanted)).wait());
        s.barrier();
        // One that cannot be had: the one before stays.
        if (s.rank() == 0) {
            EXPECT_EQ(set(s, "levels partner_s=1").error().code, Errc::unsupported);
            EXPECT_EQ(set(s, "no_such_thing").error().code, Errc::not_found);
        }
        nap();
        EXPECT_TRUE(checkpoint.need());
        if (s.rank() == 0) {
            EXPECT_TRUE(set(s, "on_request kind=full"));
            const auto report = good(ask(s, R"({"verb":"checkpoint.policy"})"));
            EXPECT_TRUE(report.boolean_of("pending"));
            EXPECT_EQ(report.text_of("policy"), "on_request kind=full");
            EXPECT_EQ(report.items_of("strategies")[0].text_of("name"), "interval");
            const JsonValue& local = report.items_of("levels")[0];
            EXPECT_TRUE(local.find("full")) << "the first of its kind was whole";
        }
        s.barrier();
        EXPECT_FALSE(checkpoint.need());
        EXPECT_TRUE(checkpoint.wanted({.incremental = true}).incremental) << "nobody wants one";
        // Signals count whatever the policy; it says how.
        if (s.rank() == s.size() - 1) ::raise(SIGUSR1);
        EXPECT_TRUE(checkpoint.need());
        EXPECT_FALSE(checkpoint.wanted({.incremental = true}).incremental);
        s.barrier();
    });
}

TEST_F(PolicyRanks, levels_alternate_and_each_keeps_as_many_as_it_says) {
    if (world_size() < 2) GTEST_SKIP() << "one rank has no partner";
    const Variable same_host("SSI_CHECKPOINT_ALLOW_SAME_HOST", "1");
    session_of(world_size(), [&](Session& s) {
        auto numbers = s.set<std::uint64_t>("numbers");
        CheckpointOptions options = by("levels local_s=0.01 partner_s=0.1 local=full "
                                       "partner=full local_keep=2 partner_keep=3");
        options.directory += "/%n";
        Checkpoint checkpoint(s, options);
        checkpoint.protect(numbers);
        std::map<CheckpointLevel, int> taken;
        bool weaker_before_stronger = false;
        for (int i = 0; i < 2000 && taken[CheckpointLevel::partner] < 5; ++i) {
            nap();
            if (!checkpoint.need()) continue;
            const TakeOptions wanted = checkpoint.wanted({.number = 1, .incremental = true});
            EXPECT_FALSE(wanted.incremental);
            EXPECT_TRUE(same(s, static_cast<std::uint64_t>(wanted.level)));
            if (wanted.level == CheckpointLevel::partner)
                weaker_before_stronger |= taken[CheckpointLevel::local] > 0;
            ++taken[wanted.level];
            good(checkpoint.take("", wanted));
        }
        EXPECT_EQ(taken[CheckpointLevel::partner], 5);
        EXPECT_GT(taken[CheckpointLevel::local], 2);
        EXPECT_TRUE(weaker_before_stronger);
        // The last one, so that both levels are pruned by it.
        good(checkpoint.take("", {.level = CheckpointLevel::local}));
    });
    for (int rank = 0; rank < world_size(); ++rank) {
        const auto found = levels_in(directory_ + "/" + std::to_string(rank));
        EXPECT_EQ(found, (std::map<std::uint32_t, int>{{1, 2}, {2, 3}})) << "store " << rank;
    }
}

// Before anything was decided, too: a program that takes them by itself.
TEST_F(PolicyRanks, what_levels_keep_counts_from_the_first_one_on) {
    const auto run = [&](const std::string& policy, int count) {
        session_of(world_size(), [&](Session& s) {
            auto numbers = s.set<std::uint64_t>("numbers");
            CheckpointOptions options = by(policy);
            options.keep = 1;
            Checkpoint checkpoint(s, options);
            checkpoint.protect(numbers);
            for (int i = 0; i < count; ++i) good(checkpoint.take(""));
        });
    };
    run("on_request level=local keep=4", 6);
    EXPECT_EQ(levels_in(directory_)[1], 4);
    run("on_request level=local keep=3", 1);
    EXPECT_EQ(levels_in(directory_)[1], 3);
    run("on_request level=local", 1);
    EXPECT_EQ(levels_in(directory_)[1], 1) << "as set";
}

TEST_F(PolicyRanks, the_program_leaves_in_time_before_its_job_ends) {
    const Variable end("SSI_CHECKPOINT_JOB_END_S", std::to_string(std::time(nullptr) + 40));
    session_of(world_size(), [&](Session& s) {
        Checkpoint early(s, by("time_limit margin_s=1 cost_s=0 exit=true"));
        EXPECT_FALSE(early.need());
        EXPECT_FALSE(early.should_exit());
    });
    session_of(world_size(), [&](Session& s) {
        Checkpoint checkpoint(s, by("time_limit margin_s=100 exit=true"));
        EXPECT_FALSE(checkpoint.should_exit());
        EXPECT_TRUE(checkpoint.need());
        EXPECT_TRUE(checkpoint.should_exit());
        EXPECT_TRUE(checkpoint.need()) << "until it is taken";
        good(checkpoint.take(""));
        EXPECT_FALSE(checkpoint.need()) << "one last one";
        EXPECT_TRUE(checkpoint.should_exit());
    });
}

TEST_F(PolicyRanks, one_that_cannot_be_had_fails_the_constructor_on_every_rank) {
    session_of(world_size(), [&](Session& s) {
        const auto refused = [&](const char* policy, Errc code, const char* says) {
            try {
                Checkpoint checkpoint(s, by(policy));
                ADD_FAILURE() << policy << " is taken";
            } catch (const Error& error) {
                EXPECT_EQ(error.failure().code, code) << error.what();
                EXPECT_NE(std::string(error.what()).find(says), std::string::npos)
                    << error.what();
            }
        };
        refused("dayly", Errc::not_found, "no checkpoint policy 'dayly'");
        refused("interval every=1", Errc::invalid_argument, "unknown parameter every");
        refused("interval level=partner", Errc::unsupported, "level 2: partner");
        EXPECT_FALSE(Checkpoint(s, by("")).need()) << "and another one is made";
    });
}

}  // namespace
}  // namespace ssi::test
