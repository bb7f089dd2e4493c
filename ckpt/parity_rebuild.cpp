// SPDX-License-Identifier: BSD-3-Clause
#include "parity_rebuild.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>

#include "cleaning.hpp"
#include "manifest.hpp"
#include "parity_file.hpp"

namespace ssi::ckpt {
namespace {

// What a reader of members sends: what one of them is, for each; their units, row by row; the end.
enum class What : std::uint8_t { about, unit, end, failed };

// A member, and what it and its parity are said to be.
struct About {
    ParityMember found;                  // by its files
    std::vector<ParityMember> group;     // by its parity; none: it is not needed
};

// One member of the group as this node has it: its units, and the parity kept with it.
class Source {
public:
    // With `parity`: of that, too.
    Result<About> open(Places& places, const Manifest& manifest, MemberIndex member, bool parity) {
        About about;
        const MemberInfo& info = manifest.members[member];
        for (Store* store : places.all()) {
            const auto here = store->member(info.version, member);
            if (!here || *here != info) continue;
            stream_.emplace(*store, info);
            auto found = stream_->open();
            if (!found) return tl::unexpected<Failure>(std::move(found).error());
            about.found = std::move(*found);
            break;
        }
        if (!stream_) return gone("member", member, info.version);
        if (!parity) return about;
        Store* const store = place_parity(places.all(), manifest)[member];
        if (!store) return gone("the parity that is kept with member", member, info.version);
        auto kept = parity_in(*store, info.version, member);
        if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
        about.group = kept->group;
        parity_.emplace(*store, std::move(*kept));
        return about;
    }

    Result<void> read(std::uint64_t row, bool kept, const UnitPlace& unit,
                      std::span<std::byte> into) {
        return kept ? parity_->row(row, into) : stream_->read(unit.place, into);
    }

private:
    static tl::unexpected<Failure> gone(const char* what, MemberIndex member,
                                        VersionNumber version) {
        return fail(Errc::io, fmt::format("{} {} of version {} has gone", what, member, version));
    }
    std::optional<MemberStream> stream_;
    std::optional<ParityReader> parity_;
};

Bytes about_message(const About& about) {
    Writer out;
    out.put(static_cast<std::uint8_t>(What::about));
    put_member(out, about.found);
    out.put(static_cast<std::uint32_t>(about.group.size()));
    for (const ParityMember& member : about.group) put_member(out, member);
    return {out.bytes().begin(), out.bytes().end()};
}

Result<About> decode_about(std::span<const std::byte> message) {
    Reader in(message);
    const auto what = in.get<std::uint8_t>();
    About about;
    about.found = get_parity_member(in);
    for (auto left = in.count(sizeof(std::uint64_t)); left > 0 && in.ok(); --left)
        about.group.push_back(get_parity_member(in));
    if (what == static_cast<std::uint8_t>(What::about) && in.ok() && in.at_end()) return about;
    return fail(Errc::bad_message, "a node told what a member is in other words than ours");
}

Bytes end_message(const Result<void>& outcome) {
    Bytes message(1, std::byte(outcome ? What::end : What::failed));
    if (outcome) return message;
    const Bytes failure = encode_failure(outcome.error());
    message.insert(message.end(), failure.begin(), failure.end());
    return message;
}

// What one rebuild is about, on every node.
struct Step {
    const ParityRebuild& one;
    Manifest manifest;
    std::vector<MemberIndex> group;
    std::size_t place = 0;               // of what is made

