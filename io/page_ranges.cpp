// SPDX-License-Identifier: BSD-3-Clause
#include "page_ranges.hpp"

#include <algorithm>

namespace ssi::fs {

bool PageRanges::covers(PageRange range) const {
    auto next = ranges_.upper_bound(range.first);
    return next != ranges_.begin() && (--next)->second >= range.last;
}

bool PageRanges::contains(std::uint64_t page) const { return covers({page, page + 1}); }

std::uint64_t PageRanges::add(PageRange range) {
    if (range.first >= range.last || covers(range)) return 0;
    const std::uint64_t before = count_;
    // From the first range that touches it.
    auto it = ranges_.upper_bound(range.first);
    if (it != ranges_.begin() && std::prev(it)->second >= range.first) --it;
    while (it != ranges_.end() && it->first <= range.last) {
        range.first = std::min(range.first, it->first);
        range.last = std::max(range.last, it->second);
        count_ -= it->second - it->first;
        it = ranges_.erase(it);
    }
    ranges_.emplace_hint(it, range.first, range.last);
    count_ += range.count();
    return count_ - before;
}

void PageRanges::remove(PageRange range) {
    if (range.first >= range.last) return;
    auto it = ranges_.upper_bound(range.first);
    if (it != ranges_.begin() && std::prev(it)->second > range.first) --it;
    while (it != ranges_.end() && it->first < range.last) {
        const PageRange old{it->first, it->second};
        count_ -= old.count();
        it = ranges_.erase(it);
        if (old.first < range.first) {
            ranges_.emplace_hint(it, old.first, range.first);
            count_ += range.first - old.first;
        }
        if (old.last > range.last) {
            it = ranges_.emplace_hint(it, range.last, old.last);
            count_ += old.last - range.last;
            break;
        }
    }
}

std::vector<PageRange> PageRanges::missing(PageRange range) const {
    std::vector<PageRange> out;
    auto it = ranges_.upper_bound(range.first);
    if (it != ranges_.begin()) range.first = std::max(range.first, std::prev(it)->second);
    for (; range.first < range.last; ++it) {
        const std::uint64_t until =
            it == ranges_.end() ? range.last : std::min(range.last, it->first);
        if (range.first < until) out.push_back({range.first, until});
        if (it == ranges_.end()) break;
        range.first = std::max(range.first, it->second);
    }
    return out;
}

std::vector<PageRange> PageRanges::list() const {
    std::vector<PageRange> out;
    out.reserve(ranges_.size());
    for (const auto& [first, last] : ranges_) out.push_back({first, last});
    return out;
}

}  // namespace ssi::fs
