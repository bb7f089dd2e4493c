// SPDX-License-Identifier: BSD-3-Clause
// What docs/formats/control.md says, byte for byte.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "control_protocol.hpp"
#include "ssi/node/contact.hpp"

namespace ssi::node {
namespace {

std::string document() {
    std::ifstream file(SSI_TEST_SOURCE "/docs/formats/control.md");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool documented(std::string line) {  // a line of its own, indented
    return document().find("\n    " + line) != std::string::npos && line.back() == '\n';
}

Contact example() {
    return {"00112233445566aa", "000102030405060708090a0b0c0d0e0f", "app", 1700000000000,
            {{NodeId{0}, "a", 11, "/run/ssi/x.sock"}, {NodeId{1}, "b", 12, ""}}};
}

TEST(ControlFormat, a_contact_file_is_as_documented) {
    EXPECT_TRUE(documented(example().to_json())) << example().to_json();
}

TEST(ControlFormat, replies_are_as_documented) {
    const std::string value = reply_line(std::string("\"pong\""));
    const std::string failure = reply_line(
        tl::unexpected(Failure{Errc::not_found, 2, NodeId{3}, "no verb 'x'"}));
    EXPECT_TRUE(documented(value)) << value;
    EXPECT_TRUE(documented(failure)) << failure;
}

TEST(ControlFormat, limits_and_verbs_are_documented) {
    const std::string text = document();
    EXPECT_EQ(max_control_request_bytes, 64u << 10);
    EXPECT_EQ(max_control_reply_bytes, 4u << 20);
    for (const char* said : {"at most 64 KiB", "4 MiB", "| `ping` |", "| `node` |", "| `stat` |",
                             "| `metrics` |", "| `waits` |", "| `object` |", "| `fd` |"})
        EXPECT_NE(text.find(said), std::string::npos) << said;
}

TEST(ControlFormat, a_contact_survives_writing_and_reading) {
    const auto read = Contact::from_json(example().to_json());
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->to_json(), example().to_json());
}

TEST(ControlFormat, contact_files_that_are_none_are_refused) {
    Contact bad = example();
    bad.key = "short";
    EXPECT_EQ(Contact::from_json(bad.to_json()).error().code, Errc::parse);
    bad = example();
    bad.session = "../../../evil-id";
    EXPECT_EQ(Contact::from_json(bad.to_json()).error().code, Errc::parse);
    EXPECT_EQ(Contact::from_json(R"({"v":2})").error().code, Errc::unsupported);
    EXPECT_EQ(Contact::from_json("").error().code, Errc::parse);
    EXPECT_EQ(Contact::from_json("[]").error().code, Errc::unsupported);
}

TEST(ControlFormat, failures_cross_the_socket_unchanged) {
    const Failure sent{Errc::peer_lost, 104, NodeId{7}, "a \"quoted\"\ntext"};
    const auto got = parse_reply(reply_line(tl::unexpected(sent)));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().to_string(), sent.to_string());
    EXPECT_EQ(got.error().node, sent.node);
    EXPECT_EQ(got.error().sys_errno, sent.sys_errno);
}

TEST(ControlFormat, replies_that_are_none_are_bad_messages) {
    for (const char* bad : {"", "x", "[]", "{}", R"({"v":2,"ok":true,"value":1})",
                            R"({"v":1,"ok":true})"})
        EXPECT_EQ(parse_reply(bad).error().code, Errc::bad_message) << bad;
}

}  // namespace
}  // namespace ssi::node
