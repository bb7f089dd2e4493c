// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/wait_list.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace ssi::node {

std::uint64_t WaitList::add(Nanoseconds since, WaitDescription what) {
    const std::uint64_t task = sys::current_task().id;
    std::lock_guard lock(mutex_);
    items_.emplace(++last_ticket_, Item{task, since, std::move(what)});
    return last_ticket_;
}

void WaitList::remove(std::uint64_t ticket) {
    std::lock_guard lock(mutex_);
    items_.erase(ticket);
}

std::vector<WaitList::Item> WaitList::items() const {
    std::vector<Item> out;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [ticket, item] : items_) out.push_back(item);
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const Item& a, const Item& b) { return a.since < b.since; });
    return out;
}

}  // namespace ssi::node
