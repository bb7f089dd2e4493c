// SPDX-License-Identifier: BSD-3-Clause
#include "cli/beside.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

namespace jacobi {
namespace {

// What follows `"name": ` in a flat report of ours, up to the end of the value.
std::string_view value_of(std::string_view json, const char* name) {
    const std::string key = fmt::format("\"{}\": ", name);
    const auto at = json.find(key);
    if (at == std::string_view::npos) return {};
    const auto value = json.substr(at + key.size());
    if (value.starts_with('"')) return value.substr(1, value.find('"', 1) - 1);
    return value.substr(0, value.find_first_of(",}\n"));
}

template <class Value>
bool take(std::string_view json, const char* name, Value& value, int base = 10) {
    const auto text = value_of(json, name);
    const char* end = text.data() + text.size();
    std::from_chars_result result{};
    if constexpr (std::is_floating_point_v<Value>)
        result = std::from_chars(text.data(), end, value);
    else
        result = std::from_chars(text.data(), end, value, base);
    return !text.empty() && result.ec == std::errc{} && result.ptr == end;
}

}  // namespace

tl::expected<Beside, std::string> parse_beside(std::string_view json, const std::string& path) {
    Beside other;
    other.program = value_of(json, "program");
    for (const bool taken : {!other.program.empty(), take(json, "rows", other.plate.rows),
                             take(json, "cols", other.plate.cols),
                             take(json, "iterations", other.iterations),
                             take(json, "digest", other.digest, 16),
                             take(json, "updates_per_second", other.updates_per_second)})
        if (!taken)
            return tl::unexpected(fmt::format(
                "{} is no report: it must be what `mpi_jacobi --json` printed", path));
    return other;
}

tl::expected<Beside, std::string> read_beside(const std::string& path) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return tl::unexpected(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    return parse_beside(text, path);
}

}  // namespace jacobi
