// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
// After gtest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>

#include "ssi/sys/arena.hpp"

namespace ssi::sys {
namespace {

struct Step {
    bool allocate;
    std::size_t bytes;    // to allocate
    std::size_t victim;   // which live block to release, modulo their number
};

rc::Gen<Step> a_step() {
    const auto size = rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 200),
                                     rc::gen::inRange<std::size_t>(200, 20'000),
                                     rc::gen::inRange<std::size_t>(20'000, 2'000'000));
    return rc::gen::build<Step>(
        rc::gen::set(&Step::allocate, rc::gen::weightedElement<bool>({{3, true}, {2, false}})),
        rc::gen::set(&Step::bytes, size), rc::gen::set(&Step::victim));
}

struct Live {
    ObjectHeader* block;
    std::size_t bytes;
    unsigned char mark;
};

bool overlap(const Live& a, const Live& b) {
    const auto* first = reinterpret_cast<const std::byte*>(a.block);
    const auto* second = reinterpret_cast<const std::byte*>(b.block);
    return first < bytes_of(b.block) + b.block->capacity &&
           second < bytes_of(a.block) + a.block->capacity;
}

bool intact(const Live& live) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(bytes_of(live.block));
    return std::all_of(bytes, bytes + live.bytes,
                       [&](unsigned char byte) { return byte == live.mark; });
}

void check_new(const std::vector<Live>& all, const Live& made) {
    RC_ASSERT(made.block->capacity >= made.bytes);
    RC_ASSERT(made.block->version == 0u);
    RC_ASSERT(made.block->length == 0u);
    RC_ASSERT(made.block->state == 0u);
    RC_ASSERT(reinterpret_cast<std::uintptr_t>(bytes_of(made.block)) % 16 == 0u);
    for (const Live& other : all) RC_ASSERT(!overlap(made, other));
}

void run(Arena::Kind kind, const std::vector<Step>& steps) {
    Arena arena({.kind = kind, .chunk_bytes = 64u << 10});
    std::vector<Live> live;
    std::size_t promised = 0;
    for (const Step& step : steps) {
        if (step.allocate) {
            auto block = arena.allocate(step.bytes);
            RC_ASSERT(block);
            const Live made{*block, step.bytes, static_cast<unsigned char>(live.size() + 1)};
            check_new(live, made);
            std::memset(bytes_of(made.block), made.mark, made.bytes);
            live.push_back(made);
            promised += made.bytes;
        } else if (!live.empty()) {
            std::swap(live[step.victim % live.size()], live.back());
            RC_ASSERT(intact(live.back()));
            promised -= live.back().bytes;
            arena.release(live.back().block);
            live.pop_back();
        }
        RC_ASSERT(arena.usage().used_bytes >= promised);
        RC_ASSERT(arena.usage().reserved_bytes >= arena.usage().used_bytes);
    }
    for (const Live& one : live) {
        RC_ASSERT(intact(one));
        arena.release(one.block);
    }
    RC_ASSERT(arena.usage().used_bytes == 0u);
}

RC_GTEST_PROP(ArenaProperty, blocks_never_overlap_and_keep_their_bytes, ()) {
    const auto steps = *rc::gen::container<std::vector<Step>>(a_step());
    run(*rc::gen::element(Arena::Kind::private_memory, Arena::Kind::shared_memory), steps);
}

RC_GTEST_PROP(ArenaProperty, what_is_released_is_used_again, ()) {
    const auto sizes = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 5000)));
    Arena arena({.chunk_bytes = 64u << 10});
    std::size_t reserved_at_first = 0;
    for (int round = 0; round < 5; ++round) {
        std::vector<ObjectHeader*> blocks;
        for (const std::size_t size : sizes) blocks.push_back(arena.allocate(size).value());
        for (ObjectHeader* block : blocks) arena.release(block);
        if (round == 0) reserved_at_first = arena.usage().reserved_bytes;
        RC_ASSERT(arena.usage().reserved_bytes == reserved_at_first);
    }
}

}  // namespace
}  // namespace ssi::sys
