// SPDX-License-Identifier: BSD-3-Clause
#include "files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>

#include <algorithm>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::uint32_t kept_flags = O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_NOFOLLOW;

enum : std::uint8_t { is_open = 1, has_content = 2 };

std::size_t whole(std::size_t bytes) {
    return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

Failure about(const FileState& state, const Failure& failure) {
    Failure told = failure;
    told.text = fmt::format("file {}", state.path);
    if (failure.text != state.path) told.text += ": " + failure.text;
    return told;
}

// By another handle, as this one may be for writing only.
Result<void> read_content(fs::FileSystem& system, const FileState& state, std::span<std::byte> to) {
    auto file = system.open(state.path, O_RDONLY);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    if (file->inode() != state.inode)
        return fail(Errc::unsupported, "another file has its name by now");
    const auto length = file->pread(to, 0);
    if (!length) return tl::unexpected<Failure>(length.error());
    if (*length != to.size())
        return fail(Errc::io, "it became shorter while it was saved: let nobody write to it then");
    return {};
}

}  // namespace

Bytes encode_file(const FileState& state) {
    Writer body;
    body.put(static_cast<std::uint8_t>((state.open ? is_open : 0) |
                                       (state.content ? has_content : 0)));
    body.put(state.flags);
    body.put(state.mode);
    body.put(state.position);
    body.put(state.size);
    body.put(state.inode);
    body.text(state.path);
    Writer out;
    out.block(body.bytes());
    Bytes bytes(out.bytes().begin(), out.bytes().end());
    bytes.resize(whole(bytes.size()));
    return bytes;
}

std::size_t file_state_bytes(std::span<const std::byte> bytes) {
    if (bytes.size() < block_bytes) return 0;
    Reader in(bytes);
    const std::size_t length = sizeof(std::uint32_t) + in.get<std::uint32_t>();
    return length > most_file_state_bytes ? 0 : whole(length);
}

Result<FileState> decode_file(std::span<const std::byte> bytes) {
    const Bytes body = Reader(bytes).block();
    Reader in(body);
    FileState state;
    const auto what = in.get<std::uint8_t>();
    state.open = what & is_open;
    state.content = what & has_content;
    state.flags = in.get<std::uint32_t>();
    state.mode = in.get<std::uint32_t>();
    state.position = in.get<std::uint64_t>();
    state.size = in.get<std::uint64_t>();
    state.inode = in.get<std::uint64_t>();
    state.path = in.text();
    if (!in.ok() || !in.rest().empty() || (what & ~(is_open | has_content)) != 0 ||
        (state.flags & ~kept_flags) != 0)
        return fail(Errc::io, "what was saved of an open file is malformed");
    return state;
}

Result<std::string> Dataset::path_of_file(MemberIndex which, SetId item, ObjectId id) {
    const auto head = read(which, item, id, most_file_state_bytes);
    if (!head) return tl::unexpected<Failure>(head.error());
    auto state = decode_file(*head);
    if (!state) return tl::unexpected<Failure>(std::move(state).error());
    return std::move(state->path);
}

Result<KeptFile> keep_file(fs::FileSystem& system, fs::File* open, bool content) {
    KeptFile kept;
    FileState& state = kept.state;
    if (!open || !open->is_open()) {
        kept.bytes = encode_file(state);
        return kept;
    }
    fs::File& file = *open;
    const auto attributes = file.stat();
    if (!attributes) return tl::unexpected<Failure>(attributes.error());
    state = {.open = true,
             .content = content,
             .flags = static_cast<std::uint32_t>(file.flags()) & kept_flags,
             .mode = attributes->mode & 07777u,
             .position = 0,
             .size = attributes->size,
             .inode = attributes->inode,
             .path = file.path()};
    if (!attributes->is_file() || attributes->links == 0)
        return tl::unexpected(about(state, {Errc::unsupported, 0, no_node,
                                            attributes->is_file()
                                                ? "it was removed, and could not be opened again"
                                                : "only files can be opened again"}));
    const auto position = file.seek(0, SEEK_CUR);
    if (!position) return tl::unexpected(about(state, position.error()));
    state.position = *position;
    kept.bytes = encode_file(state);
    if (content) {
        const std::size_t head = kept.bytes.size();
        kept.bytes.resize(head + state.size);
        if (auto read = read_content(system, state, std::span(kept.bytes).subspan(head)); !read)
            return tl::unexpected(about(state, read.error()));
    }
    if ((state.flags & O_ACCMODE) != O_RDONLY) kept.sync = file.sync_async();
    return kept;
}

Result<void> check_file(fs::FileSystem& system, const FileState& state) {
    if (!state.open || state.content) return {};
    const auto now = system.stat(state.path);
    if (!now) return tl::unexpected(about(state, {Errc::io, now.error().sys_errno, no_node,
                                                  now.error().text}));
    if (state.inode != 0 && now->inode != state.inode)
        return fail(Errc::io, fmt::format("file {}: another one was open by that name when the "
                                          "version was taken", state.path));
    if (now->size < state.size)
        return fail(Errc::io, fmt::format("file {} has {} bytes, and had {} when the version was "
                                          "taken", state.path, now->size, state.size));
    return {};
}

Result<void> restore_file(fs::FileSystem& system, const FileState& state,
                          std::span<const std::byte> content) {
    const bool writes = (state.flags & O_ACCMODE) != O_RDONLY;
    if (!state.open || (!state.content && !writes)) return {};
    const auto restored = [&]() -> Result<void> {
        auto file = system.open(state.path, O_WRONLY | (state.content ? O_CREAT : 0), state.mode);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        if (state.content && !content.empty())
            if (auto put = file->pwrite(content, 0); !put)
                return tl::unexpected<Failure>(std::move(put).error());
        SSI_TRY(file->truncate(state.size));
        SSI_TRY(file->sync());
        return file->close();
    }();
    if (!restored) return tl::unexpected(about(state, restored.error()));
    return {};
}

Result<fs::File> reopen_file(fs::FileSystem& system, const FileState& state) {
    auto file = system.open(state.path, static_cast<int>(state.flags));
    if (!file) return tl::unexpected(about(state, file.error()));
    if (const auto at = file->seek(static_cast<std::int64_t>(state.position), SEEK_SET); !at)
        return tl::unexpected(about(state, at.error()));
    return file;
}

Result<Substitutions> parse_substitutions(std::string_view text) {
    Substitutions all;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(';'));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        const auto at = one.find('=');
        if (at == std::string_view::npos || at == 0 || at + 1 == one.size())
            return fail(Errc::invalid_argument,
                        fmt::format("\"{}\" is no substitution of a file such as "
                                    "/in/old=/in/new", one));
        all.emplace_back(one.substr(0, at), one.substr(at + 1));
    }
    return all;
}

}  // namespace ssi::ckpt
