// SPDX-License-Identifier: BSD-3-Clause
// What policies are told of a run, and how those in force are replaced.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "history.hpp"
#include "policy_in_force.hpp"

namespace ssi::ckpt::test {
namespace {

namespace stdfs = std::filesystem;

constexpr Nanoseconds second = 1'000'000'000;

class HandClock final : public Clock {
public:
    Nanoseconds now() const override { return time; }
    Nanoseconds wall() const override { return time + 1000 * second; }
    Nanoseconds time = 500 * second;
};

Config config_of(std::initializer_list<std::pair<const char*, const char*>> values) {
    Config config;
    for (const auto& [key, value] : values)
        if (const auto set = config.set(key, value, "test"); !set)
            throw std::runtime_error(set.error().text);
    return config;
}

struct Policied {
    explicit Policied(Config c = {}) : config(std::move(c)) { ::unsetenv("SLURM_JOB_END_TIME"); }
    Result<void> open(const std::string& text = {}, bool partners = false) {
        auto made = PolicyInForce::make({clock, config, log}, text, [&](CheckpointLevel level) {
            return partners || level == CheckpointLevel::local
                       ? Result<void>()
                       : fail(Errc::unsupported, "one host alone");
        });
        if (!made) return tl::unexpected<Failure>(made.error());
        policy = std::move(*made);
        return {};
    }
    JsonValue report() const { return *JsonValue::parse(policy->report()); }

