// SPDX-License-Identifier: BSD-3-Clause
// The verbs of `ssi fs` that look at names and change them. Rank 0 acts; the others serve.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "fs_run.hpp"
#include "machine.hpp"
#include "ssi/base/json.hpp"

namespace ssi::cli {
namespace {

constexpr std::size_t piece_bytes = 1u << 20;

void attributes_json(Json& json, const fs::Attributes& of) {
    json.field("type", type_name(of.mode)).field("inode", of.inode);
    json.field("mode", fmt::format("{:04o}", of.mode & 07777u));
    json.field("uid", of.uid).field("gid", of.gid).field("links", of.links);
    json.field("size", of.size).field("blocks", of.blocks);
    json.field("modify_ns", of.modify_ns).field("access_ns", of.access_ns);
    json.field("change_ns", of.change_ns);
}

// Whole listings, in order of names.
Result<std::vector<fs::DirectoryEntry>> list_all(FsRun& run, const std::string& path,
                                                 bool attributes) {
    auto all = run.system().list(path, attributes);
    if (all) std::ranges::sort(*all, {}, &fs::DirectoryEntry::name);
    return all;
}

class Listing {
public:
    explicit Listing(FsRun& run) : run_(run), long_(run.options().with_attributes) {}

    void operand(const std::string& path, bool titled) {
        const auto of = run_.system().stat(path);
        if (!run_.good(of)) return;
        if (!of->is_directory()) return entry(path, path, *of);
        directory(path, titled);
    }
    std::string json_text() { return json_.end().text(); }

private:
    void directory(const std::string& path, bool titled) {
        const bool json = run_.options().json;
        auto entries = list_all(run_, path, long_ || json);
        if (!run_.good(entries)) return;
        if (titled && !json)
            say("{}{}:\n", std::exchange(something_printed_, true) ? "\n" : "",
                readable(path));
        for (const auto& found : *entries) entry(path, found.name, found.attributes);
        if (!run_.options().recursive) return;
        for (const auto& found : *entries)
            if (S_ISDIR(found.type)) directory(join(path, found.name), true);
    }

    void entry(const std::string& path, const std::string& name, const fs::Attributes& of) {
        something_printed_ = true;
        if (run_.options().json) {
            json_.object().field("path", readable(path == name ? path : join(path, name)));
            attributes_json(json_, of);
            json_.end();
        } else if (long_) {
            std::string target;
            if (of.is_symlink())
                if (const auto found = run_.system().read_link(join(path, name)))
                    target = " -> " + readable(*found);
            say("{} {:>3} {:>5} {:>5} {:>12} {} {}{}\n", mode_text(of.mode), of.links,
                of.uid, of.gid, of.size, time_text(of.modify_ns), readable(name), target);
        } else {
            say("{}\n", readable(name));
        }
    }

    FsRun& run_;
    const bool long_;
    bool something_printed_ = false;
    Json json_{std::move(Json().array())};
};

struct Part {
    std::uint64_t bytes = 0, in_memory = 0;
};

// What each volume has of a file.
std::vector<Part> parts_of(const std::vector<fs::Extent>& extents, std::size_t volumes) {
    std::vector<Part> parts(volumes);
    for (const auto& extent : extents) {
        if (extent.volume >= volumes) continue;
        parts[extent.volume].bytes += extent.length;
        if (extent.in_memory) parts[extent.volume].in_memory += extent.length;
    }
    return parts;
}

void stat_one(FsRun& run, const std::string& path, Json& json) {
    const auto of = run.system().stat(path, false);
    if (!run.good(of)) return;
    std::vector<fs::Extent> extents;
    if (of->is_file()) {
        auto file = run.system().open(path, O_RDONLY);
        if (!run.good(file)) return;
        auto found = (*file)->extents();
        if (!run.good(found)) return;
        extents = std::move(*found);
    }
    std::string target;
    if (of->is_symlink())
        if (auto found = run.system().read_link(path)) target = *found;
    const auto found_volumes = run.system().volumes();
    if (!run.good(found_volumes)) return;
    const auto& volumes = *found_volumes;
    const auto parts = parts_of(extents, volumes.size());
    if (run.options().json) {
        json.object().field("path", readable(path));
        attributes_json(json, *of);
        if (of->is_symlink()) json.field("target", readable(target));
        json.field("unit_bytes", of->striping.unit_bytes).field("count", of->striping.count);
        json.field("placement", placement_name(of->striping.placement));
        json.array("volumes");
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (parts[i].bytes == 0) continue;
            json.object().field("volume", static_cast<std::uint64_t>(i));
            json.field("node", volumes[i].node.value).field("label", volumes[i].label);
            json.field("bytes", parts[i].bytes).field("in_memory", parts[i].in_memory).end();
        }
        json.end().end();
        return;
    }
    say("{}{}\n", readable(path), target.empty() ? "" : " -> " + readable(target));
    say("  {} {} inode {} links {} uid {} gid {}\n", type_name(of->mode),
        mode_text(of->mode), of->inode, of->links, of->uid, of->gid);
    say("  {} bytes, modified {}, accessed {}, changed {}\n", of->size,
        time_text(of->modify_ns), time_text(of->access_ns), time_text(of->change_ns));
    if (of->is_symlink()) return;
    say("  stripes of {} over {} volumes{}, {}\n", human_bytes(of->striping.unit_bytes),
        of->striping.count, of->is_directory() ? " for new files" : "",
        placement_name(of->striping.placement));
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (parts[i].bytes > 0)
            say("  volume {} of node {} ({}): {}, {} in its memory\n", i,
                volumes[i].node.value, volumes[i].label, human_bytes(parts[i].bytes),
                human_bytes(parts[i].in_memory));
}

void cat_one(FsRun& run, const std::string& path) {
    auto file = run.system().open(path, O_RDONLY);
    if (!run.good(file)) return;
    std::vector<std::byte> bytes(piece_bytes);
    for (std::uint64_t at = 0;;) {
        const auto got = (*file)->pread(bytes, at);
        if (!run.good(got) || *got == 0) return;
        if (std::fwrite(bytes.data(), 1, *got, stdout) != *got)
            return run.fault({Errc::io, errno, no_node, "cannot write to standard output"});
        at += *got;
    }
}

void remove_one(FsRun& run, const std::string& path) {
    const auto of = run.system().stat(path, false);
    if (!of && of.error().sys_errno == ENOENT && run.options().force) return;
    if (!run.good(of)) return;
    if (!of->is_directory()) {
        run.good(run.system().unlink(path));
        return;
    }
    if (!run.options().recursive)
        return run.fault({Errc::io, EISDIR, no_node, readable(path) + ": is a directory; -r "
                                                                     "removes it"});
    const auto entries = list_all(run, path, false);
    if (!run.good(entries)) return;
    for (const auto& entry : *entries) remove_one(run, join(path, entry.name));
    run.good(run.system().remove_directory(path));
}

Result<std::uint32_t> mode_of(const std::string& text) {
    if (text.empty()) return 0755u;
    std::uint32_t mode = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '7' || text.size() > 5)
            return fail(Errc::invalid_argument, "--mode " + text + " is no octal number");
        mode = mode * 8 + static_cast<std::uint32_t>(digit - '0');
    }
    if (mode > 07777) return fail(Errc::invalid_argument, "--mode " + text + " is too large");
    return mode;
}

