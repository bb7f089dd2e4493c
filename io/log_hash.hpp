// SPDX-License-Identifier: BSD-3-Clause
// xxh3-128 with a seed, over one span or over parts.
#pragma once

#include "log_format.hpp"

namespace ssi::io {

Hash128 hash_of(std::span<const std::byte> bytes, std::uint64_t seed);
Hash128 hash_of(std::span<const std::byte> first, std::span<const std::byte> second,
                std::uint64_t seed);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

}  // namespace ssi::io
