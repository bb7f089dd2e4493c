// SPDX-License-Identifier: BSD-3-Clause
// Stores on disks in memory, states to checkpoint, and what a checkpoint gives back.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "ssi/base/random.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/memory_disk.hpp"

#define ASSERT_FINE(expression)                                    \
    do {                                                           \
        const auto& outcome = (expression);                        \
        ASSERT_TRUE(outcome) << outcome.error().to_string();       \
    } while (0)

namespace ssi::ckpt::test {

using Bytes = std::vector<std::byte>;
using Name = std::pair<std::uint32_t, std::uint64_t>;   // item, object
using State = std::map<Name, Bytes>;                    // of one member

inline constexpr DatasetId dataset_of(VersionNumber version) { return {0x5eed, version}; }

inline Bytes random_bytes(Random& random, std::size_t length) {
    Bytes bytes(length);
    for (std::size_t i = 0; i + 8 <= length; i += 8) {
        const std::uint64_t word = random.next();
        std::memcpy(bytes.data() + i, &word, 8);
    }
    return bytes;
}

template <class T>
T good(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().to_string());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline std::unique_ptr<Store> open_store(io::Disk& disk) {
    return good(Store::open({.disk = &disk}));
}

inline Part part_of(const Name& name, std::uint64_t version, std::uint64_t total,
                    std::uint64_t offset = 0) {
    return {SetId{name.first}, name.second, version, offset, total};
}

inline Manifest manifest_of(VersionNumber version, std::vector<MemberInfo> members) {
    return {.dataset = dataset_of(version),
            .version = version,
            .application = "test",
            .build = "build 1",
            .session = "session 1",
            .time = 1'700'000'000'000'000'000,
            .level = 1,
            .description = fmt::format("version {}", version),
            .user_number = version * 10,
            .user_bytes = Bytes(3, std::byte{7}),
            .ranks = static_cast<std::uint32_t>(members.size()),
            .members = std::move(members),
            .items = {{.kind = ItemKind::set, .id = SetId{1}, .name = "particles"}}};
}

inline Result<MemberInfo> write_member(Store& store, VersionNumber version, MemberIndex index,
                                       const State& state,
                                       std::unique_ptr<MemberWriter>* keep = nullptr) {
    auto member = store.begin({.dataset = dataset_of(version),
                               .version = version,
                               .member = index,
                               .rank = index,
                               .host = fmt::format("host{}", index),
                               .device = "disk"});
    if (!member) return tl::unexpected<Failure>(std::move(member).error());
    for (const auto& [name, bytes] : state)
        if (auto put = (*member)->put(part_of(name, version, bytes.size()), bytes); !put)
            return tl::unexpected<Failure>(std::move(put).error());
    auto info = (*member)->finish();
    if (keep) *keep = std::move(*member);
    return info;
}

// Version `version` with one member per state.
inline Result<void> checkpoint(Store& store, VersionNumber version,
                               const std::vector<State>& states) {
    std::vector<std::unique_ptr<MemberWriter>> writers(states.size());
    std::vector<MemberInfo> members;
    for (MemberIndex i = 0; i < states.size(); ++i) {
        auto info = write_member(store, version, i, states[i], &writers[i]);
        if (!info) return tl::unexpected<Failure>(std::move(info).error());
        members.push_back(std::move(*info));
    }
    return store.commit(manifest_of(version, std::move(members)));
}

// A member as stream() gives it; parts must come in order and without gaps.
inline Result<State> dump(Dataset& dataset, MemberIndex member) {
    State state;
    auto read = dataset.stream(member, [&](const FoundPart& found) -> Result<void> {
        const Part& part = found.part;
        Bytes& bytes = state[{part.item.value, part.id.lo}];
        if (bytes.size() != part.offset) return fail(Errc::internal, "a gap between parts");
        bytes.resize(part.offset + found.length);
        if (!found.zero) std::ranges::copy(found.bytes, bytes.end() - static_cast<std::ptrdiff_t>(
                                                                          found.length));
        if (bytes.size() > part.total) return fail(Errc::internal, "longer than it is");
        return {};
    });
    if (!read) return tl::unexpected<Failure>(std::move(read).error());
    return state;
}

inline Result<std::vector<State>> dump(Store& store, VersionNumber version) {
    Store* const stores[] = {&store};
    auto dataset = Dataset::open(stores, version);
    if (!dataset) return tl::unexpected<Failure>(std::move(dataset).error());
    std::vector<State> states;
    for (MemberIndex i = 0; i < (*dataset)->manifest().members.size(); ++i) {
        auto state = dump(**dataset, i);
        if (!state) return tl::unexpected<Failure>(std::move(state).error());
        states.push_back(std::move(*state));
    }
    return states;
}

// Some objects, small and large, some of them zeroes in part.
inline State random_state(Random& random, std::size_t objects, std::size_t longest) {
    State state;
    for (std::size_t i = 0; i < objects; ++i) {
        Bytes bytes = random_bytes(random, random.below(longest + 1));
        for (std::uint64_t holes = random.below(4); holes > 0 && !bytes.empty(); --holes) {
            const std::size_t from = random.below(bytes.size());
            const std::size_t length = random.below(bytes.size() - from + 1);
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), length, std::byte{0});
        }
        state[{static_cast<std::uint32_t>(1 + random.below(3)), random.next()}] = std::move(bytes);
    }
    return state;
}

// Memory that disks take.
class Block {
public:
    explicit Block(std::size_t bytes)
        : bytes_(bytes), memory_(static_cast<std::byte*>(std::aligned_alloc(4096, bytes))) {}
    ~Block() { std::free(memory_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    std::span<std::byte> span() { return {memory_, bytes_}; }

private:
    std::size_t bytes_;
    std::byte* memory_;
};

// Changes one byte of a file where it lies.
inline void flip(io::Disk& disk, const std::string& path, std::uint64_t byte,
                 std::uint8_t bits = 1) {
    const auto file = good(disk.open(path, io::OpenMode::write));
    Block block(io::block_bytes);
    const std::uint64_t place = byte / io::block_bytes * io::block_bytes;
    good(io::read(disk, *file, block.span(), place));
    block.span()[byte - place] ^= std::byte{bits};
    good(io::write(disk, *file, block.span(), place));
    good(io::sync(disk, *file));
}

inline std::uint64_t size_of(io::Disk& disk, const std::string& path) {
    return good(good(disk.open(path, io::OpenMode::read))->size());
}

}  // namespace ssi::ckpt::test
