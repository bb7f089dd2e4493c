// SPDX-License-Identifier: BSD-3-Clause
// The lines of the control protocol, version 1: one JSON object a line, see
// docs/formats/control.md. Shared by server and client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ssi/base/json.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/control_verbs.hpp"

namespace ssi::node {

inline constexpr std::uint64_t control_version = 1;

// A request without its newline. parse, unsupported (version) or invalid_argument (no verb).
Result<JsonValue> parse_request(std::string_view line);
// With a newline. A value that makes it too long becomes a too_large failure.
std::string reply_line(const Result<std::string>& value);
// The value of a reply, or the failure that it tells.
Result<JsonValue> parse_reply(std::string_view line);

}  // namespace ssi::node