    HandClock clock;
    Config config;
    LogRecorder lines;
    Log log{LogLevel::debug, lines.sink()};
    std::unique_ptr<PolicyInForce> policy;
};

std::shared_ptr<CheckpointTicket::State> begun(const Clock& clock) {
    return std::make_shared<CheckpointTicket::State>(clock);
}

TEST(History, times_count_from_the_cut_and_by_level) {
    HandClock clock;
    History history(clock, config_of({}), 0b110);
    clock.time += 10 * second;
    auto view = history.view(false, false);
    EXPECT_DOUBLE_EQ(view.now_s, 10);
    EXPECT_DOUBLE_EQ(view.levels[0].since_s, 10);
    EXPECT_EQ(view.levels[2].possible, 1u);
    EXPECT_EQ(view.levels[3].possible, 0u);
    EXPECT_LT(view.levels[0].full.blocked_s, 0);
    history.took(begun(clock), {.level = 2});
    clock.time += 3 * second;
    view = history.view(true, true);
    EXPECT_DOUBLE_EQ(view.levels[0].since_s, 3);
    EXPECT_DOUBLE_EQ(view.levels[1].since_s, 13);
    EXPECT_DOUBLE_EQ(view.levels[2].since_s, 3);
    EXPECT_EQ(view.levels[2].taken, 1u);
    EXPECT_EQ(view.levels[1].taken, 0u);
    EXPECT_EQ(view.asked + view.leaving, 2u);
    // The program took another level than was wanted: it is not wanted at each point.
    history.took(begun(clock), {.level = 1, .wanted_level = 2});
    clock.time += second;
    view = history.view(false, false);
    EXPECT_DOUBLE_EQ(view.levels[2].since_s, 1);
    EXPECT_EQ(view.levels[2].taken, 1u);
}

TEST(History, what_one_has_cost_is_known_when_it_is_durable) {
    HandClock clock;
    History history(clock, config_of({}), 2);
    const auto one = [&](bool incremental, bool asynchronous, Result<void> outcome) {
        auto ticket = begun(clock);
        clock.time += second / 4;                      // the cut
        history.took(ticket, {.level = 1, .incremental = incremental,
                              .asynchronous = asynchronous});
        ticket->saved_bytes = 77;
        clock.time += 2 * second;
        EXPECT_EQ(history.view(false, false).levels[1].taken,
                  history.view(false, false).levels[0].taken);
        ticket->finish(std::move(outcome));
        clock.time += 5 * second;
        return history.view(false, false).levels[1];
    };
    auto seen = one(false, true, {});
    EXPECT_DOUBLE_EQ(seen.full.blocked_s, 0.25);
    EXPECT_DOUBLE_EQ(seen.full.durable_s, 2.25);
    EXPECT_EQ(seen.full.bytes, 77u);
    EXPECT_LT(seen.incremental.blocked_s, 0);
    seen = one(true, false, {});
    EXPECT_DOUBLE_EQ(seen.incremental.blocked_s, 2.25) << "the program waited for all of it";
    EXPECT_DOUBLE_EQ(seen.full.blocked_s, 0.25);
    seen = one(false, false, fail(Errc::io, "no space"));
    EXPECT_DOUBLE_EQ(seen.full.blocked_s, 0.25) << "one that failed tells nothing";
    EXPECT_EQ(seen.taken, 3u);
    EXPECT_DOUBLE_EQ(seen.since_s, 7) << "but counts as taken";
}

TEST(History, failures_and_the_end_of_the_job_are_as_others_tell_them) {
    HandClock clock;
    ::unsetenv("SLURM_JOB_END_TIME");
    auto view = History(clock, config_of({}), 2).view(false, false);
    EXPECT_LT(view.mtbf_s, 0);
    EXPECT_LT(view.observed_mtbf_s, 0);
    EXPECT_LT(view.left_s, 0);
    const auto config = config_of({{"checkpoint.failures", "3"}, {"checkpoint.ran_s", "2990"},
                                   {"checkpoint.mtbf_s", "50"}});
    ::setenv("SLURM_JOB_END_TIME", "1600", 1);
    History history(clock, config, 2);
    clock.time += 10 * second;                         // the wall clock says 1510
    view = history.view(false, false);
    EXPECT_DOUBLE_EQ(view.mtbf_s, 50);
    EXPECT_DOUBLE_EQ(view.observed_mtbf_s, 1000) << "this run counts, too";
    EXPECT_EQ(view.observed_failures, 3u);
    EXPECT_DOUBLE_EQ(view.left_s, 90);
    clock.time += 100 * second;
    EXPECT_DOUBLE_EQ(history.view(false, false).left_s, 0);
    History set(clock, config_of({{"checkpoint.job_end_s", "2000"}}), 2);
    EXPECT_DOUBLE_EQ(set.view(false, false).left_s, 390) << "what is set comes first";
    ::setenv("SLURM_JOB_END_TIME", "soon", 1);
    EXPECT_LT(History(clock, config_of({}), 2).view(false, false).left_s, 0);
    ::unsetenv("SLURM_JOB_END_TIME");
}

TEST(History, the_time_between_points_leaves_checkpoints_out) {
    HandClock clock;
    History history(clock, config_of({}), 2);
    history.came_by();
    EXPECT_LT(history.view(false, false).between_points_s, 0);
    for (int i = 0; i < 3; ++i) {
        clock.time += 2 * second;
        history.came_by();
    }
    EXPECT_DOUBLE_EQ(history.view(false, false).between_points_s, 2);
    clock.time += 100 * second;                        // in take
    history.took(begun(clock), {.level = 1});
    clock.time += 100 * second;
    history.came_by();
    EXPECT_DOUBLE_EQ(history.view(false, false).between_points_s, 2);
    clock.time += 10 * second;
    history.came_by();
    EXPECT_DOUBLE_EQ(history.view(false, false).between_points_s, 3);
}

TEST(PolicyInForce, settings_say_what_is_in_force_first) {
    const auto text = [](std::initializer_list<std::pair<const char*, const char*>> values,
                         const char* given = "") {
        Policied all(config_of(values));
        const auto opened = all.open(given);
        return opened ? all.policy->text() : opened.error().text;
    };
    EXPECT_EQ(text({}), "interval every_s=0");
    EXPECT_EQ(text({{"checkpoint.interval_s", "7"}}), "interval every_s=7");
    EXPECT_EQ(text({{"checkpoint.policy", "time_limit"}}), "time_limit");
    EXPECT_EQ(text({{"checkpoint.policy", "time_limit"}, {"checkpoint.interval_s", "7"}}),
              "interval every_s=7; time_limit");
    EXPECT_EQ(text({{"checkpoint.policy", "interval every_s=9"}, {"checkpoint.interval_s", "7"}}),
              "interval every_s=9");
    EXPECT_EQ(text({{"checkpoint.policy", "time_limit"}}, "young_daly"), "young_daly");
    EXPECT_NE(text({{"checkpoint.policy", "yung"}}).find("no checkpoint policy 'yung'"),
              std::string::npos);
}

TEST(PolicyInForce, another_one_decides_from_the_next_point_on) {
    Policied all;
    ASSERT_TRUE(all.open("interval every_s=100"));
    all.clock.time += 50 * second;
    EXPECT_FALSE(all.policy->decide(false, false).take);
    ASSERT_TRUE(all.policy->set("interval every_s=1; on_request level=local keep=9"));
    ASSERT_TRUE(all.policy->set("interval every_s=2; on_request level=local keep=8"));
    EXPECT_TRUE(all.report().boolean_of("pending"));
    EXPECT_EQ(all.report().items_of("strategies").size(), 1u) << "not yet";
    EXPECT_EQ(all.policy->keep()[1], 0u);
    EXPECT_TRUE(all.policy->decide(false, false).take);
    EXPECT_EQ(all.policy->keep()[1], 8u);
    const auto report = all.report();
    EXPECT_FALSE(report.boolean_of("pending"));
    EXPECT_EQ(report.text_of("policy"), "interval every_s=2; on_request level=local keep=8");
    EXPECT_EQ(report.items_of("strategies").size(), 2u);
    EXPECT_EQ(report.find("decision")->text_of("why"), "interval: each 2 s");
    ASSERT_TRUE(all.policy->set_interval(60));
    EXPECT_EQ(all.policy->text(), "interval every_s=60; on_request level=local keep=8");
    EXPECT_EQ(all.policy->interval_s(), 60u);
    EXPECT_FALSE(all.policy->decide(false, false).take);
    all.clock.time += 4 * second;
    EXPECT_DOUBLE_EQ(all.report().number_of("next_s"), 6);
    EXPECT_EQ(all.report().text_of("last_why"), "interval: each 2 s");
}

TEST(PolicyInForce, what_cannot_be_had_leaves_all_as_it_is) {
    Policied all;
    ASSERT_TRUE(all.open("interval every_s=100"));
    for (const char* text : {"yung", "interval every_s=x", "interval;;", "levels partner_s=3"}) {
        EXPECT_FALSE(all.policy->set(text)) << text;
        EXPECT_EQ(all.policy->text(), "interval every_s=100");
        EXPECT_FALSE(all.report().boolean_of("pending"));
    }
    const auto refused = all.policy->set("levels local_s=3 partner_s=3");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsupported);
    EXPECT_NE(refused.error().text.find("cannot have level 2: partner: one host alone"),
              std::string::npos)
        << refused.error().text;
    Policied other;
    EXPECT_FALSE(other.open("levels partner_s=3"));
    EXPECT_TRUE(other.open("levels partner_s=3", true));
}

TEST(PolicyInForce, one_that_was_replaced_is_told_in_the_log_and_to_who_asks) {
    Policied all;
    // Where nobody else can write.
    std::string directory = (stdfs::temp_directory_path() / "ssi-policy-XXXXXX").string();
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    stdfs::copy_file(std::string(SSI_TEST_PLUGINS) + "/odd.so", directory + "/odd.so");
    ASSERT_EQ(::chmod((directory + "/odd.so").c_str(), 0644), 0);
    const auto opened = all.open(directory + "/odd.so do=kind");
    stdfs::remove_all(directory);                      // it is loaded
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_FALSE(all.policy->decide(false, false).take);
    EXPECT_FALSE(all.policy->decide(false, false).take);
    const auto lines = all.lines.lines(LogLevel::warn);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("odd.so: its plan says kind 3"), std::string::npos) << lines[0];
    EXPECT_NE(all.report().items_of("strategies")[0].text_of("ejected").find("kind 3"),
              std::string::npos);
}

}  // namespace
}  // namespace ssi::ckpt::test
