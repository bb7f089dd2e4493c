// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "ssi/base/config.hpp"

namespace ssi {
namespace {

using testing::ElementsAre;

std::string temporary_file() {
    std::string name = (std::filesystem::temp_directory_path() / "ssi-log-XXXXXX").string();
    const int fd = mkstemp(name.data());
    if (fd >= 0) close(fd);
    return name;
}

std::string contents(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Log, lines_name_node_part_and_level) {
    LogRecorder recorder;
    Log log(LogLevel::debug, recorder.sink());
    SSI_LOG(log, info, "node", "starting {}", 1);
    log.set_node(NodeId{3});
    SSI_LOG(log, warn, "kddm", "home of set {} moved to node {}", 7, 1);
    EXPECT_THAT(recorder.lines(),
                ElementsAre("node info: starting 1",
                            "node 3 kddm warn: home of set 7 moved to node 1"));
}

TEST(Log, passes_its_level_and_more_severe_ones_only) {
    LogRecorder recorder;
    Log log(LogLevel::warn, recorder.sink());
    SSI_LOG(log, error, "x", "a");
    SSI_LOG(log, warn, "x", "b");
    SSI_LOG(log, info, "x", "c");
    EXPECT_THAT(recorder.lines(), ElementsAre("x error: a", "x warn: b"));
    recorder.clear();
    log.set_level(LogLevel::off);
    SSI_LOG(log, error, "x", "d");
    EXPECT_TRUE(recorder.lines().empty());
    EXPECT_FALSE(log.enabled(LogLevel::error));
}

TEST(Log, level_names_go_both_ways) {
    for (const auto* name : {"off", "error", "warn", "info", "debug", "trace", "data"}) {
        const auto level = log_level_from(name);
        ASSERT_TRUE(level) << name;
        EXPECT_STREQ(log_level_name(*level), name);
    }
    EXPECT_FALSE(log_level_from("loud"));
}

TEST(LogRecorder, tells_errors_from_the_rest) {
    LogRecorder recorder;
    Log log(LogLevel::data, recorder.sink());
    EXPECT_EQ(recorder.errors(), "");
    SSI_LOG(log, warn, "x", "slow");
    EXPECT_EQ(recorder.errors(), "");
    SSI_LOG(log, error, "x", "one");
    SSI_LOG(log, error, "x", "two");
    EXPECT_EQ(recorder.errors(), "x error: one\nx error: two");
    EXPECT_THAT(recorder.lines(LogLevel::warn), ElementsAre("x warn: slow"));
    EXPECT_TRUE(recorder.contains("slow"));
    EXPECT_FALSE(recorder.contains("three"));
}

TEST(Log, default_sink_writes_whole_lines_to_stderr) {
    testing::internal::CaptureStderr();
    Log log;
    SSI_LOG(log, error, "net", "gone");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "net error: gone\n");
}

TEST(Log, file_sink_appends_and_still_writes_to_stderr) {
    const std::string path = temporary_file();
    std::ofstream(path) << "before\n";
    testing::internal::CaptureStderr();
    {
        Log log(LogLevel::warn, Log::file_sink(path));
        SSI_LOG(log, warn, "net", "one");
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "net warn: one\n");
    EXPECT_EQ(contents(path), "before\nnet warn: one\n");
    std::filesystem::remove(path);
}

TEST(Log, file_that_cannot_be_opened_is_named_and_stderr_goes_on) {
    testing::internal::CaptureStderr();
    Log log(LogLevel::warn, Log::file_sink("/nonexistent/x.log"));
    SSI_LOG(log, warn, "net", "one");
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "base warn: cannot open log file /nonexistent/x.log: No such file or directory; "
              "logging to stderr alone\nnet warn: one\n");
}

TEST(Log, configuration_chooses_level_and_file) {
    const std::string path = temporary_file();
    Config config;
    ASSERT_TRUE(config.set("log.level", "info", "test"));
    ASSERT_TRUE(config.set("log.file", path, "test"));
    testing::internal::CaptureStderr();
    Log log = Log::from_config(config);
    SSI_LOG(log, info, "x", "seen");
    SSI_LOG(log, debug, "x", "unseen");
    testing::internal::GetCapturedStderr();
    EXPECT_EQ(contents(path), "x info: seen\n");
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace ssi
