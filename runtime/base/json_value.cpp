// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "ssi/base/json.hpp"

namespace ssi {

// Recursive descent over one text; stops at the first error, whose place is `at_`.
class JsonParser {
public:
    explicit JsonParser(std::string_view text) : text_(text) {}

    Result<JsonValue> run() {
        JsonValue value;
        skip_space();
        if (read(value, 0)) {
            skip_space();
            if (at_ == text_.size()) return value;
            why_ = "more text after the value";
        }
        return fail(Errc::parse, fmt::format("JSON, byte {}: {}", at_, why_));
    }

private:
    bool no(const char* why) {
        why_ = why;
        return false;
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos)
            ++at_;
    }
    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) return no("not a JSON value");
        at_ += expected.size();
        return true;
    }

    bool read(JsonValue& out, int depth) {
        using Kind = JsonValue::Kind;
        if (depth > JsonValue::max_depth) return no("nested too deeply");
        switch (peek()) {
            case '{': return out.kind_ = Kind::object, read_object(out, depth);
            case '[': return out.kind_ = Kind::array, read_array(out, depth);
            case '"': return out.kind_ = Kind::text, read_text(out.text_);
            case 't': return out.kind_ = Kind::boolean, out.flag_ = true, word("true");
            case 'f': return out.kind_ = Kind::boolean, word("false");
            case 'n': return word("null");
            default: return out.kind_ = Kind::number, read_number(out.text_);
        }
    }

    bool read_object(JsonValue& out, int depth) {
        ++at_;
        skip_space();
        if (take('}')) return true;
        for (;;) {
            std::string key;
            if (peek() != '"') return no("a key in quotes is missing");
            if (!read_text(key)) return false;
            if (out.find(key)) return no("a key occurs twice");
            skip_space();
            if (!take(':')) return no("a colon is missing");
            skip_space();
            JsonValue value;
            if (!read(value, depth + 1)) return false;
            out.keys_.push_back(std::move(key));
            out.items_.push_back(std::move(value));
            skip_space();
            if (take('}')) return true;
            if (!take(',')) return no("a comma or closing brace is missing");
            skip_space();
        }
    }

    bool read_array(JsonValue& out, int depth) {
        ++at_;
        skip_space();
        if (take(']')) return true;
        for (;;) {
            if (!read(out.items_.emplace_back(), depth + 1)) return false;
            skip_space();
            if (take(']')) return true;
            if (!take(',')) return no("a comma or closing bracket is missing");
            skip_space();
        }
    }

    bool read_number(std::string& out) {
        const std::size_t start = at_;
        const auto digits = [&] {
            const std::size_t first = at_;
            while (peek() >= '0' && peek() <= '9') ++at_;
            return at_ - first;
        };
        take('-');
        const bool zero = peek() == '0';
        const std::size_t whole = digits();
        if (whole == 0) return no("not a JSON value");
        if (zero && whole > 1) return no("a number starts with 0");
        if (take('.') && digits() == 0) return no("digits are missing");
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            if (digits() == 0) return no("digits are missing");
        }
        out = text_.substr(start, at_ - start);
        return true;
    }

    bool read_text(std::string& out) {
        ++at_;
        for (;;) {
            if (at_ >= text_.size()) return no("a text does not end");
            const char c = text_[at_++];
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return no("a control character in a text");
            if (c != '\\')
                out += c;
            else if (!read_escape(out))
                return false;
        }
    }

    bool read_escape(std::string& out) {
        constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        const char c = peek();
        ++at_;
        if (const auto known = names.find(c); c != '\0' && known != names.npos) {
            out += meanings[known];
            return true;
        }
        std::uint32_t code = 0, low = 0;
        if (c != 'u' || !read_hex(code)) return no("an escape that JSON does not know");
        if (code >= 0xd800 && code < 0xdc00) {
            if (!take('\\') || !take('u') || !read_hex(low) || low < 0xdc00 || low > 0xdfff)
                return no("half a surrogate pair");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else if (code >= 0xdc00 && code <= 0xdfff) {
            return no("half a surrogate pair");
        }
        append_utf8(out, code);
        return true;
    }

    bool read_hex(std::uint32_t& code) {
        const std::string_view four = text_.substr(std::min(at_, text_.size()), 4);
        const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), code, 16);
        if (four.size() != 4 || error != std::errc{} || end != four.data() + 4) return false;
        at_ += 4;
        return true;
    }

    static void append_utf8(std::string& out, std::uint32_t code) {
        const auto add = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
        const auto tail = [&](int shift) { add(0x80 | ((code >> shift) & 0x3f)); };
        if (code < 0x80) return add(code);
        if (code < 0x800) return add(0xc0 | code >> 6), tail(0);
        if (code < 0x10000) return add(0xe0 | code >> 12), tail(6), tail(0);
        add(0xf0 | code >> 18), tail(12), tail(6), tail(0);
    }

    std::string_view text_;
    std::size_t at_ = 0;
    const char* why_ = "";
};

