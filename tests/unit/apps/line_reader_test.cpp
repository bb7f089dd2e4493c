// SPDX-License-Identifier: BSD-3-Clause
#include "graph/line_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace {

using graph::LineReader;
using graph::Problem;
using testing::HasSubstr;

class File {
public:
    explicit File(const std::string& text) {
        const int descriptor = ::mkstemp(path_);
        EXPECT_GE(descriptor, 0);
        ::close(descriptor);
        std::ofstream(path_) << text;
    }
    ~File() { ::unlink(path_); }
    const char* path() const { return path_; }

private:
    char path_[32] = "/tmp/line_reader_XXXXXX";
};

std::vector<std::string> lines_of(LineReader& reader) {
    std::vector<std::string> lines;
    for (std::string_view line; reader.next(line);) lines.emplace_back(line);
    return lines;
}

TEST(LineReader, reads_the_same_lines_from_files_and_texts) {
    for (const std::string text : {"", "\n", "a", "a\n", "a\n\nb", "\r\n a \r\n", "long"}) {
        const std::string whole = text == "long" ? std::string(1 << 20, 'x') + "\ny" : text;
        const File file(whole);
        auto from_file = LineReader::open_file(file.path());
        ASSERT_TRUE(from_file);
        auto from_text = LineReader::over_text(whole, "text");
        EXPECT_EQ(lines_of(*from_file), lines_of(from_text));
        EXPECT_EQ(from_file->line_number(), from_text.line_number());
        EXPECT_TRUE(from_file->close());
    }
}

TEST(LineReader, names_a_missing_file) {
    const auto reader = LineReader::open_file("/nonexistent/graph.txt");
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().kind, Problem::Kind::not_found);
    EXPECT_EQ(reader.error().text, "cannot open /nonexistent/graph.txt: No such file or directory");
}

TEST(LineReader, refuses_a_directory) {
    const auto reader = LineReader::open_file("/tmp");
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().kind, Problem::Kind::unreadable);
    EXPECT_THAT(reader.error().text, HasSubstr("it is a directory"));
}

TEST(LineReader, names_a_file_that_may_not_be_read) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may read every file";
    const File file("a b\n");
    ASSERT_EQ(::chmod(file.path(), 0), 0);
    const auto reader = LineReader::open_file(file.path());
    ASSERT_FALSE(reader);
    EXPECT_THAT(reader.error().text, HasSubstr("Permission denied"));
}

TEST(LineReader, reads_what_a_command_prints) {
    auto reader = LineReader::open_command("printf 'a\\nb\\n'");
    ASSERT_TRUE(reader);
    EXPECT_THAT(lines_of(*reader), testing::ElementsAre("a", "b"));
    EXPECT_TRUE(reader->close());
}

TEST(LineReader, reports_how_a_command_failed) {
    auto code = LineReader::open_command("exit 3");
    lines_of(*code);
    EXPECT_THAT(code->close().error().text, HasSubstr("exit code 3"));
    auto killed = LineReader::open_command("kill -9 $$");
    lines_of(*killed);
    EXPECT_THAT(killed->close().error().text, HasSubstr("signal 9"));
    auto missing = LineReader::open_command("no-such-command-here 2>&-");
    lines_of(*missing);
    EXPECT_THAT(missing->close().error().text, HasSubstr("exit code 127"));
}

}  // namespace