    // Rows of which something is made.
    bool wants(std::uint64_t row) const {
        return keeper_of(row, group.size()) == place ? one.make_parity : one.make_member;
    }
    bool reads(int rank, std::size_t at) const { return at != place && one.from[at] == rank; }
};

// ---- what reads

using Sources = std::map<std::size_t, Source>;   // by place

// As long as they are known here: those of which units are read.
Result<std::vector<std::uint64_t>> lengths_of(const Step& step, const std::vector<About>& all,
                                              const std::vector<std::size_t>& places) {
    std::vector<std::uint64_t> bytes(step.group.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        const About& about = all[i];
        bytes[places[i]] = about.found.bytes();
        if (!step.one.make_member) continue;
        if (about.group != all.front().group || about.group.size() != bytes.size() ||
            about.group[places[i]] != about.found)
            return fail(Errc::io, fmt::format("the parity of member {} of version {} is of other "
                                              "members than are there", about.found.member,
                                              step.one.version));
        for (std::size_t at = 0; at < bytes.size(); ++at) bytes[at] = about.group[at].bytes();
    }
    return bytes;
}

Result<void> send_units(const Step& step, Places& places, int rank, kddm::sync::Object& to) {
    Sources sources;
    std::vector<About> abouts;
    std::vector<std::size_t> at;
    for (std::size_t place = 0; place < step.group.size(); ++place) {
        if (!step.reads(rank, place)) continue;
        auto about = sources[place].open(places, step.manifest, step.group[place],
                                         step.one.make_member);
        if (!about) return tl::unexpected<Failure>(std::move(about).error());
        SSI_TRY(kddm::sync::send(to, about_message(*about)));
        abouts.push_back(std::move(*about));
        at.push_back(place);
    }
    const auto bytes = lengths_of(step, abouts, at);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    UnitBuffer buffer;
    Bytes message;
    for (std::uint64_t row = 0; row < rows_of(*bytes); ++row)
        for (auto& [place, source] : sources) {
            const UnitPlace unit = unit_of(*bytes, row, place);
            if (!step.wants(row) || unit.length == 0) continue;
            const auto into = buffer.bytes().first(unit.length);
            SSI_TRY(source.read(row / step.group.size(),
                                keeper_of(row, step.group.size()) == place, unit, into));
            Writer head;
            head.put(static_cast<std::uint8_t>(What::unit));
            head.put(row);
            head.put(static_cast<std::uint32_t>(place));
            message.assign(head.bytes().begin(), head.bytes().end());
            message.insert(message.end(), into.begin(), into.end());
            SSI_TRY(kddm::sync::send(to, message));
        }
    return {};
}

// ---- what is made

// What comes from another node.
class Inflow {
public:
    explicit Inflow(kddm::sync::Object& channel) : channel_(channel) {}
    Result<Bytes> next() {
        if (ended_) return fail(Errc::bad_message, "a node sent less of a member than it has");
        auto messages = kddm::sync::receive(channel_, 1);
        if (!messages) {
            ended_ = true;
            return tl::unexpected<Failure>(std::move(messages).error());
        }
        Bytes& message = messages->front();
        const auto what = message.empty() ? What::end : static_cast<What>(message[0]);
        ended_ = what == What::end || what == What::failed;
        if (what == What::failed)
            return tl::unexpected(decode_failure(std::span(message).subspan(1)));
        return std::move(message);
    }
    // Until it ends: the other one would wait for ever.
    void drain() {
        while (!ended_) (void)next();
    }

private:
    kddm::sync::Object& channel_;
    bool ended_ = false;
};

class Making {
public:
    Making(const Step& step, Places& places) : step_(step), places_(places) {}
    Result<void> open(Copies& copies, int self) {
        for (std::size_t place = 0; place < step_.group.size(); ++place) {
            const int from = step_.one.from[place];
            if (place == step_.place || from == self || inflows_.contains(from)) continue;
            const auto channel = copies.channel(from, self);
            if (!channel) return tl::unexpected<Failure>(channel.error());
            inflows_.emplace(from, **channel);
        }
        return {};
    }
    void drain() {
        for (auto& [from, inflow] : inflows_) inflow.drain();
    }

