// SPDX-License-Identifier: BSD-3-Clause
#include "manifest.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ssi::ckpt {
namespace {

// Least bytes of entries of lists, for counts that damage made large.
constexpr std::size_t least_member = 64;
constexpr std::size_t least_item = 32;
constexpr std::size_t base_bytes = 24;

void put(Writer& out, const DatasetId& id) {
    out.put(id.high);
    out.put(id.low);
}
DatasetId get_id(Reader& in) {
    DatasetId id;
    id.high = in.get<std::uint64_t>();
    id.low = in.get<std::uint64_t>();
    return id;
}

// What a manifest says of a member beyond what it says of all.
void put_member(Writer& out, const MemberInfo& m) {
    out.put(m.rank);
    out.put(m.chain);
    out.text(m.host);
    out.text(m.device);
    out.put(m.log.segments);
    out.put(m.log.records);
    out.put(m.log.bytes);
    out.put(m.log.digest.low);
    out.put(m.log.digest.high);
    out.put(m.objects);
    out.put(m.bytes);
    out.put(m.group);
    out.put(std::uint32_t{0});   // reserved
    out.put(static_cast<std::uint32_t>(m.bases.size()));
    for (const BaseVersion& base : m.bases) {
        out.put(base.version);
        put(out, base.dataset);
    }
}

MemberInfo get_member(Reader& in) {
    MemberInfo m;
    m.rank = in.get<std::uint32_t>();
    m.chain = in.get<std::uint32_t>();
    m.host = in.text();
    m.device = in.text();
    m.log.segments = in.get<std::uint64_t>();
    m.log.records = in.get<std::uint64_t>();
    m.log.bytes = in.get<std::uint64_t>();
    m.log.digest.low = in.get<std::uint64_t>();
    m.log.digest.high = in.get<std::uint64_t>();
    m.objects = in.get<std::uint64_t>();
    m.bytes = in.get<std::uint64_t>();
    m.group = in.get<std::uint32_t>();
    in.expect_zero(in.get<std::uint32_t>());
    const std::uint32_t bases = in.count(base_bytes);
    for (std::uint32_t i = 0; i < bases; ++i) {
        const auto version = in.get<std::uint64_t>();
        m.bases.push_back({version, get_id(in)});
    }
    return m;
}

std::string wrong_with(const MemberInfo& m) {
    if (m.version == 0) return "version 0";
    if (m.chain > max_chain || (m.chain == 0) != m.bases.empty())
        return fmt::format("a chain of {} versions for {} bases", m.chain, m.bases.size());
    for (std::size_t i = 0; i < m.bases.size(); ++i)
        if (m.bases[i].version == 0 || m.bases[i].version >= m.version ||
            (i > 0 && m.bases[i - 1].version >= m.bases[i].version))
            return fmt::format("base version {} of version {}", m.bases[i].version, m.version);
    return "";
}

// The first one of a group names it, and is not alone.
std::string wrong_with_groups(const std::vector<MemberInfo>& members) {
    std::vector<std::size_t> count(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        const std::size_t group = members[i].group;
        if (group == 0) continue;
        if (group - 1 > i || members[group - 1].group != group)
            return fmt::format("member {} in group {}", i, group);
        ++count[group - 1];
    }
    const auto alone = std::ranges::find(count, std::size_t{1});
    return alone == count.end() ? "" : fmt::format("a group of member {} alone",
                                                   alone - count.begin());
}

std::string wrong_with(const Manifest& m) {
    if (m.version == 0) return "version 0";
    for (const std::string* text : {&m.application, &m.build, &m.session, &m.description})
        if (text->size() > longest_text) return fmt::format("a text of {} bytes", text->size());
    if (m.user_bytes.size() > longest_bytes)
        return fmt::format("{} bytes of user data", m.user_bytes.size());
    for (std::size_t i = 0; i < m.members.size(); ++i) {
        const MemberInfo& member = m.members[i];
        if (member.member != i || member.dataset != m.dataset || member.version != m.version)
            return fmt::format("member {} at place {}", member.member, i);
        if (const auto wrong = wrong_with(member); !wrong.empty())
            return fmt::format("member {}: {}", i, wrong);
    }
    if (const auto wrong = wrong_with_groups(m.members); !wrong.empty()) return wrong;
    for (const Item& item : m.items)
        if (item.kind < ItemKind::set || item.kind > ItemKind::state ||
            item.name.size() > longest_text || item.options.size() > longest_bytes)
            return fmt::format("item \"{}\" of kind {}", item.name,
                               static_cast<std::uint32_t>(item.kind));
    return "";
}

tl::unexpected<Failure> senseless(const std::string& what) {
    return fail(Errc::io, "damaged: it makes no sense: " + what);
}

void get_rest(Reader& in, Manifest& m) {
    const std::uint32_t members = in.count(least_member);
    for (std::uint32_t i = 0; i < members && in.ok(); ++i) {
        MemberInfo member = get_member(in);
        member.dataset = m.dataset;
        member.version = m.version;
        member.member = i;
        m.members.push_back(std::move(member));
    }
    const std::uint32_t items = in.count(least_item);
    for (std::uint32_t i = 0; i < items && in.ok(); ++i) {
        Item item;
        item.kind = static_cast<ItemKind>(in.get<std::uint32_t>());
        item.id = SetId{in.get<std::uint32_t>()};
        item.name = in.text();
        item.options = in.block();
        item.objects = in.get<std::uint64_t>();
        item.bytes = in.get<std::uint64_t>();
        m.items.push_back(std::move(item));
    }
}

}  // namespace

