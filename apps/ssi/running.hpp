// SPDX-License-Identifier: BSD-3-Clause
// RunningSession: a session of this user that runs now, and its nodes, which answer over their
// control sockets; those of other hosts by way of a node of this one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/json.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/contact.hpp"
#include "ssi/node/control_client.hpp"

namespace ssi::cli {

class RunningSession {
public:
    explicit RunningSession(node::Contact contact) : contact_(std::move(contact)) {}
    // The one whose id begins like that; when it is empty, the only one there is. not_found, or
    // invalid_argument when there are several.
    static Result<RunningSession> find(const Config& config, const std::string& id);

    const node::Contact& contact() const { return contact_; }
    // All, or the one named; not_found when it is no member.
    Result<std::vector<node::ContactNode>> nodes(std::optional<std::uint32_t> only) const;
    // `more`: further fields of the request, as `,"lo":7`.
    Result<JsonValue> ask(const node::ContactNode& node, std::string_view verb,
                          std::string_view more = {});

private:
    Result<node::ControlClient*> client_of(const node::ContactNode& node);
    Result<node::ControlClient*> any_client();

    node::Contact contact_;
    std::map<NodeId, node::ControlClient> clients_;
};

// As contacts name hosts.
std::string this_host();
// "1.5 s", "2 min 3 s", "5 h 12 min".
std::string human_duration(std::uint64_t ms);

}  // namespace ssi::cli
