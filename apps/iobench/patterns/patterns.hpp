// SPDX-License-Identifier: BSD-3-Clause
// What is done to a Store: transfers of large files, and small files by the thousand, as IOR and
// mdtest do. Everything that is read is checked: ssi::Error (mismatch) when it is not what was
// written. Each object belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace iobench {

inline constexpr std::size_t hard_bytes = 47008;   // as IO500 has it
inline constexpr std::size_t small_file_bytes = 3901;

// Transfers of equal size at places of one file: first, first + stride, ...
struct Transfers {
    std::size_t bytes = 1u << 20;
    std::uint64_t first = 0, stride = 1u << 20;

    // A file of one rank alone, written from front to back.
    static Transfers easy(std::size_t bytes) { return {bytes, 0, bytes}; }
    // One file of all ranks, whose transfers lie interleaved.
    static Transfers hard(int rank, int ranks) {
        return {hard_bytes, hard_bytes * static_cast<std::uint64_t>(rank),
                hard_bytes * static_cast<std::uint64_t>(ranks)};
    }
    std::uint64_t place(std::uint64_t i) const { return first + i * stride; }
};

// Memory for one transfer. Each 512 bytes of a file say where they lie and which pass wrote them.
class Buffer {
public:
    explicit Buffer(std::size_t bytes);
    void write(StoreFile& file, const Transfers& transfers, std::uint64_t i, std::uint64_t pass);
    void read(StoreFile& file, const Transfers& transfers, std::uint64_t i, std::uint64_t pass);

private:
    void mark(std::size_t bytes, std::uint64_t place, std::uint64_t pass);
    void check(std::size_t bytes, std::uint64_t place, std::uint64_t pass) const;
    std::vector<std::byte> bytes_;
};

// Files f.0, f.1, ... of a directory, all of one size.
class SmallFiles {
public:
    SmallFiles(Store& store, std::string directory, std::size_t bytes, std::string prefix = "f.");
    void create(std::uint64_t i, bool durable = false);
    void stat(std::uint64_t i);
    void read(std::uint64_t i);
    void unlink(std::uint64_t i);
    // f.0 becomes g.0, as its own directory's neighbour.
    void rename(std::uint64_t i, const std::string& prefix);
    // Lists all, with attributes; how many there were. Checks that each is `count`'s once.
    std::uint64_t list(std::uint64_t count);

private:
    std::string path(std::uint64_t i) const {
        return directory_ + "/" + prefix_ + std::to_string(i);
    }
    Store& store_;
    std::string directory_, prefix_;
    std::vector<std::byte> content_, found_;
};

// The entries of a listing of f0.0, f0.1, ..., f1.0, ...: each of them once, and no others.
class CrowdCheck {
public:
    CrowdCheck(std::size_t prefixes, std::uint64_t files)
        : files_(files), seen_(prefixes * files) {}
    void see(const std::string& name);
    std::uint64_t seen() const { return count_; }
    void conclude() const;   // all were there

private:
    std::uint64_t files_;
    std::vector<bool> seen_;
    std::uint64_t count_ = 0;
};

// Of this process, now.
double resident_bytes();

// Directories and files below `path`, by a walk with attributes.
struct Walked {
    std::uint64_t directories = 0, files = 0, bytes = 0;
};
Walked walk(Store& store, const std::string& path);

}  // namespace iobench
