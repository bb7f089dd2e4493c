// SPDX-License-Identifier: BSD-3-Clause
// Logging. Each Node owns a Log; lines read `node 3 kddm warn: home of set 7 moved to node 1`.
// Lower case, exact cause, errno where there is one, no "=". A fault is logged once, where it is
// first classified. Thread-safe.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <functional>
#include <string_view>

#include "ssi/base/ids.hpp"

namespace ssi {

// debug: volume of objects; trace: of flows; data: of packets.
enum class LogLevel : std::uint8_t { off, error, warn, info, debug, trace, data };

class Log {
public:
    // Receives every line that passes the level, without a newline. Must be thread-safe.
    using Sink = std::function<void(LogLevel, std::string_view line)>;

    explicit Log(LogLevel level = LogLevel::warn, Sink sink = stderr_sink());

    void set_node(NodeId node) { node_ = node; }
    void set_level(LogLevel level) { level_ = level; }
    bool enabled(LogLevel level) const { return level <= level_; }

    template <class... Args>
    void write(LogLevel level, std::string_view part, fmt::format_string<Args...> format,
               Args&&... args) {
        if (enabled(level)) vwrite(level, part, format, fmt::make_format_args(args...));
    }

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

}  // namespace ssi

// The part is the layer's name: SSI_LOG(log, warn, "kddm", "home of set {} moved", 7).
#define SSI_LOG(log, level, part, ...) (log).write(::ssi::LogLevel::level, part, __VA_ARGS__)
