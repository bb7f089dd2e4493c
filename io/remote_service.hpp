// SPDX-License-Identifier: BSD-3-Clause
// RemoteService: a node's mounted file system for processes of its user that are no nodes: `ssi
// fs` of a running session. It hands out one end of a connection by the node's control socket
// (verb "fd", with the session's key) and has a task for each serve the other. Tasks of its own,
// as what they do waits for other nodes: the control task must not.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ssi/io/file_system.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/node.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::fs {

class RemoteService {
public:
    static constexpr std::size_t most_connections = 64;

    // `system`: what the connections act by; its core outlives this.
    RemoteService(node::Node& node, std::unique_ptr<FileSystem> system,
                  std::vector<std::string> directories);
    // Ends all connections; what is under way is finished before. So it comes before the
    // collective close of the file system.
    ~RemoteService();
    RemoteService(const RemoteService&) = delete;
    RemoteService& operator=(const RemoteService&) = delete;

private:
    struct Connection {
        node::OwnedFd socket;
        std::unique_ptr<sys::Tasks::Handle> task;
        std::atomic<bool> ended{false};
        // The client's end, as it was handed out: open until the client surely has its own, or
        // the end of the client would not be seen.
        std::atomic<int> handed_out{-1};
        ~Connection() { close_handed_out(); }
        void close_handed_out();
    };
    Result<node::ControlFd> connect();
    std::string describe() const;
    void forget_ended();

    node::Node& node_;
    std::unique_ptr<FileSystem> system_;
    const std::vector<std::string> directories_;
    std::atomic<bool> ending_{false};   // what takes long stops early
    // Of the control task, and of the end.
    std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace ssi::fs
