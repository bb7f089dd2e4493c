// SPDX-License-Identifier: BSD-3-Clause
#include "windows.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <utility>

#include "ssi/node/control_client.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::kddm {

namespace {

constexpr Nanoseconds patience_ns = 1'000'000'000;

// Numbers of processes and descriptors are used again: the inode tells whether it is what was
// offered. Takes the descriptor over.
Result<std::unique_ptr<sys::ArenaView>> view_of(node::OwnedFd fd, std::uint64_t inode) {
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || status.st_ino != inode)
        return fail(Errc::mismatch, "it is not the memory that the node offers");
    return sys::ArenaView::open(fd.release());
}

// From the peer's control socket, which wants the session's key.
Result<std::unique_ptr<sys::ArenaView>> ask_for(const node::Member& member, const std::string& key,
                                                std::uint64_t inode) {
    if (member.control_socket.empty()) return fail(Errc::not_found, "it has no control socket");
    auto client = node::ControlClient::connect(member.control_socket, patience_ns);
    if (!client) return tl::unexpected<Failure>(std::move(client).error());
    auto reply = client->request_fd(Windows::fd_name, key);
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    return view_of(std::move(reply->fd), inode);
}

// By the descriptor in the other process, which the kernel shows to processes of the same user:
// where there are no control sockets, or a stopped process does not answer.
Result<std::unique_ptr<sys::ArenaView>> look_for(const node::Member& member, int fd,
                                                 std::uint64_t inode, bool to_write) {
    const std::string path = fmt::format("/proc/{}/fd/{}", member.process_id, fd);
    node::OwnedFd opened(to_write ? ::open(path.c_str(), O_RDWR | O_CLOEXEC) : -1);
    if (!opened) opened = node::OwnedFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) return fail_errno(Errc::io, errno, "open " + path);
    return view_of(std::move(opened), inode);
}

}  // namespace

Windows::Windows(node::Node& node, bool same_host, bool in_process)
    : node_(node),
      log_(node.doors().log),
      enabled_(same_host && !in_process),
      capacity_(!same_host ? Number{0} : in_process ? Number{2} : most),
      slots_(std::make_unique<std::atomic<const Window*>[]>(capacity_)),
      opener_(node.doors().tasks, 1) {
    if (!same_host || !in_process) return;
    slots_[1].store(new Window, std::memory_order_release);
    count_ = 1;
}

Windows::~Windows() {
    opener_.stop();
    for (Number i = 0; i < capacity_; ++i) delete slots_[i].load();
}

Windows::Number Windows::number_of(NodeId node) const {
    for (Number i = count_.load(std::memory_order_acquire); i > 0; --i)
        if (find(i, node)) return i;
    return 0;
}

bool Windows::may_map(NodeId node) const {
    const node::Member* member = node_.members().find(node);
    const node::Member* own = node_.members().find(node_.id());
    return capacity_ != 0 && member && member->host_id == own->host_id;
}

void Windows::consider(NodeId node, Blocks::Offer offer) {
    if (!enabled_ || offer.fd < 0 || !may_map(node)) return;
    {
        const std::lock_guard hold(mutex_);
        if (!tried_.insert(node.value).second) return;
    }
    opener_.post([this, node, offer] { open(node, offer); });
}

// On the opener's task, the only one.
void Windows::open(NodeId node, Blocks::Offer offer) {
    const node::Member& member = *node_.members().find(node);
    auto view = ask_for(member, node_.control().key(), offer.inode);
    const std::string refusal = view ? "" : view.error().to_string();
    const bool to_write = node_.doors().config.boolean("kddm.atomics_in_place");
    if (!view) view = look_for(member, offer.fd, offer.inode, to_write);
    if (!view) {
        SSI_LOG(log_, info, "kddm", "the memory of node {} cannot be mapped, so its objects are "
                "read by messages: {}; {}", node.value, refusal, view.error().to_string());
        return;
    }
    const auto number = static_cast<Number>(count_.load(std::memory_order_relaxed) + 1);
    if (number >= capacity_) return;
    slots_[number].store(new Window{node, std::move(*view)}, std::memory_order_release);
    count_.store(number, std::memory_order_release);
    SSI_LOG(log_, debug, "kddm", "the memory of node {} is mapped, {}", node.value,
            refusal.empty() ? "by its control socket" : "by /proc: " + refusal);
}

}  // namespace ssi::kddm
