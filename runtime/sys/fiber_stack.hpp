// SPDX-License-Identifier: BSD-3-Clause
// A fiber's stack and the switch onto and off it, with what the sanitizers must be told: Debian's
// Boost.Context is built without them. Private to runtime/sys.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <cstdint>

namespace ssi::sys {

// What the C++ runtime keeps per thread about exceptions in flight (Itanium ABI, 2.2.2). Each
// fiber has its own, so that a guard may be let go, and block, during unwinding.
struct ExceptionState {
    void* caught = nullptr;
    unsigned int uncaught = 0;
};

// Owns the memory. The entry function loops: a stack serves one body after another and is never
// left for good. Invariant: exactly one of the two sides runs.
class FiberStack {
public:
    using Entry = void (*)(void* argument);
    FiberStack(std::size_t bytes, bool guarded, Entry entry, void* argument);
    ~FiberStack();
    FiberStack(const FiberStack&) = delete;
    FiberStack& operator=(const FiberStack&) = delete;

    void enter();  // from the scheduler's side; returns when the fiber leaves
    void leave();  // from the fiber's side; returns when it is entered again
    // False when the stack grew over its end (only unguarded stacks live to see it).
    bool intact() const;
    std::size_t bytes() const { return bytes_; }

private:
    static void start(boost::context::detail::transfer_t from);
    void arrive();

    std::byte* memory_ = nullptr;  // lowest address, guard page included
    std::size_t bytes_ = 0;        // usable
    std::size_t guard_bytes_ = 0;
    Entry entry_;
    void* argument_;
    boost::context::detail::fcontext_t inside_ = nullptr;   // where the fiber left
    boost::context::detail::fcontext_t outside_ = nullptr;  // where the scheduler entered
    ExceptionState exceptions_;
    // Sanitizers only; unused otherwise.
    void* inside_fake_stack_ = nullptr;
    void* outside_fake_stack_ = nullptr;
    const void* outside_bottom_ = nullptr;
    std::size_t outside_bytes_ = 0;
    void* thread_fiber_ = nullptr;
    void* outside_thread_fiber_ = nullptr;
};

}  // namespace ssi::sys
