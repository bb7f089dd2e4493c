// SPDX-License-Identifier: BSD-3-Clause
// The floor of everything that goes to a disk: libaio with O_DIRECT on a preallocated file, and
// write + fdatasync one at a time. What it reads is checked.
#pragma once

#include <fcntl.h>
#include <libaio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "report.hpp"
#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::bench {

inline constexpr std::size_t mib = 1u << 20;
inline constexpr std::size_t small = io::block_bytes;
inline constexpr std::size_t depth = 32;
inline constexpr std::size_t file_bytes = 256 * mib;

inline void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("disk benchmark: cannot ") + what);
}

template <class T>
T take(Result<T> result) {
    return value_or_throw(std::move(result));
}

// A directory of this rank's own, removed at the end.
class Directory {
public:
    // Below $BENCH_DIRECTORY, else where temporary files go.
    Directory() : Directory(chosen()) {}
    explicit Directory(const std::filesystem::path& parent)
        : path_((parent / "ssi-bench-XXXXXX").string()) {
        check(::mkdtemp(path_.data()) != nullptr, "make a temporary directory");
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    const std::string& path() const { return path_; }

private:
    static std::filesystem::path chosen() {
        const char* const named = std::getenv("BENCH_DIRECTORY");
        return named ? std::filesystem::path(named) : std::filesystem::temp_directory_path();
    }
    std::string path_;
};

// What both sides do: transfers at places of a file of `file_bytes`, by depth of them at a time,
// into memory of their own, each of which holds its place in the file.
struct Pattern {
    bool write = false;
    bool random = false;
    bool durable = false;              // each by itself, one at a time
    std::size_t bytes = mib;
};

struct Memory {
    std::byte* data = static_cast<std::byte*>(std::aligned_alloc(small, depth * mib));
    Memory() { std::memset(data, 0, depth * mib); }
    ~Memory() { std::free(data); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    std::byte* at(std::size_t slot) { return data + slot * mib; }
    // Every block tells its place, so that what is read back can be checked.
    void mark(std::size_t slot, std::uint64_t place, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += small) {
            const std::uint64_t tag = place + i + 1;
            std::memcpy(at(slot) + i, &tag, sizeof tag);
        }
    }
    void expect(std::size_t slot, std::uint64_t place, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += small) {
            std::uint64_t tag = 0;
            std::memcpy(&tag, at(slot) + i, sizeof tag);
            if (tag != place + i + 1) wrong_data("disk");
        }
    }
};

class Places {
public:
    explicit Places(const Pattern& pattern) : pattern_(pattern) {}
    std::uint64_t next() {
        const std::uint64_t count = file_bytes / pattern_.bytes;
        const std::uint64_t index = pattern_.random ? random_.below(count) : next_++ % count;
        return index * pattern_.bytes;
    }

private:
    const Pattern pattern_;
    std::uint64_t next_ = 0;
    Random random_{7};
};

class Floor {
public:
    Floor(const std::string& path, Memory& memory) : memory_(memory) {
        fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600);
        check(fd_ >= 0, "open a file with O_DIRECT");
        check(::fallocate(fd_, 0, 0, file_bytes) == 0, "preallocate");
        check(io_setup(depth, &context_) == 0, "set libaio up");
    }
    ~Floor() {
        io_destroy(context_);
        ::close(fd_);
    }
    void run(const Pattern& pattern, Places& places, std::uint64_t count) {
        if (pattern.durable) return run_durable(places, count);
        iocb blocks[depth];
        std::uint64_t at[depth];
        std::uint64_t started = 0, done = 0;
        const auto start = [&](std::size_t slot) {
            at[slot] = places.next();
            if (pattern.write) {
                memory_.mark(slot, at[slot], pattern.bytes);
                io_prep_pwrite(&blocks[slot], fd_, memory_.at(slot), pattern.bytes,
                               static_cast<long long>(at[slot]));
            } else {
                io_prep_pread(&blocks[slot], fd_, memory_.at(slot), pattern.bytes,
                              static_cast<long long>(at[slot]));
            }
            blocks[slot].data = reinterpret_cast<void*>(slot);
            ++started;
            return &blocks[slot];
        };
        iocb* batch[depth];
        long batched = 0;
        for (std::size_t slot = 0; slot < std::min<std::uint64_t>(depth, count); ++slot)
            batch[batched++] = start(slot);
        while (done < count) {
            if (batched > 0) check(io_submit(context_, batched, batch) == batched, "submit");
            batched = 0;
            io_event events[depth];
            const long got = io_getevents(context_, 1, depth, events, nullptr);
            check(got > 0, "get events");
            for (long i = 0; i < got; ++i) {
                check(events[i].res == pattern.bytes, "move all bytes");
                const auto slot = reinterpret_cast<std::size_t>(events[i].data);
                if (!pattern.write) memory_.expect(slot, at[slot], pattern.bytes);
                ++done;
                if (started < count) batch[batched++] = start(slot);
            }
        }
        if (pattern.write) check(::fdatasync(fd_) == 0, "sync");
    }

private:
    void run_durable(Places& places, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t place = places.next();
            memory_.mark(0, place, small);
            check(::pwrite(fd_, memory_.at(0), small, static_cast<off_t>(place)) == small, "write");
            check(::fdatasync(fd_) == 0, "sync");
        }
    }

    Memory& memory_;
    int fd_ = -1;
    io_context_t context_ = nullptr;
};

}  // namespace ssi::bench
