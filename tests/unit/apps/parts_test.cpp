// SPDX-License-Identifier: BSD-3-Clause
#include "graph/parts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "texts.hpp"

namespace {

using graph::Part;
using graph::SharedText;
using graph::Unit;

SharedText shared(const std::string& text) {
    return {"text", text.size(), [&text](std::span<char> out, std::uint64_t at)
                                     -> graph::Outcome<std::size_t> {
                const std::size_t count = std::min(out.size(), text.size() - at);
                std::memcpy(out.data(), text.data() + at, count);
                return count;
            }};
}

std::string of(const std::string& text, Part part) {
    return text.substr(part.begin, part.end - part.begin);
}

std::vector<std::string> parts_of(const std::string& text, Unit unit, int readers) {
    const SharedText source = shared(text);
    std::vector<std::string> parts;
    for (int reader = 0; reader < readers; ++reader) {
        const auto part = graph::part_of(source, unit, reader, readers);
        EXPECT_TRUE(part);
        parts.push_back(of(text, *part));
    }
    return parts;
}

// Lines of 0 to 9 bytes; blank ones of several kinds.
std::string random_text(std::mt19937& random, std::size_t lines) {
    std::string text;
    for (std::size_t i = 0; i < lines; ++i) {
        switch (random() % 8) {
            case 0: break;
            case 1: text += " \t"; break;
            case 2: text += " \r"; break;
            default: text += std::string(random() % 9 + 1, static_cast<char>('a' + random() % 26));
        }
        if (i + 1 < lines || random() % 2) text += '\n';
    }
    return text;
}

TEST(Parts, are_all_of_the_text_and_none_of_it_twice) {
    std::mt19937 random(1);
    for (int round = 0; round < 400; ++round) {
        const std::string text = random_text(random, random() % 40);
        for (int readers = 1; readers <= 6; ++readers)
            for (const Unit unit : {Unit::line, Unit::stanza}) {
                std::string all;
                for (const std::string& part : parts_of(text, unit, readers)) all += part;
                ASSERT_EQ(all, text) << readers << " readers, round " << round;
            }
    }
}

TEST(Parts, cut_no_line_and_no_stanza) {
    std::mt19937 random(2);
    for (int round = 0; round < 400; ++round) {
        const std::string text = random_text(random, 40);
        std::uint64_t at = 0;
        for (const std::string& part : parts_of(text, Unit::line, 5)) {
            ASSERT_TRUE(at == 0 || at == text.size() || text[at - 1] == '\n');
            at += part.size();
        }
        at = 0;
        for (const std::string& part : parts_of(text, Unit::stanza, 5)) {
            if (at > 0 && at < text.size()) {
                const auto before = text.rfind('\n', at - 2);
                const auto begin = before == text.npos ? 0 : before + 1;
                const std::string line = text.substr(begin, at - begin);
                ASSERT_EQ(line.find_first_not_of(" \t\r\n"), line.npos) << '"' << line << '"';
            }
            at += part.size();
        }
    }
}

TEST(Parts, are_about_equal) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "a line\n";
    for (const std::string& part : parts_of(text, Unit::line, 4))
        EXPECT_NEAR(static_cast<double>(part.size()), static_cast<double>(text.size()) / 4, 8);
}

TEST(Parts, are_read_line_by_line_however_long_the_lines_are) {
    const std::string text = "a\n" + std::string(3 << 20, 'b') + "\n\nc";
    const SharedText source = shared(text);
    auto reader = graph::lines_of(source, {0, text.size()});
    std::vector<std::size_t> lengths;
    for (std::string_view line; reader.next(line);) lengths.push_back(line.size());
    EXPECT_THAT(lengths, testing::ElementsAre(1u, 3u << 20, 0u, 1u));
    EXPECT_EQ(reader.line_number(), 4u);
    EXPECT_TRUE(reader.close());
}

TEST(Parts, tell_that_the_text_became_shorter) {
    SharedText source = shared("a b\nc d\n");
    source.read = [](std::span<char>, std::uint64_t) -> graph::Outcome<std::size_t> { return 0; };
    auto reader = graph::lines_of(source, {0, 8});
    std::string_view line;
    EXPECT_FALSE(reader.next(line));
    const auto closed = reader.close();
    ASSERT_FALSE(closed);
    EXPECT_THAT(closed.error().text, testing::HasSubstr("became shorter"));
}

TEST(PackageDirectory, numbers_parts_as_one_reader_numbers_the_whole) {
    const std::string text =
        "Package: a\nDepends: b, virtual\n\nPackage: b\nProvides: virtual\nDepends: a | x\n\n"
        "Package: c\nDepends: a\nProvides: virtual\n\nPackage: d\nPre-Depends: c, nothing\n\n"
        "Package: a\nDepends: d\n";
    const auto whole = test::packages(text);
    ASSERT_TRUE(whole);
    for (int readers = 2; readers <= 5; ++readers) {
        const SharedText source = shared(text);
        graph::PackageDirectory directory;
        std::vector<graph::PackagesPart> parts;
        std::vector<std::vector<graph::Vertex>> numbers;
        for (int reader = 0; reader < readers; ++reader) {
            auto lines = graph::lines_of(
                source, *graph::part_of(source, Unit::stanza, reader, readers));
            parts.push_back(*graph::read_packages_part(lines));
            numbers.push_back(directory.add(parts.back().names, parts.back().provides));
        }
        graph::PackageEdges all;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const auto some = graph::resolve(parts[i], numbers[i], directory);
            all.direct.insert(all.direct.end(), some.direct.begin(), some.direct.end());
            all.through_virtual.insert(all.through_virtual.end(), some.through_virtual.begin(),
                                       some.through_virtual.end());
            all.unsatisfied += some.unsatisfied;
        }
        graph::PackageCounts counts;
        EXPECT_EQ(all.finish(counts), whole->edges) << readers;
        EXPECT_EQ(directory.take_names(), whole->names) << readers;
        EXPECT_EQ(counts.unsatisfied, 1u);
    }
}

}  // namespace
