// SPDX-License-Identifier: BSD-3-Clause
// JSON (RFC 8259): Json writes one value, top down; JsonValue is one that was read.
//     Json json;
//     json.object().field("name", "x").array("list").value(1).end().end();
//     json.text();                                       // {"name":"x","list":[1]}
//     auto read = JsonValue::parse(R"({"name":"x"})");
//     read->text_of("name");                             // x
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi {

// Commas and escapes are its business.
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
    Json& value(std::uint32_t number) { return put(std::to_string(number)); }
    Json& value(int number) { return put(std::to_string(number)); }
    Json& value(double number);  // null when not finite: JSON has no word for it
    Json& raw(std::string_view json) { return put(json); }  // is JSON already

    template <class T>
    Json& field(std::string_view key, const T& what) {
        return name(key).value(what);
    }
    Json& raw_field(std::string_view key, std::string_view json) { return name(key).raw(json); }

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

// Immutable. Look-ups of what is absent or of another kind give the "otherwise" of the call.
class JsonValue {
public:
    enum class Kind : std::uint8_t { null, boolean, number, text, array, object };
    // Deeper nesting is refused: texts come from strangers.
    static constexpr int max_depth = 32;

    JsonValue() = default;  // null
    // Exactly one value, with white space around it at most; parse error names the byte. A key that
    // occurs twice in an object is an error.
    static Result<JsonValue> parse(std::string_view text);

    Kind kind() const { return kind_; }
    bool is_object() const { return kind_ == Kind::object; }
    bool boolean(bool otherwise = false) const;
    // Whole numbers in range only, exact.
    std::optional<std::uint64_t> u64() const;
    double number(double otherwise = 0) const;
    std::string_view text(std::string_view otherwise = {}) const;
    const std::vector<JsonValue>& items() const { return items_; }  // of an array

    const JsonValue* find(std::string_view key) const;  // null: absent, or not an object
    const std::vector<std::string>& keys() const { return keys_; }
    std::string_view text_of(std::string_view key, std::string_view otherwise = {}) const;
    std::uint64_t u64_of(std::string_view key, std::uint64_t otherwise = 0) const;
    double number_of(std::string_view key, double otherwise = 0) const;
    bool boolean_of(std::string_view key, bool otherwise = false) const;
    const std::vector<JsonValue>& items_of(std::string_view key) const;  // empty: none

    std::string to_text() const;  // compact JSON

private:
    friend class JsonParser;
    void write(Json& json) const;

    Kind kind_ = Kind::null;
    bool flag_ = false;
    std::string text_;                // of a text or, as written, of a number
    std::vector<std::string> keys_;   // of an object; items_ are its values
    std::vector<JsonValue> items_;
};

}  // namespace ssi
