// SPDX-License-Identifier: BSD-3-Clause
// RemoteTable: the objects that a row works on: homed on one rank, visited by the other in an order
// no prefetcher follows, each with a value that only the newest pass can have written.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "slices.hpp"
#include "ssi/base/random.hpp"
#include "ssi/ssi.hpp"

namespace ssi::bench {

inline std::uint64_t value_of(std::uint64_t id, std::uint64_t stamp) {
    return mix64(id + (stamp << 32));
}

// A session of all ranks with shipped defaults; MPI is up already.
inline Session open_session() {
    char name[] = "bench";
    char* arguments[] = {name, nullptr};
    int count = 1;
    return Session(count, arguments);
}

// 4 KiB as an object: each word has its own value.
struct Block {
    std::uint64_t words[512];
};

inline void write_value(std::uint64_t& object, std::uint64_t value) { object = value; }
inline bool holds(const std::uint64_t& object, std::uint64_t value) { return object == value; }
inline void write_value(Block& object, std::uint64_t value) {
    for (std::uint64_t i = 0; i < 512; ++i) object.words[i] = value + i;
}
// What a timed loop can afford to look at; holds_all() is for untimed checks.
inline bool holds(const Block& object, std::uint64_t value) {
    return object.words[0] == value && object.words[511] == value + 511;
}
inline bool holds_all(const std::uint64_t& object, std::uint64_t value) { return object == value; }
inline bool holds_all(const Block& object, std::uint64_t value) {
    for (std::uint64_t i = 0; i < 512; ++i)
        if (object.words[i] != value + i) return false;
    return true;
}

inline std::size_t l2_bytes() {
    const long bytes = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 1u << 20;
}
// Tables of four times L2 on each node, counting what a node keeps of an object: its bytes, their
// header, the entry and its place in the index.
inline constexpr std::size_t overhead_bytes = 120;
inline std::uint32_t word_count() {
    return static_cast<std::uint32_t>(4 * l2_bytes() / (overhead_bytes + sizeof(std::uint64_t)));
}
inline std::uint32_t block_count() {
    return static_cast<std::uint32_t>(4 * l2_bytes() / sizeof(Block));
}

template <class T>
class RemoteTable {
public:
    RemoteTable(Session& session, const std::string& name, int home, std::uint32_t count)
        : set_(session.set<T>(name, {.count = count, .placement = "node:" + std::to_string(home)})),
          order_(count) {
        std::iota(order_.begin(), order_.end(), 0u);
        Random random(0x5eed + count);
        for (std::uint32_t i = count; i > 1; --i)
            std::swap(order_[i - 1], order_[random.below(i)]);
    }

    kddm::Set<T>& set() { return set_; }
    std::uint64_t size() const { return order_.size(); }
    std::uint64_t id(std::uint64_t i) const { return order_[i]; }

    // By the home: takes the first `count` objects back from whoever has them; each must still hold
    // the value of `old_stamp` (0: not looked at), and then holds the one of `new_stamp`.
    void take_back(std::uint64_t count, std::uint64_t old_stamp, std::uint64_t new_stamp) {
        for (std::uint64_t i = 0; i < count; ++i) {
            auto object = set_.grab(id(i));
            if (old_stamp != 0 && !holds_all(*object, value_of(id(i), old_stamp)))
                wrong_data(set_.raw().name() + " after the other rank wrote it");
            write_value(*object, value_of(id(i), new_stamp));
        }
    }
    // By any rank: reads them, all words.
    void read_all(std::uint64_t count, std::uint64_t stamp) {
        for (std::uint64_t i = 0; i < count; ++i)
            if (!holds_all(*set_.get(id(i)), value_of(id(i), stamp)))
                wrong_data(set_.raw().name() + " as it was read");
    }

private:
    kddm::Set<T> set_;
    std::vector<std::uint32_t> order_;
};

// Runs `operation(i)` for i in [0, count); nanoseconds per operation.
template <class Operation>
double timed(std::uint64_t count, std::vector<double>* samples, Operation&& operation) {
    const double start = now_ns();
    if (samples) {
        samples->reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t before = ticks();
            operation(i);
            samples->push_back(static_cast<double>(ticks() - before));
        }
    } else {
        for (std::uint64_t i = 0; i < count; ++i) operation(i);
    }
    return (now_ns() - start) / static_cast<double>(std::max<std::uint64_t>(count, 1));
}

// Lets the other rank reach its wait before the clock starts.
inline void linger() {
    const double start = now_ns();
    while (now_ns() - start < 300e3) {
    }
}

}  // namespace ssi::bench
