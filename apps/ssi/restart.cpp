// SPDX-License-Identifier: BSD-3-Clause
#include "restart.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "checkpoint_stores.hpp"
#include "fs.hpp"
#include "machine.hpp"
#include "ssi/base/json.hpp"
#include "ssi/sys/memory_limits.hpp"
#include "support/progress.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

using ckpt::ItemKind;
using ckpt::Manifest;
using ckpt::MemberIndex;
using ckpt::VersionInfo;

constexpr std::uint32_t partner_level = 2, parity_level = 3;

// Where the parts of one rank are.
struct Part {
    std::vector<std::string> stores;     // that have it; none: it is rebuilt by parity
    bool parity = false;                 // that others share with it is there
};

struct Report {
    std::vector<std::string> passed_over;
    VersionInfo chosen;
    std::vector<Part> parts;             // by member
    ckpt::Verified verified;             // nothing with --quick, or when members are to be rebuilt
    std::set<std::string> files;         // of kDFS, that were open
    bool one_number = false;             // of ranks alone, that of the version
    std::uint64_t bytes_per_rank = 0, available_bytes = 0;
    std::vector<std::string> warnings;
};

bool has(const std::vector<MemberIndex>& members, MemberIndex member) {
    return std::ranges::find(members, member) != members.end();
}

// Of a version whose manifest is there: why its members cannot all be had.
std::string why_not(const VersionInfo& info) {
    const auto& members = info.manifest->members;
    for (MemberIndex lost = 0; lost < members.size(); ++lost) {
        if (has(info.present, lost)) continue;
        const std::string text = fmt::format("member {} of {} is in no directory that was named",
                                             lost, members.size());
        if (members[lost].group == 0) return text;
        for (MemberIndex other = 0; other < members.size(); ++other)
            if (other != lost && members[other].group == members[lost].group &&
                !(has(info.present, other) && has(info.parity, other)))
                return fmt::format("{}, nor what it could be rebuilt of: member {} and the parity "
                                   "kept with it", text, other);
    }
    return {};
}

class DryRun {
public:
    DryRun(const RestartRequest& request, std::vector<ckpt::Store*> stores)
        : request_(request), stores_(std::move(stores)),
          progress_("ssi", speaks_alone(), false, clock_) {}

    Result<Report> run() {
        auto versions = ckpt::list_versions(stores_);
        if (!versions) return tl::unexpected<Failure>(std::move(versions).error());
        std::ranges::reverse(*versions);
        for (VersionInfo& info : *versions) {
            if (request_.version && info.version != *request_.version) continue;
            const auto why = look_at(info);
            if (!why) return tl::unexpected<Failure>(why.error());
            if (why->empty()) {
                report_.chosen = std::move(info);
                describe();
                return std::move(report_);
            }
            report_.passed_over.push_back(fmt::format("version {}: {}", info.version,
                                                      readable(*why)));
        }
        if (report_.passed_over.empty())
            return fail(Errc::not_found, request_.version
                                             ? fmt::format("no version {}", *request_.version)
                                             : "no version was ever committed");
        std::string all;
        for (const std::string& one : report_.passed_over) all += (all.empty() ? "" : "; ") + one;
        return fail(Errc::io, "no version can be used: " + all);
    }

private:
    // Empty: a restart would take it.
    Result<std::string> look_at(const VersionInfo& info) {
        if (!info.manifest) return info.why.empty() ? "it has no manifest" : info.why;
        if (info.state == ckpt::VersionState::damaged) return info.why;
        if (std::string why = why_not(info); !why.empty()) return why;
        report_.verified = {};
        if (request_.quick || info.state != ckpt::VersionState::complete) return std::string();
        auto verified = ckpt::verify_version(
            stores_, info.version, [&](std::uint64_t done, std::uint64_t all) {
                progress_.update([&] {
                    return fmt::format("version {} {} {} of {} verified", info.version,
                                       bar(done, all), human_bytes(done), human_bytes(all));
                });
            });
        progress_.finish();
        if (!verified) return tl::unexpected<Failure>(std::move(verified).error());
        report_.verified = std::move(*verified);
        const auto& faults = report_.verified.faults;
        return faults.empty() ? std::string()
                              : fmt::format("{}: {}", counted(faults.size(), "fault"),
                                            faults.front());
    }

