// SPDX-License-Identifier: BSD-3-Clause
#include "policy_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace ssi::ckpt {

PolicyParameters::PolicyParameters(std::string_view text) {
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        if (word.empty()) continue;
        const std::size_t equals = word.find('=');
        if (equals == 0 || equals == std::string_view::npos) {
            refuse(fmt::format("\"{}\" is no name=value", word));
            continue;
        }
        const auto [at, is_new] =
            values_.emplace(word.substr(0, equals), word.substr(equals + 1));
        if (!is_new) refuse(fmt::format("{} is given twice", at->first));
    }
}

void PolicyParameters::refuse(std::string text) {
    if (fault_.empty()) fault_ = std::move(text);
}

std::optional<std::string> PolicyParameters::take(std::string_view key) {
    asked_.append(asked_.empty() ? "" : ", ").append(key);
    const auto at = values_.find(key);
    if (at == values_.end()) return std::nullopt;
    std::string value = std::move(at->second);
    values_.erase(at);
    return value;
}

double PolicyParameters::number(std::string_view key, double otherwise, double least,
                                double most) {
    const auto text = take(key);
    if (!text) return otherwise;
    double value = 0;
    const char* const last = text->data() + text->size();
    const auto [end, error] = std::from_chars(text->data(), last, value);
    // Written so that not-a-number fails, too.
    if (error == std::errc() && end == last && value >= least && value <= most) return value;
    refuse(fmt::format("{}=\"{}\" is no number from {} to {}", key, *text, least, most));
    return otherwise;
}

bool PolicyParameters::flag(std::string_view key, bool otherwise) {
    constexpr std::string_view words[] = {"false", "true"};
    const auto chosen = choice(key, words);
    return chosen ? *chosen == 1 : otherwise;
}

std::optional<std::size_t> PolicyParameters::choice(std::string_view key,
                                                    std::span<const std::string_view> words) {
    const auto text = take(key);
    if (!text) return std::nullopt;
    std::string all;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == *text) return i;
        all.append(i == 0 ? "" : ", ").append(words[i]);
    }
    refuse(fmt::format("{}=\"{}\" is none of {}", key, *text, all));
    return std::nullopt;
}

std::string PolicyParameters::fault() {
    for (const auto& [key, value] : values_)
        refuse(fmt::format("unknown parameter {}; there are {}", key, asked_));
    return fault_;
}

}  // namespace ssi::ckpt
