// SPDX-License-Identifier: BSD-3-Clause
// Store: the few calls that the patterns make, on kDFS or on a directory of the machine. A call
// that fails, or moves fewer bytes than it should, throws ssi::Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ssi/io/file_system.hpp"

namespace iobench {

class StoreFile {
public:
    virtual ~StoreFile() = default;   // closes
    virtual void pread(std::span<std::byte> out, std::uint64_t offset) = 0;
    virtual void pwrite(std::span<const std::byte> bytes, std::uint64_t offset) = 0;
    virtual void sync() = 0;
};

// Thread-safe, its files too.
class Store {
public:
    virtual ~Store() = default;
    virtual std::unique_ptr<StoreFile> open(const std::string& path, int flags,
                                            const ssi::fs::Striping& striping = {}) = 0;
    virtual void make_directory(const std::string& path) = 0;
    virtual void remove_directory(const std::string& path) = 0;
    virtual std::uint64_t size_of(const std::string& path) = 0;   // by stat
    virtual bool exists(const std::string& path) = 0;
    virtual void unlink(const std::string& path) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    struct Entry {
        const std::string& name;
        bool is_directory;
        std::uint64_t size;           // 0 without attributes
        std::uint64_t inode = 0;
    };
    virtual void list(const std::string& path, bool attributes,
                      const std::function<void(const Entry&)>& each) = 0;
    // The node that keeps an inode; none: they are all of the machine.
    virtual std::optional<std::uint32_t> home_of(std::uint64_t) { return std::nullopt; }
    virtual void sync_all() = 0;      // what was done here is durable
    virtual void drop_caches() = 0;   // as far as it can
};

std::unique_ptr<Store> make_kdfs_store(ssi::fs::FileSystem& system);
// Paths lie below `directory`.
std::unique_ptr<Store> make_posix_store(std::string directory);

}  // namespace iobench
