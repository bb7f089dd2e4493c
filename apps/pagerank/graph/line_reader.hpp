// SPDX-License-Identifier: BSD-3-Clause
// LineReader: the lines of a file, of a command's output, of a text in memory or of whatever a
// function reads, one at a time and of any length. Owns the stream. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "graph/types.hpp"

namespace graph {

class LineReader {
public:
    static Outcome<LineReader> open_file(const std::string& path);
    // Runs `command` by the shell and reads what it prints; close() reports how it ended.
    static Outcome<LineReader> open_command(const std::string& command);
    // `text` must outlive the reader.
    static LineReader over_text(std::string_view text, std::string name);
    // `read` gives the next bytes, 0 at the end.
    using Read = std::function<Outcome<std::size_t>(std::span<char>)>;
    static LineReader over_function(Read read, std::string name);

    LineReader(LineReader&& other) noexcept;
    LineReader& operator=(LineReader&&) = delete;
    ~LineReader();

    // The next line without its newline (and without the \r of a DOS file); valid until the next
    // call. False at the end or after a read error, which close() reports.
    bool next(std::string_view& line);
    std::uint64_t line_number() const { return line_number_; }  // of the line last returned, from 1
    const std::string& name() const { return name_; }
    Outcome<void> close();

private:
    LineReader(std::FILE* stream, bool is_command, std::string name)
        : stream_(stream), is_command_(is_command), name_(std::move(name)) {}

    bool fill();

    std::FILE* stream_ = nullptr;  // null: reads text_
    Read read_;                    // what follows text_
    std::string block_;            // what it gave: text_ lies in it
    std::optional<Problem> problem_;
    bool is_command_ = false;
    std::string name_;
    std::string_view text_;
    char* buffer_ = nullptr;  // getline's
    std::size_t capacity_ = 0;
    std::uint64_t line_number_ = 0;
};

}  // namespace graph
