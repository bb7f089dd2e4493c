// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/control_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "control_protocol.hpp"
#include "ssi/node/runtime_directory.hpp"

namespace ssi::node {
namespace {

constexpr Nanoseconds retry_ns = 2'000'000;

Nanoseconds now() { return RealClock().now(); }

// The first descriptor of a message; whatever else came is closed.
OwnedFd take_descriptor(msghdr& message) {
    OwnedFd first;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            OwnedFd owned(fd);
            if (!first) first = std::move(owned);
        }
    }
    return first;
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& path, Nanoseconds patience) {
    const Nanoseconds deadline = now() + patience;
    const auto address = SocketAddress::of(path);
    if (!address) return tl::unexpected(address.error());
    for (;;) {
        auto fd = connect_unix(*address);
        if (fd) {
            ucred peer{};
            socklen_t length = sizeof peer;
            if (::getsockopt(fd->get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
                (peer.uid != ::geteuid() && peer.uid != 0))
                return fail(Errc::io, fmt::format("{} is served by user {}", path, peer.uid));
            return ControlClient(std::move(*fd), path, patience);
        }
        // The queue of those who wait to be accepted is full.
        const bool full = fd.error().sys_errno == EAGAIN;
        if (full && now() < deadline) {
            ::poll(nullptr, 0, static_cast<int>(retry_ns / 1'000'000));
            continue;
        }
        Failure why = std::move(fd).error();
        if (full) why.code = Errc::timed_out;
        why.text = fmt::format("control socket {}: {}", path,
                               why.sys_errno == ECONNREFUSED ? "its process has ended" : why.text);
        return tl::unexpected(std::move(why));
    }
}

Result<void> ControlClient::wait_for(short events, Nanoseconds deadline) {
    for (;;) {
        const Nanoseconds left = deadline - now();
        pollfd poll{fd_.get(), events, 0};
        const int n = left > 0 ? ::poll(&poll, 1, static_cast<int>(left / 1'000'000) + 1) : 0;
        if (n > 0) return {};
        if (n < 0 && errno != EINTR) return fail_errno(Errc::io, errno, "poll");
        if (n == 0)
            return fail(Errc::timed_out,
                        fmt::format("control socket {}: no answer within {} ms: the process is "
                                    "stopped or very busy",
                                    path_, patience_ / 1'000'000));
    }
}

Result<void> ControlClient::send_all(std::string_view bytes, Nanoseconds deadline) {
    while (!bytes.empty()) {
        const auto n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno == EAGAIN) {
            SSI_TRY(wait_for(POLLOUT, deadline));
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return {};  // why, stands in what it has sent
        } else if (errno != EINTR) {
            return fail_errno(Errc::io, errno, fmt::format("control socket {}", path_));
        }
    }
    return {};
}

Result<std::string> ControlClient::receive_line(OwnedFd& fd, Nanoseconds deadline) {
    std::string line;
    std::vector<char> buffer(64u << 10);
    while (line.empty() || line.back() != '\n') {
        if (line.size() > max_control_reply_bytes)
            return fail(Errc::bad_message,
                        fmt::format("control socket {}: an endless reply", path_));
        SSI_TRY(wait_for(POLLIN, deadline));
        iovec bytes{buffer.data(), buffer.size()};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const auto n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n > 0) {
            if (OwnedFd got = take_descriptor(message)) fd = std::move(got);
            line.append(buffer.data(), static_cast<std::size_t>(n));
        } else if (n == 0 || errno == ECONNRESET) {
            return fail(Errc::io, fmt::format("control socket {}: the process ended", path_));
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail_errno(Errc::io, errno, fmt::format("control socket {}", path_));
        }
    }
    line.pop_back();
    return line;
}

Result<ControlReply> ControlClient::request(std::string_view request) {
    if (request.size() >= max_control_request_bytes ||
        request.find('\n') != std::string_view::npos)
        return fail(Errc::invalid_argument, "a request is one line of less than 64 KiB");
    const Nanoseconds deadline = now() + patience_;
    SSI_TRY(send_all(std::string(request) + "\n", deadline));
    ControlReply reply;
    auto line = receive_line(reply.fd, deadline);
    if (!line) return tl::unexpected(std::move(line).error());
    auto value = parse_reply(*line);
    if (!value) return tl::unexpected(std::move(value).error());
    reply.value = std::move(*value);
    return reply;
}

Result<ControlReply> ControlClient::request_fd(std::string_view name, std::string_view key) {
    Json json;
    json.object().field("verb", "fd").field("name", name).field("key", key).end();
    auto reply = request(json.text());
    if (reply && !reply->fd)
        return fail(Errc::bad_message,
                    fmt::format("control socket {}: no file descriptor came", path_));
    return reply;
}

}  // namespace ssi::node
