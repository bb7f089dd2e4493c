// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/json.hpp"

#include <fmt/core.h>

#include <cmath>

namespace ssi {

Json& Json::end() {
    text_ += ends_.back();
    ends_.pop_back();
    needs_comma_ = true;
    return *this;
}

Json& Json::value(std::string_view text) {
    if (needs_comma_) text_ += ',';
    quote(text);
    needs_comma_ = true;
    return *this;
}

Json& Json::value(double number) {
    return put(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

Json& Json::name(std::string_view key) {
    value(key);
    text_ += ':';
    needs_comma_ = false;
    return *this;
}

Json& Json::open(char first, char last) {
    put(std::string_view(&first, 1));
    needs_comma_ = false;
    ends_ += last;
    return *this;
}

Json& Json::put(std::string_view raw) {
    if (needs_comma_) text_ += ',';
    text_ += raw;
    needs_comma_ = true;
    return *this;
}

void Json::quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (text_ += '\\') += c;
        else if (c == '\n')
            text_ += "\\n";
        else if (byte < 0x20)
            text_ += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
        else
            text_ += c;
    }
    text_ += '"';
}

}  // namespace ssi
