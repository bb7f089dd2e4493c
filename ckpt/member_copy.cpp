// SPDX-License-Identifier: BSD-3-Clause
#include "member_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "store_files.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* lock_name = "lock";

std::unique_ptr<std::byte, void (*)(void*)> blocks(std::size_t bytes) {
    auto* const memory = static_cast<std::byte*>(std::aligned_alloc(io::block_bytes, bytes));
    if (!memory) throw std::bad_alloc();
    return {memory, std::free};
}

}  // namespace

Result<std::vector<std::string>> files_of_member(Store& store, VersionNumber version,
                                                 MemberIndex member) {
    auto names = store.state().disk.list(member_folder(version, member));
    if (!names) return names;
    std::erase(*names, lock_name);
    const auto last = std::ranges::find(*names, member_name);
    if (last == names->end())
        return fail(Errc::not_found, fmt::format("member {} of version {} is not finished in {}",
                                                 member, version, store.name()));
    std::rotate(last, last + 1, names->end());
    return names;
}

Result<void> read_file_of_member(Store& store, VersionNumber version, MemberIndex member,
                                 const std::string& name, std::size_t most,
                                 const VisitPiece& piece) {
    io::Disk& disk = store.state().disk;
    const auto file = disk.open(member_folder(version, member) + "/" + name, io::OpenMode::read);
    if (!file) return tl::unexpected<Failure>(file.error());
    const auto size = (*file)->size();
    if (!size) return tl::unexpected<Failure>(size.error());
    const auto memory = blocks(most);
    for (std::uint64_t place = 0; place < *size; place += most) {
        const std::span<std::byte> some(memory.get(),
                                        std::min<std::uint64_t>(most, *size - place));
        const auto moved = io::read(disk, **file, some, place);
        if (!moved) return tl::unexpected<Failure>(moved.error());
        SSI_TRY(piece(place, some));
    }
    return {};
}

Result<std::unique_ptr<MemberCopy>> MemberCopy::begin(Store& store, const DatasetId& dataset,
                                                      VersionNumber version, MemberIndex member) {
    if (const auto here = store.member(version, member); here && here->dataset == dataset)
        return fail(Errc::exists, fmt::format("member {} of version {} is in {} already", member,
                                              version, store.name()));
    auto lock = MemberLock::take(store.state(), version, member);
    if (!lock) return tl::unexpected<Failure>(std::move(lock).error());
    std::unique_ptr<MemberCopy> copy(new MemberCopy(store, std::move(*lock), dataset, version,
                                                    member));
    if (auto opened = copy->open(); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    return copy;
}

// As by MemberWriter, so that a version belongs to one dataset here, too.
Result<void> MemberCopy::open() {
    io::Disk& disk = store_.state().disk;
    const std::string version = version_folder(version_);
    const std::string folder = member_folder(version_, member_);
    SSI_TRY(disk.make_directory(version));
    const auto claim = disk.open(version + "/" + claim_name(dataset_), io::OpenMode::create);
    if (!claim) return tl::unexpected<Failure>(claim.error());
    SSI_TRY(disk.make_directory(folder));
    SSI_TRY(lock_.lock_folder());
    const auto old = disk.list(folder);
    if (!old) return tl::unexpected<Failure>(old.error());
    for (const std::string& name : *old)
        if (name != lock_name) SSI_TRY(disk.remove(folder + "/" + name));
    return {};
}

Result<void> MemberCopy::close_file() {
    if (!file_) return {};
    auto synced = io::sync(store_.state().disk, *file_);
    file_.reset();
    return synced;
}

Result<void> MemberCopy::write(const std::string& name, std::uint64_t place,
                               std::span<const std::byte> bytes) {
    io::Disk& disk = store_.state().disk;
    if (name != name_) {
        SSI_TRY(close_file());
        if (name.empty() || name.find('/') != name.npos || name == lock_name)
            return fail(Errc::bad_message, fmt::format("a file \"{}\" of a member", name));
        auto file = disk.open(member_folder(version_, member_) + "/" + name,
                              io::OpenMode::create);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        file_ = std::move(*file);
        name_ = name;
    }
    if (bytes.size() % io::block_bytes != 0 || place % io::block_bytes != 0)
        return fail(Errc::bad_message, "a piece of a member that is not in whole blocks");
    if (block_bytes_ < bytes.size()) {
        block_ = blocks(bytes.size());
        block_bytes_ = bytes.size();
    }
    std::memcpy(block_.get(), bytes.data(), bytes.size());
    return io::write(disk, *file_, {block_.get(), bytes.size()}, place);
}

Result<void> MemberCopy::finish() {
    SSI_TRY(close_file());
    io::Disk& disk = store_.state().disk;
    SSI_TRY(disk.sync_directory(member_folder(version_, member_)));
    SSI_TRY(disk.sync_directory(version_folder(version_)));
    SSI_TRY(disk.sync_directory(""));
    const auto copied = store_.member(version_, member_);
    if (!copied) return tl::unexpected<Failure>(copied.error());
    if (copied->dataset != dataset_)
        return fail(Errc::mismatch, fmt::format("member {} of version {} is another dataset's than "
                                                "was to be copied", member_, version_));
    finished_ = true;
    return {};
}

MemberCopy::~MemberCopy() {
    file_.reset();
    if (!finished_) (void)remove_folder(store_.state().disk, member_folder(version_, member_));
}

}  // namespace ssi::ckpt
