// SPDX-License-Identifier: BSD-3-Clause
// The wire form of update messages: elements one after another, 16 bytes each where ids are small
// numbers, else 32; and a batch of them at its home.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/task.hpp"
#include "wire.hpp"

namespace ssi::kddm {

// Of Kind::update, beside the operator and the kind of number as in Kind::atomic.
namespace flag {
inline constexpr std::uint16_t results = 1;   // send back what stood there
inline constexpr std::uint16_t wide = 2;      // elements of 32 bytes
}  // namespace flag

struct Element {
    ObjectId id;
    std::uint64_t operand;
    std::uint32_t offset;
};

struct NarrowElement {
    static constexpr unsigned offset_bits = 24;   // in words of 8 bytes: 128 MiB
    std::uint64_t operand;
    std::uint64_t place;                          // ObjectId::lo, then the offset
    static bool fits(ObjectId id) { return id.hi == 0 && id.lo >> (64 - offset_bits) == 0; }
};
struct WideElement {
    std::uint64_t operand;
    std::uint64_t hi;
    std::uint64_t lo;
    std::uint64_t offset;
};
static_assert(sizeof(NarrowElement) == 16 && sizeof(WideElement) == 32);

inline constexpr std::size_t most_elements = net::max_copied_payload / sizeof(NarrowElement);

inline std::size_t element_bytes(bool wide) {
    return wide ? sizeof(WideElement) : sizeof(NarrowElement);
}

inline void put_element(std::byte* to, bool wide, const Element& e) {
    if (wide) {
        const WideElement w{e.operand, e.id.hi, e.id.lo, e.offset};
        std::memcpy(to, &w, sizeof w);
    } else {
        const NarrowElement n{e.operand, e.id.lo << NarrowElement::offset_bits | e.offset / 8};
        std::memcpy(to, &n, sizeof n);
    }
}

inline Element element_at(std::span<const std::byte> bytes, std::size_t i, bool wide) {
    if (wide) {
        WideElement w;
        std::memcpy(&w, bytes.data() + i * sizeof w, sizeof w);
        return {{w.hi, w.lo}, w.operand, static_cast<std::uint32_t>(w.offset)};
    }
    NarrowElement n;
    std::memcpy(&n, bytes.data() + i * sizeof n, sizeof n);
    return {{n.place >> NarrowElement::offset_bits}, n.operand,
            static_cast<std::uint32_t>(n.place & ((1u << NarrowElement::offset_bits) - 1)) * 8};
}

// A batch of which some objects were not free when it arrived: they are waited for, each by an
// operation of its own; the last one answers. Shared by these.
struct UpdateBatch {
    Message request;
    std::vector<std::byte> payload;
    std::vector<std::byte> results;    // 8 bytes an element, or none; each element its own
    std::atomic<std::uint32_t> missing{1};   // operations, and the handler itself
    sys::Mutex mutex;                  // of what follows
    Result<void> result;
    void note(Result<void>&& failed);  // the first counts
};

// What an operation does of a batch: its elements of one object, in order.
struct UpdatePart {
    std::shared_ptr<UpdateBatch> batch;
    std::vector<std::uint32_t> elements;
};

}  // namespace ssi::kddm
