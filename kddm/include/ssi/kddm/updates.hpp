// SPDX-License-Identifier: BSD-3-Clause
// RawUpdates, Updates<N>: atomic operations on many numbers inside objects, buffered per home: one
// message carries hundreds. What is added executes some time before flush() returns, each exactly
// once, in the order of adding as far as one object is concerned and what is fetched or exchanged
// there can tell: a batch of these is sent when its home has answered the batch before.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>

#include "ssi/kddm/atomics.hpp"
#include "ssi/kddm/raw_set.hpp"

namespace ssi::kddm {

// One operation of update_many: `operand` goes to the 8 bytes at `offset` (a multiple of 8).
struct Update {
    ObjectId id;
    std::uint64_t operand = 0;   // bits
    std::uint32_t offset = 0;
};

// One operator (add, min, max or exchange) on one kind of number. Used by one task at a time. The
// objects count as wanted by that task until flush(): the order rule of guards holds for them
// (Errc::deadlock), an object that the task has grabbed is updated in place: at once, also before
// what was added to it earlier and is not flushed.
class RawUpdates {
public:
    RawUpdates(const RawSet& set, AtomicOp op, NumberKind kind);
    RawUpdates(RawUpdates&&) noexcept;
    // Waits for what was added; a failure becomes the set's sticky error.
    ~RawUpdates();

    // May send, and may wait for answers when too much is under way. On failure this one is not
    // added. invalid_argument: no such object, or no 8 aligned bytes there. deadlock: also when it
    // would have to wait, and the task holds something that comes after what is under way.
    Result<void> add(ObjectId id, std::uint64_t operand, std::uint32_t offset = 0);
    // The same in the common case, when there is room for it: false, and nothing done, otherwise.
    bool try_add(ObjectId id, std::uint64_t operand, std::uint32_t offset);
    // Has what stood there stored in `*before` by the time flush() returns.
    Result<void> fetch(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                       std::uint64_t* before);
    // Everything that was added has executed, or the first failure is returned (once): what it
    // concerns was not executed unless the code is peer_lost, when it may have been.
    Result<void> flush();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The same for a type of number; throws ssi::Error.
template <AtomicNumber N>
class Updates {
public:
    Updates(const RawSet& set, AtomicOp op)
        : raw_(set, op, make_atomic(op, N{}).kind) {}
    void add(ObjectId id, N operand, std::uint32_t offset = 0) {
        const auto bits = std::bit_cast<std::uint64_t>(Wide<N>(operand));
        if (!raw_.try_add(id, bits, offset)) [[unlikely]]
            value_or_throw(raw_.add(id, bits, offset));
    }
    void flush() { value_or_throw(raw_.flush()); }
    RawUpdates& raw() { return raw_; }

private:
    RawUpdates raw_;
};

}  // namespace ssi::kddm
