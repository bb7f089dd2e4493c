// SPDX-License-Identifier: BSD-3-Clause
// Structs that programs make and that grow at their end, behind a size.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "handles.hpp"

namespace ssi::capi {

// Such a struct as the program that was compiled with `from->size` bytes of it sees it; members
// that it does not know stay as they are in `to`. `least`: the size it had when it was first
// written down.
template <class T>
Result<void> read_grown(const T* from, std::size_t least, T& to, const char* name) {
    const std::size_t size = from->size;
    if (size < least)
        return fail(Errc::invalid_argument, std::string(name) + ".size is " +
                                                std::to_string(size) + ": set it to sizeof(" +
                                                name + ")");
    const auto* bytes = reinterpret_cast<const unsigned char*>(from);
    if (size > sizeof(T) && std::any_of(bytes + sizeof(T), bytes + size, [](auto b) { return b; }))
        return fail(Errc::unsupported, std::string(name) + " has members that this library, "
                                           SSI_VERSION ", does not know");
    std::memcpy(&to, from, std::min(size, sizeof(T)));
    return {};
}

}  // namespace ssi::capi
