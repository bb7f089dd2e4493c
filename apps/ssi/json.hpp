// SPDX-License-Identifier: BSD-3-Clause
// Json: writes one JSON value, top down; commas and escapes are its business.
//     Json json;
//     json.object().field("name", "x").array("list").value(1).end().end();
//     json.text();  // {"name":"x","list":[1]}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ssi::cli {

class Json {
public:
    Json& object() { return open('{', '}'); }
    Json& object(std::string_view key) { return name(key).open('{', '}'); }
    Json& array() { return open('[', ']'); }
    Json& array(std::string_view key) { return name(key).open('[', ']'); }
    Json& end();

    Json& value(std::string_view text);
    Json& value(const char* text) { return value(std::string_view(text)); }
    Json& value(bool flag) { return put(flag ? "true" : "false"); }
    Json& value(std::int64_t number) { return put(std::to_string(number)); }
    Json& value(std::uint64_t number) { return put(std::to_string(number)); }
    Json& value(int number) { return put(std::to_string(number)); }
    Json& value(double number);  // null when not finite: JSON has no word for it

    template <class T>
    Json& field(std::string_view key, const T& what) {
        return name(key).value(what);
    }

    const std::string& text() const { return text_; }

private:
    Json& name(std::string_view key);
    Json& open(char first, char last);
    Json& put(std::string_view raw);
    void quote(std::string_view text);

    std::string text_;
    std::string ends_;           // the brackets still to be closed
    bool needs_comma_ = false;
};

}  // namespace ssi::cli