const char* item_kind_name(ItemKind kind) {
    constexpr const char* names[] = {"none", "set", "span", "array", "channel", "file", "state"};
    const auto index = static_cast<std::size_t>(kind);
    return index < std::size(names) ? names[index] : "unknown";
}

std::uint32_t Manifest::chain() const {
    std::uint32_t longest = 0;
    for (const MemberInfo& member : members) longest = std::max(longest, member.chain);
    return longest;
}

std::vector<BaseVersion> Manifest::bases() const {
    std::vector<BaseVersion> all;
    for (const MemberInfo& member : members)
        all.insert(all.end(), member.bases.begin(), member.bases.end());
    std::ranges::sort(all, {}, &BaseVersion::version);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

std::vector<MemberIndex> Manifest::group_of(MemberIndex member) const {
    std::vector<MemberIndex> group;
    if (member >= members.size() || members[member].group == 0) return group;
    for (const MemberInfo& other : members)
        if (other.group == members[member].group) group.push_back(other.member);
    return group;
}

Result<void> check_manifest(const Manifest& manifest) {
    if (const auto wrong = wrong_with(manifest); !wrong.empty())
        return fail(Errc::invalid_argument, "no manifest has " + wrong);
    return {};
}

std::vector<std::byte> encode_manifest(const Manifest& m) {
    Writer out;
    put(out, m.dataset);
    out.put(m.version);
    out.put(static_cast<std::uint64_t>(m.time));
    out.put(m.level);
    out.put(m.ranks);
    out.put(m.user_number);
    out.put(std::uint64_t{0});   // reserved
    out.put(std::uint64_t{0});
    out.text(m.application);
    out.text(m.build);
    out.text(m.session);
    out.text(m.description);
    out.block(m.user_bytes);
    out.put(static_cast<std::uint32_t>(m.members.size()));
    for (const MemberInfo& member : m.members) put_member(out, member);
    out.put(static_cast<std::uint32_t>(m.items.size()));
    for (const Item& item : m.items) {
        out.put(static_cast<std::uint32_t>(item.kind));
        out.put(item.id.value);
        out.text(item.name);
        out.block(item.options);
        out.put(item.objects);
        out.put(item.bytes);
    }
    return frame(FrameKind::manifest, out.bytes());
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes) {
    const auto body = unframe(FrameKind::manifest, bytes);
    if (!body) return tl::unexpected<Failure>(body.error());
    Reader in(*body);
    Manifest m;
    m.dataset = get_id(in);
    m.version = in.get<std::uint64_t>();
    m.time = static_cast<Nanoseconds>(in.get<std::uint64_t>());
    m.level = in.get<std::uint32_t>();
    m.ranks = in.get<std::uint32_t>();
    m.user_number = in.get<std::uint64_t>();
    in.expect_zero(in.get<std::uint64_t>());
    in.expect_zero(in.get<std::uint64_t>());
    m.application = in.text();
    m.build = in.text();
    m.session = in.text();
    m.description = in.text();
    m.user_bytes = in.block();
    get_rest(in, m);
    if (!in.ok() || !in.at_end()) return senseless("a length in it");
    if (const auto wrong = wrong_with(m); !wrong.empty()) return senseless(wrong);
    return m;
}

std::vector<std::byte> encode_member(const MemberInfo& member) {
    Writer out;
    put(out, member.dataset);
    out.put(member.version);
    out.put(member.member);
    out.put(std::uint32_t{0});   // reserved
    put_member(out, member);
    return frame(FrameKind::member, out.bytes());
}

Result<MemberInfo> decode_member(std::span<const std::byte> bytes) {
    const auto body = unframe(FrameKind::member, bytes);
    if (!body) return tl::unexpected<Failure>(body.error());
    Reader in(*body);
    const DatasetId dataset = get_id(in);
    const auto version = in.get<std::uint64_t>();
    const auto index = in.get<std::uint32_t>();
    in.expect_zero(in.get<std::uint32_t>());
    MemberInfo member = get_member(in);
    member.dataset = dataset;
    member.version = version;
    member.member = index;
    if (!in.ok() || !in.at_end()) return senseless("a length in it");
    if (const auto wrong = wrong_with(member); !wrong.empty()) return senseless(wrong);
    return member;
}

std::vector<std::byte> encode_newest(VersionNumber version) {
    Writer out;
    out.put(version);
    return frame(FrameKind::newest, out.bytes());
}

Result<VersionNumber> decode_newest(std::span<const std::byte> bytes) {
    const auto body = unframe(FrameKind::newest, bytes);
    if (!body) return tl::unexpected<Failure>(body.error());
    Reader in(*body);
    const auto version = in.get<std::uint64_t>();
    if (!in.ok() || !in.at_end()) return senseless("its length");
    return version;
}

}  // namespace ssi::ckpt
