// SPDX-License-Identifier: BSD-3-Clause
// PageRanges: a set of page numbers, kept as ranges [first, last). Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace ssi::fs {

struct PageRange {
    std::uint64_t first = 0, last = 0;   // [first, last)
    std::uint64_t count() const { return last - first; }
    friend constexpr bool operator==(const PageRange&, const PageRange&) = default;
};

class PageRanges {
public:
    // How many pages were not there before.
    std::uint64_t add(PageRange range);
    void add(std::span<const PageRange> ranges) {
        for (const PageRange& range : ranges) add(range);
    }
    void remove(PageRange range);
    std::vector<PageRange> missing(PageRange range) const;   // the parts of it that are not there
    bool contains(std::uint64_t page) const;
    bool covers(PageRange range) const;   // all of it, in one range
    bool empty() const { return ranges_.empty(); }
    std::uint64_t count() const { return count_; }   // pages
    std::vector<PageRange> list() const;             // ascending, neither touching another
    void clear() {
        ranges_.clear();
        count_ = 0;
    }

private:
    std::map<std::uint64_t, std::uint64_t> ranges_;   // first -> last
    std::uint64_t count_ = 0;
};

}  // namespace ssi::fs
