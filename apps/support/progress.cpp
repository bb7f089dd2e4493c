// SPDX-License-Identifier: BSD-3-Clause
#include "support/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace support {
namespace {

constexpr ssi::Nanoseconds terminal_interval = 100'000'000;
constexpr ssi::Nanoseconds line_interval = 1'000'000'000;

}  // namespace

Progress::Progress(std::string program, bool speaks, bool forced, const ssi::Clock& clock)
    : program_(std::move(program)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      shows_(speaks && (terminal_ || forced)),
      clock_(clock) {}

void Progress::show(std::string_view text) {
    // A terminal's line is erased and written again.
    fmt::print(stderr, "{}{}: {}{}", terminal_ ? "\r\x1b[K" : "", program_, text,
               terminal_ ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal_;
}

void Progress::stage(std::string_view what) {
    if (shows_) show(what);
}

void Progress::update(const std::function<std::string()>& what) {
    if (!shows_ || clock_.now() < next_) return;
    next_ = clock_.now() + (terminal_ ? terminal_interval : line_interval);
    show(what());
}

void Progress::finish() {
    if (!dirty_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    dirty_ = false;
}

}  // namespace support
