// SPDX-License-Identifier: BSD-3-Clause
// Values of settings as text: checked, and in one normal form. Private to base.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ssi/base/config.hpp"

namespace ssi {

struct ParsedValue {
    std::string text;          // normal form: "true", "auto"; integers as they were written
    std::int64_t integer = 0;  // integers in their unit; booleans 0 or 1
};

// bad_config names the setting, the source and what is accepted.
Result<ParsedValue> parse_setting(const Setting& setting, std::string_view value,
                                  std::string_view source);

// "an integer from 64K to 1G bytes", "one of auto, spin": for messages and the documentation.
std::string accepted_values(const Setting& setting);

// Null when there is none.
const Setting* find_setting(std::string_view key);

// The candidate that a misspelt name most likely meant, as "; did you mean x?", or "".
std::string did_you_mean(std::string_view name, std::string (*spell)(const Setting&));

// 2097152 -> "2M"; what is not a whole number of K stays as it is.
std::string format_bytes(std::int64_t bytes);

}  // namespace ssi
