// SPDX-License-Identifier: BSD-3-Clause
// What an application puts into a checkpoint beside its sets: a trivially copyable struct, whose
// first member `format` is Saved::newest_format when it is written. Without libssi.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace support {

// The fault, as "version N of DIR ..." goes on, or an empty string. `what`: "a plate".
template <class Saved>
std::string read_saved_state(std::span<const std::byte> bytes, std::string_view what,
                             Saved& saved) {
    static_assert(std::is_trivially_copyable_v<Saved>);
    if (bytes.size() >= sizeof saved.format)
        std::memcpy(&saved.format, bytes.data(), sizeof saved.format);
    if (bytes.size() >= sizeof saved.format && saved.format > Saved::newest_format)
        return fmt::format("was saved in format {}, of which this program knows up to {}",
                           saved.format, Saved::newest_format);
    if (bytes.size() != sizeof saved || saved.format != Saved::newest_format)
        return fmt::format("has no state of {}", what);
    std::memcpy(&saved, bytes.data(), sizeof saved);
    return {};
}

}  // namespace support
