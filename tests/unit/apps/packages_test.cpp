// SPDX-License-Identifier: BSD-3-Clause
#include "graph/packages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/relation.hpp"
#include "texts.hpp"

namespace {

using graph::PackageCounts;
using graph::Problem;
using test::error_text;
using test::named_edges;
using test::packages;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string stanza(const std::string& name, const std::string& fields = "") {
    return "Package: " + name + "\nVersion: 1\n" + fields + "\n";
}

TEST(Packages, makes_an_edge_from_each_package_to_what_it_needs) {
    const auto graph = packages(stanza("a", "Depends: b, c\nPre-Depends: d\nSuggests: e\n") +
                                stanza("b") + stanza("c") + stanza("d") + stanza("e"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c"), Pair("a", "d")));
    EXPECT_EQ(graph->names.size(), 5u);
}

TEST(Packages, counts_a_need_once_however_often_it_is_said) {
    const auto graph =
        packages(stanza("a", "Depends: b (>= 1), b (<< 2), b | b\nPre-Depends: b\n") + stanza("b"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b")));
}

TEST(Packages, makes_an_edge_to_every_alternative_that_is_a_package) {
    PackageCounts counts;
    const auto graph = packages(
        stanza("a", "Depends: b | c | absent\n") + stanza("b") + stanza("c"), false, &counts);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c")));
    EXPECT_EQ(counts.direct_edges, 2u);
    EXPECT_EQ(counts.unsatisfied, 0u);
}

TEST(Packages, resolves_a_virtual_package_to_all_its_providers) {
    PackageCounts counts;
    const auto graph =
        packages(stanza("a", "Depends: mta\n") + stanza("exim", "Provides: mta (= 2), x\n") +
                     stanza("postfix", "Provides: mta\n"),
                 false, &counts);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "exim"), Pair("a", "postfix")));
    EXPECT_EQ(counts.direct_edges, 0u);
    EXPECT_EQ(counts.virtual_edges, 2u);
}

TEST(Packages, prefers_a_real_alternative_over_providers) {
    const auto graph = packages(stanza("a", "Depends: debconf | debconf-2.0\n") +
                                stanza("debconf") + stanza("cdebconf", "Provides: debconf-2.0\n"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "debconf")));
}

TEST(Packages, prefers_the_package_over_providers_of_its_name) {
    const auto graph =
        packages(stanza("a", "Depends: awk\n") + stanza("awk") + stanza("mawk", "Provides: awk\n"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "awk")));
}

TEST(Packages, drops_and_counts_what_nothing_satisfies) {
    PackageCounts counts;
    const auto graph =
        packages(stanza("a", "Depends: nowhere | gone, b\n") + stanza("b"), false, &counts);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b")));
    EXPECT_EQ(counts.unsatisfied, 1u);
}

