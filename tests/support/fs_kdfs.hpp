// SPDX-License-Identifier: BSD-3-Clause
// KdfsApi: kDFS behind the interface of the comparison.
#pragma once

#include <memory>
#include <utility>

#include "fs_api.hpp"

namespace ssi::test {

class KdfsFile : public OpenFile {
public:
    explicit KdfsFile(fs::File file) : file_(std::move(file)) {}
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        return file_.pread(out, offset);
    }
    Result<std::size_t> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        return file_.pwrite(bytes, offset);
    }
    Result<std::size_t> read(std::span<std::byte> out) override { return file_.read(out); }
    Result<std::size_t> write(std::span<const std::byte> bytes) override {
        return file_.write(bytes);
    }
    Result<std::uint64_t> seek(std::int64_t offset, int whence) override {
        return file_.seek(offset, whence);
    }
    Result<void> sync() override { return file_.sync(); }
    Result<void> truncate(std::uint64_t size) override { return file_.truncate(size); }
    Result<void> allocate(int mode, std::uint64_t offset, std::uint64_t length) override {
        return file_.allocate(mode, offset, length);
    }
    Result<fs::Attributes> stat() override { return file_.stat(); }

private:
    fs::File file_;
};

// Borrows the file system, which outlives it and its files.
class KdfsApi : public FileApi {
public:
    explicit KdfsApi(fs::FileSystem& system) : system_(system) {}
    Result<std::unique_ptr<OpenFile>> open(const std::string& path, int flags, std::uint32_t mode,
                                           const fs::Striping& striping) override {
        auto file = system_.open(path, flags, mode, striping);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        return std::make_unique<KdfsFile>(std::move(*file));
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        return follow ? system_.stat(path) : system_.lstat(path);
    }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        return system_.set_attributes(path, change, follow);
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return system_.make_directory(path, mode);
    }
    Result<void> remove_directory(const std::string& path) override {
        return system_.remove_directory(path);
    }
    Result<void> unlink(const std::string& path) override { return system_.unlink(path); }
    Result<void> rename(const std::string& from, const std::string& to, unsigned flags) override {
        return system_.rename(from, to, flags);
    }
    Result<void> link(const std::string& from, const std::string& to) override {
        return system_.link(from, to);
    }
    Result<void> symlink(const std::string& target, const std::string& path) override {
        return system_.symlink(target, path);
    }
    Result<std::string> read_link(const std::string& path) override {
        return system_.read_link(path);
    }
    Result<void> access(const std::string& path, int mode) override {
        return system_.access(path, mode);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path, std::size_t most,
                                                 bool attributes) override {
        std::vector<fs::DirectoryEntry> entries;
        std::uint64_t cookie = 0;
        while (true) {
            auto page = system_.list(path, cookie, most, attributes);
            if (!page || page->empty()) {
                if (page) return entries;
                return page;
            }
            // A cookie that stays where it is would list for ever.
            if (page->back().cookie == cookie)
                return fail(Errc::internal, "a page of a listing ends with the cookie it began at");
            cookie = page->back().cookie;
            for (auto& entry : *page) entries.push_back(std::move(entry));
        }
    }
    Result<void> set_xattr(const std::string& path, const std::string& name,
                           std::span<const std::byte> value, int flags) override {
        return system_.set_xattr(path, name, value, flags);
    }
    Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                             const std::string& name) override {
        return system_.get_xattr(path, name);
    }
    Result<std::vector<std::string>> list_xattrs(const std::string& path) override {
        return system_.list_xattrs(path);
    }
    Result<void> remove_xattr(const std::string& path, const std::string& name) override {
        return system_.remove_xattr(path, name);
    }
    Result<void> sync(const std::string& path) override { return system_.sync(path); }
    Result<void> become(const fs::Credentials& credentials) override {
        system_.set_credentials(credentials);
        return {};
    }

private:
    fs::FileSystem& system_;
};

}  // namespace ssi::test
