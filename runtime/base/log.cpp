// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>
#include <utility>

#include "short_lock.hpp"
#include "ssi/base/config.hpp"

namespace ssi {
namespace {

constexpr std::array level_names{"off", "error", "warn", "info", "debug", "trace", "data"};

void write_line(int fd, std::string_view line) {
    std::string bytes(line);
    bytes += '\n';
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n > 0) done += static_cast<std::size_t>(n);
        if (n < 0 && errno != EINTR) return;  // nowhere left to say so
    }
}

struct OwnedFd {
    int fd;
    explicit OwnedFd(int f) : fd(f) {}
    OwnedFd(const OwnedFd&) = delete;
    OwnedFd& operator=(const OwnedFd&) = delete;
    ~OwnedFd() { ::close(fd); }
};

}  // namespace

const char* log_level_name(LogLevel level) {
    return level_names[static_cast<std::size_t>(level)];
}

std::optional<LogLevel> log_level_from(std::string_view name) {
    const auto found = std::find(level_names.begin(), level_names.end(), name);
    if (found == level_names.end()) return std::nullopt;
    return static_cast<LogLevel>(std::distance(level_names.begin(), found));
}

Log::Log(LogLevel level, Sink sink) : level_(level), sink_(std::move(sink)) {}

Log Log::from_config(const Config& config) {
    const auto level = log_level_from(config.text("log.level"));
    const std::string& file = config.text("log.file");
    return Log(level.value_or(LogLevel::warn), file.empty() ? stderr_sink() : file_sink(file));
}

void Log::vwrite(LogLevel level, std::string_view part, fmt::string_view format,
                 fmt::format_args args) {
    fmt::memory_buffer line;
    auto out = std::back_inserter(line);
    if (node_ != no_node) fmt::format_to(out, "node {} ", node_.value);
    fmt::format_to(out, "{} {}: ", part, log_level_name(level));
    fmt::vformat_to(out, format, args);
    sink_(level, std::string_view(line.data(), line.size()));
}

Log::Sink Log::stderr_sink() {
    return [](LogLevel, std::string_view line) { write_line(STDERR_FILENO, line); };
}

Log::Sink Log::file_sink(std::string_view path) {
    const std::string name(path);
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        write_line(STDERR_FILENO,
                   fmt::format("base warn: cannot open log file {}: {}; logging to stderr alone",
                               name, strerrordesc_np(errno)));
        return stderr_sink();
    }
    auto file = std::make_shared<OwnedFd>(fd);
    return [file](LogLevel, std::string_view line) {
        write_line(STDERR_FILENO, line);
        write_line(file->fd, line);
    };
}

struct LogRecorder::State {
    ShortLock lock;
    std::vector<std::pair<LogLevel, std::string>> lines;
};

LogRecorder::LogRecorder() : state_(std::make_shared<State>()) {}

Log::Sink LogRecorder::sink() const {
    return [state = state_](LogLevel level, std::string_view line) {
        const std::lock_guard hold(state->lock);
        state->lines.emplace_back(level, std::string(line));
    };
}

std::vector<std::string> LogRecorder::lines() const {
    const std::lock_guard hold(state_->lock);
    std::vector<std::string> out;
    for (const auto& [level, line] : state_->lines) out.push_back(line);
    return out;
}

std::vector<std::string> LogRecorder::lines(LogLevel level) const {
    const std::lock_guard hold(state_->lock);
    std::vector<std::string> out;
    for (const auto& [of, line] : state_->lines)
        if (of == level) out.push_back(line);
    return out;
}

std::string LogRecorder::errors() const {
    std::string out;
    for (const auto& line : lines(LogLevel::error)) out += (out.empty() ? "" : "\n") + line;
    return out;
}

bool LogRecorder::contains(std::string_view text) const {
    const auto all = lines();
    return std::any_of(all.begin(), all.end(), [&](const std::string& line) {
        return line.find(text) != std::string::npos;
    });
}

void LogRecorder::clear() {
    const std::lock_guard hold(state_->lock);
    state_->lines.clear();
}

}  // namespace ssi
