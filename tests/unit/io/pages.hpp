// SPDX-License-Identifier: BSD-3-Clause
// Memory for requests: aligned blocks with bytes that tell who wrote them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ssi/io/disk.hpp"

namespace ssi::io {

class Pages {
public:
    explicit Pages(std::size_t blocks, std::uint64_t tag = 0)
        : bytes_(static_cast<std::byte*>(std::aligned_alloc(block_bytes, blocks * block_bytes))),
          size_(blocks * block_bytes) {
        fill(tag);
    }
    // Every eight bytes hold the tag and their place.
    void fill(std::uint64_t tag) {
        for (std::size_t i = 0; i < size_; i += 8) {
            const std::uint64_t value = tag == 0 ? 0 : tag << 32 | i;
            std::memcpy(bytes_.get() + i, &value, 8);
        }
    }
    std::byte* data() { return bytes_.get(); }
    std::size_t size() const { return size_; }
    std::span<std::byte> span() { return {bytes_.get(), size_}; }
    std::span<std::byte> blocks(std::size_t first, std::size_t count) {
        return span().subspan(first * block_bytes, count * block_bytes);
    }
    // The tag of a sector that is whole; 0 for zeroes; UINT64_MAX for a torn one. `moved`: how many
    // bytes further on it was when it was filled.
    std::uint64_t tag_of_sector(std::size_t sector) const {
        std::uint64_t first = 0;
        std::memcpy(&first, bytes_.get() + sector * sector_bytes, 8);
        for (std::size_t i = 0; i < sector_bytes; i += 8) {
            std::uint64_t value = 0;
            std::memcpy(&value, bytes_.get() + sector * sector_bytes + i, 8);
            if (value != (first == 0 ? 0 : first + i)) return UINT64_MAX;
        }
        return first >> 32;
    }
    bool operator==(const Pages& other) const {
        return size_ == other.size_ && std::memcmp(bytes_.get(), other.bytes_.get(), size_) == 0;
    }

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_;
};

inline std::unique_ptr<DiskFile> open_file(Disk& disk, const std::string& name, OpenMode mode) {
    auto file = disk.open(name, mode);
    EXPECT_TRUE(file) << (file ? "" : file.error().to_string());
    return file ? std::move(*file) : nullptr;
}

template <class T>
std::string text_of(const Result<T>& result) {
    return result ? "fine" : result.error().to_string();
}

}  // namespace ssi::io

#define ASSERT_FINE(result) ASSERT_EQ(::ssi::io::text_of(result), "fine")
#define EXPECT_FINE(result) EXPECT_EQ(::ssi::io::text_of(result), "fine")
