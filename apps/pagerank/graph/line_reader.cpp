// SPDX-License-Identifier: BSD-3-Clause
#include "graph/line_reader.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace graph {
namespace {

std::string_view without_line_end(std::string_view line) {
    if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

}  // namespace

Outcome<LineReader> LineReader::open_file(const std::string& path) {
    std::FILE* stream = std::fopen(path.c_str(), "re");
    if (!stream) {
        const int error = errno;
        const auto kind = error == ENOENT ? Problem::Kind::not_found : Problem::Kind::unreadable;
        return tl::unexpected(
            Problem{kind, fmt::format("cannot open {}: {}", path, std::strerror(error))});
    }
    struct stat info {};
    if (::fstat(::fileno(stream), &info) == 0 && S_ISDIR(info.st_mode)) {
        std::fclose(stream);
        return tl::unexpected(Problem{Problem::Kind::unreadable,
                                      fmt::format("cannot read {}: it is a directory", path)});
    }
    return LineReader(stream, false, path);
}

Outcome<LineReader> LineReader::open_command(const std::string& command) {
    std::FILE* stream = ::popen(command.c_str(), "re");
    if (!stream)
        return tl::unexpected(
            Problem{Problem::Kind::unreadable,
                    fmt::format("cannot run {}: {}", command, std::strerror(errno))});
    return LineReader(stream, true, command);
}

LineReader LineReader::over_text(std::string_view text, std::string name) {
    LineReader reader(nullptr, false, std::move(name));
    reader.text_ = text;
    return reader;
}

LineReader LineReader::over_function(Read read, std::string name) {
    LineReader reader(nullptr, false, std::move(name));
    reader.read_ = std::move(read);
    return reader;
}

// A view into a short string does not survive its move: what is moved has read nothing yet, or is
// a view of somebody else's text.
LineReader::LineReader(LineReader&& other) noexcept
    : stream_(std::exchange(other.stream_, nullptr)),
      read_(std::move(other.read_)),
      is_command_(other.is_command_),
      name_(std::move(other.name_)),
      text_(std::exchange(other.text_, {})),
      buffer_(std::exchange(other.buffer_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      line_number_(other.line_number_) {}

LineReader::~LineReader() {
    if (stream_) is_command_ ? ::pclose(stream_) : std::fclose(stream_);
    std::free(buffer_);
}

bool LineReader::next(std::string_view& line) {
    if (stream_) {
        const ssize_t length = ::getline(&buffer_, &capacity_, stream_);
        if (length < 0) return false;
        line = without_line_end({buffer_, static_cast<std::size_t>(length)});
    } else {
        while (read_ && text_.find('\n') == text_.npos && fill()) {}
        if (text_.empty() || problem_) return false;
        const std::size_t end = std::min(text_.find('\n'), text_.size() - 1) + 1;
        line = without_line_end(text_.substr(0, end));
        text_.remove_prefix(end);
    }
    ++line_number_;
    return true;
}

// More bytes behind what is left; false at the end.
bool LineReader::fill() {
    constexpr std::size_t at_once = std::size_t{1} << 20;
    const std::size_t left = text_.size();
    std::string block(left + at_once, '\0');
    std::copy(text_.begin(), text_.end(), block.begin());
    const auto got = read_(std::span(block).subspan(left));
    if (!got) problem_ = got.error();
    block.resize(left + (got ? *got : 0));
    block_ = std::move(block);
    text_ = block_;
    if (got && *got > 0) return true;
    read_ = nullptr;
    return false;
}

Outcome<void> LineReader::close() {
    if (problem_) return tl::unexpected(*problem_);
    if (!stream_) return {};
    const int read_error = std::ferror(stream_) ? errno : 0;
    std::FILE* stream = std::exchange(stream_, nullptr);
    if (!is_command_) {
        std::fclose(stream);
        if (read_error == 0) return {};
        return tl::unexpected(
            Problem{Problem::Kind::unreadable,
                    fmt::format("cannot read {}: {}", name_, std::strerror(read_error))});
    }
    const int status = ::pclose(stream);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    const std::string how = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                              : fmt::format("signal {}", WTERMSIG(status));
    return tl::unexpected(
        Problem{Problem::Kind::unreadable, fmt::format("{} failed with {}", name_, how)});
}

}  // namespace graph
