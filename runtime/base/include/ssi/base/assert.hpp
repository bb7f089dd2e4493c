// SPDX-License-Identifier: BSD-3-Clause
// SSI_ASSERT: always on. Prints node, place, the text (which says what to do) and the last trace
// events, then aborts. For broken invariants and API misuse, never for bad input.
#pragma once

namespace ssi {

[[noreturn, gnu::cold]] void assert_failed(const char* expression, const char* file, int line,
                                           const char* what_to_do);

}  // namespace ssi

#define SSI_ASSERT(condition, what_to_do)                                        \
    do {                                                                         \
        if (!(condition)) [[unlikely]]                                           \
            ::ssi::assert_failed(#condition, __FILE__, __LINE__, what_to_do);    \
    } while (0)
