// SPDX-License-Identifier: BSD-3-Clause
// What versions say of themselves, by their manifests.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint.hpp"
#include "machine.hpp"
#include "ssi/base/json.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

using ckpt::Manifest;
using ckpt::MemberInfo;
using ckpt::VersionInfo;
using ckpt::VersionNumber;
using ckpt::VersionState;

const char* state_name(VersionState state) {
    return state == VersionState::complete     ? "complete"
           : state == VersionState::incomplete ? "incomplete"
                                               : "damaged";
}

const char* state_text(const VersionInfo& info) {
    const bool writing = info.writing && info.state == VersionState::incomplete;
    return writing ? "being written" : state_name(info.state);
}

std::string level_name(std::uint32_t level) {
    constexpr std::array names{"memory", "local", "partner", "parity", "global"};
    return level < names.size() ? names[level] : fmt::format("level {}", level);
}

struct Sums {
    std::uint64_t file_bytes = 0, objects = 0, object_bytes = 0;
};
Sums sums_of(const Manifest& manifest) {
    Sums sums;
    for (const MemberInfo& member : manifest.members) {
        sums.file_bytes += member.log.bytes;
        sums.objects += member.objects;
        sums.object_bytes += member.bytes;
    }
    return sums;
}

// Older versions that are needed to read it, and that those need: as far as their manifests tell.
std::vector<VersionNumber> chain_of(const Manifest& manifest,
                                    const std::vector<VersionInfo>& versions) {
    std::vector<VersionNumber> chain = bases_of(manifest);
    for (std::size_t i = 0; i < chain.size(); ++i)
        for (const VersionInfo& info : versions)
            if (info.version == chain[i] && info.manifest)
                for (const VersionNumber base : bases_of(*info.manifest))
                    if (std::ranges::find(chain, base) == chain.end()) chain.push_back(base);
    std::ranges::sort(chain);
    return chain;
}

void add_numbers(Json& json, const char* key, const std::vector<VersionNumber>& numbers) {
    json.array(key);
    for (const VersionNumber number : numbers) json.value(number);
    json.end();
}

// Into an object that is open; what list and show both tell.
void add_version(Json& json, const VersionInfo& info) {
    json.field("version", info.version).field("state", state_name(info.state));
    json.field("writing", info.writing);
    if (!info.why.empty()) json.field("why", readable(info.why));
    json.array("present");
    for (const ckpt::MemberIndex member : info.present) json.value(member);
    json.end().array("parity");
    for (const ckpt::MemberIndex member : info.parity) json.value(member);
    json.end();
    if (!info.manifest) return;
    const Manifest& manifest = *info.manifest;
    const Sums sums = sums_of(manifest);
    json.field("dataset", manifest.dataset.text());
    json.field("application", readable(manifest.application));
    json.field("build", readable(manifest.build)).field("session", readable(manifest.session));
    json.field("description", readable(manifest.description)).field("time_ns", manifest.time);
    json.field("level", level_name(manifest.level)).field("ranks", manifest.ranks);
    json.field("number", manifest.user_number).field("file_bytes", sums.file_bytes);
    json.field("objects", sums.objects).field("object_bytes", sums.object_bytes);
    json.field("chain", manifest.chain());
    add_numbers(json, "refers_to", bases_of(manifest));
}

// ---- list

using Row = std::vector<std::string>;

// The last column is as long as it is; those for which `right` has an 'r' are numbers.
void print_table(const std::vector<Row>& rows, std::string_view right) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - row[i].size(), ' ');
            line += (i ? "  " : "") + (right[i] == 'r' ? space + row[i] : row[i] + space);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        say("{}\n", line);
    }
}

Row row_of(const VersionInfo& info) {
    if (!info.manifest)
        return {std::to_string(info.version), state_text(info), "", "", "", "", "", ""};
    const Manifest& manifest = *info.manifest;
    const auto bases = bases_of(manifest);
    return {std::to_string(info.version), state_text(info), time_text(manifest.time),
            std::to_string(manifest.ranks), human_bytes(sums_of(manifest).file_bytes),
            bases.empty() ? "-" : numbers_text(bases), readable(manifest.application),
            readable(manifest.description)};
}

void print_list(const std::vector<VersionInfo>& versions) {
    std::vector<Row> rows{{"version", "state", "taken (UTC)", "ranks", "size", "refers to",
                           "application", "description"}};
    for (const VersionInfo& info : versions) rows.push_back(row_of(info));
    print_table(rows, "rllrrlll");
    for (const VersionInfo& info : versions)
        if (!info.why.empty()) say("version {}: {}\n", info.version, readable(info.why));
}

// ---- show

// Where a member lies; empty: it is not there.
std::string place_of(const CheckpointRun& run, const MemberInfo& member) {
    for (ckpt::Store* store : run.stores) {
        const auto found = store->member(member.version, member.member);
        if (found && *found == member)
            return fmt::format("{}/v{}/m{}", store->name(), member.version, member.member);
    }
    return {};
}

// The parity that is kept with a member.
struct KeptParity {
    std::string place;                   // empty: it is not there
    std::uint64_t bytes = 0;
};
KeptParity parity_of(const CheckpointRun& run, const MemberInfo& member) {
    for (ckpt::Store* store : run.stores)
        if (const auto bytes = store->parity_bytes(member.version, member.member))
            return {fmt::format("{}/v{}/p{}", store->name(), member.version, member.member),
                    *bytes};
    return {};
}

