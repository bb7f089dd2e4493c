// SPDX-License-Identifier: BSD-3-Clause
#include "cluster.hpp"

namespace ssi::test {
namespace {

using kddm::ObjectView;
using kddm::Run;

Result<void> append(ObjectView& object, std::span<const std::byte> arguments,
                    std::vector<std::byte>& reply) {
    const auto old = object.bytes().size();
    if (auto r = object.resize(old + arguments.size()); !r) return r;
    std::memcpy(object.bytes().data() + old, arguments.data(), arguments.size());
    reply.resize(8);
    const std::uint64_t size = object.bytes().size();
    std::memcpy(reply.data(), &size, 8);
    return {};
}

struct Apply : testing::Test {
    Cluster c{3};
    std::vector<kddm::RawSet> s;
    void SetUp() override {
        for (int i = 0; i < 3; ++i) {
            c[i].register_function("append", Run::inline_in_handler, append);
            c[i].register_function("slow_append", Run::on_executor, append);
            c[i].register_function("fail", Run::inline_in_handler, [](auto&&...) {
                return Result<void>(fail(Errc::invalid_argument, "refused by the function"));
            });
            c[i].register_function(
                "throw", Run::inline_in_handler,
                [](auto&&...) -> Result<void> { throw std::runtime_error("up"); });
        }
        kddm::SetOptions o;
        o.kind = kddm::ObjectKind::variable;
        o.placement = "node:0";
        s = c.open("s", o);
    }
    static std::span<const std::byte> text(std::string_view t) {
        return std::as_bytes(std::span(t.data(), t.size()));
    }
};

TEST_F(Apply, runs_at_the_home_from_every_node) {
    for (int i = 0; i < 3; ++i) {
        auto r = s[i].apply(1, i == 1 ? "slow_append" : "append", text("abc"));
        ASSERT_TRUE(r.has_value()) << r.error().to_string();
        std::uint64_t size;
        std::memcpy(&size, r->data(), 8);
        EXPECT_EQ(size, 3u * (i + 1));
    }
    EXPECT_EQ(s[2].get(1)->bytes().size(), 9u);
    EXPECT_EQ(s[0].stats().applies, 3u);
}

// Adds the argument to each byte it sees; replies where that begins, and how many there are.
Result<void> add_to_all(ObjectView& object, std::span<const std::byte> arguments,
                        std::vector<std::byte>& reply) {
    for (std::byte& one : object.bytes())
        one = std::byte(std::to_integer<int>(one) + std::to_integer<int>(arguments[0]));
    const std::uint64_t seen[] = {object.offset(), object.bytes().size()};
    reply.resize(sizeof seen);
    std::memcpy(reply.data(), seen, sizeof seen);
    return {};
}

TEST_F(Apply, to_a_range_sees_nothing_else) {
    for (int i = 0; i < 3; ++i) {
        c[i].register_function("add", i == 0 ? Run::inline_in_handler : Run::on_executor,
                               add_to_all);
    }
    ASSERT_TRUE(s[1].grab(1)->resize(100'000).has_value());
    const std::byte one[] = {std::byte{1}};
    for (int i = 0; i < 3; ++i) {   // at the home, from elsewhere, and in place
        kddm::RawGuard guard;
        if (i == 2) guard = std::move(*s[2].grab(1));
        const kddm::Range range{50'000u + 10 * i, 20};
        auto reply = s[i].apply(1, "add", one, range);
        ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
        std::uint64_t seen[2];
        ASSERT_EQ(reply->size(), sizeof seen);
        std::memcpy(seen, reply->data(), sizeof seen);
        EXPECT_EQ(seen[0], range.offset);
        EXPECT_EQ(seen[1], range.length);
    }
    const auto bytes = s[0].read(1)->bytes;
    const int expected[] = {0, 1, 2, 2, 1, 0};   // of each ten bytes from 49990 on
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const bool near = i >= 49'990 && i < 50'050;
        ASSERT_EQ(bytes[i], std::byte(near ? expected[(i - 49'990) / 10] : 0)) << i;
    }
}

TEST_F(Apply, to_a_range_that_the_object_does_not_have_is_refused) {
    int runs = 0;
    for (int i = 0; i < 3; ++i)
        c[i].register_function("count", Run::inline_in_handler, [&](ObjectView& object, auto&&...) {
            ++runs;
            return object.bytes().empty() ? object.resize(1) : Result<void>();
        });
    ASSERT_TRUE(s[0].grab(1)->resize(10).has_value());
    for (int i = 0; i < 2; ++i) {
        for (const kddm::Range range : {kddm::Range{0, 11}, kddm::Range{10, 1},
                                        kddm::Range{11, 0}, kddm::Range{SIZE_MAX, 2},
                                        kddm::Range{2, SIZE_MAX - 1}})
            EXPECT_EQ(s[i].apply(1, "count", {}, range).error().code, Errc::invalid_argument);
        EXPECT_EQ(runs, i * 2);
        EXPECT_TRUE(s[i].apply(1, "count", {}, {0, 10}).has_value());
        const auto resized = s[i].apply(1, "count", {}, {10, 0});
        EXPECT_EQ(resized.error().code, Errc::function_failed);
        EXPECT_EQ(runs, i * 2 + 2);
    }
    EXPECT_EQ(s[1].read(1)->bytes.size(), 10u);
}

TEST_F(Apply, calls_the_object_home_first) {
    {
        auto g = s[1].grab(1);
        ASSERT_TRUE(g->resize(5).has_value());
    }
    ASSERT_TRUE(s[2].apply(1, "append", text("x")).has_value());
    EXPECT_EQ(s[1].get(1)->bytes().size(), 6u);
    EXPECT_EQ(s[0].stats().recalls, 1u);
}

TEST_F(Apply, runs_in_place_on_a_grabbed_object) {
    auto g = s[1].grab(1);
    ASSERT_TRUE(s[1].apply(1, "append", text("xy")).has_value());
    EXPECT_EQ(g->bytes().size(), 2u);
    EXPECT_EQ(s[1].stats().applies, 1u);
    auto h = s[1].get(2);
    auto r = s[1].apply(2, "append", text("x"));
    ASSERT_FALSE(r.has_value());
    EXPECT_EQ(r.error().code, Errc::deadlock);
}

TEST_F(Apply, reports_failures_with_their_text) {
    for (int i = 0; i < 2; ++i) {
        auto r = s[i].apply(1, "fail", {});
        ASSERT_FALSE(r.has_value());
        EXPECT_EQ(r.error().code, Errc::function_failed);
        EXPECT_NE(r.error().text.find("refused by the function"), std::string::npos);
        EXPECT_EQ(s[i].apply(1, "throw", {}).error().code, Errc::function_failed);
        EXPECT_EQ(s[i].apply(1, "unknown", {}).error().code, Errc::not_found);
    }
}

TEST_F(Apply, large_arguments_arrive_whole) {
    const std::string big(3 << 20, 'q');
    ASSERT_TRUE(s[1].apply(1, "append", text(big)).has_value());
    ASSERT_TRUE(s[2].apply(1, "slow_append", text(big)).has_value());
    auto g = s[2].get(1);
    ASSERT_EQ(g->bytes().size(), 2 * big.size());
    for (auto b : g->bytes()) ASSERT_EQ(static_cast<char>(b), 'q');
}

TEST_F(Apply, executes_exactly_once_under_contention) {
    c.run([&](int i) {
        for (int k = 0; k < 200; ++k) {
            ASSERT_TRUE(s[i].apply(7, k % 3 ? "append" : "slow_append", text("z")).has_value());
            if (k % 5 == 0) {
                auto g = s[i].grab(7);
                ASSERT_TRUE(g->resize(g->bytes().size() + 1).has_value());
            }
        }
    });
    EXPECT_EQ(s[0].get(7)->bytes().size(), 3 * (200u + 40u));
}

}  // namespace
}  // namespace ssi::test
