// SPDX-License-Identifier: BSD-3-Clause
// The payloads of raw and delta records, as pure functions: a value without the zeroes at its end;
// which version is changed, and how.
#pragma once

#include "ssi/base/result.hpp"
#include "ssi/io/object_log.hpp"

namespace ssi::io {

// What a raw record holds of a value: zeroes at its end, if many, are left out. Reading puts them
// back, as the record tells the value's length.
std::span<const std::byte> without_zero_tail(std::span<const std::byte> value);

inline constexpr std::size_t delta_head_bytes = 8;     // the version that is changed
inline constexpr std::size_t change_head_bytes = 8;    // offset and length

std::size_t delta_bytes(std::span<const ValueChange> changes);
// `out` has delta_bytes(changes).
void encode_delta(Version base, std::span<const ValueChange> changes, std::span<std::byte> out);
// Turns the value of version `base` into that after the delta. io when the delta is of another
// version or malformed; then the value may be changed in part.
Result<void> apply_delta(std::vector<std::byte>& value, Version base, std::uint32_t value_bytes,
                         std::span<const std::byte> payload);
// The same for changes that are not encoded. invalid_argument beyond value_bytes.
Result<void> apply_changes(std::vector<std::byte>& value, std::uint32_t value_bytes,
                           std::span<const ValueChange> changes);

}  // namespace ssi::io
