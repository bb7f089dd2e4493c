// SPDX-License-Identifier: BSD-3-Clause
// A file system on several nodes of one process, on disks that outlive them:
//     PagesShelf shelf;
//     FsSession session(shelf, {{"a"}, {"b"}, {}});      // volumes by node
//     session[2].make_directory("/d");
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

#include "pages_session.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi::fs {

class FsSession {
public:
    FsSession(PagesShelf& shelf, const Directories& directories, Options options = {})
        : cluster(static_cast<int>(directories.size())), systems_(directories.size()) {
        cluster.run([&](int i) {
            const auto at = static_cast<std::size_t>(i);
            Options mine = options;
            mine.volumes = shelf.options(directories[at]);
            auto mounted = FileSystem::mount(cluster.nodes()[i], cluster[i], std::move(mine));
            EXPECT_TRUE(mounted) << (mounted ? "" : mounted.error().to_string());
            if (mounted) systems_[at] = std::move(*mounted);
        });
    }
    FileSystem& operator[](std::size_t i) { return *systems_[i]; }
    std::size_t size() const { return systems_.size(); }
    void close() {
        cluster.run([&](int i) {
            auto& system = systems_[static_cast<std::size_t>(i)];
            if (!system) return;
            auto closed = system->close();
            EXPECT_TRUE(closed) << (closed ? "" : closed.error().to_string());
        });
    }
    CheckReport check(bool repair = false) {
        std::vector<CheckReport> reports(size());
        cluster.run([&](int i) {
            auto report = systems_[static_cast<std::size_t>(i)]->check(repair);
            EXPECT_TRUE(report) << (report ? "" : report.error().to_string());
            if (report) reports[static_cast<std::size_t>(i)] = *report;
        });
        for (std::size_t i = 1; i < size(); ++i)
            for (std::string& text : reports[i].texts) reports[0].texts.push_back(text);
        return reports[0];
    }

    test::Cluster cluster;

private:
    std::vector<std::unique_ptr<FileSystem>> systems_;
};

template <class T>
int errno_of(const Result<T>& result) {
    return result ? 0 : result.error().sys_errno ? result.error().sys_errno : -1;
}
#define EXPECT_ERRNO(wanted, call) EXPECT_EQ(wanted, errno_of(call))

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}
inline void write_file(FileSystem& fs, std::string_view path, std::string_view text) {
    auto file = fs.open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    ASSERT_TRUE(file) << file.error().to_string();
    auto written = file->pwrite(bytes_of(text), 0);
    ASSERT_TRUE(written) << written.error().to_string();
    EXPECT_EQ(*written, text.size());
    EXPECT_FINE(file->close());
}
inline std::string read_file(FileSystem& fs, std::string_view path) {
    auto file = fs.open(path, O_RDONLY);
    if (!file) return "? " + file.error().to_string();
    auto attributes = file->stat();
    if (!attributes) return "? " + attributes.error().to_string();
    std::string text(attributes->size, '?');
    auto read = file->pread(std::as_writable_bytes(std::span(text)), 0);
    if (!read) return "? " + read.error().to_string();
    text.resize(*read);
    return text;
}

}  // namespace ssi::fs