    Result<void> run(int self) {
        SSI_TRY(hear(self));
        SSI_TRY(begin());
        UnitBuffer member;
        for (std::uint64_t row = 0; row < rows_of(bytes_); ++row)
            if (step_.wants(row)) SSI_TRY(make_row(row, member.bytes()));
        if (step_.one.make_member) {
            SSI_TRY(member_->write_member_file(step_.manifest.members[step_.one.member]));
            SSI_TRY(member_->finish());
        }
        return step_.one.make_parity ? parity_->finish(std::move(group_)) : Result<void>();
    }

private:
    // What all members are.
    Result<void> hear(int self) {
        std::vector<About> abouts;
        std::vector<std::size_t> at;
        group_.resize(step_.group.size());
        for (std::size_t place = 0; place < group_.size(); ++place) {
            if (place == step_.place) continue;
            auto about = step_.reads(self, place)
                             ? local_[place].open(places_, step_.manifest, step_.group[place],
                                                  step_.one.make_member)
                             : from_other(step_.one.from[place]);
            if (!about) return tl::unexpected<Failure>(std::move(about).error());
            group_[place] = about->found;
            abouts.push_back(std::move(*about));
            at.push_back(place);
        }
        auto bytes = lengths_of(step_, abouts, at);
        if (!bytes) return tl::unexpected<Failure>(std::move(bytes).error());
        bytes_ = std::move(*bytes);
        if (step_.one.make_member) {
            group_[step_.place] = abouts.front().group[step_.place];
            return {};
        }
        Source own;
        auto about = own.open(places_, step_.manifest, step_.one.member, false);
        if (!about) return tl::unexpected<Failure>(std::move(about).error());
        group_[step_.place] = about->found;
        bytes_[step_.place] = about->found.bytes();
        return {};
    }
    Result<About> from_other(int from) {
        const auto message = inflows_.at(from).next();
        if (!message) return tl::unexpected<Failure>(message.error());
        return decode_about(*message);
    }

    // Parity goes where its member is.
    Result<void> begin() {
        const MemberInfo& info = step_.manifest.members[step_.one.member];
        Store* into = &places_.own();
        if (step_.one.make_member) {
            auto member = MemberCopy::rebuild(*into, info);
            if (!member) return tl::unexpected<Failure>(std::move(member).error());
            member_ = std::move(*member);
        } else {
            for (Store* store : places_.all())
                if (const auto here = store->member(info.version, info.member);
                    here && *here == info) {
                    into = store;
                    break;
                }
        }
        if (!step_.one.make_parity) return {};
        auto parity = ParityWriter::begin(*into, info.dataset, info.version, info.member);
        if (!parity) return tl::unexpected<Failure>(std::move(parity).error());
        parity_ = std::move(*parity);
        return {};
    }

    Result<void> make_row(std::uint64_t row, std::span<std::byte> buffer) {
        const bool kept = keeper_of(row, step_.group.size()) == step_.place;
        const UnitPlace made = unit_of(bytes_, row, step_.place);
        std::span<std::byte> sum = buffer;
        if (kept && made.length != 0) {
            const auto memory = parity_->next();
            if (!memory) return tl::unexpected<Failure>(memory.error());
            sum = *memory;
        }
        std::ranges::fill(sum, std::byte{0});
        for (std::size_t place = 0; place < step_.group.size(); ++place) {
            const UnitPlace unit = unit_of(bytes_, row, place);
            if (place != step_.place && unit.length != 0)
                SSI_TRY(add(row, place, unit, sum));
        }
        if (made.length == 0) return {};
        return kept ? parity_->add(made.length) : write(made.place, sum.first(made.length));
    }

    Result<void> add(std::uint64_t row, std::size_t place, const UnitPlace& unit,
                     std::span<std::byte> sum) {
        const std::size_t size = step_.group.size();
        if (const auto local = local_.find(place); local != local_.end()) {
            const auto into = scratch_.bytes().first(unit.length);
            SSI_TRY(local->second.read(row / size, keeper_of(row, size) == place, unit, into));
            add_to_parity(sum, into);
            return {};
        }
        const auto message = inflows_.at(step_.one.from[place]).next();
        if (!message) return tl::unexpected<Failure>(message.error());
        Reader in(*message);
        const auto what = in.get<std::uint8_t>();
        const auto of_row = in.get<std::uint64_t>();
        const auto of_place = in.get<std::uint32_t>();
        if (!in.ok() || what != static_cast<std::uint8_t>(What::unit) || of_row != row ||
            of_place != place || in.rest().size() != unit.length)
            return fail(Errc::bad_message, "a unit of a member that is none, or of another row");
        add_to_parity(sum, in.rest());
        return {};
    }

