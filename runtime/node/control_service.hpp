// SPDX-License-Identifier: BSD-3-Clause
// ControlService: all of a process's part in being looked at: directory, socket, contact file,
// relay, SIGUSR2. Owned by ProcessNode, which calls in this order: open, begin, publish_contact,
// end. What fails here costs the session its control socket and a warning, never the session.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "control_relay.hpp"
#include "control_server.hpp"
#include "dump_signal.hpp"
#include "node_verbs.hpp"
#include "session_start.hpp"
#include "ssi/node/runtime_directory.hpp"

namespace ssi::node {

class ControlService {
public:
    ControlService(const Config& config, Log& log) : config_(config), log_(log) {}
    ~ControlService() { end(); }

    // Makes the socket. Returns its path, or nothing when there is none.
    std::string open();
    // Serves. The node, its doors and what they stand on outlive end().
    void begin(Node& node, const SessionName& name, int cores);
    ControlRelay* relay() { return relay_ ? &*relay_ : nullptr; }
    // The first node's: writes the file by which the session is found.
    void publish_contact(const Node& node, const SessionName& name);
    // Stops serving and removes the files. Idempotent; messages may still arrive afterwards.
    void end();

private:
    void warn(const Failure& failure);

    const Config& config_;
    Log& log_;
    std::optional<RuntimeDirectory> directory_;
    std::unique_ptr<ControlServer> server_;
    std::optional<ControlRelay> relay_;
    std::optional<DumpSignal> signal_;
    NodeFacts facts_;
    std::string contact_;   // name of the file, when it is ours
};

}  // namespace ssi::node