Result<JsonValue> JsonValue::parse(std::string_view text) { return JsonParser(text).run(); }

bool JsonValue::boolean(bool otherwise) const {
    return kind_ == Kind::boolean ? flag_ : otherwise;
}

std::optional<std::uint64_t> JsonValue::u64() const {
    std::uint64_t value = 0;
    const char* last = text_.data() + text_.size();
    if (kind_ != Kind::number) return std::nullopt;
    const auto [end, error] = std::from_chars(text_.data(), last, value);
    if (error != std::errc{} || end != last) return std::nullopt;
    return value;
}

double JsonValue::number(double otherwise) const {
    return kind_ == Kind::number ? std::strtod(text_.c_str(), nullptr) : otherwise;
}

std::string_view JsonValue::text(std::string_view otherwise) const {
    return kind_ == Kind::text ? std::string_view(text_) : otherwise;
}

const JsonValue* JsonValue::find(std::string_view key) const {
    for (std::size_t i = 0; i < keys_.size(); ++i)
        if (keys_[i] == key) return &items_[i];
    return nullptr;
}

std::string_view JsonValue::text_of(std::string_view key, std::string_view otherwise) const {
    const JsonValue* value = find(key);
    return value ? value->text(otherwise) : otherwise;
}

std::uint64_t JsonValue::u64_of(std::string_view key, std::uint64_t otherwise) const {
    const JsonValue* value = find(key);
    return value ? value->u64().value_or(otherwise) : otherwise;
}

double JsonValue::number_of(std::string_view key, double otherwise) const {
    const JsonValue* value = find(key);
    return value ? value->number(otherwise) : otherwise;
}

bool JsonValue::boolean_of(std::string_view key, bool otherwise) const {
    const JsonValue* value = find(key);
    return value ? value->boolean(otherwise) : otherwise;
}

const std::vector<JsonValue>& JsonValue::items_of(std::string_view key) const {
    static const std::vector<JsonValue> none;
    const JsonValue* value = find(key);
    return value && value->kind_ == Kind::array ? value->items_ : none;
}

void JsonValue::write(Json& json) const {
    switch (kind_) {
        case Kind::null: json.raw("null"); return;
        case Kind::boolean: json.value(flag_); return;
        case Kind::number: json.raw(text_); return;
        case Kind::text: json.value(std::string_view(text_)); return;
        case Kind::array:
            json.array();
            for (const JsonValue& item : items_) item.write(json);
            json.end();
            return;
        case Kind::object:
            json.object();
            for (std::size_t i = 0; i < keys_.size(); ++i)
                json.raw_field(keys_[i], items_[i].to_text());
            json.end();
            return;
    }
}

std::string JsonValue::to_text() const {
    Json json;
    write(json);
    return json.text();
}

}  // namespace ssi
