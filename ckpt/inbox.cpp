// SPDX-License-Identifier: BSD-3-Clause
#include "inbox.hpp"

#include <algorithm>
#include <cstring>

namespace ssi::ckpt {
namespace {

constexpr const char* name = "ssi.checkpoint.inbox";
static_assert(std::is_trivially_copyable_v<Part>);

}  // namespace

Result<void> Inbox::open() {
    kddm::SetOptions options;
    options.kind = kddm::ObjectKind::variable;
    options.placement = "high_bits";
    auto set = engine_.create_or_open(name, options);
    SSI_TRY(agree(node_, set ? Result<void>() : tl::unexpected<Failure>(set.error())));
    set_ = *set;
    return {};
}

Result<void> Inbox::send(int rank, const Part& part, std::span<const std::byte> bytes) {
    const auto from = static_cast<std::uint64_t>(node_.rank());
    const auto place = sent_++ * static_cast<std::uint64_t>(node_.size()) + from;
    auto guard = set_.grab_new({static_cast<std::uint64_t>(rank), place});
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    SSI_TRY(guard->resize_for_overwrite(sizeof part + bytes.size()));
    std::memcpy(guard->writable().data(), &part, sizeof part);
    std::ranges::copy(bytes, guard->writable().begin() + sizeof part);
    const ObjectId id = guard->id();
    SSI_TRY(guard->put());
    return set_.flush(id);
}

Result<void> Inbox::receive(const Visit& visit) {
    for (const ObjectId id : set_.known_of(static_cast<std::uint64_t>(node_.rank()))) {
        const auto guard = set_.get(id);
        if (!guard) return tl::unexpected<Failure>(guard.error());
        const auto bytes = guard->bytes();
        Part part;
        if (bytes.size() < sizeof part)
            return fail(Errc::bad_message, "a part of a checkpoint came without its head");
        std::memcpy(static_cast<void*>(&part), bytes.data(), sizeof part);
        SSI_TRY(visit(part, bytes.subspan(sizeof part)));
    }
    return {};
}

Result<void> Inbox::close() {
    SSI_TRY(agree(node_, {}));
    Result<void> destroyed;
    if (node_.rank() == 0) destroyed = engine_.destroy(name);
    return agree(node_, std::move(destroyed));
}

}  // namespace ssi::ckpt
