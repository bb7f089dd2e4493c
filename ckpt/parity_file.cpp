// SPDX-License-Identifier: BSD-3-Clause
#include "parity_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>

#include "fault_point.hpp"
#include "manifest.hpp"
#include "store_files.hpp"

namespace ssi::ckpt {
namespace {

// The file grows by so much: a write that makes it longer is waited for where it is submitted.
constexpr std::uint64_t room_bytes = 32 << 20;

std::string rows_path(VersionNumber version, MemberIndex member) {
    return parity_folder(version, member) + "/" + parity_rows_name;
}

}  // namespace

UnitBuffer::UnitBuffer()
    : memory_(static_cast<std::byte*>(std::aligned_alloc(io::block_bytes, parity_unit_bytes)),
              std::free) {
    if (!memory_) throw std::bad_alloc();
    std::memset(memory_.get(), 0, parity_unit_bytes);
}

// ---- writing

ParityWriter::ParityWriter(Store& store, const DatasetId& dataset, VersionNumber version,
                           MemberIndex member)
    : store_(store),
      info_{.dataset = dataset, .version = version, .member = member, .group = {}, .rows = {}},
      folder_(parity_folder(version, member)),
      flight_(std::make_unique<Flight>(store.state().disk)) {}

ParityWriter::~ParityWriter() {
    flight_.reset();
    file_.reset();
    if (!finished_) (void)remove_folder(store_.state().disk, folder_);
}

Result<std::unique_ptr<ParityWriter>> ParityWriter::begin(Store& store, const DatasetId& dataset,
                                                          VersionNumber version,
                                                          MemberIndex member) {
    std::unique_ptr<ParityWriter> writer(new ParityWriter(store, dataset, version, member));
    if (auto opened = writer->open(); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    fault_point(FaultPoint::parity_begun);
    return writer;
}

// What makes it count goes first.
Result<void> ParityWriter::open() {
    io::Disk& disk = store_.state().disk;
    SSI_TRY(disk.make_directory(version_folder(info_.version)));
    SSI_TRY(disk.make_directory(folder_));
    if (auto gone = disk.remove(folder_ + "/" + parity_name);
        !gone && gone.error().code != Errc::not_found)
        return gone;
    auto file = disk.open(rows_path(info_.version, info_.member), io::OpenMode::create);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    file_ = std::move(*file);
    return file_->truncate(0);
}

Result<std::span<std::byte>> ParityWriter::next() {
    const auto memory = flight_->next(parity_unit_bytes);
    if (!memory) return memory;
    row_ = *memory;
    return row_;
}

Result<void> ParityWriter::add(std::size_t length) {
    if (bytes_ + length > room_) {
        SSI_TRY(file_->allocate(room_, room_bytes));
        room_ += room_bytes;
    }
    info_.rows.push_back(hash_of_row(row_.first(length)));
    flight_->submit(io::DiskRequest::Kind::write, *file_, bytes_, length);
    bytes_ += length;
    fault_point(FaultPoint::parity_row);
    return {};
}

Result<void> ParityWriter::finish(std::vector<ParityMember> group) {
    io::Disk& disk = store_.state().disk;
    info_.group = std::move(group);
    if (info_.bytes() != bytes_)
        return fail(Errc::internal, fmt::format("parity of {} bytes, and {} were added",
                                                info_.bytes(), bytes_));
    SSI_TRY(flight_->land());
    SSI_TRY(file_->truncate(bytes_));
    SSI_TRY(io::sync(disk, *file_));
    file_.reset();
    SSI_TRY(write_file(disk, folder_ + "/" + parity_name, encode_parity(info_)));
    SSI_TRY(disk.sync_directory(folder_));
    SSI_TRY(disk.sync_directory(version_folder(info_.version)));
    SSI_TRY(disk.sync_directory(""));
    finished_ = true;
    fault_point(FaultPoint::parity_durable);
    return {};
}

// ---- looking

Result<ParityInfo> parity_in(Store& store, VersionNumber version, MemberIndex member) {
    io::Disk& disk = store.state().disk;
    const std::string path = parity_folder(version, member) + "/" + parity_name;
    const auto bytes = read_file(disk, path);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    auto info = decode_parity(*bytes);
    if (info && (info->version != version || info->member != member))
        info = fail(Errc::io, fmt::format("it is that of member {} of version {}", info->member,
                                          info->version));
    if (!info) return tl::unexpected(in_file(std::move(info).error(), disk, path));
    const std::string rows = rows_path(version, member);
    const auto file = disk.open(rows, io::OpenMode::read);
    if (!file) return fail(Errc::io, file.error().text);
    const auto size = (*file)->size();
    if (!size) return tl::unexpected<Failure>(size.error());
    if (*size == info->bytes()) return info;
    return tl::unexpected(in_file({Errc::io, 0, no_node,
                                   fmt::format("damaged: it has {} of {} bytes", *size,
                                               info->bytes())},
                                  disk, rows));
}

namespace {

// Of one store that has it; else why there is none.
Result<ParityReader> find_parity(std::span<Store* const> stores, const Manifest& manifest,
                                 MemberIndex member) {
    std::optional<Failure> why;
    for (Store* store : stores) {
        auto info = parity_in(*store, manifest.version, member);
        if (info)
            if (auto fits = check_parity(*info, manifest); !fits)
                info = tl::unexpected(in_file(std::move(fits).error(), store->state().disk,
                                              parity_folder(manifest.version, member)));
        if (info) return ParityReader(*store, std::move(*info));
        if (!why || why->code == Errc::not_found) why = std::move(info).error();
    }
    if (why && why->code != Errc::not_found) return tl::unexpected(std::move(*why));
    return fail(Errc::not_found, fmt::format("the parity that is kept with member {} of version {} "
                                             "is not there", member, manifest.version));
}

}  // namespace

std::vector<Store*> place_parity(std::span<Store* const> stores, const Manifest& manifest) {
    std::vector<Store*> where(manifest.members.size());
    for (const MemberInfo& member : manifest.members)
        if (member.group != 0)
            for (Store* store : stores)
                if (Store* const one[] = {store};
                    !where[member.member] && find_parity(one, manifest, member.member))
                    where[member.member] = store;
    return where;
}

std::vector<std::string> verify_parity(std::span<Store* const> stores, const Manifest& manifest,
                                       const ParityProgress& progress) {
    std::vector<std::string> faults;
    std::optional<UnitBuffer> buffer;   // fresh memory is slow
    for (const MemberInfo& member : manifest.members) {
        if (member.group == 0) continue;
        if (!buffer) buffer.emplace();
        auto reader = find_parity(stores, manifest, member.member);
        if (!reader) {
            faults.push_back(reader.error().text);
            continue;
        }
        std::uint64_t left = reader->info().bytes();
        for (std::uint64_t row = 0; row < reader->info().rows.size(); ++row) {
            const auto length = std::min<std::uint64_t>(left, parity_unit_bytes);
            if (auto read = reader->row(row, buffer->bytes().first(length)); !read) {
                faults.push_back(read.error().text);
                break;
            }
            left -= length;
            if (progress) progress(length);
        }
    }
    return faults;
}

// ---- reading

Result<void> ParityReader::row(std::uint64_t number, std::span<std::byte> into) {
    io::Disk& disk = store_.state().disk;
    const std::string path = rows_path(info_.version, info_.member);
    if (!file_) {
        auto file = disk.open(path, io::OpenMode::read);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        file_ = std::move(*file);
    }
    const auto read = io::read(disk, *file_, into, number * parity_unit_bytes);
    if (!read) return tl::unexpected<Failure>(read.error());
    if (number < info_.rows.size() && *read == into.size() &&
        hash_of_row(into) == info_.rows[number])
        return {};
    return tl::unexpected(in_file({Errc::io, 0, no_node,
                                   fmt::format("damaged: the {} bytes from {} on are not those "
                                               "that were written (hash)", into.size(),
                                               number * parity_unit_bytes)},
                                  disk, path));
}

Result<ParityMember> MemberStream::open() {
    io::Disk& disk = store_.state().disk;
    const std::string folder = member_folder(info_.version, info_.member);
    files_ = {info_.member, info_.log.digest, {}};
    for (std::uint64_t segment = 1; segment <= info_.log.segments; ++segment) {
        const auto file = disk.open(folder + "/" + io::sealed_file_name(segment),
                                    io::OpenMode::read);
        if (!file) return tl::unexpected<Failure>(file.error());
        const auto size = (*file)->size();
        if (!size) return tl::unexpected<Failure>(size.error());
        files_.file_bytes.push_back(*size);
    }
    if (files_.bytes() == info_.log.bytes) return files_;
    return tl::unexpected(in_file({Errc::io, 0, no_node,
                                   fmt::format("damaged: the segments have {} of {} bytes",
                                               files_.bytes(), info_.log.bytes)},
                                  disk, folder));
}

Result<void> MemberStream::read(std::uint64_t place, std::span<std::byte> into) {
    io::Disk& disk = store_.state().disk;
    while (!into.empty()) {
        while (at_ < files_.file_bytes.size() && place >= begin_ + files_.file_bytes[at_]) {
            begin_ += files_.file_bytes[at_++];
            file_.reset();
        }
        if (at_ == files_.file_bytes.size() || place < begin_)
            return fail(Errc::internal, "a unit that is not of the member");
        if (!file_) {
            auto file = disk.open(member_folder(info_.version, info_.member) + "/" +
                                      io::sealed_file_name(at_ + 1),
                                  io::OpenMode::read);
            if (!file) return tl::unexpected<Failure>(std::move(file).error());
            file_ = std::move(*file);
        }
        const auto some = into.first(std::min<std::uint64_t>(
            into.size(), begin_ + files_.file_bytes[at_] - place));
        const auto read = io::read(disk, *file_, some, place - begin_);
        if (!read) return tl::unexpected<Failure>(read.error());
        if (*read != some.size())
            return fail(Errc::io, fmt::format("a file of member {} of version {} became shorter "
                                              "while it was read", info_.member, info_.version));
        place += some.size();
        into = into.subspan(some.size());
    }
    return {};
}

Result<void> verify_log(io::Disk& disk, const std::string& folder, const MemberInfo& info) {
    io::SealedLogReader reader({.disk = &disk,
                                .directory = folder,
                                .identity = {info.dataset, info.member},
                                .segments = info.log.segments});
    const auto found = reader.stream([](const io::FoundRecord&, std::span<const std::byte>) {
        return Result<void>();
    });
    if (!found) return tl::unexpected<Failure>(found.error());
    if (*found == info.log) return {};
    return tl::unexpected(in_file({Errc::io, 0, no_node,
                                   "it is not the member that the manifest names (digest)"},
                                  disk, folder));
}

}  // namespace ssi::ckpt