    // Of the stream of the member's files.
    Result<void> write(std::uint64_t place, std::span<const std::byte> bytes) {
        const auto& files = group_[step_.place].file_bytes;
        while (!bytes.empty()) {
            while (file_ < files.size() && place >= begin_ + files[file_])
                begin_ += files[file_++];
            if (file_ == files.size()) return fail(Errc::internal, "a unit behind its member");
            const auto some = bytes.first(
                std::min<std::uint64_t>(bytes.size(), begin_ + files[file_] - place));
            SSI_TRY(member_->write({io::sealed_file_name(file_ + 1), files[file_], place - begin_,
                                    some}));
            place += some.size();
            bytes = bytes.subspan(some.size());
        }
        return {};
    }

    const Step& step_;
    Places& places_;
    std::map<int, Inflow> inflows_;      // by rank
    Sources local_;
    std::vector<ParityMember> group_;    // by place
    std::vector<std::uint64_t> bytes_;   // the same
    UnitBuffer scratch_;
    std::unique_ptr<MemberCopy> member_;
    std::unique_ptr<ParityWriter> parity_;
    std::size_t file_ = 0;               // that is being written
    std::uint64_t begin_ = 0;            // where it begins
};

// ---- on all nodes

Result<void> without_memory() {
    return fail(Errc::out_of_memory, "no memory for a unit of a member");
}

Result<void> make_here(const Step& step, Places& places, Copies& copies, int self) {
    Result<void> made;
    try {
        Making making(step, places);
        SSI_TRY(making.open(copies, self));
        try {
            made = making.run(self);
        } catch (const std::bad_alloc&) {
            made = without_memory();
        }
        making.drain();
    } catch (const std::bad_alloc&) {
        made = without_memory();
    }
    return made;
}

Result<void> send_from_here(const Step& step, Places& places, Copies& copies, int self) {
    bool any = false;
    for (std::size_t place = 0; place < step.group.size(); ++place)
        any = any || step.reads(self, place);
    if (!any) return {};
    const auto channel = copies.channel(self, step.one.to);
    if (!channel) return tl::unexpected<Failure>(channel.error());
    Result<void> sent;
    try {
        sent = send_units(step, places, self, **channel);
    } catch (const std::bad_alloc&) {
        sent = without_memory();
    }
    auto told = kddm::sync::send(**channel, end_message(sent));
    return sent ? told : sent;
}

// The same on every node, but for peer_lost.
Result<void> rebuild_one(node::Node& node, Places& places, Copies& copies,
                         const ParityRebuild& one) {
    Bytes bytes;
    if (node.rank() == one.manifest_at)
        for (Store* store : places.all())
            if (const auto manifest = store->manifest(one.version);
                manifest && manifest->dataset == one.dataset && bytes.empty())
                bytes = encode_manifest(*manifest);
    SSI_TRY(share(node, bytes, one.manifest_at));
    auto manifest = decode_manifest(bytes);
    if (!manifest) return fail(Errc::io, "its manifest has gone");
    const auto group = manifest->group_of(one.member);
    if (group.size() != one.from.size()) return fail(Errc::io, "its manifest has changed");
    const auto place = std::ranges::find(group, one.member) - group.begin();
    const Step step{one, std::move(*manifest), group, static_cast<std::size_t>(place)};
    const int self = node.rank();
    SSI_TRY(agree(node, self == one.to ? make_here(step, places, copies, self)
                                       : send_from_here(step, places, copies, self)));
    return give_manifest(node, places, one.version, one.manifest_at);
}

}  // namespace

Result<std::vector<Result<void>>> rebuild_by_parity(node::Node& node, Places& places,
                                                    Copies& copies,
                                                    std::span<const ParityRebuild> wanted) {
    Bytes bytes;
    if (node.rank() == 0) bytes = encode_rebuilds(wanted);
    SSI_TRY(share(node, bytes));
    const auto all = decode_rebuilds(bytes);
    std::vector<Result<void>> done;
    if (all.empty()) return done;
    for (const ParityRebuild& one : all)
        for (const int from : one.from)
            if (from != one.to) copies.know(from, one.to);
    SSI_TRY(agree(node, {}));
    for (const ParityRebuild& one : all) {
        auto made = rebuild_one(node, places, copies, one);
        if (!made && made.error().code == Errc::peer_lost)
            return tl::unexpected<Failure>(std::move(made).error());
        done.push_back(std::move(made));
    }
    return done;
}

}  // namespace ssi::ckpt