    void describe() {
        const Manifest& manifest = *report_.chosen.manifest;
        find_parts(manifest);
        find_files(manifest);
        const std::uint64_t ranks = request_.ranks != 0 ? request_.ranks : manifest.ranks;
        std::uint64_t bytes = 0;
        for (const ckpt::Item& item : manifest.items) {
            if (item.kind != ItemKind::file) bytes += item.bytes;
            report_.one_number = report_.one_number || item.kind == ItemKind::span ||
                                 item.kind == ItemKind::state;
        }
        report_.bytes_per_rank = (bytes + ranks - 1) / std::max<std::uint64_t>(ranks, 1);
        report_.available_bytes = sys::tightest(sys::read_memory_limits()).left_bytes();
        if (report_.bytes_per_rank > report_.available_bytes)
            report_.warnings.push_back(fmt::format(
                "{} a rank are more than the {} that are available on this host",
                human_bytes(report_.bytes_per_rank), human_bytes(report_.available_bytes)));
    }

    void find_parts(const Manifest& manifest) {
        const auto count = static_cast<MemberIndex>(manifest.members.size());
        report_.parts.resize(count);
        for (MemberIndex member = 0; member < count; ++member) {
            Part& part = report_.parts[member];
            for (ckpt::Store* store : stores_)
                if (const auto there = store->member(manifest.version, member);
                    there && there->dataset == manifest.dataset)
                    part.stores.push_back(store->name());
            part.parity = has(report_.chosen.parity, member);
            if (part.stores.empty())
                report_.warnings.push_back(fmt::format("member {} is rebuilt by parity", member));
            else if (manifest.level == partner_level && part.stores.size() < 2)
                report_.warnings.push_back(fmt::format("member {} has no second copy", member));
            else if (manifest.level == parity_level && !part.parity)
                report_.warnings.push_back(fmt::format("the parity kept with member {} is lost",
                                                       member));
        }
    }

    void find_files(const Manifest& manifest) {
        if (std::ranges::none_of(manifest.items, [](const ckpt::Item& item) {
                return item.kind == ItemKind::file;
            }))
            return;
        const auto dataset = ckpt::Dataset::open_part(stores_, manifest);
        if (!dataset) return;
        for (const ckpt::Item& item : manifest.items)
            for (MemberIndex member = 0; member < manifest.members.size(); ++member) {
                if (item.kind != ItemKind::file || report_.parts[member].stores.empty()) continue;
                const auto path = (*dataset)->path_of_file(member, item.id, ObjectId(member, 0));
                if (path && !path->empty()) report_.files.insert(readable(*path));
            }
    }

    const RestartRequest& request_;
    const std::vector<ckpt::Store*> stores_;
    RealClock clock_;
    support::Progress progress_;
    Report report_;
};

void print_text(const RestartRequest& request, const Report& report) {
    const Manifest& manifest = *report.chosen.manifest;
    for (const std::string& one : report.passed_over) say("passed over: {}\n", one);
    say("version {} of {}, taken {} UTC by {} ranks: {}\n", manifest.version,
        readable(manifest.application), time_text(manifest.time), manifest.ranks,
        report.verified.bytes != 0 ? human_bytes(report.verified.bytes) + " verified"
                                   : "not verified to the last byte");
    for (std::size_t member = 0; member < report.parts.size(); ++member) {
        std::string where;
        for (const std::string& store : report.parts[member].stores)
            where += (where.empty() ? "" : ", ") + store;
        say("member {}: {}{}\n", member, where.empty() ? "rebuilt by parity" : where,
            report.parts[member].parity ? ", with parity of others" : "");
    }
    for (const std::string& path : report.files) say("file of kDFS: {}\n", path);
    say("ranks: {}\n", report.one_number ? fmt::format("{} alone", manifest.ranks) : "any number");
    say("memory: {} a rank on {}, {} available on this host\n", human_bytes(report.bytes_per_rank),
        request.ranks != 0 ? request.ranks : manifest.ranks, human_bytes(report.available_bytes));
    for (const std::string& warning : report.warnings) say("warning: {}\n", warning);
}

