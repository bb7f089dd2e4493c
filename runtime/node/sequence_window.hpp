// SPDX-License-Identifier: BSD-3-Clause
// SequenceWindow: which sequence numbers of one sender have arrived, exactly, however far messages
// overtake each other. In order it is one compare; numbers that came early are kept as ascending
// ranges, so even a number that never comes costs one range and no more.
// Not thread-safe: used under the poller token.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace ssi::node {

class SequenceWindow {
public:
    // True the first time a number is seen. Numbers start at 1.
    bool accept(std::uint64_t sequence) {
        if (sequence == next_) [[likely]] {
            ++next_;
            if (early_) [[unlikely]]
                absorb();
            return true;
        }
        return sequence > next_ && accept_early(sequence);
    }

    std::uint64_t next_expected() const { return next_; }
    std::size_t ranges() const { return early_ ? early_->size() : 0; }
    // How many were accepted.
    std::uint64_t accepted() const {
        std::uint64_t count = next_ - 1;
        if (early_)
            for (const Range& range : *early_) count += range.last - range.first + 1;
        return count;
    }

private:
    struct Range {
        std::uint64_t first;
        std::uint64_t last;
    };

    bool accept_early(std::uint64_t sequence) {
        if (!early_) early_ = std::make_unique<std::vector<Range>>();
        auto& ranges = *early_;
        // The first range that does not end before the number: mostly the end, or the last one.
        auto at = ranges.end();
        while (at != ranges.begin() && std::prev(at)->last >= sequence) {
            if (std::prev(at)->first <= sequence) return false;
            --at;
        }
        const bool joins_left = at != ranges.begin() && std::prev(at)->last + 1 == sequence;
        const bool joins_right = at != ranges.end() && at->first == sequence + 1;
        if (joins_left && joins_right) {
            std::prev(at)->last = at->last;
            ranges.erase(at);
        } else if (joins_left) {
            std::prev(at)->last = sequence;
        } else if (joins_right) {
            at->first = sequence;
        } else {
            ranges.insert(at, Range{sequence, sequence});
        }
        return true;
    }

    void absorb() {
        if (early_->front().first != next_) return;
        next_ = early_->front().last + 1;
        early_->erase(early_->begin());
        if (early_->empty()) early_.reset();
    }

    std::uint64_t next_ = 1;                     // all below have arrived
    std::unique_ptr<std::vector<Range>> early_;  // above next_, ascending, not touching; null: none
};

}  // namespace ssi::node
