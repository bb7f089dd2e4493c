// SPDX-License-Identifier: BSD-3-Clause
// Contact: what is needed to talk to a running session. Its first node keeps it in a file that only
// its user may read (0600), as it holds the session's key. Format: docs/formats/control.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/runtime_directory.hpp"

namespace ssi::node {

inline constexpr std::string_view contact_suffix = ".session";

struct ContactNode {
    NodeId node;
    std::string host;
    std::int32_t process_id = 0;
    std::string socket;          // path on that host; empty: it has none
};

struct Contact {
    std::string session;         // 16 hexadecimal digits
    std::string key;             // 32 hexadecimal digits
    std::string program;         // name of the first node's
    std::uint64_t started_ms = 0;  // since the Unix epoch
    std::vector<ContactNode> nodes;

    std::string to_json() const;
    static Result<Contact> from_json(std::string_view text);
};

Result<Contact> read_contact(const RuntimeDirectory& directory, const std::string& name);
// Some node of it that runs on this host listens on its socket.
bool is_running(const Contact& contact);
// The running sessions of this user that this host knows, oldest first.
std::vector<Contact> find_sessions(const Config& config);

}  // namespace ssi::node
