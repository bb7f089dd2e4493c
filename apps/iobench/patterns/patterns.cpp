// SPDX-License-Identifier: BSD-3-Clause
#include "patterns/patterns.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>

#include "ssi/base/ids.hpp"

namespace iobench {
namespace {

constexpr std::size_t marked_bytes = 512;

[[noreturn]] void wrong(const std::string& what) {
    throw ssi::Error({ssi::Errc::mismatch, 0, ssi::no_node, what});
}

std::uint64_t tag_of(std::uint64_t place, std::uint64_t pass) {
    return ssi::mix64(place + 1) ^ pass;
}

void fill(std::span<std::byte> bytes) {
    std::uint64_t state = 1;
    for (std::byte& byte : bytes) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<std::byte>(state >> 56);
    }
}

}  // namespace

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) { fill(bytes_); }

void Buffer::mark(std::size_t bytes, std::uint64_t place, std::uint64_t pass) {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes; at += marked_bytes) {
        const std::uint64_t tag = tag_of(place + at, pass);
        std::memcpy(bytes_.data() + at, &tag, sizeof tag);
    }
}

void Buffer::check(std::size_t bytes, std::uint64_t place, std::uint64_t pass) const {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes; at += marked_bytes) {
        std::uint64_t tag = 0;
        std::memcpy(&tag, bytes_.data() + at, sizeof tag);
        if (tag != tag_of(place + at, pass))
            wrong(fmt::format("what was read at byte {} is not what was written", place + at));
    }
}

void Buffer::write(StoreFile& file, const Transfers& transfers, std::uint64_t i,
                   std::uint64_t pass) {
    mark(transfers.bytes, transfers.place(i), pass);
    file.pwrite(std::span(bytes_).first(transfers.bytes), transfers.place(i));
}

void Buffer::read(StoreFile& file, const Transfers& transfers, std::uint64_t i,
                  std::uint64_t pass) {
    file.pread(std::span(bytes_).first(transfers.bytes), transfers.place(i));
    check(transfers.bytes, transfers.place(i), pass);
}

SmallFiles::SmallFiles(Store& store, std::string directory, std::size_t bytes, std::string prefix)
    : store_(store), directory_(std::move(directory)), prefix_(std::move(prefix)),
      content_(bytes), found_(bytes) {
    fill(content_);
}

void SmallFiles::create(std::uint64_t i, bool durable) {
    const auto file = store_.open(path(i), O_CREAT | O_EXCL | O_WRONLY);
    if (!content_.empty()) {
        std::memcpy(content_.data(), &i, sizeof i);
        file->pwrite(content_, 0);
    }
    if (durable) file->sync();
}

void SmallFiles::stat(std::uint64_t i) {
    if (const auto size = store_.size_of(path(i)); size != content_.size())
        wrong(fmt::format("{} has {} bytes instead of {}", path(i), size, content_.size()));
}

void SmallFiles::read(std::uint64_t i) {
    const auto file = store_.open(path(i), O_RDONLY);
    file->pread(found_, 0);
    std::memcpy(content_.data(), &i, sizeof i);
    if (found_ != content_) wrong(fmt::format("{} is not what was written", path(i)));
}

void SmallFiles::unlink(std::uint64_t i) { store_.unlink(path(i)); }

void SmallFiles::rename(std::uint64_t i, const std::string& prefix) {
    store_.rename(path(i), directory_ + "/" + prefix + std::to_string(i));
}

std::uint64_t SmallFiles::list(std::uint64_t count) {
    std::vector<bool> seen(count);
    std::uint64_t entries = 0;
    store_.list(directory_, true, [&](const Store::Entry& entry) {
        std::uint64_t i = 0;
        const char* end = entry.name.data() + entry.name.size();
        const bool ours = entry.name.starts_with(prefix_) &&
                          std::from_chars(entry.name.data() + prefix_.size(), end, i).ptr == end;
        if (!ours || i >= count || seen[i] || entry.is_directory || entry.size != content_.size())
            wrong(fmt::format("{} lists '{}', of {} bytes", directory_, entry.name, entry.size));
        seen[i] = true;
        ++entries;
    });
    if (entries != count) wrong(fmt::format("{} lists {} of {}", directory_, entries, count));
    return entries;
}

void CrowdCheck::see(const std::string& name) {
    std::uint64_t rank = 0, i = 0;
    const char* end = name.data() + name.size();
    bool ours = name.starts_with('f');
    if (ours) {
        const auto first = std::from_chars(name.data() + 1, end, rank);
        ours = first.ec == std::errc{} && first.ptr != end && *first.ptr == '.' &&
               std::from_chars(first.ptr + 1, end, i).ptr == end;
    }
    const std::uint64_t place = rank * files_ + i;
    if (!ours || i >= files_ || place >= seen_.size() || seen_[place])
        wrong(fmt::format("a listing has '{}', which it should not, or had it before", name));
    seen_[place] = true;
    ++count_;
}

void CrowdCheck::conclude() const {
    if (count_ != seen_.size())
        wrong(fmt::format("a listing has {} of {} entries", count_, seen_.size()));
}

double resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "re");
    if (!file) return 0;
    unsigned long all = 0, resident = 0;
    const int found = std::fscanf(file, "%lu %lu", &all, &resident);
    std::fclose(file);
    return found == 2 ? static_cast<double>(resident) * static_cast<double>(::getpagesize()) : 0;
}

Walked walk(Store& store, const std::string& path) {
    Walked walked;
    std::vector<std::string> below;
    store.list(path, true, [&](const Store::Entry& entry) {
        if (entry.is_directory) {
            ++walked.directories;
            below.push_back(path + "/" + entry.name);
        } else {
            ++walked.files;
            walked.bytes += entry.size;
        }
    });
    for (const std::string& directory : below) {
        const Walked more = walk(store, directory);
        walked.directories += more.directories;
        walked.files += more.files;
        walked.bytes += more.bytes;
    }
    return walked;
}

}  // namespace iobench
