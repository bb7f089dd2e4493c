// SPDX-License-Identifier: BSD-3-Clause
#include "windows.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

namespace ssi::kddm {

Windows::Windows(const node::Node& node, Log& log, Executor& executor, bool same_host,
                 bool in_process)
    : node_(node),
      log_(log),
      executor_(executor),
      enabled_(same_host && !in_process),
      capacity_(!same_host ? Number{0} : in_process ? Number{2} : most),
      slots_(std::make_unique<std::atomic<const Window*>[]>(capacity_)) {
    if (!same_host || !in_process) return;
    slots_[1].store(new Window, std::memory_order_release);
    count_ = 1;
}

// The executor has ended.
Windows::~Windows() {
    for (Number i = 0; i < capacity_; ++i) delete slots_[i].load();
}

Windows::Number Windows::number_of(NodeId node) const {
    for (Number i = count_.load(std::memory_order_acquire); i > 0; --i)
        if (find(i, node)) return i;
    return 0;
}

void Windows::consider(NodeId node, Blocks::Offer offer) {
    if (!enabled_ || offer.fd < 0) return;
    const node::Member* member = node_.members().find(node);
    const node::Member* own = node_.members().find(node_.id());
    if (!member || member->host_id != own->host_id) return;
    {
        const std::lock_guard hold(mutex_);
        if (!tried_.insert(node.value).second) return;
    }
    executor_.post([this, node, offer] { open(node, offer); });
}

void Windows::open(NodeId node, Blocks::Offer offer) {
    auto view = map(node, offer);
    if (!view) {
        SSI_LOG(log_, info, "kddm", "the memory of node {} cannot be mapped, so its objects are "
                "read by messages: {}", node.value, view.error().to_string());
        return;
    }
    const std::lock_guard hold(mutex_);
    const auto number = static_cast<Number>(count_.load(std::memory_order_relaxed) + 1);
    if (number >= capacity_) return;
    slots_[number].store(new Window{node, std::move(*view)}, std::memory_order_release);
    count_.store(number, std::memory_order_release);
}

// By the descriptor in the other process: what the kernel allows to the same user, in one step and
// without asking anybody. The inode tells whether it is what was offered: numbers of processes and
// descriptors are used again.
Result<std::unique_ptr<sys::ArenaView>> Windows::map(NodeId node, Blocks::Offer offer) const {
    const std::string path = fmt::format("/proc/{}/fd/{}", node_.members().find(node)->process_id,
                                         offer.fd);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(Errc::io, errno, "open " + path);
    struct stat status {};
    if (::fstat(fd, &status) != 0 || status.st_ino != offer.inode) {
        ::close(fd);
        return fail(Errc::mismatch, path + " is not the memory that the node offers", node);
    }
    return sys::ArenaView::open(fd);
}

}  // namespace ssi::kddm
