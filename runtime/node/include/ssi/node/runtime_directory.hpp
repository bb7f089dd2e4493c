// SPDX-License-Identifier: BSD-3-Clause
// RuntimeDirectory: where the processes of one user on one host find each other: control sockets
// and contact files. Only its owner may enter it (0700). What dead processes left is told from what
// is in use by asking: nobody listens on a dead one's socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::node {

class RuntimeDirectory {
public:
    // control.directory; else the first that can be used of $XDG_RUNTIME_DIR/ssi, $TMPDIR/ssi-UID
    // and /tmp/ssi-UID. Made where it is missing. Fails naming the path and what is wrong with it.
    static Result<RuntimeDirectory> open(const Config& config);
    // For who only looks: those of the same list that exist and are this user's.
    static std::vector<RuntimeDirectory> existing(const Config& config);

    const std::string& path() const { return path_; }
    int fd() const { return fd_.get(); }
    std::string path_of(std::string_view name) const { return path_ + "/" + std::string(name); }

    // "HOST-PID-RANDOM": no other process of any host makes the same, and who cleans knows which
    // are of its host.
    static std::string fresh_name();
    // Names of entries with this suffix that processes of this host made.
    std::vector<std::string> names(std::string_view suffix) const;
    // A new file (0600) with this content, whole or not at all; not synced to the disk.
    Result<void> write(const std::string& name, std::string_view text) const;
    // A regular file of this user that nobody else may read, of at most `limit` bytes.
    Result<std::string> read(const std::string& name, std::size_t limit) const;
    void remove(const std::string& name) const;
    // Removes what dead processes of this host left behind. Returns how many files.
    int clean() const;

private:
    RuntimeDirectory(std::string path, OwnedFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    static Result<RuntimeDirectory> open_path(const std::string& path, bool make);

    std::string path_;
    OwnedFd fd_;
};

// The address of a Unix socket, also where the path is too long for one: by way of a descriptor of
// its folder, which is open as long as this object.
class SocketAddress {
public:
    static Result<SocketAddress> of(const std::string& path);
    static SocketAddress in(const RuntimeDirectory& directory, const std::string& name);
    const std::string& text() const { return text_; }

private:
    OwnedFd folder_;
    std::string text_;
};
// Makes a control socket as a node would, talks to it and leaves nothing behind. Returns the
// directory.
Result<std::string> try_control_socket(const Config& config);
// A connected stream socket, close-on-exec and non-blocking.
Result<OwnedFd> connect_unix(const SocketAddress& address);
// Does somebody listen there?
bool is_listened_to(const std::string& path);

}  // namespace ssi::node
