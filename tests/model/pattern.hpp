// SPDX-License-Identifier: BSD-3-Clause
// How a value fills an object's bytes: every word depends on the value, so that a mixture of two
// writes is never mistaken for one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ssi::model {

// Value 0 is the new-born object: all zero, or empty for the variable kind.
void fill(std::span<std::byte> bytes, std::uint64_t value);

// The value that fills the bytes; nothing when they are no single value's.
std::optional<std::uint64_t> value_of(std::span<const std::byte> bytes);

// How long an object of the variable kind is that holds the value: mostly short, at times longer
// than a message that the transport copies.
std::size_t variable_length(std::uint64_t value);

}  // namespace ssi::model
