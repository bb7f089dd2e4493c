// SPDX-License-Identifier: BSD-3-Clause
// The verbs of `ssi fs` about where bytes lie: setstripe, getstripe, cache; check and scrub.
#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>
#include <span>
#include <vector>

#include "fs_run.hpp"
#include "machine.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/base/json.hpp"
#include "support/progress.hpp"

namespace ssi::cli {
namespace {

Result<fs::Striping> striping_of(const FsOptions& options) {
    fs::Striping striping;
    if (!options.unit.empty()) {
        const auto bytes = parse_bytes(options.unit);
        if (!bytes || !std::has_single_bit(*bytes) || *bytes < (64u << 10) || *bytes > (2u << 30))
            return fail(Errc::invalid_argument,
                        "--unit " + options.unit + " is no power of two from 64K to 2G");
        striping.unit_bytes = *bytes;
    }
    if (!options.count.empty()) {
        const char* end = options.count.data() + options.count.size();
        const auto [at, error] = std::from_chars(options.count.data(), end, striping.count);
        if (error != std::errc{} || at != end || striping.count < 1 || striping.count > 255)
            return fail(Errc::invalid_argument, "--count " + options.count + " is not 1 to 255");
    }
    if (options.placement == "spread")
        striping.placement = fs::Placement::spread;
    else if (options.placement == "local-first")
        striping.placement = fs::Placement::local_first;
    else if (!options.placement.empty() && options.placement != "inherit")
        return fail(Errc::invalid_argument, "--placement " + options.placement +
                                                " is none of inherit, spread, local-first");
    if (striping == fs::Striping{} && options.placement.empty())
        return fail(Errc::invalid_argument, "--unit, --count or --placement is needed");
    return striping;
}

void set_one(FsRun& run, const std::string& path, const fs::Striping& striping) {
    const auto of = run.system().stat(path);
    if (!of) {
        if (of.error().sys_errno != ENOENT) return run.fault(of.error());
        run.good(run.system().open(path, O_CREAT | O_EXCL | O_WRONLY, 0666, striping));
        return;
    }
    if (!of->is_directory())
        return run.fault({Errc::exists, EEXIST, no_node, readable(path) + ": a file keeps the "
                                                         "stripes it was made with"});
    fs::AttributeChange change;
    change.striping = striping;
    if (striping.placement == fs::Placement::inherit && run.options().placement.empty())
        change.striping->placement = of->striping.placement;
    run.good(run.system().set_attributes(path, change, true));
}

void each_below(FsRun& run, const std::string& path, bool recursive,
                const std::function<void(const std::string&, const fs::Attributes&)>& body) {
    walk(run.system(), path, recursive, body, [&](const Failure& failure) { run.fault(failure); });
}

std::vector<std::string> operands_or_root(const FsRun& run) {
    return run.options().operands.empty() ? std::vector<std::string>{"/"}
                                          : run.options().operands;
}

struct Scrubbed {
    std::uint64_t files = 0, bytes = 0, faults = 0;
};

constexpr std::size_t page_bytes = 64u << 10;   // has a checksum of its own

// Every rank reads each n-th file, past what memory has of it.
class Scrub {
public:
    explicit Scrub(FsRun& run)
        : run_(run), bytes_(4u << 20),
          progress_("ssi", run.is_first(), run.options().progress, clock_) {}
    Scrubbed all() {
        const auto ranks = static_cast<std::uint64_t>(run_.session().size());
        const auto rank = static_cast<std::uint64_t>(run_.session().rank());
        for (const std::string& path : operands_or_root(run_))
            each_below(run_, path, true, [&](const std::string& below, const fs::Attributes& of) {
                if (of.is_file() && next_++ % ranks == rank) file(below);
            });
        progress_.finish();
        return done_;
    }

private:
    void file(const std::string& path) {
        ++done_.files;
        auto file = run_.system().open(path, O_RDONLY);
        const auto of = file ? (*file)->stat() : Result<fs::Attributes>();
        if (!file || !of) return wrong(path, file ? of.error() : file.error());
        for (std::uint64_t at = 0; at < of->size; at += bytes_.size()) {
            // Where something is wrong, each page is read by itself, so that all faults are named.
            if (!read(path, **file, at, bytes_.size(), false))
                for (std::uint64_t page = 0; page < bytes_.size() && at + page < of->size;
                     page += page_bytes)
                    read(path, **file, at + page, page_bytes, true);
            progress_.update([&] {
                return fmt::format("{} files, {} read by this rank", done_.files,
                                   human_bytes(done_.bytes));
            });
        }
    }
    bool read(const std::string& path, TreeFile& file, std::uint64_t at, std::size_t length,
              bool last_word) {
        const auto got = file.pread(std::span(bytes_).first(length), at);
        if (got)
            done_.bytes += *got;
        else if (last_word)
            wrong(fmt::format("{}, from byte {}", path, at), got.error());
        return got.has_value();
    }
    void wrong(const std::string& where, Failure failure) {
        ++done_.faults;
        failure.text = readable(where) + ": " + failure.text;
        run_.fault(failure);
    }

