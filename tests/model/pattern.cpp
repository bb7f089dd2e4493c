// SPDX-License-Identifier: BSD-3-Clause
#include "pattern.hpp"

#include <cstring>

#include "ssi/base/ids.hpp"

namespace ssi::model {
namespace {

constexpr std::uint64_t step = 0x9e3779b97f4a7c15ull;

std::uint64_t word_at(std::uint64_t value, std::size_t index) {
    return value == 0 ? 0 : value + step * index;
}

}  // namespace

void fill(std::span<std::byte> bytes, std::uint64_t value) {
    std::size_t i = 0;
    for (; (i + 1) * 8 <= bytes.size(); ++i) {
        const std::uint64_t word = word_at(value, i);
        std::memcpy(bytes.data() + i * 8, &word, 8);
    }
    const std::uint64_t word = word_at(value, i);
    std::memcpy(bytes.data() + i * 8, &word, bytes.size() - i * 8);
}

std::optional<std::uint64_t> value_of(std::span<const std::byte> bytes) {
    if (bytes.empty()) return 0;
    std::uint64_t value = 0;
    if (bytes.size() < 8) return std::nullopt;
    std::memcpy(&value, bytes.data(), 8);
    std::uint64_t differs = 0;
    std::size_t i = 0;
    for (; (i + 1) * 8 <= bytes.size(); ++i) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + i * 8, 8);
        differs |= word ^ word_at(value, i);
    }
    const std::uint64_t word = word_at(value, i);
    if (differs != 0 || std::memcmp(bytes.data() + i * 8, &word, bytes.size() - i * 8) != 0)
        return std::nullopt;
    return value;
}

std::size_t variable_length(std::uint64_t value) {
    if (value == 0) return 0;
    const std::uint64_t draw = mix64(value);
    return draw % 16 == 0 ? 8200 + draw / 16 % 4000 : 8 + draw / 16 % 500;
}

}  // namespace ssi::model