void print_json(const RestartRequest& request, const Report& report) {
    const Manifest& manifest = *report.chosen.manifest;
    Json json;
    json.object().field("version", manifest.version);
    json.field("application", readable(manifest.application)).field("time_ns", manifest.time);
    json.field("build", readable(manifest.build)).field("number", manifest.user_number);
    json.field("saved_ranks", manifest.ranks).field("any_ranks", !report.one_number);
    json.field("ranks", request.ranks != 0 ? request.ranks : manifest.ranks);
    json.field("verified_bytes", report.verified.bytes);
    json.field("bytes_per_rank", report.bytes_per_rank);
    json.field("available_bytes", report.available_bytes).array("members");
    for (const Part& part : report.parts) {
        json.object().field("parity", part.parity).array("stores");
        for (const std::string& store : part.stores) json.value(readable(store));
        json.end().end();
    }
    json.end().array("files");
    for (const std::string& path : report.files) json.value(path);
    json.end().array("passed_over");
    for (const std::string& one : report.passed_over) json.value(one);
    json.end().array("warnings");
    for (const std::string& one : report.warnings) json.value(one);
    say("{}\n", json.end().end().text());
}

Result<void> fits(const RestartRequest& request, const Report& report) {
    const std::uint32_t saved = report.chosen.manifest->ranks;
    if (!report.one_number || request.ranks == 0 || request.ranks == saved) return {};
    return fail(Errc::unsupported,
                fmt::format("version {} has memory of each of the {} ranks that saved it: it goes "
                            "on on {} alone, not on {}", report.chosen.version, saved, saved,
                            request.ranks));
}

// Beside this program, or as a shell would find it.
std::string relaunch_program() {
    char self[4096];
    const auto length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length > 0) {
        const std::string path(self, static_cast<std::size_t>(length));
        const std::string beside = path.substr(0, path.rfind('/') + 1) + "ssi-relaunch";
        if (::access(beside.c_str(), X_OK) == 0) return beside;
    }
    return find_program("ssi-relaunch");
}

// The program is told of the directory that was looked at, in the words it understands.
Result<void> tell_where(const std::vector<std::string>& directories) {
    constexpr const char* variable = "SSI_CHECKPOINT_DIRECTORY";
    if (directories.size() != 1) return {};
    const std::string& directory = directories.front();
    std::error_code none;
    if (std::filesystem::is_directory(directory + "/0", none))
        return fail(Errc::invalid_argument,
                    fmt::format("{} has a store for each rank: name it as the program knows it, "
                                "'{}/%n'", directory, directory));
    const char* const set = std::getenv(variable);
    if (set && set != directory)
        return fail(Errc::invalid_argument,
                    fmt::format("{} is '{}', and '{}' was looked at: name one of them", variable,
                                set, directory));
    ::setenv(variable, directory.c_str(), 1);
    return {};
}

Result<void> launch(const RestartRequest& request) {
    const std::string program = relaunch_program();
    if (program.empty())
        return fail(Errc::not_found, "ssi-relaunch is neither beside this program nor in PATH");
    std::string files;
    for (const std::string& one : request.substitutions) files += (files.empty() ? "" : ";") + one;
    if (!files.empty()) ::setenv("SSI_CHECKPOINT_SUBSTITUTE", files.c_str(), 1);
    SSI_TRY(tell_where(request.directories));
    std::vector<std::string> words{program, "--"};
    words.insert(words.end(), request.launcher.begin(), request.launcher.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::fflush(stdout);
    ::execv(program.c_str(), arguments.data());
    return fail_errno(Errc::io, errno, "cannot run " + program);
}

}  // namespace

Result<void> run_restart(const Config& config, const RestartRequest& request) {
    std::vector<std::string> directories = request.directories;
    if (directories.empty() && !config.text("checkpoint.directory").empty())
        directories = {config.text("checkpoint.directory")};
    if (directories.empty())
        return fail(Errc::invalid_argument, "restart: DIR is needed, a directory of checkpoints, "
                                            "or the setting checkpoint.directory");
    if (!request.dry_run && request.launcher.empty())
        return fail(Errc::invalid_argument,
                    "restart: --dry-run, or how the program is started: ssi restart DIR -- mpirun "
                    "-n 8 PROGRAM --restart");
    const auto opened = open_stores(directories);
    if (!opened) return tl::unexpected<Failure>(opened.error());
    RestartRequest look = request;
    look.quick = look.quick || !request.dry_run;   // the program verifies what it reads
    const auto report = DryRun(look, opened->all()).run();
    if (!report) return tl::unexpected<Failure>(report.error());
    if (!request.dry_run) return launch(request);
    request.json ? print_json(request, *report) : print_text(request, *report);
    return fits(request, *report);
}

}  // namespace ssi::cli
