// SPDX-License-Identifier: BSD-3-Clause
// How a command line ends a program before it has begun.
#pragma once

#include <string>

namespace support {

// The program should end now: `text` is what to print, on stdout when exit_code is 0.
struct Leave {
    int exit_code = 0;
    std::string text;
};
inline constexpr int usage_exit_code = 2;

}  // namespace support
