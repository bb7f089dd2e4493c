// SPDX-License-Identifier: BSD-3-Clause
// What several verbs print: lines, and names and times as text. Pure but for say().
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace ssi::cli {

// To standard output. What is lost shows at the end of the run, when it is flushed.
template <class... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const std::string text = fmt::format(format, std::forward<Arguments>(arguments)...);
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
}

// A name as text that can be printed and is UTF-8: bytes that are not become \xHH.
std::string readable(std::string_view name);
// "1 fault", "2 faults".
std::string counted(std::uint64_t count, std::string_view what);
// "[######..................]".
std::string bar(std::uint64_t done, std::uint64_t all);
// "2026-11-26 13:05:29", UTC.
std::string time_text(std::int64_t ns);

}  // namespace ssi::cli
