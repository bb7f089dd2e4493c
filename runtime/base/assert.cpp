// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/assert.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace ssi {
namespace {

constexpr std::uint64_t ring_events = 64;

// Fields are atomics so that a report may read while others write; an event torn by a writer that
// overtakes the ring is a wrong line in a crash report, no more.
struct Event {
    std::atomic<const char*> what{nullptr};
    std::atomic<std::uint64_t> first{0};
    std::atomic<std::uint64_t> second{0};
};

std::array<Event, ring_events> ring;
std::atomic<std::uint64_t> next_event{0};
std::atomic<std::uint32_t> current_node{no_node.value};

void print_events() {
    const std::uint64_t end = next_event.load(std::memory_order_acquire);
    const std::uint64_t begin = end - std::min(end, ring_events);
    if (begin < end) std::fprintf(stderr, "  last trace events, oldest first:\n");
    for (std::uint64_t i = begin; i < end; ++i) {
        const Event& event = ring[i % ring_events];
        const char* what = event.what.load(std::memory_order_relaxed);
        std::fprintf(stderr, "    %llu %s %llu %llu\n", static_cast<unsigned long long>(i),
                     what ? what : "(being written)",
                     static_cast<unsigned long long>(event.first.load(std::memory_order_relaxed)),
                     static_cast<unsigned long long>(event.second.load(std::memory_order_relaxed)));
    }
}

}  // namespace

void trace_event(const char* what, std::uint64_t first, std::uint64_t second) noexcept {
    Event& event = ring[next_event.fetch_add(1, std::memory_order_acq_rel) % ring_events];
    event.what.store(what, std::memory_order_relaxed);
    event.first.store(first, std::memory_order_relaxed);
    event.second.store(second, std::memory_order_relaxed);
}

void set_current_node(NodeId node) noexcept {
    current_node.store(node.value, std::memory_order_relaxed);
}

void assert_failed(const char* expression, const char* file, int line, const char* what_to_do) {
    const std::uint32_t node = current_node.load(std::memory_order_relaxed);
    std::fprintf(stderr, "libssi assertion failed at %s:%d: %s\n", file, line, expression);
    if (node != no_node.value) std::fprintf(stderr, "  on node %u\n", node);
    std::fprintf(stderr, "  %s\n", what_to_do);
    print_events();
    std::fflush(stderr);
    std::abort();
}

}  // namespace ssi
