// SPDX-License-Identifier: BSD-3-Clause
// SSI_ASSERT: always on. Prints node, place, the text (which says what to do) and the last trace
// events, then aborts. For broken invariants and API misuse, never for bad input.
#pragma once

#include <cstdint>

#include "ssi/base/ids.hpp"

namespace ssi {

[[noreturn, gnu::cold]] void assert_failed(const char* expression, const char* file, int line,
                                           const char* what_to_do);

// Remembers that something rare happened, for the report of a failed assertion: the last 64 are
// printed, oldest first. `what` must be a string literal. Thread-safe and lock-free; one shared
// atomic increment, so not for paths that are taken at every access. The ring and the node below
// are the process's, not a Node's: an assertion has no Node at hand.
void trace_event(const char* what, std::uint64_t first = 0, std::uint64_t second = 0) noexcept;

// Whose node runs now: printed by a failed assertion. A process that is one node says so once; the
// simulator at each switch. no_node: unknown.
void set_current_node(NodeId node) noexcept;

}  // namespace ssi

#define SSI_ASSERT(condition, what_to_do)                                        \
    do {                                                                         \
        if (!(condition)) [[unlikely]]                                           \
            ::ssi::assert_failed(#condition, __FILE__, __LINE__, what_to_do);    \
    } while (0)
