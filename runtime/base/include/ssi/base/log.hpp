// SPDX-License-Identifier: BSD-3-Clause
// Logging. Each Node owns a Log; lines read `node 3 kddm warn: home of set 7 moved to node 1`.
// Lower case, exact cause, errno where there is one, no "=". A fault is logged once, where it is
// first classified. Thread-safe; set_node and set_level belong to start-up.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/ids.hpp"

namespace ssi {

class Config;

// debug: volume of objects; trace: of flows; data: of packets.
enum class LogLevel : std::uint8_t { off, error, warn, info, debug, trace, data };

const char* log_level_name(LogLevel level);
std::optional<LogLevel> log_level_from(std::string_view name);

class Log {
public:
    // Receives every line that passes the level, without a newline. Must be thread-safe.
    using Sink = std::function<void(LogLevel, std::string_view line)>;

    explicit Log(LogLevel level = LogLevel::warn, Sink sink = stderr_sink());
    // log.level and log.file of the configuration.
    static Log from_config(const Config& config);

    void set_node(NodeId node) { node_ = node; }
    void set_level(LogLevel level) { level_ = level; }
    bool enabled(LogLevel level) const { return level <= level_; }

    template <class... Args>
    void write(LogLevel level, std::string_view part, fmt::format_string<Args...> format,
               Args&&... args) {
        if (enabled(level)) vwrite(level, part, format, fmt::make_format_args(args...));
    }

    // One write(2) a line, so lines of many threads and processes do not mix.
    static Sink stderr_sink();
    // To stderr and to a file that is appended to. Falls back to stderr alone when it cannot open.
    static Sink file_sink(std::string_view path);

private:
    void vwrite(LogLevel level, std::string_view part, fmt::string_view format,
                fmt::format_args args);

    NodeId node_ = no_node;
    LogLevel level_;
    Sink sink_;
};

// Records lines instead of printing them. For tests, which assert that a run logged no error:
//     LogRecorder recorder;
//     Log log(LogLevel::debug, recorder.sink());
//     ...
//     EXPECT_EQ(recorder.errors(), "");
// Thread-safe; its sinks may outlive it.
class LogRecorder {
public:
    LogRecorder();
    Log::Sink sink() const;
    std::vector<std::string> lines() const;
    std::vector<std::string> lines(LogLevel level) const;  // of exactly this level
    std::string errors() const;                            // the error lines, joined by newlines
    bool contains(std::string_view text) const;            // does some line hold it?
    void clear();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace ssi

// The part is the layer's name: SSI_LOG(log, warn, "kddm", "home of set {} moved", 7).
#define SSI_LOG(log, level, part, ...) (log).write(::ssi::LogLevel::level, part, __VA_ARGS__)