    FsRun& run_;
    std::vector<std::byte> bytes_;
    std::uint64_t next_ = 0;
    Scrubbed done_;
    const RealClock clock_;
    support::Progress progress_;
};

std::string json_of(const fs::CheckReport& report) {
    return Json().object().field("directories", report.directories).field("files", report.files)
        .field("others", report.others).field("entries", report.entries)
        .field("problems", report.problems).field("repaired", report.repaired)
        .field("unsettled", report.unsettled).end().text();
}

std::string words_of(const fs::CheckReport& report) {
    std::string text = fmt::format("{} directories, {} files, {} others, {} entries: ",
                                   report.directories, report.files, report.others,
                                   report.entries);
    text += report.problems == 0 ? std::string("no fault")
                                 : fmt::format("{} faults, {} repaired", report.problems,
                                               report.repaired);
    if (report.unsettled != 0)
        text += fmt::format("; {} things changed whenever they were looked at: check again when "
                            "less is going on", report.unsettled);
    return text;
}

}  // namespace

Result<void> fs_setstripe(FsRun& run) {
    const auto striping = striping_of(run.options());
    if (!striping) {
        if (run.is_first()) run.fault(striping.error());
        return run.verdict();
    }
    return run.each([&](const std::string& path) { set_one(run, path, *striping); });
}

Result<void> fs_getstripe(FsRun& run) {
    Json json;
    json.array();
    const bool as_json = run.options().json;
    auto done = run.each([&](const std::string& operand) {
        each_below(run, operand, run.options().recursive,
                   [&](const std::string& path, const fs::Attributes& of) {
                       if (of.is_symlink()) return;
                       const fs::Striping& how = of.striping;
                       if (as_json)
                           json.object().field("path", readable(path))
                               .field("unit_bytes", how.unit_bytes).field("count", how.count)
                               .field("placement", placement_name(how.placement)).end();
                       else
                           say("{}: stripes of {} over {} volumes, {}\n", readable(path),
                               human_bytes(how.unit_bytes), how.count,
                               placement_name(how.placement));
                   });
    });
    if (run.is_first() && as_json) say("{}\n", json.end().text());
    return done;
}

Result<void> fs_cache(FsRun& run) {
    if (run.options().drop) run.good(run.system().drop_caches());
    run.session().barrier();
    if (!run.is_first()) return run.verdict();
    std::map<std::uint32_t, std::uint64_t> by_node;
    std::uint64_t files = 0, bytes = 0;
    for (const std::string& operand : operands_or_root(run))
        each_below(run, operand, true, [&](const std::string& path, const fs::Attributes& of) {
            if (!of.is_file()) return;
            ++files;
            auto file = run.system().open(path, O_RDONLY);
            if (!run.good(file)) return;
            const auto extents = (*file)->extents();
            if (!run.good(extents)) return;
            for (const auto& extent : *extents) {
                bytes += extent.length;
                if (extent.in_memory) by_node[extent.node.value] += extent.length;
            }
        });
    if (run.options().json) {
        Json json;
        json.object().field("files", files).field("bytes", bytes).array("nodes");
        for (const auto& [node, held] : by_node)
            json.object().field("node", node).field("in_memory", held).end();
        say("{}\n", json.end().end().text());
    } else {
        say("{} files, {}\n", files, human_bytes(bytes));
        for (const auto& [node, held] : by_node)
            say("node {}: {} in memory\n", node, human_bytes(held));
    }
    return run.verdict();
}

Result<void> fs_check(FsRun& run) {
    const bool running = run.options().volumes.empty();
    if (running && !run.is_first()) return {};
    const auto report = run.system().check(run.options().repair);
    if (!report) {
        Failure failure = report.error();
        if (!run.is_first()) failure.text.clear();   // the same on every rank
        return tl::unexpected<Failure>(std::move(failure));
    }
    const std::uint64_t left = report->problems - std::min(report->problems, report->repaired);
    for (const std::string& text : report->texts)
        fmt::print(stderr, "ssi: {}{}\n",
                   running ? "" : fmt::format("node {}: ", run.session().node().value), text);
    if (run.is_first()) say("{}\n", run.options().json ? json_of(*report) : words_of(*report));
    if (left == 0) return {};
    if (!run.is_first()) return fail(Errc::io, "");
    return fail(Errc::io, fmt::format("{} faults; {} mends them", left,
                                      running ? "when the session has ended, ssi fs --volume "
                                                "DIR/%n check --repair"
                                              : "--repair"));
}

Result<void> fs_scrub(FsRun& run) {
    run.good(run.system().drop_caches());
    run.session().barrier();
    const Scrubbed mine = Scrub(run).all();
    const auto sum = [&](std::uint64_t value) { return run.session().reduce(value, Reduce::sum); };
    const Scrubbed all{sum(mine.files), sum(mine.bytes), sum(mine.faults)};
    if (run.is_first()) {
        if (run.options().json)
            say("{}\n", Json().object().field("files", all.files).field("bytes", all.bytes)
                            .field("faults", all.faults).end().text());
        else
            say("{} files, {} read, {}\n", all.files, human_bytes(all.bytes),
                all.faults ? fmt::format("{} faults", all.faults) : "no fault");
    }
    return run.verdict();
}

}  // namespace ssi::cli
