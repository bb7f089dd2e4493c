// SPDX-License-Identifier: BSD-3-Clause
// ControlConnection: one client of the control socket: lines in, lines out, never waiting for it.
// Used by the control task only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ssi/base/clock.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::node {

class ControlConnection {
public:
    ControlConnection(OwnedFd fd, Nanoseconds now) : fd_(std::move(fd)), moved_at_(now) {}

    // Reads what is there, up to the longest request. False: the client is gone.
    bool read_some(Nanoseconds now);
    // The next whole request, when the last one is answered. Its memory is the connection's, until
    // done_with_line().
    std::optional<std::string_view> next_line() const;
    void done_with_line();
    // More bytes without a newline than a request may have, or an end within a request.
    bool is_overlong() const;
    bool is_cut_off() const { return ended_ && !in_.empty() && in_.find('\n') == in_.npos; }
    void drop_input() { in_.clear(); }

    // `fd` goes with the first byte. Sends what the client takes now.
    bool reply(std::string line, OwnedFd fd, Nanoseconds now);
    bool write_some(Nanoseconds now);  // false: the client is gone

    bool owes_reply() const { return !out_.empty() || ticket != 0; }
    // Has all that it will ever get.
    bool is_finished() const { return (ended_ || close_when_done) && in_.empty() && !owes_reply(); }
    bool wants_input() const { return !ended_ && !close_when_done && !owes_reply(); }
    bool wants_output() const { return !out_.empty(); }
    bool is_idle() const { return in_.empty() && !owes_reply(); }
    int fd() const { return fd_.get(); }
    Nanoseconds moved_at() const { return moved_at_; }  // when bytes last moved

    std::uint32_t ticket = 0;        // of a request that another node answers; 0: none
    bool close_when_done = false;
    std::uint32_t epoll_events = 0;  // what the server registered

private:
    OwnedFd fd_;
    std::string in_;
    std::string out_;
    std::size_t sent_ = 0;
    OwnedFd out_fd_;
    bool ended_ = false;
    Nanoseconds moved_at_;
};

}  // namespace ssi::node
