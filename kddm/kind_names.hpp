// SPDX-License-Identifier: BSD-3-Clause
// What the messages of wire.hpp are called in traces and reports.
#pragma once

#include <iterator>

#include "wire.hpp"

namespace ssi::kddm {

inline constexpr const char* kind_names[] = {
    "?",          "get_request", "grab_request",     "evict",    "done",       "atomic",
    "apply",      "remove",      "read_request",     "fetch",    "yield",      "invalidate",
    "invalidate_group", "data",  "grant",            "ack",      "evict_ack",  "reply",
    "read_reply", "error",
    "served",     "set_open",    "set_info",         "set_needed", "set_destroy", "set_gone",
    "batch",      "update",      "migrate",          "claim",      "unpinned",
};
static_assert(std::size(kind_names) == static_cast<std::size_t>(Kind::last) + 1,
              "a message of wire.hpp has no name here");

}  // namespace ssi::kddm