TEST(Packages, makes_no_edge_from_a_package_to_itself) {
    const auto graph = packages(stanza("a", "Depends: a | b, v\nProvides: v\n") + stanza("b"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b")));
}

TEST(Packages, ignores_versions_architectures_and_profiles) {
    const auto graph = packages(
        stanza("a",
               "Depends: b:any (>= 1:2.3~rc1-4+b1), c:amd64 [amd64 !i386] <!nocheck>, d(<<2)\n") +
        stanza("b") + stanza("c") + stanza("d"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c"), Pair("a", "d")));
}

TEST(Packages, joins_folded_fields_and_skips_foreign_continuations) {
    const auto graph =
        packages("Package: a\nDescription: b\n Depends: nothing\n .\nDepends: b,\n c |\n\td\n\n" +
                 stanza("b") + stanza("c") + stanza("d"));
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c"), Pair("a", "d")));
}

TEST(Packages, merges_stanzas_of_the_same_package) {
    const auto graph = packages(stanza("a", "Depends: b\n") + stanza("a", "Depends: c\n") +
                                stanza("b") + stanza("c"));
    EXPECT_EQ(graph->names.size(), 3u);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c")));
}

TEST(Packages, reads_dos_lines_many_blank_lines_and_a_missing_last_newline) {
    const auto graph = packages("\n\nPackage: a\r\nDepends: b\r\n\r\n\n \nPackage: b");
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b")));
}

TEST(Packages, accepts_packages_without_any_dependency) {
    const auto graph = packages(stanza("a"));
    ASSERT_TRUE(graph);
    EXPECT_EQ(graph->vertices(), 1u);
    EXPECT_THAT(graph->edges, IsEmpty());
}

TEST(Packages, calls_an_index_without_packages_empty) {
    EXPECT_EQ(packages("").error().kind, Problem::Kind::empty);
    EXPECT_EQ(packages("\n\n").error().kind, Problem::Kind::empty);
}

struct BadIndex {
    const char* text;
    const char* reported;
};

TEST(Packages, reports_every_kind_of_malformed_line_with_its_number) {
    const BadIndex cases[] = {
        {"Package: a\nno colon here\n", "line 2: not a `Field: value` line"},
        {"Package: a\n: x\n", "line 2: not a `Field: value` line"},
        {"Package: a\nTwo words: x\n", "line 2: not a `Field: value` line"},
        {" continued\nPackage: a\n", "line 1: a continuation with nothing before it"},
        {"Version: 1\nDepends: b\n\nPackage: a\n", "line 1: a stanza without a Package field"},
        {"Package: a\nPackage: b\n", "line 2: a second field of the same name"},
        {"Package:\nVersion: 1\n", "line 1: a package name that does not parse"},
        {"Package: -a\n", "line 1: a package name that does not parse: \"-a\""},
        {"Package: a\nDepends: b c\n", "line 2: text after the package name: \"b c\""},
        {"Package: a\nDepends: b (>= 1\n", "line 2: a bracket that is not closed"},
        {"Package: a\nDepends: b ()\n", "line 2: an empty bracket"},
        {"Package: a\nDepends: b |\n", "line 2: an empty alternative"},
        {"Package: a\nDepends: | b\n", "line 2: an empty alternative"},
        {"Package: a\nDepends: b,, c\n", "line 2: an empty alternative"},
        {"Package: a\nDepends: $b\n", "line 2: a package name that does not parse"},
        {"Package: a\nProvides: (= 1)\n", "line 2: a package name that does not parse"},
    };
    for (const BadIndex& bad : cases) {
        const auto graph = packages(bad.text);
        EXPECT_THAT(error_text(graph), HasSubstr(bad.reported)) << bad.text;
        EXPECT_THAT(error_text(graph), HasSubstr("index: 1 malformed line ")) << bad.text;
    }
}

TEST(Packages, skips_only_the_malformed_clause_when_asked) {
    const auto graph = packages(
        stanza("a", "Depends: b, (bad, c\n") + "garbage\n\n" + stanza("b") + stanza("c"), true);
    EXPECT_THAT(named_edges(graph), ElementsAre(Pair("a", "b"), Pair("a", "c")));
    EXPECT_THAT(graph->notes[0], HasSubstr("skipped 2 malformed lines"));
}

TEST(Packages, survives_every_truncation_and_every_flipped_byte) {
    const std::string text =
        stanza("a", "Depends: b (>= 1) | c:any,\n d [x] <y>\nProvides: v (= 1)\n") + stanza("b") +
        stanza("c") + stanza("d");
    for (std::size_t length = 0; length <= text.size(); ++length)
        for (const bool skip : {false, true}) (void)packages(text.substr(0, length), skip);
    for (std::size_t at = 0; at < text.size(); ++at)
        for (const char byte : {'\0', '\n', '(', '|', ',', ':', '\xff', ' '}) {
            std::string changed = text;
            changed[at] = byte;
            const auto graph = packages(changed, true);
            if (graph) {
                for (const graph::Edge& edge : graph->edges) {
                    ASSERT_LT(edge.source, graph->vertices());
                    ASSERT_LT(edge.target, graph->vertices());
                }
            }
        }
}

TEST(Relation, knows_package_names) {
    for (const char* name : {"a", "0ad", "libstdc++6", "libgtk2.0-0", "g_x", "X11"})
        EXPECT_TRUE(graph::is_package_name(name)) << name;
    for (const char* name : {"", "-a", "+a", "a b", "a/b", "a(", "\xc3\xa9"})
        EXPECT_FALSE(graph::is_package_name(name)) << name;
}

}  // namespace
