// SPDX-License-Identifier: BSD-3-Clause
// Putting files back: whoever has read what was saved of one sees to its length and bytes, once all
// is known to be whole; then the rank that had it opens it again.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "manifest.hpp"
#include "restoring.hpp"

namespace ssi::ckpt {

// Its state alone: the bytes behind it are read when they are put back.
Result<void> Restoring::place_file(const Protected& item, const FoundPart& found) {
    const Part& part = found.part;
    if (part.offset == 0)
        files_.push_back({.item = &item,
                          .rank = static_cast<std::uint32_t>(part.id.hi),
                          .state = {},
                          .member = member_,
                          .id = part.id,
                          .saved_item = part.item,
                          .head = {}});
    FoundFile& file = files_.back();
    std::size_t at = 0;
    for (std::size_t needed = block_bytes;;) {
        if (file.head.size() >= block_bytes) needed = file_state_bytes(file.head);
        if (needed <= file.head.size() || at == found.length) return {};
        const auto some = std::min<std::uint64_t>(needed - file.head.size(), found.length - at);
        if (found.zero)
            file.head.resize(file.head.size() + some);
        else
            std::ranges::copy(found.bytes.subspan(at, some), std::back_inserter(file.head));
        at += some;
    }
}

// Before anything is put back for good: a version whose files are not there is of no use.
Result<void> Restoring::look_at_files() {
    for (FoundFile& file : files_) {
        if (file.member != member_) continue;
        auto state = decode_file(file.head);
        if (!state) return tl::unexpected<Failure>(std::move(state).error());
        if (file.rank >= manifest_.ranks)
            return fail(Errc::io, fmt::format("a file of rank {}", file.rank));
        file.state = std::move(*state);
        for (std::size_t i = 0; i < substitutions_.size(); ++i) {
            if (!file.state.open) break;
            // Substituted by a run before this one.
            if (file.state.path == substitutions_[i].second) ++substituted_[i];
            if (file.state.path != substitutions_[i].first) continue;
            file.state.path = substitutions_[i].second;
            file.state.inode = 0;
            ++substituted_[i];
            break;
        }
        SSI_TRY(check_file(*file.item->system, file.state));
    }
    return {};
}

Result<void> Restoring::all_substituted() {
    if (substitutions_.empty()) return {};
    SSI_TRY(doors_.node.all_reduce(substituted_, node::ReduceOp::sum));
    if (std::ranges::find(substituted_, std::uint64_t{0}) == substituted_.end()) return {};
    Writer mine;
    for (const FoundFile& file : files_)
        if (file.state.open) mine.text(file.state.path);
    const auto all = gather(doors_.node, mine.bytes());
    if (!all) return tl::unexpected<Failure>(all.error());
    Result<void> unused;
    if (doors_.node.rank() == 0) unused = nothing_to_substitute(*all);
    return agree(doors_.node, std::move(unused));
}

// On the first node.
Result<void> Restoring::nothing_to_substitute(std::span<const Bytes> paths) const {
    std::set<std::string> there;
    for (const Bytes& bytes : paths)
        for (Reader in(bytes); in.ok() && !in.at_end();) there.insert(in.text());
    std::string from, names;
    for (std::size_t i = 0; i < substitutions_.size(); ++i)
        if (substituted_[i] == 0)
            from += fmt::format("{}'{}'", from.empty() ? "" : ", ", substitutions_[i].first);
    for (const std::string& path : there)
        names += fmt::format("{}'{}'", names.empty() ? "" : ", ", path);
    return fail(Errc::invalid_argument,
                fmt::format("no file {} was open when version {} was taken, to be substituted: "
                            "there {}", from, manifest_.version,
                            names.empty() ? "were none" : "are " + names));
}

Result<void> Restoring::restore_files() {
    for (const FoundFile& file : files_) {
        Bytes object;
        std::span<const std::byte> content;
        if (file.state.content) {
            try {
                auto read = dataset_->read(file.member, file.saved_item, file.id);
                if (!read) return tl::unexpected<Failure>(std::move(read).error());
                object = std::move(*read);
            } catch (const std::bad_alloc&) {
                return fail(Errc::out_of_memory, fmt::format("file {}: no memory for its bytes",
                                                             file.state.path));
            }
            content = std::span(object).subspan(file.head.size());
            if (content.size() != file.state.size)
                return fail(Errc::io, fmt::format("file {}: {} of {} bytes were saved",
                                                  file.state.path, content.size(),
                                                  file.state.size));
        }
        SSI_TRY(restore_file(*file.item->system, file.state, content));
        bytes_ += content.size();
    }
    return {};
}

// All nodes know of all.
Result<void> Restoring::share_files() {
    Writer mine;
    for (const FoundFile& file : files_) {
        mine.put(file.saved_item.value);
        mine.put(file.rank);
        mine.block(encode_file(file.state));
    }
    const auto all = gather(doors_.node, mine.bytes());
    if (!all) return tl::unexpected<Failure>(all.error());
    Bytes together;
    for (const Bytes& bytes : *all) together.insert(together.end(), bytes.begin(), bytes.end());
    SSI_TRY(share(doors_.node, together));
    files_.clear();
    for (Reader in(together); in.ok() && !in.rest().empty();) {
        const SetId item(in.get<std::uint32_t>());
        const auto rank = in.get<std::uint32_t>();
        auto state = decode_file(in.block());
        if (!state) return tl::unexpected<Failure>(std::move(state).error());
        FoundFile& file = files_.emplace_back();
        file.item = items_.at(item);
        file.rank = rank;
        file.state = std::move(*state);
    }
    std::ranges::sort(files_, {}, [](const FoundFile& file) {
        return std::pair(file.item->item.name, file.rank);
    });
    return {};
}

Result<void> Restoring::reopen_files() {
    for (const FoundFile& file : files_) {
        if (file.rank != static_cast<std::uint32_t>(doors_.node.rank()) || !file.state.open)
            continue;
        auto opened = reopen_file(*file.item->system, file.state);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        SSI_TRY(guarded([&]() -> Result<void> {
            file.item->file.again(std::move(*opened));
            return {};
        }));
    }
    return {};
}

std::vector<RestartedFile> Restoring::files() const {
    std::vector<RestartedFile> all;
    for (const FoundFile& file : files_)
        if (file.state.open)
            all.push_back({.name = file.item->item.name,
                           .rank = file.rank,
                           .path = file.state.path,
                           .flags = static_cast<int>(file.state.flags),
                           .position = file.state.position,
                           .size = file.state.size});
    return all;
}

}  // namespace ssi::ckpt
