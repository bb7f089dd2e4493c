// SPDX-License-Identifier: BSD-3-Clause
#include "graph/edge_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "texts.hpp"

namespace {

using graph::Problem;
using test::edge_list;
using test::error_text;
using test::named_edges;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

TEST(EdgeList, reads_names_and_integers) {
    const auto graph = edge_list("a b\n7 07\nb  7\n");
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("7", "07"), Pair("a", "b"), Pair("b", "7")));
    EXPECT_THAT(graph->names, ElementsAre("a", "b", "7", "07"));
}

TEST(EdgeList, skips_comments_and_blank_lines) {
    const auto graph = edge_list("# nodes\n\n  \t\n a\tb # why\n#c d\n");
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b")));
    EXPECT_TRUE(graph->notes.empty());
}

TEST(EdgeList, keeps_hashes_inside_names) {
    EXPECT_THAT(named_edges(edge_list("c# a#b\n")), ElementsAre(Pair("c#", "a#b")));
}

TEST(EdgeList, reads_a_last_line_without_newline_and_dos_lines) {
    EXPECT_THAT(named_edges(edge_list("a b\r\nc d")), ElementsAre(Pair("a", "b"), Pair("c", "d")));
}

TEST(EdgeList, keeps_repeated_edges_and_self_loops) {
    EXPECT_EQ(named_edges(edge_list("a a\na b\na b\n")).size(), 3u);
}

TEST(EdgeList, keeps_names_of_any_bytes_above_ascii) {
    EXPECT_THAT(named_edges(edge_list("caf\xc3\xa9 \xff\n")),
                ElementsAre(Pair("caf\xc3\xa9", "\xff")));
}

TEST(EdgeList, reports_each_malformed_line_with_its_number) {
    const auto graph = edge_list("a b\nlonely\n# fine\nx y z\n");
    ASSERT_FALSE(graph);
    EXPECT_EQ(graph.error().kind, Problem::Kind::malformed);
    EXPECT_THAT(graph.error().text, HasSubstr("test.txt: 2 malformed lines"));
    EXPECT_THAT(graph.error().text, HasSubstr("line 2: one name where two are needed: \"lonely\""));
    EXPECT_THAT(graph.error().text, HasSubstr("line 4: more than two names"));
}

TEST(EdgeList, describes_only_the_first_of_many_malformed_lines) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "x\n";
    EXPECT_THAT(error_text(edge_list(text)), HasSubstr("1000 malformed lines"));
    EXPECT_THAT(error_text(edge_list(text)), HasSubstr("and 992 more"));
    EXPECT_THAT(error_text(edge_list(text)), Not(HasSubstr("line 9:")));
}

TEST(EdgeList, refuses_control_characters_and_prints_them_readably) {
    using namespace std::string_view_literals;
    EXPECT_THAT(error_text(edge_list("a\0b c\n"sv)), HasSubstr("control character: \"a\\x00b c\""));
    EXPECT_FALSE(edge_list("a \x1b[2J\n"));
    EXPECT_FALSE(edge_list("a\x7f b\n"));
    EXPECT_FALSE(edge_list("a b\r c\n"));
}

TEST(EdgeList, refuses_names_without_end) {
    const std::string name(5000, 'n');
    EXPECT_THAT(error_text(edge_list("a " + name + "\n")), HasSubstr("more than 4096 bytes"));
    EXPECT_TRUE(edge_list("a " + name.substr(0, 4096) + "\n"));
}

TEST(EdgeList, skips_malformed_lines_only_when_asked_and_says_so) {
    const auto graph = edge_list("a b\nlonely\nx y z\nc d\n", true);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("c", "d")));
    ASSERT_EQ(graph->notes.size(), 1u);
    EXPECT_THAT(graph->notes[0], HasSubstr("skipped 2 malformed lines, first: line 2"));
}

TEST(EdgeList, calls_an_input_without_edges_empty) {
    for (const char* text : {"", "\n\n", "# only a comment\n"}) {
        const auto graph = edge_list(text);
        ASSERT_FALSE(graph) << text;
        EXPECT_EQ(graph.error().kind, Problem::Kind::empty) << text;
    }
    EXPECT_EQ(edge_list("lonely\n", true).error().kind, Problem::Kind::empty);
}

}  // namespace
