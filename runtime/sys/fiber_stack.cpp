// SPDX-License-Identifier: BSD-3-Clause
#include "fiber_stack.hpp"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "ssi/base/assert.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace ssi::sys {
namespace {

constexpr std::uint64_t end_mark = 0x5afe57ac5afe57acull;

void swap_exceptions(ExceptionState& other) {
    // The ABI fixes these two members; __cxa_eh_globals itself is opaque.
    void* globals = abi::__cxa_get_globals();
    ExceptionState here;
    std::memcpy(&here.caught, globals, sizeof(here.caught));
    std::memcpy(&here.uncaught, static_cast<std::byte*>(globals) + sizeof(void*),
                sizeof(here.uncaught));
    std::memcpy(globals, &other.caught, sizeof(other.caught));
    std::memcpy(static_cast<std::byte*>(globals) + sizeof(void*), &other.uncaught,
                sizeof(other.uncaught));
    other = here;
}

}  // namespace

FiberStack::FiberStack(std::size_t bytes, bool guarded, Entry entry, void* argument)
    : bytes_(bytes), entry_(entry), argument_(argument) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    guard_bytes_ = guarded ? page : 0;
    void* memory = mmap(nullptr, bytes_ + guard_bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    SSI_ASSERT(memory != MAP_FAILED, "no memory for a fiber's stack: run fewer nodes or tasks");
    memory_ = static_cast<std::byte*>(memory);
    // Refused when the process has too many mappings: then the mark must do.
    if (guarded && mprotect(memory_, guard_bytes_, PROT_NONE) != 0) {
        bytes_ += std::exchange(guard_bytes_, 0);
    }
    if (guard_bytes_ == 0) std::memcpy(memory_, &end_mark, sizeof(end_mark));
    inside_ = boost::context::detail::make_fcontext(memory_ + guard_bytes_ + bytes_, bytes_,
                                                    &FiberStack::start);
#if defined(__SANITIZE_ADDRESS__)
    // An abandoned fiber's frames still hold memory: reachable, not leaked.
    __lsan_register_root_region(memory_ + guard_bytes_, bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    thread_fiber_ = __tsan_create_fiber(0);
#endif
}

FiberStack::~FiberStack() {
#if defined(__SANITIZE_ADDRESS__)
    __lsan_unregister_root_region(memory_ + guard_bytes_, bytes_);
    // The frames of an abandoned fiber never return: whoever is given these addresses next must not
    // find their red zones.
    __asan_unpoison_memory_region(memory_ + guard_bytes_, bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(thread_fiber_);
#endif
    munmap(memory_, bytes_ + guard_bytes_);
}

bool FiberStack::intact() const {
    return guard_bytes_ != 0 || std::memcmp(memory_, &end_mark, sizeof(end_mark)) == 0;
}

void FiberStack::enter() {
    swap_exceptions(exceptions_);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&outside_fake_stack_, memory_ + guard_bytes_, bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    outside_thread_fiber_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(thread_fiber_, 0);
#endif
    inside_ = boost::context::detail::jump_fcontext(inside_, this).fctx;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(outside_fake_stack_, nullptr, nullptr);
#endif
    swap_exceptions(exceptions_);
}

void FiberStack::leave() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&inside_fake_stack_, outside_bottom_, outside_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(outside_thread_fiber_, 0);
#endif
    outside_ = boost::context::detail::jump_fcontext(outside_, nullptr).fctx;
    arrive();
}

// The fiber's side of a switch onto it.
void FiberStack::arrive() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(inside_fake_stack_, &outside_bottom_, &outside_bytes_);
#endif
}

void FiberStack::start(boost::context::detail::transfer_t from) {
    auto* self = static_cast<FiberStack*>(from.data);
    self->outside_ = from.fctx;
    self->arrive();
    self->entry_(self->argument_);
    SSI_ASSERT(false, "a fiber's entry must not return: it is a bug in FiberScheduler");
    __builtin_unreachable();
}

}  // namespace ssi::sys
