// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "store/store.hpp"

namespace iobench {
namespace {

void check_moved(std::size_t moved, std::size_t wanted, const char* verb) {
    if (moved != wanted)
        throw ssi::Error({ssi::Errc::io, 0, ssi::no_node,
                          fmt::format("{} moved {} of {} bytes", verb, moved, wanted)});
}

class KdfsStoreFile : public StoreFile {
public:
    explicit KdfsStoreFile(ssi::fs::File file) : file_(std::move(file)) {}
    void pread(std::span<std::byte> out, std::uint64_t offset) override {
        check_moved(ssi::value_or_throw(file_.pread(out, offset)), out.size(), "a read");
    }
    void pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        check_moved(ssi::value_or_throw(file_.pwrite(bytes, offset)), bytes.size(), "a write");
    }
    void sync() override { ssi::value_or_throw(file_.sync()); }

private:
    ssi::fs::File file_;
};

class KdfsStore : public Store {
public:
    explicit KdfsStore(ssi::fs::FileSystem& system) : system_(system) {}
    std::unique_ptr<StoreFile> open(const std::string& path, int flags,
                                    const ssi::fs::Striping& striping) override {
        return std::make_unique<KdfsStoreFile>(
            ssi::value_or_throw(system_.open(path, flags, 0644, striping)));
    }
    void make_directory(const std::string& path) override {
        ssi::value_or_throw(system_.make_directory(path, 0755));
    }
    void remove_directory(const std::string& path) override {
        ssi::value_or_throw(system_.remove_directory(path));
    }
    std::uint64_t size_of(const std::string& path) override {
        return ssi::value_or_throw(system_.stat(path)).size;
    }
    bool exists(const std::string& path) override { return system_.lstat(path).has_value(); }
    void unlink(const std::string& path) override { ssi::value_or_throw(system_.unlink(path)); }
    void rename(const std::string& from, const std::string& to) override {
        ssi::value_or_throw(system_.rename(from, to));
    }
    void list(const std::string& path, bool attributes,
              const std::function<void(const Entry&)>& each) override {
        for (std::uint64_t cookie = 0;;) {
            const auto page = ssi::value_or_throw(system_.list(path, cookie, 4096, attributes));
            if (page.empty()) return;
            cookie = page.back().cookie;
            for (const auto& entry : page)
                each({entry.name, S_ISDIR(entry.type), entry.attributes.size, entry.inode});
        }
    }
    std::optional<std::uint32_t> home_of(std::uint64_t inode) override {
        const auto slot = static_cast<std::uint32_t>(inode >> 48);   // docs/formats/kdfs.md
        const auto& volumes = system_.volumes();
        return volumes.node_of(volumes.volume_of(ssi::SlotId(slot))).value;
    }
    void sync_all() override { ssi::value_or_throw(system_.sync()); }
    void drop_caches() override { ssi::value_or_throw(system_.drop_caches()); }

private:
    ssi::fs::FileSystem& system_;
};

}  // namespace

std::unique_ptr<Store> make_kdfs_store(ssi::fs::FileSystem& system) {
    return std::make_unique<KdfsStore>(system);
}

}  // namespace iobench
