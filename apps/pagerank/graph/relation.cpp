// SPDX-License-Identifier: BSD-3-Clause
#include "graph/relation.hpp"

#include <algorithm>

namespace graph {
namespace {

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

// Cuts the text before `separator` off the front of `rest`.
std::string_view cut(std::string_view& rest, char separator) {
    const std::size_t at = rest.find(separator);
    const std::string_view part = rest.substr(0, at);
    rest.remove_prefix(at == rest.npos ? rest.size() : at + 1);
    return part;
}

// `name[:architecture]` and then any of (version), [architectures], <profiles>. Returns what is
// wrong, or null.
const char* parse_alternative(std::string_view text, std::string_view& name) {
    text = trimmed(text);
    if (text.empty()) return "an empty alternative";
    const auto is_end = [](char c) { return is_space(c) || c == '(' || c == '[' || c == '<'; };
    const auto end = std::find_if(text.begin(), text.end(), is_end) - text.begin();
    std::string_view qualified = text.substr(0, end);
    name = cut(qualified, ':');
    if (!is_package_name(name)) return "a package name that does not parse";
    std::string_view rest = trimmed(text.substr(end));
    while (!rest.empty()) {
        const char close = rest.front() == '(' ? ')' : rest.front() == '[' ? ']' : '>';
        if (close == '>' && rest.front() != '<') return "text after the package name";
        // The relation inside (...) may itself hold < and >.
        const std::size_t at = rest.find(close);
        if (at == rest.npos) return "a bracket that is not closed";
        if (trimmed(rest.substr(1, at - 1)).empty()) return "an empty bracket";
        rest = trimmed(rest.substr(at + 1));
    }
    return nullptr;
}

}  // namespace

bool is_package_name(std::string_view name) {
    if (name.empty() || !is_alphanumeric(name.front())) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return is_alphanumeric(c) || c == '+' || c == '-' || c == '.' || c == '_';
    });
}

void parse_relations(std::string_view field, const std::function<void(const Alternatives&)>& each,
                     const std::function<void(const char*, std::string_view)>& bad) {
    Alternatives alternatives;
    std::string_view rest = trimmed(field);
    while (!rest.empty()) {
        const std::string_view clause = trimmed(cut(rest, ','));
        alternatives.clear();
        const char* fault = nullptr;
        std::string_view left = clause;
        bool more = true;
        while (more && !fault) {
            more = left.find('|') != left.npos;
            std::string_view name;
            fault = parse_alternative(cut(left, '|'), name);
            alternatives.push_back(name);
        }
        if (fault)
            bad(fault, clause);
        else
            each(alternatives);
    }
}

}  // namespace graph
