// SPDX-License-Identifier: BSD-3-Clause
#include "page_room.hpp"

#include <algorithm>
#include <mutex>

namespace ssi::fs {
namespace {

// What was written, and not yet returned: a little, so that small files that are synced at once do
// not take a call each.
constexpr std::uint64_t most_owed = 1u << 20;

}  // namespace

std::uint64_t RoomPromises::grant(std::uint32_t volume, NodeId to, std::uint64_t least,
                                  std::uint64_t wanted, std::uint64_t returned,
                                  std::uint64_t free_bytes,
                                  const std::function<bool(NodeId)>& lost) {
    std::lock_guard lock(mutex_);
    auto& of_volume = promises_[volume];
    std::uint64_t& mine = of_volume[to];
    mine -= std::min(mine, returned);
    std::uint64_t promised = 0;
    for (auto& [node, bytes] : of_volume) {
        if (lost(node)) bytes = 0;
        promised += bytes;
    }
    const std::uint64_t free = free_bytes - std::min(free_bytes, promised);
    if (wanted == 0 || free < least) return 0;
    // Others want some of what is left, too.
    const std::uint64_t granted = std::max(least, std::min(wanted, free / 8));
    mine += granted;
    return granted;
}

std::uint64_t RoomPromises::promised(std::uint32_t volume) const {
    std::lock_guard lock(mutex_);
    std::uint64_t sum = 0;
    const auto found = promises_.find(volume);
    if (found != promises_.end())
        for (const auto& [node, bytes] : found->second) sum += bytes;
    return sum;
}

Result<bool> PageRoom::take(std::uint32_t volume, std::uint64_t bytes) {
    for (;;) {
        std::uint64_t least = 0;
        {
            std::lock_guard lock(mutex_);
            Account& account = accounts_[volume];
            if (account.used + bytes <= account.granted) {
                account.used += bytes;
                return true;
            }
            least = account.used + bytes - account.granted;
        }
        auto granted = ask_(volume, least, std::max(least, chunk_), 0);
        if (!granted) return tl::unexpected<Failure>(std::move(granted).error());
        if (*granted == 0) return false;
        std::lock_guard lock(mutex_);
        accounts_[volume].granted += *granted;
    }
}

void PageRoom::take_anyway(std::uint32_t volume, std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    accounts_[volume].used += bytes;
}

void PageRoom::give(std::uint32_t volume, std::uint64_t bytes) {
    std::uint64_t returned = 0;
    {
        std::lock_guard lock(mutex_);
        Account& account = accounts_[volume];
        account.used -= std::min(account.used, bytes);
        account.owed += bytes;
        const std::uint64_t idle = account.granted - std::min(account.granted, account.used);
        if (account.owed < most_owed && idle <= 2 * chunk_) return;
        returned = std::max(std::min(account.owed, idle), idle - std::min(idle, chunk_));
        account.owed = 0;
        account.granted -= returned;
    }
    // A home that is gone promises nothing.
    if (returned != 0) (void)ask_(volume, 0, 0, returned);
}

std::uint64_t PageRoom::used(std::uint32_t volume) const {
    std::lock_guard lock(mutex_);
    const auto found = accounts_.find(volume);
    return found == accounts_.end() ? 0 : found->second.used;
}

}  // namespace ssi::fs
