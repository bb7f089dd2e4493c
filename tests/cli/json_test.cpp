// SPDX-License-Identifier: BSD-3-Clause
#include "json.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ssi::cli {
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

}  // namespace
}  // namespace ssi::cli
