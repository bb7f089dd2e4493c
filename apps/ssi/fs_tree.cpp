// SPDX-License-Identifier: BSD-3-Clause
// Files of kDFS: of the file system that this process has mounted, or a running session.
#include "fs_tree.hpp"

#include <algorithm>
#include <iterator>

#include "fs_run.hpp"

namespace ssi::cli {
namespace {

constexpr std::size_t entries_at_once = 4096;

class MountedFile : public TreeFile {
public:
    explicit MountedFile(fs::File file) : file_(std::move(file)) {}
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        return file_.pread(out, offset);
    }
    Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        const auto written = file_.pwrite(bytes, offset);
        if (!written) return tl::unexpected<Failure>(written.error());
        if (*written != bytes.size()) return fail(Errc::io, "a write was cut short");
        return {};
    }
    Result<void> truncate(std::uint64_t size) override { return file_.truncate(size); }
    Result<fs::Attributes> stat() override { return file_.stat(); }
    Result<std::vector<fs::Extent>> extents() override { return file_.extents(); }

private:
    fs::File file_;
};

class RunningFile : public TreeFile {
public:
    explicit RunningFile(std::unique_ptr<fs::RemoteFile> file) : file_(std::move(file)) {}
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        return file_->pread(out, offset);
    }
    Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        return file_->pwrite(bytes, offset);
    }
    Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
    Result<fs::Attributes> stat() override { return file_->stat(); }
    Result<std::vector<fs::Extent>> extents() override { return file_->extents(); }

private:
    std::unique_ptr<fs::RemoteFile> file_;
};

template <class TheFile, class Opened>
Result<std::unique_ptr<TreeFile>> file_of(Result<Opened> opened) {
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    return std::make_unique<TheFile>(std::move(*opened));
}

// All of a listing, page by page.
template <class List>
Result<std::vector<fs::DirectoryEntry>> list_all(List&& list) {
    std::vector<fs::DirectoryEntry> all;
    for (std::uint64_t cookie = 0;;) {
        auto page = list(cookie);
        if (!page) return page;
        if (page->empty()) return all;
        cookie = page->back().cookie;
        std::ranges::move(*page, std::back_inserter(all));
    }
}

class Mounted : public Kdfs {
public:
    explicit Mounted(fs::FileSystem& system) : system_(system) {}
    Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                           std::uint32_t mode,
                                           const fs::Striping& striping) override {
        return file_of<MountedFile>(system_.open(path, flags, mode, striping));
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        return follow ? system_.stat(path) : system_.lstat(path);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path,
                                                 bool attributes) override {
        return list_all([&](std::uint64_t cookie) {
            return system_.list(path, cookie, entries_at_once, attributes);
        });
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return system_.make_directory(path, mode);
    }
    Result<void> remove_directory(const std::string& path) override {
        return system_.remove_directory(path);
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
    Result<void> unlink(const std::string& path) override { return system_.unlink(path); }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return system_.rename(from, to);
    }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        return system_.set_attributes(path, change, follow);
    }
    Result<std::vector<std::string>> list_xattrs(const std::string& path) override {
        return system_.list_xattrs(path);
    }
    Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                             const std::string& name) override {
        return system_.get_xattr(path, name);
    }
    Result<void> set_xattr(const std::string& path, const std::string& name,
                           std::span<const std::byte> value) override {
        return system_.set_xattr(path, name, value);
    }
    Result<void> sync(const std::string&) override { return system_.sync(); }
    Result<fs::Space> space() override { return system_.space(); }
    Result<std::vector<io::VolumeInfo>> volumes() override { return system_.volumes().volumes(); }
    Result<void> drop_caches() override { return system_.drop_caches(); }
    Result<fs::CheckReport> check(bool repair) override { return system_.check(repair); }

private:
    fs::FileSystem& system_;
};

class Running : public Kdfs {
public:
    Running(std::vector<std::unique_ptr<fs::RemoteFileSystem>> nodes, std::string session)
        : nodes_(std::move(nodes)), session_(std::move(session)) {}
    Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                           std::uint32_t mode,
                                           const fs::Striping& striping) override {
        return file_of<RunningFile>(first().open_file(path, flags, mode, striping));
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        return first().stat(path, follow);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path,
                                                 bool attributes) override {
        return list_all([&](std::uint64_t cookie) {
            return first().list(path, cookie, entries_at_once, attributes);
        });
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return first().make_directory(path, mode);
    }
    Result<void> remove_directory(const std::string& path) override {
        return first().remove_directory(path);
    }
    Result<void> link(const std::string& from, const std::string& to) override {
        return first().link(from, to);
    }
    Result<void> symlink(const std::string& target, const std::string& path) override {
        return first().symlink(target, path);
    }
    Result<std::string> read_link(const std::string& path) override {
        return first().read_link(path);
    }
    Result<void> unlink(const std::string& path) override { return first().unlink(path); }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return first().rename(from, to);
    }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        return first().set_attributes(path, change, follow);
    }
    Result<std::vector<std::string>> list_xattrs(const std::string& path) override {
        return first().list_xattrs(path, true);
    }
    Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                             const std::string& name) override {
        return first().get_xattr(path, name, true);
    }
    Result<void> set_xattr(const std::string& path, const std::string& name,
                           std::span<const std::byte> value) override {
        return first().set_xattr(path, name, value, true);
    }
    Result<void> sync(const std::string&) override { return first().sync(); }
    Result<fs::Space> space() override { return first().space(); }
    Result<std::vector<io::VolumeInfo>> volumes() override { return first().volumes(); }
    Result<void> drop_caches() override {
        for (const auto& node : nodes_) SSI_TRY(node->drop_caches());
        return {};
    }
    Result<fs::CheckReport> check(bool repair) override {
        if (repair)
            return fail(Errc::unsupported,
                        "--repair needs the file system for itself, and session " + session_ +
                            " uses it: end the session, then run ssi fs --volume DIR/%n check "
                            "--repair; without --repair it is checked as it is");
        return first().check();
    }

private:
    fs::RemoteFileSystem& first() { return *nodes_.front(); }
    std::vector<std::unique_ptr<fs::RemoteFileSystem>> nodes_;
    const std::string session_;
};

}  // namespace

std::unique_ptr<Kdfs> make_mounted_kdfs(fs::FileSystem& system) {
    return std::make_unique<Mounted>(system);
}
std::unique_ptr<Kdfs> make_running_kdfs(
    std::vector<std::unique_ptr<fs::RemoteFileSystem>> nodes, std::string session) {
    return std::make_unique<Running>(std::move(nodes), std::move(session));
}

void walk(Tree& tree, const std::string& path, bool recursive,
          const std::function<void(const std::string&, const fs::Attributes&)>& body,
          const std::function<void(const Failure&)>& fault) {
    const auto of = tree.stat(path, false);
    if (!of) return fault(of.error());
    body(path, *of);
    if (!recursive || !of->is_directory()) return;
    const auto entries = tree.list(path);
    if (!entries) return fault(entries.error());
    for (const auto& entry : *entries)
        walk(tree, join(path, entry.name), true, body, fault);
}

}  // namespace ssi::cli
