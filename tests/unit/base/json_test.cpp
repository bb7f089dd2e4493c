// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/json.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ssi {
namespace {

TEST(Json, puts_commas_and_brackets_where_they_belong) {
    Json json;
    json.object().field("a", 1).array("b").value(true).value("x").array().end().object().end();
    json.end().object("c").field("d", 2.5).end().field("e", std::uint64_t{7}).end();
    EXPECT_EQ(json.text(), R"({"a":1,"b":[true,"x",[],{}],"c":{"d":2.5},"e":7})");
}

TEST(Json, escapes_what_json_cannot_hold) {
    Json json;
    json.array().value("q\" b\\ n\n t\t").value(std::string("\x01")).value("\xc3\xa4").end();
    EXPECT_EQ(json.text(), "[\"q\\\" b\\\\ n\\n t\\u0009\",\"\\u0001\",\"\xc3\xa4\"]");
}

TEST(Json, numbers_that_are_none_are_null) {
    Json json;
    json.array().value(static_cast<double>(INFINITY)).value(static_cast<double>(NAN)).end();
    EXPECT_EQ(json.text(), "[null,null]");
}

TEST(JsonValue, reads_every_kind_of_value) {
    const auto read = JsonValue::parse(
        R"( {"a":[1,-2.5e1,18446744073709551615],"b":true,"c":null,"d":"x\n\u00e4\ud83d\ude00"} )");
    ASSERT_TRUE(read) << read.error().text;
    ASSERT_EQ(read->items_of("a").size(), 3u);
    EXPECT_EQ(read->items_of("a")[0].u64(), 1u);
    EXPECT_EQ(read->items_of("a")[1].number(), -25.0);
    EXPECT_FALSE(read->items_of("a")[1].u64());
    EXPECT_EQ(read->items_of("a")[2].u64(), UINT64_MAX);
    EXPECT_TRUE(read->boolean_of("b"));
    EXPECT_EQ(read->find("c")->kind(), JsonValue::Kind::null);
    EXPECT_EQ(read->text_of("d"), "x\n\xc3\xa4\xf0\x9f\x98\x80");
    EXPECT_EQ(read->find("e"), nullptr);
    EXPECT_EQ(read->text_of("e", "none"), "none");
    EXPECT_EQ(read->u64_of("b", 7), 7u) << "of another kind";
}

TEST(JsonValue, writes_what_it_read) {
    const std::string text = R"({"a":[1,-2.5e1,{}],"b":{"c":"\"\\ä"},"d":false,"e":null})";
    const auto read = JsonValue::parse(text);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->to_text(), text);
}

TEST(JsonValue, refuses_everything_else_and_names_the_byte) {
    for (const char* bad :
         {"", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "01", "1.", "1e", "-", "tru", "nul",
          "\"x", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\x01\"", "1 2", "{\"a\":1,\"a\":2}",
          "[1 2]", "NaN", "'x'", "\"\\", "\"\\u"}) {
        const auto read = JsonValue::parse(bad);
        ASSERT_FALSE(read) << bad;
        EXPECT_EQ(read.error().code, Errc::parse);
        EXPECT_TRUE(read.error().text.starts_with("JSON, byte ")) << read.error().text;
    }
    EXPECT_EQ(JsonValue::parse("[1,x]").error().text, "JSON, byte 3: not a JSON value");
    EXPECT_FALSE(JsonValue::parse(std::string("1\0", 2))) << "a zero byte is no white space";
}

TEST(JsonValue, refuses_deep_nesting_without_running_out_of_stack) {
    EXPECT_TRUE(JsonValue::parse(std::string(30, '[') + std::string(30, ']')));
    const auto deep = JsonValue::parse(std::string(1'000'000, '['));
    ASSERT_FALSE(deep);
    EXPECT_EQ(deep.error().text, "JSON, byte 33: nested too deeply");
}

}  // namespace
}  // namespace ssi