void make_one(FsRun& run, const std::string& path, std::uint32_t mode) {
    if (run.options().parents) {
        for (auto at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
            const auto made = run.system().make_directory(path.substr(0, at), 0755);
            if (!made && made.error().sys_errno != EEXIST) return run.fault(made.error());
        }
        if (const auto of = run.system().stat(path); of && of->is_directory()) return;
    }
    run.good(run.system().make_directory(path, mode));
}

}  // namespace

Result<void> fs_df(FsRun& run) {
    if (run.is_first()) {
        const auto space = run.system().space();
        if (!space) return tl::unexpected<Failure>(space.error());
        const auto found_volumes = run.system().volumes();
        if (!found_volumes) return tl::unexpected<Failure>(found_volumes.error());
        const auto& volumes = *found_volumes;
        const std::uint64_t used = space->total_bytes - std::min(space->total_bytes,
                                                                 space->free_bytes);
        if (run.options().json) {
            Json json;
            json.object().field("total_bytes", space->total_bytes);
            json.field("free_bytes", space->free_bytes).field("inodes", space->inodes);
            json.array("volumes");
            for (const auto& volume : volumes)
                json.object().field("node", volume.node.value).field("label", volume.label)
                    .field("id", volume.id.text()).end();
            say("{}\n", json.end().end().text());
        } else {
            say("{} in all, {} used, {} free, {} inodes\n", human_bytes(space->total_bytes),
                human_bytes(used), human_bytes(space->free_bytes), space->inodes);
            for (std::size_t i = 0; i < volumes.size(); ++i)
                say("volume {} of node {}: {}\n", i, volumes[i].node.value,
                    volumes[i].label);
        }
    }
    return {};
}

Result<void> fs_ls(FsRun& run) {
    if (!run.is_first()) return run.verdict();
    Listing listing(run);
    const auto& operands = run.options().operands;
    if (operands.empty()) listing.operand("/", run.options().recursive);
    for (const std::string& path : operands)
        listing.operand(path, operands.size() > 1 || run.options().recursive);
    if (run.options().json) say("{}\n", listing.json_text());
    return run.verdict();
}

Result<void> fs_stat(FsRun& run) {
    Json json;
    json.array();
    auto done = run.each([&](const std::string& path) { stat_one(run, path, json); });
    if (run.is_first() && run.options().json) say("{}\n", json.end().text());
    return done;
}

Result<void> fs_cat(FsRun& run) {
    return run.each([&](const std::string& path) { cat_one(run, path); });
}

Result<void> fs_rm(FsRun& run) {
    return run.each([&](const std::string& path) { remove_one(run, path); });
}

Result<void> fs_mkdir(FsRun& run) {
    const auto mode = mode_of(run.options().mode);
    if (!mode) {
        if (run.is_first()) run.fault(mode.error());
        return run.verdict();
    }
    return run.each([&](const std::string& path) { make_one(run, path, *mode); });
}

Result<void> fs_mv(FsRun& run) {
    if (!run.is_first()) return run.verdict();
    std::vector<std::string> from = run.options().operands;
    const std::string to = from.back();
    from.pop_back();
    const auto of = run.system().stat(to);
    const bool into = of && of->is_directory();
    if (from.size() > 1 && !into)
        run.fault({Errc::io, ENOTDIR, no_node, readable(to) + ": is no directory"});
    else
        for (const std::string& path : from)
            run.good(run.system().rename(path, into ? join(to, last_name(path)) : to));
    return run.verdict();
}

}  // namespace ssi::cli