std::string parity_text(const CheckpointRun& run, const Manifest& manifest,
                        const MemberInfo& member) {
    std::vector<VersionNumber> others;
    for (const ckpt::MemberIndex other : manifest.group_of(member.member))
        if (other != member.member) others.push_back(other);
    const KeptParity kept = parity_of(run, member);
    return fmt::format("    with {} of parity with {} {} in {}\n", human_bytes(kept.bytes),
                       others.size() == 1 ? "member" : "members", numbers_text(others),
                       kept.place.empty() ? "no place: it is not there" : readable(kept.place));
}

void show_json(const CheckpointRun& run, const VersionInfo& info,
               const std::vector<VersionNumber>& chain) {
    const Manifest& manifest = *info.manifest;
    Json json;
    json.object();
    add_version(json, info);
    add_numbers(json, "needs", chain);
    json.field("user_bytes", std::uint64_t{manifest.user_bytes.size()}).array("members");
    for (const MemberInfo& member : manifest.members) {
        json.object().field("member", member.member).field("rank", member.rank);
        json.field("host", readable(member.host)).field("device", readable(member.device));
        json.field("directory", readable(place_of(run, member)));
        json.field("segments", member.log.segments).field("records", member.log.records);
        json.field("file_bytes", member.log.bytes).field("objects", member.objects);
        json.field("object_bytes", member.bytes).field("chain", member.chain);
        std::vector<VersionNumber> bases;
        for (const ckpt::BaseVersion& base : member.bases) bases.push_back(base.version);
        add_numbers(json, "refers_to", bases);
        if (member.group != 0) {
            const KeptParity kept = parity_of(run, member);
            json.array("group");
            for (const ckpt::MemberIndex other : manifest.group_of(member.member))
                json.value(other);
            json.end().field("parity_directory", readable(kept.place));
            json.field("parity_bytes", kept.bytes);
        }
        json.end();
    }
    json.end().array("items");
    for (const ckpt::Item& item : manifest.items)
        json.object().field("kind", item_kind_name(item.kind)).field("id", item.id.value)
            .field("name", readable(item.name)).field("objects", item.objects)
            .field("bytes", item.bytes).end();
    say("{}\n", json.end().end().text());
}

void show_text(const CheckpointRun& run, const VersionInfo& info,
               const std::vector<VersionNumber>& chain) {
    const Manifest& manifest = *info.manifest;
    const Sums sums = sums_of(manifest);
    say("version {}: {}{}\n", info.version, state_text(info),
        info.why.empty() ? "" : ": " + readable(info.why));
    say("  description  {}\n", readable(manifest.description));
    say("  application  {}, build {}\n", readable(manifest.application), readable(manifest.build));
    say("  session      {}, {}\n", readable(manifest.session), counted(manifest.ranks, "rank"));
    say("  dataset      {}\n", manifest.dataset.text());
    say("  taken        {} UTC, level {}\n", time_text(manifest.time), level_name(manifest.level));
    say("  number       {}, and {} of the application's\n", manifest.user_number,
        counted(manifest.user_bytes.size(), "byte"));
    say("  size         {} in files; {} of {}\n", human_bytes(sums.file_bytes),
        counted(sums.objects, "object"), human_bytes(sums.object_bytes));
    say("  needs        {}\n", chain.empty()       ? "no other version"
                               : chain.size() == 1 ? "version " + numbers_text(chain)
                                                   : "versions " + numbers_text(chain));
    for (const MemberInfo& member : manifest.members) {
        const std::string place = place_of(run, member);
        say("  member {}: rank {}, host {}{}, {}, {} in {}, {}\n", member.member, member.rank,
            readable(member.host),
            member.device.empty() ? "" : ", device " + readable(member.device),
            counted(member.objects, "object"), human_bytes(member.log.bytes),
            counted(member.log.segments, "segment"), place.empty() ? "not there" : readable(place));
        if (member.group != 0) say("{}", parity_text(run, manifest, member));
    }
    for (const ckpt::Item& item : manifest.items)
        say("  {} {} ({}): {}, {}\n", item_kind_name(item.kind), readable(item.name),
            item.id.value, counted(item.objects, "object"), human_bytes(item.bytes));
}

}  // namespace

Result<void> checkpoint_list(const CheckpointRun& run) {
    const auto versions = ckpt::list_versions(run.stores);
    if (!versions) return tl::unexpected<Failure>(versions.error());
    if (!run.request.json) {
        print_list(*versions);
        return {};
    }
    Json json;
    json.object().array("stores");
    for (const ckpt::Store* store : run.stores) json.value(readable(store->name()));
    json.end().array("versions");
    for (const VersionInfo& info : *versions) {
        json.object();
        add_version(json, info);
        json.end();
    }
    say("{}\n", json.end().end().text());
    return {};
}

Result<void> checkpoint_show(const CheckpointRun& run) {
    const auto chosen = choose_version(run);
    if (!chosen) return tl::unexpected<Failure>(chosen.error());
    if (!chosen->manifest) {
        // Whoever opens it is told the same, with its code.
        const auto opened = ckpt::Dataset::open(run.stores, chosen->version);
        if (!opened) return tl::unexpected<Failure>(opened.error());
        return fail(Errc::would_block, fmt::format("version {} was committed only now: ask again",
                                                   chosen->version));
    }
    const auto versions = ckpt::list_versions(run.stores);
    if (!versions) return tl::unexpected<Failure>(versions.error());
    const auto chain = chain_of(*chosen->manifest, *versions);
    run.request.json ? show_json(run, *chosen, chain) : show_text(run, *chosen, chain);
    return {};
}

}  // namespace ssi::cli
