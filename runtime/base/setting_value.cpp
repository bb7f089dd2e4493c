// SPDX-License-Identifier: BSD-3-Clause
#include "setting_value.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace ssi {
namespace {

constexpr std::string_view byte_suffixes = "KMGT";

std::optional<std::int64_t> parse_integer(std::string_view text, bool bytes) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || rest == text.data()) return std::nullopt;
    if (rest == end) return number;
    if (!bytes || rest + 1 != end) return std::nullopt;
    const bool lower = *rest >= 'a' && *rest <= 'z';
    const auto power = byte_suffixes.find(lower ? static_cast<char>(*rest - 'a' + 'A') : *rest);
    if (power == std::string_view::npos) return std::nullopt;
    const std::int64_t factor = std::int64_t{1} << (10 * (power + 1));
    if (__builtin_mul_overflow(number, factor, &number)) return std::nullopt;
    return number;
}

std::optional<bool> parse_boolean(std::string_view text) {
    for (const auto* yes : {"true", "on", "yes", "1"})
        if (text == yes) return true;
    for (const auto* no : {"false", "off", "no", "0"})
        if (text == no) return false;
    return std::nullopt;
}

bool is_choice(std::string_view choices, std::string_view value) {
    while (!choices.empty()) {
        const auto bar = choices.find('|');
        if (choices.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) break;
        choices.remove_prefix(bar + 1);
    }
    return false;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string format_bytes(std::int64_t bytes) {
    if (bytes == 0) return "0";
    std::size_t power = 0;
    while (power < byte_suffixes.size() && bytes % 1024 == 0) {
        bytes /= 1024;
        ++power;
    }
    if (power == 0) return std::to_string(bytes);
    return fmt::format("{}{}", bytes, byte_suffixes[power - 1]);
}

std::string accepted_values(const Setting& setting) {
    switch (setting.type) {
        case SettingType::boolean: return "true or false";
        case SettingType::text: return "any text";
        case SettingType::choice: {
            std::string names = setting.choices;
            for (auto bar = names.find('|'); bar != std::string::npos; bar = names.find('|', bar))
                names.replace(bar, 1, ", ");
            return "one of " + names;
        }
        case SettingType::integer: break;
    }
    const std::string_view unit = setting.unit;
    if (unit == "bytes")
        return fmt::format("{} to {} bytes", format_bytes(setting.minimum),
                           format_bytes(setting.maximum));
    return fmt::format("{} to {}{}{}", setting.minimum, setting.maximum, unit.empty() ? "" : " ",
                       unit);
}

Result<ParsedValue> parse_setting(const Setting& setting, std::string_view value,
                                  std::string_view source) {
    switch (setting.type) {
        case SettingType::boolean:
            if (const auto flag = parse_boolean(value))
                return ParsedValue{*flag ? "true" : "false", *flag};
            break;
        case SettingType::integer: {
            const auto number = parse_integer(value, std::string_view(setting.unit) == "bytes");
            if (number && *number >= setting.minimum && *number <= setting.maximum)
                return ParsedValue{std::string(value), *number};
            break;
        }
        case SettingType::choice:
            if (is_choice(setting.choices, value)) return ParsedValue{std::string(value), 0};
            break;
        case SettingType::text: return ParsedValue{std::string(value), 0};
    }
    return fail(Errc::bad_config, fmt::format("{}: \"{}\" is no value for {}: accepted is {}",
                                              source, value, setting.key,
                                              accepted_values(setting)));
}

const Setting* find_setting(std::string_view key) {
    for (const Setting& setting : settings_table())
        if (key == setting.key) return &setting;
    return nullptr;
}

std::string did_you_mean(std::string_view name, std::string (*spell)(const Setting&)) {
    std::string best;
    std::size_t distance = std::max<std::size_t>(name.size() / 3, 2) + 1;
    for (const Setting& setting : settings_table()) {
        const std::string candidate = spell(setting);
        const std::size_t here = edit_distance(name, candidate);
        if (here >= distance) continue;
        distance = here;
        best = candidate;
    }
    return best.empty() ? "; `ssi config` lists them" : fmt::format("; did you mean {}?", best);
}

}  // namespace ssi
