// SPDX-License-Identifier: BSD-3-Clause
#include "store_files.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#include "fault_point.hpp"
#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

using io::block_bytes;

// Memory that direct I/O takes.
struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
};
using Blocks = std::unique_ptr<std::byte, Free>;
Blocks blocks_of(std::size_t bytes) {
    auto* const memory = static_cast<std::byte*>(std::aligned_alloc(block_bytes, bytes));
    if (!memory) throw std::bad_alloc();
    return Blocks(memory);
}

template <class T>
std::optional<T> number_behind(std::string_view text, char letter) {
    if (text.size() < 2 || text[0] != letter || (text[1] == '0' && text.size() > 2)) return {};
    T number = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + 1, end, number);
    if (error != std::errc() || at != end) return {};
    return number;
}

}  // namespace

std::string version_folder(VersionNumber version) { return fmt::format("v{}", version); }
std::string member_folder(VersionNumber version, MemberIndex member) {
    return fmt::format("v{}/m{}", version, member);
}
std::string parity_folder(VersionNumber version, MemberIndex member) {
    return fmt::format("v{}/p{}", version, member);
}
std::string rebuild_folder(VersionNumber version, MemberIndex member) {
    return fmt::format("v{}/r{}", version, member);
}
bool is_rebuild(std::string_view folder) {
    return number_behind<MemberIndex>(folder, 'r').has_value();
}
std::optional<VersionNumber> version_of(std::string_view folder) {
    const auto version = number_behind<VersionNumber>(folder, 'v');
    return version && *version != 0 ? version : std::nullopt;
}
std::optional<MemberIndex> member_of(std::string_view folder) {
    return number_behind<MemberIndex>(folder, 'm');
}
std::string claim_name(const DatasetId& dataset) {
    return dataset.text() + std::string(claim_suffix);
}

Failure in_file(Failure failure, const io::Disk& disk, const std::string& path) {
    failure.text = fmt::format("{}/{}: {}", disk.name(), path, failure.text);
    return failure;
}

Result<void> write_file(io::Disk& disk, const std::string& path,
                        std::span<const std::byte> bytes) {
    auto file = disk.open(path, io::OpenMode::create);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    SSI_TRY((*file)->truncate(0));
    const Blocks memory = blocks_of(bytes.size());
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    SSI_TRY(io::write(disk, **file, {memory.get(), bytes.size()}, 0));
    return io::sync(disk, **file);
}

Result<void> replace_file(io::Disk& disk, const std::string& folder, const std::string& name,
                          std::span<const std::byte> bytes) {
    const std::string path = folder.empty() ? name : folder + "/" + name;
    SSI_TRY(write_file(disk, path + ".new", bytes));
    fault_point(FaultPoint::file_written);
    SSI_TRY(disk.rename(path + ".new", path));
    fault_point(FaultPoint::file_renamed);
    return disk.sync_directory(folder);
}

Result<std::vector<std::byte>> read_file(io::Disk& disk, const std::string& path) {
    auto file = disk.open(path, io::OpenMode::read);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    const auto size = (*file)->size();
    if (!size) return tl::unexpected<Failure>(size.error());
    if (*size == 0 || *size > longest_file || *size % block_bytes != 0)
        return tl::unexpected(in_file({Errc::io, 0, no_node,
                                       fmt::format("damaged: {} bytes are no length of it", *size)},
                                      disk, path));
    const Blocks memory = blocks_of(*size);
    const auto moved = io::read(disk, **file, {memory.get(), *size}, 0);
    if (!moved) return tl::unexpected<Failure>(moved.error());
    return std::vector<std::byte>(memory.get(), memory.get() + *moved);
}

Result<void> remove_folder(io::Disk& disk, const std::string& folder) {
    const auto folders = disk.list_directories(folder);
    if (!folders && folders.error().code == Errc::not_found) return {};
    if (!folders) return tl::unexpected<Failure>(folders.error());
    for (const std::string& name : *folders) SSI_TRY(remove_folder(disk, folder + "/" + name));
    const auto files = disk.list(folder);
    if (!files) return tl::unexpected<Failure>(files.error());
    for (const std::string& name : *files) {
        auto removed = disk.remove(folder + "/" + name);
        if (!removed && removed.error().code != Errc::not_found) return removed;
    }
    auto removed = disk.remove_directory(folder);
    if (!removed && removed.error().code != Errc::not_found) return removed;
    return {};
}

}  // namespace ssi::ckpt
