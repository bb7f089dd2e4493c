// SPDX-License-Identifier: BSD-3-Clause
// Pool: objects of one type that come and go, in slabs that are kept. What is given back comes
// first again, as it is still in the processor's cache. Not thread-safe: a shard's, under its lock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace ssi::kddm {

// T has `void reset()`, which makes it as new.
template <class T>
class Pool {
public:
    T* take() {
        if (free_.empty()) grow();
        T* object = free_.back();
        free_.pop_back();
        if (!free_.empty()) __builtin_prefetch(free_.back(), 1);   // for the next
        return object;
    }
    void give_back(T* object) {
        object->reset();
        free_.push_back(object);
    }

private:
    static constexpr std::size_t largest_slab = 256;

    void grow() {
        auto slab = std::make_unique<T[]>(next_slab_);
        for (std::size_t i = next_slab_; i > 0; --i) free_.push_back(&slab[i - 1]);
        slabs_.push_back(std::move(slab));
        next_slab_ = std::min(next_slab_ * 2, largest_slab);
    }

    std::vector<std::unique_ptr<T[]>> slabs_;
    std::vector<T*> free_;
    std::size_t next_slab_ = 2;
};

}  // namespace ssi::kddm
