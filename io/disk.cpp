// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "disk_parts.hpp"

namespace ssi::io {
namespace {

constexpr std::size_t longest_name = 255;   // of one part, as file systems have it

bool aligned(const std::byte* memory, std::size_t length) {
    return memory && reinterpret_cast<std::uintptr_t>(memory) % block_bytes == 0 &&
           length % block_bytes == 0;
}

Result<std::size_t> run(Disk& disk, DiskRequest& request, const char* verb) {
    DiskRequest* const one[] = {&request};
    disk.submit(one);
    disk.wait(request);
    if (auto done = outcome_of(disk, request, verb); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return request.moved;
}

}  // namespace

Result<void> outcome_of(const Disk& disk, const DiskRequest& request, const char* verb) {
    if (request.sys_errno == 0) return {};
    return fail_errno(Errc::io, request.sys_errno,
                      request.kind == DiskRequest::Kind::sync
                          ? fmt::format("cannot {} {} of {}", verb, request.file->name(),
                                        disk.name())
                          : fmt::format("cannot {} {} bytes at {} of {} of {}", verb,
                                        request.length, request.place, request.file->name(),
                                        disk.name()));
}

int check_request(const DiskRequest& request) {
    if (!request.file) return EBADF;
    if (request.kind == DiskRequest::Kind::sync || request.length == 0) return 0;
    constexpr auto farthest =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 2;
    if (request.place % block_bytes != 0) return EINVAL;
    if (request.place > farthest || request.length > farthest) return EFBIG;
    if (request.pieces.empty()) return aligned(request.memory, request.length) ? 0 : EINVAL;
    if (request.pieces.size() > most_pieces) return EINVAL;
    std::size_t together = 0;
    for (const DiskPiece& piece : request.pieces) {
        if (!aligned(piece.memory, piece.length)) return EINVAL;
        together += piece.length;
    }
    return together == request.length ? 0 : EINVAL;
}

Result<void> check_name(std::string_view name, bool directory) {
    if (name.empty() && directory) return {};
    if (name.find('\0') != std::string_view::npos)
        return fail(Errc::invalid_argument, "a file name of a disk with a zero byte in it");
    for (std::size_t start = 0; start <= name.size();) {
        const std::size_t end = std::min(name.find('/', start), name.size());
        const std::string_view part = name.substr(start, end - start);
        if (part.empty() || part == "." || part == "..")
            return fail(Errc::invalid_argument,
                        fmt::format("file name \"{}\" is not one below the disk's directory: no "
                                    "part may be empty, \".\" or \"..\"", name));
        if (part.size() > longest_name)
            return fail_errno(Errc::io, ENAMETOOLONG,
                              fmt::format("a file name of {} bytes: at most {}", part.size(),
                                          longest_name));
        start = end + 1;
    }
    return {};
}

std::string directory_of(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    return slash == std::string_view::npos ? "" : std::string(name.substr(0, slash));
}

Result<std::size_t> read(Disk& disk, DiskFile& file, std::span<std::byte> bytes,
                         std::uint64_t place) {
    DiskRequest request;
    request.kind = DiskRequest::Kind::read;
    request.file = &file;
    request.place = place;
    request.memory = bytes.data();
    request.length = bytes.size();
    return run(disk, request, "read");
}

Result<void> write(Disk& disk, DiskFile& file, std::span<const std::byte> bytes,
                   std::uint64_t place, bool durable) {
    DiskRequest request;
    request.kind = DiskRequest::Kind::write;
    request.durable = durable;
    request.file = &file;
    request.place = place;
    request.memory = const_cast<std::byte*>(bytes.data());   // a write only reads it
    request.length = bytes.size();
    if (auto written = run(disk, request, "write"); !written)
        return tl::unexpected<Failure>(std::move(written).error());
    return {};
}

Result<void> sync(Disk& disk, DiskFile& file) {
    DiskRequest request;
    request.kind = DiskRequest::Kind::sync;
    request.file = &file;
    if (auto synced = run(disk, request, "sync"); !synced)
        return tl::unexpected<Failure>(std::move(synced).error());
    return {};
}

}  // namespace ssi::io
