// SPDX-License-Identifier: BSD-3-Clause
// Strategies: views in, plans out; several at once; how they are written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ssi/ckpt/policies.hpp"

namespace ssi::ckpt::test {
namespace {

Policies made(std::string_view text) {
    auto policies = Policies::make(text, "", nullptr);
    if (!policies) throw std::runtime_error(policies.error().to_string());
    return std::move(*policies);
}

PolicyDecision decide(std::string_view text, const ssi_checkpoint_view& view) {
    return made(text).decide(view);
}

// So long after the start, and after the last of each level that is given.
ssi_checkpoint_view view_at(double now, std::vector<double> since = {}) {
    ssi_checkpoint_view view = empty_view();
    view.now_s = now;
    for (auto& level : view.levels) level.since_s = now;
    for (std::size_t level = 1; level <= since.size(); ++level) {
        view.levels[level].since_s = since[level - 1];
        view.levels[level].taken = 1;
        view.levels[0].taken = 1;
        view.levels[0].since_s = std::min(view.levels[0].since_s, since[level - 1]);
    }
    return view;
}

ssi_checkpoint_view with_cost(ssi_checkpoint_view view, double blocked, double durable) {
    view.levels[0].full = view.levels[1].full = {.blocked_s = blocked, .durable_s = durable,
                                                 .bytes = 0};
    return view;
}

TEST(Policies, an_interval_is_due_when_so_much_time_has_passed) {
    EXPECT_FALSE(decide("interval every_s=10", view_at(9.99)).take);
    EXPECT_TRUE(decide("interval every_s=10", view_at(10)).take);
    EXPECT_FALSE(decide("interval every_s=10", view_at(1000, {9})).take);
    EXPECT_TRUE(decide("interval every_s=10", view_at(1000, {10})).take);
    EXPECT_DOUBLE_EQ(decide("interval every_s=10", view_at(4)).next_s, 6);
    EXPECT_FALSE(decide("interval", view_at(1e9)).take) << "no interval: never";
    EXPECT_LT(decide("interval", view_at(1e9)).next_s, 0);
    // Of a level: weaker ones do not count.
    EXPECT_TRUE(decide("interval every_s=10 level=partner", view_at(50, {1})).take);
    EXPECT_FALSE(decide("interval every_s=10 level=local", view_at(50, {20, 1})).take);
    const auto decision = decide("interval every_s=10 level=partner kind=incremental",
                                 view_at(50));
    EXPECT_EQ(decision.level, 2u);
    EXPECT_EQ(decision.kind, std::uint32_t{SSI_CHECKPOINT_INCREMENTAL});
}

// The time that a job takes in all by Daly's complete model, for each second of work.
double time_of_all(double interval, double cost, double mtbf) {
    return mtbf * std::expm1((interval + cost) / mtbf) / interval;
}

TEST(Policies, daly_finds_the_least_of_the_complete_model) {
    for (const double mtbf : {600.0, 3600.0, 86'400.0, 1e7})
        for (const double ratio : {0.0001, 0.001, 0.01, 0.1, 0.3}) {
            const double cost = mtbf * ratio;
            double best = mtbf;
            for (double t = cost / 100; t < 3 * mtbf; t *= 1.001)
                if (time_of_all(t, cost, mtbf) < time_of_all(best, cost, mtbf)) best = t;
            const double daly = daly_interval(cost, mtbf);
            EXPECT_NEAR(daly / best, 1, 0.03) << mtbf << " " << cost;
            // Young's neglects the cost itself; they meet where it is small.
            const double young = young_interval(cost, mtbf);
            EXPECT_GE(std::abs(young / best - 1) + 0.002, std::abs(daly / best - 1));
        }
    EXPECT_NEAR(young_interval(60, 86'400), 3219.94, 0.01);
    EXPECT_NEAR(daly_interval(60, 86'400), 3180.06, 0.01);
    EXPECT_DOUBLE_EQ(daly_interval(100, 50), 50);
}

TEST(Policies, young_daly_goes_by_what_one_has_cost) {
    const auto at = [](double since, double blocked, double durable) {
        return with_cost(view_at(1e6, {since}), blocked, durable);
    };
    const char* const text = "young_daly mtbf_s=86400 slowdown=0";
    // The interval begins when the program goes on: 60 s after the cut here.
    EXPECT_FALSE(decide(text, at(3239, 60, 60)).take);
    EXPECT_TRUE(decide(text, at(3241, 60, 60)).take);
    EXPECT_TRUE(decide("young_daly mtbf_s=86400 slowdown=0 order=young", at(3280, 60, 60)).take);
    EXPECT_FALSE(decide("young_daly mtbf_s=86400 slowdown=0 order=young", at(3279, 60, 60)).take);
    // A hundredth of the cost: a tenth of the interval.
    EXPECT_TRUE(decide(text, at(330, 0.6, 0.6)).take);
    EXPECT_FALSE(decide(text, at(310, 0.6, 0.6)).take);
    // Not before the one before is durable; and what is slowed down costs, too.
    EXPECT_FALSE(decide(text, at(599, 0.6, 600)).take);
    EXPECT_TRUE(decide(text, at(600, 0.6, 600)).take);
    EXPECT_FALSE(decide("young_daly mtbf_s=86400 slowdown=0.1", at(2000, 0.6, 600)).take);
    EXPECT_DOUBLE_EQ(decide(text, at(3000, 60, 60)).next_s,
                     daly_interval(60, 86'400) + 60 - 3000);
    // The point of the program that is nearest.
    auto steps = at(3000, 60, 60);
    steps.between_points_s = 500;
    EXPECT_TRUE(decide(text, steps).take);
}

TEST(Policies, young_daly_takes_the_failure_rate_that_is_set_else_observed_else_a_day) {
    auto view = with_cost(view_at(1e7, {100}), 1, 1);
    const auto every = [&](const char* text) { return decide(text, view).next_s + 100; };
    EXPECT_NEAR(every("young_daly"), daly_interval(1, 86'400) + 1, 1e-6);
    EXPECT_NE(decide("young_daly", view).why.find("assumed"), std::string::npos);
    view.observed_mtbf_s = 50'000;
    EXPECT_NEAR(every("young_daly"), daly_interval(1, 50'000) + 1, 1e-6);
    EXPECT_NE(decide("young_daly", view).why.find("observed"), std::string::npos);
    view.mtbf_s = 40'000;
    EXPECT_NEAR(every("young_daly"), daly_interval(1, 40'000) + 1, 1e-6);
    EXPECT_NEAR(every("young_daly mtbf_s=30000"), daly_interval(1, 30'000) + 1, 1e-6);
}

TEST(Policies, young_daly_takes_a_first_one_to_know_its_cost) {
    EXPECT_FALSE(decide("young_daly", view_at(59)).take);
    EXPECT_TRUE(decide("young_daly", view_at(60)).take);
    EXPECT_TRUE(decide("young_daly first_s=5", view_at(5)).take);
    EXPECT_FALSE(decide("young_daly cost_s=60 mtbf_s=86400", view_at(60)).take);
    EXPECT_TRUE(decide("young_daly cost_s=60 mtbf_s=86400", view_at(3241)).take);
    // Incremental ones by what such a one has cost.
    auto view = with_cost(view_at(1e6, {400}), 60, 60);
    view.levels[1].incremental = {.blocked_s = 0.6, .durable_s = 0.6, .bytes = 0};
    EXPECT_TRUE(decide("young_daly mtbf_s=86400 level=local kind=incremental", view).take);
    EXPECT_FALSE(decide("young_daly mtbf_s=86400 level=local kind=full", view).take);
}

TEST(Policies, each_level_has_its_schedule_and_a_stronger_one_counts_for_the_weaker) {
    const char* const text = "levels local_s=60 partner_s=600 local=incremental partner=full";
    const auto now = [&](double at, std::vector<double> since) {
        return decide(text, view_at(at, std::move(since)));
    };
    EXPECT_FALSE(now(59, {}).take);
    EXPECT_TRUE(now(60, {}).take);
    EXPECT_EQ(now(60, {}).level, 1u);
    EXPECT_EQ(now(60, {}).kind, std::uint32_t{SSI_CHECKPOINT_INCREMENTAL});
    EXPECT_EQ(now(600, {60}).level, 2u);
    EXPECT_EQ(now(600, {60}).kind, std::uint32_t{SSI_CHECKPOINT_FULL});
    EXPECT_TRUE(now(600, {1}).take) << "a weaker one does not count for it";
    EXPECT_FALSE(now(700, {100, 10}).take) << "the stronger one was 10 s ago";
    EXPECT_DOUBLE_EQ(now(700, {100, 10}).next_s, 50);
    EXPECT_DOUBLE_EQ(now(900, {10, 590}).next_s, 10);
    // Somebody asks: the strongest.
    auto asked = view_at(5);
    asked.asked = 1;
    EXPECT_EQ(decide(text, asked).level, 2u);
    EXPECT_FALSE(decide(text, asked).take);
    const auto counts = made("levels local_s=60 partner_s=600 partner_keep=5").keep();
    EXPECT_EQ(counts[1], SSI_CHECKPOINT_KEEP_AS_SET);
    EXPECT_EQ(counts[2], 5u);
    EXPECT_EQ(counts[3], 0u);
}

TEST(Policies, before_the_job_ends_one_is_taken_in_time_and_once) {
    const char* const text = "time_limit margin_s=30 factor=2";
    const auto left = [](double seconds, double since) {
        auto view = with_cost(view_at(1e5, {since}), 10, 10);
        view.left_s = seconds;
        return view;
    };
    EXPECT_FALSE(decide(text, left(51, 500)).take);
    EXPECT_DOUBLE_EQ(decide(text, left(51, 500)).next_s, 1);
    EXPECT_TRUE(decide(text, left(50, 500)).take);
    EXPECT_FALSE(decide(text, left(45, 3)).take) << "it was taken 48 s before the end";
    EXPECT_TRUE(decide(text, left(45, 6)).take) << "that was before its time had come";
    auto steps = left(60, 500);
    steps.between_points_s = 6;
    EXPECT_TRUE(decide(text, steps).take) << "two points of the program may pass";
    // What one costs is not known yet: 60 s.
    auto unknown = view_at(1e5);
    unknown.left_s = 150;
    EXPECT_TRUE(decide(text, unknown).take);
    unknown.left_s = 151;
    EXPECT_FALSE(decide(text, unknown).take);
    unknown.left_s = -1;
    const auto never = decide(text, unknown);
    EXPECT_FALSE(never.take);
    EXPECT_NE(never.why.find("checkpoint.job_end_s"), std::string::npos) << never.why;
    EXPECT_LT(never.next_s, 0);
}

TEST(Policies, before_the_job_ends_the_program_leaves_when_told) {
    auto view = with_cost(view_at(1e5, {3}), 10, 10);
    view.left_s = 45;
    // Another strategy has taken one just now: it leaves with one more.
    const auto decision = decide("time_limit exit=true", view);
    EXPECT_TRUE(decision.take);
    EXPECT_TRUE(decision.leave);
    view.leaving = 1;
    EXPECT_FALSE(decide("time_limit exit=true", view).take) << "one more is enough";
    EXPECT_FALSE(decide("time_limit", view).leave);
    view.left_s = 1000;
    view.leaving = 0;
    EXPECT_FALSE(decide("time_limit exit=true", view).leave);
}

TEST(Policies, by_itself_nothing_happens_on_request) {
    for (const char* text : {"on_request", "", "  "}) {
        EXPECT_FALSE(decide(text, view_at(1e9)).take);
        EXPECT_EQ(made(text).text(), "on_request");
    }
    auto view = view_at(1);
    view.asked = 1;
    EXPECT_EQ(decide("on_request level=partner kind=full", view).level, 2u);
}

TEST(Policies, any_that_wants_one_gets_it_and_the_strongest_level_counts) {
    const char* const text = "interval every_s=10 level=local kind=incremental; "
                             "interval every_s=100 level=partner kind=full";
    EXPECT_FALSE(decide(text, view_at(9)).take);
    auto decision = decide(text, view_at(10));
    EXPECT_TRUE(decision.take);
    EXPECT_EQ(decision.level, 1u) << "who does not want one has no say";
    EXPECT_EQ(decision.kind, std::uint32_t{SSI_CHECKPOINT_INCREMENTAL});
    decision = decide(text, view_at(100));
    EXPECT_EQ(decision.level, 2u);
    EXPECT_EQ(decision.kind, std::uint32_t{SSI_CHECKPOINT_FULL});
    EXPECT_NE(decision.why.find("10 s; interval: each 100 s"), std::string::npos) << decision.why;
    // In whatever order they are written.
    const auto turned = decide("interval every_s=100 level=partner kind=full; interval every_s=10 "
                               "level=local kind=incremental", view_at(100));
    EXPECT_EQ(turned.level, 2u);
    EXPECT_EQ(turned.kind, std::uint32_t{SSI_CHECKPOINT_FULL});
    EXPECT_DOUBLE_EQ(decide(text, view_at(3)).next_s, 7) << "the soonest";
    auto asked = view_at(1);
    asked.asked = 1;
    EXPECT_EQ(decide(text, asked).level, 2u) << "who is asked has a say";
    const auto counts = made("interval level=local keep=3; on_request level=local keep=7; "
                             "on_request level=local").keep();
    EXPECT_EQ(counts[1], 7u);
    auto late = view_at(50);
    late.left_s = 10;
    decision = decide("interval every_s=1000; time_limit exit=true", late);
    EXPECT_TRUE(decision.take && decision.leave);
}

TEST(Policies, texts_are_taken_apart_and_put_together) {
    const auto parsed = parse_policies(" young_daly   mtbf_s=1  order=young ;time_limit\n");
    ASSERT_TRUE(parsed) << parsed.error().text;
    EXPECT_EQ(policies_text(*parsed), "young_daly mtbf_s=1 order=young; time_limit");
    EXPECT_TRUE(parse_policies("")->empty());
    EXPECT_EQ(with_interval("", "5"), "interval every_s=5");
    EXPECT_EQ(with_interval("time_limit", "5"), "interval every_s=5; time_limit");
    EXPECT_EQ(with_interval("time_limit; interval level=local every_s=3 kind=full", "5"),
              "time_limit; interval every_s=5 level=local kind=full");
    for (const char* text : {";", "interval;", "; interval", "interval every_s", "a=b c;;d"}) {
        const auto bad = parse_policies(text);
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, Errc::parse) << text;
    }
    std::string many = "on_request";
    for (int i = 0; i < 16; ++i) many += ";on_request";
    EXPECT_FALSE(parse_policies(many));
}

TEST(Policies, wrong_parameters_are_named_with_what_there_is) {
    const std::pair<const char*, const char*> wrong[] = {
        {"interval every=3", "unknown parameter every; there are level, kind, keep, every_s"},
        {"interval every_s=x", "every_s=\"x\" is no number from 0 to"},
        {"interval every_s=", "every_s=\"\" is no number"},
        {"interval every_s=1s", "every_s=\"1s\""},
        {"interval every_s=nan", "every_s=\"nan\""},
        {"interval every_s=-1", "every_s=\"-1\""},
        {"interval every_s=1 every_s=2", "every_s is given twice"},
        {"interval =3", "\"=3\" is no name=value"},
        {"interval level=moon", "level=\"moon\" is none of local, partner"},
        {"interval kind=half", "kind=\"half\" is none of full, incremental"},
        {"interval keep=2", "keep needs level"},
        {"interval keep=0 level=local", "keep=\"0\" is no number from 1"},
        {"young_daly order=best", "is none of young, daly"},
        {"young_daly mtbf_s=0", "mtbf_s=\"0\" is no number from 1"},
        {"levels", "needs one of local_s, partner_s"},
        {"levels local_s=3 partner=full", "partner needs partner_s"},
        {"levels local_s=3 partner_keep=3", "partner needs partner_s"},
        {"time_limit exit=maybe", "exit=\"maybe\" is none of false, true"},
    };
    for (const auto& [text, says] : wrong) {
        const auto bad = Policies::make(text, "", nullptr);
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, Errc::invalid_argument) << text;
        EXPECT_NE(bad.error().text.find(says), std::string::npos) << bad.error().text;
        EXPECT_NE(bad.error().text.find("ssi checkpoint policy list"), std::string::npos);
    }
    const auto unknown = Policies::make("on_request; dayly", "", nullptr);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::not_found);
    EXPECT_NE(unknown.error().text.find("'dayly': there are interval, young_daly, levels, "
                                        "time_limit, on_request"), std::string::npos)
        << unknown.error().text;
}

}  // namespace
}  // namespace ssi::ckpt::test
