// SPDX-License-Identifier: BSD-3-Clause
// ControlClient: asks a node over its control socket; also how a node gets file descriptors from
// another of its host. Blocks the calling thread, with a time limit: not for handlers, nor for the
// control task. Not thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "ssi/base/clock.hpp"
#include "ssi/base/json.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::node {

struct ControlReply {
    JsonValue value;
    OwnedFd fd;  // when the node sent one
};

class ControlClient {
public:
    static constexpr Nanoseconds usual_patience_ns = 3'000'000'000;

    // not_found: no such socket; io: nobody listens, or the listener is neither this user nor root.
    // `patience`: for the connection, and for each request.
    static Result<ControlClient> connect(const std::string& path,
                                         Nanoseconds patience = usual_patience_ns);

    // `request`: one JSON object with a "verb". A failure that the node tells is returned as the
    // node tells it. timed_out: the process is stopped or too busy; after that, and after an io
    // failure, make a new client.
    Result<ControlReply> request(std::string_view request);
    // {"verb":"fd"}: the descriptor is the caller's, and close-on-exec. bad_message when none came.
    Result<ControlReply> request_fd(std::string_view name, std::string_view key);

private:
    ControlClient(OwnedFd fd, std::string path, Nanoseconds patience)
        : fd_(std::move(fd)), path_(std::move(path)), patience_(patience) {}
    Result<void> wait_for(short events, Nanoseconds deadline);
    Result<void> send_all(std::string_view bytes, Nanoseconds deadline);
    Result<std::string> receive_line(OwnedFd& fd, Nanoseconds deadline);

    OwnedFd fd_;
    std::string path_;
    Nanoseconds patience_;
};

}  // namespace ssi::node
