// SPDX-License-Identifier: BSD-3-Clause
#include "control_connection.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "ssi/node/control_verbs.hpp"

namespace ssi::node {

bool ControlConnection::read_some(Nanoseconds now) {
    std::array<char, 4096> buffer;
    while (in_.size() <= max_control_request_bytes) {
        const auto n = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        if (n == 0) {
            ended_ = true;
            return true;
        }
        in_.append(buffer.data(), static_cast<std::size_t>(n));
        moved_at_ = now;
    }
    return true;
}

std::optional<std::string_view> ControlConnection::next_line() const {
    const auto end = in_.find('\n');
    if (owes_reply() || close_when_done || end == in_.npos || end >= max_control_request_bytes)
        return std::nullopt;
    return std::string_view(in_).substr(0, end);
}

void ControlConnection::done_with_line() { in_.erase(0, in_.find('\n') + 1); }

bool ControlConnection::is_overlong() const {
    return in_.size() > max_control_request_bytes &&
           in_.find('\n') >= max_control_request_bytes;
}

bool ControlConnection::reply(std::string line, OwnedFd fd, Nanoseconds now) {
    out_ = std::move(line);
    sent_ = 0;
    out_fd_ = std::move(fd);
    ticket = 0;
    moved_at_ = now;
    return write_some(now);
}

bool ControlConnection::write_some(Nanoseconds now) {
    while (sent_ < out_.size()) {
        iovec bytes{out_.data() + sent_, out_.size() - sent_};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        if (out_fd_) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            cmsghdr* rights = CMSG_FIRSTHDR(&message);
            rights->cmsg_level = SOL_SOCKET;
            rights->cmsg_type = SCM_RIGHTS;
            rights->cmsg_len = CMSG_LEN(sizeof(int));
            const int given = out_fd_.get();
            std::memcpy(CMSG_DATA(rights), &given, sizeof given);
        }
        const auto n = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        out_fd_.reset();
        sent_ += static_cast<std::size_t>(n);
        moved_at_ = now;
    }
    // A long reply's memory is not kept for a client that may stay.
    std::string().swap(out_);
    return true;
}

}  // namespace ssi::node
