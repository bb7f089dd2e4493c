// SPDX-License-Identifier: BSD-3-Clause
// Putting a version back: which one, by whom, and what if it turns out to be damaged.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <set>

#include "checkpoint_state.hpp"
#include "choice.hpp"
#include "fault_point.hpp"
#include "frozen.hpp"
#include "manifest.hpp"
#include "parity.hpp"
#include "parity_rebuild.hpp"
#include "rebuild.hpp"
#include "restoring.hpp"

namespace ssi {

using ckpt::agree;
using ckpt::Bytes;
using Impl = Checkpoint::Impl;

namespace {

// What the first node has chosen, on all.
struct Plan {
    ckpt::Manifest manifest;
    std::vector<int> readers;            // by member
    bool only_global = false;            // from the global store alone
};

class Restart {
public:
    Restart(Impl& impl, std::optional<ckpt::VersionNumber> wanted) : impl_(impl), wanted_(wanted) {}

    Result<std::optional<Restarted>> run(bool only_find) {
        SSI_TRY(look());
        if (!only_find) SSI_TRY(share_substitutions());
        if (!only_find) SSI_TRY(rebuild_lost());
        bool again = false;
        for (;;) {
            auto plan = next();
            if (!plan) return tl::unexpected<Failure>(std::move(plan).error());
            if (!*plan) return std::optional<Restarted>();
            auto restarted = only_find ? found((*plan)->manifest) : put_back(**plan, again);
            if (restarted && !only_find) {
                const auto rebuilt = rebuild();
                if (!rebuilt) return tl::unexpected<Failure>(rebuilt.error());
                restarted->rebuilt_members = rebuilt_ + *rebuilt;
            }
            if (restarted) return std::optional(std::move(*restarted));
            const auto repaired = repair(**plan, restarted.error());
            if (!repaired) return tl::unexpected<Failure>(repaired.error());
            again = again || *repaired;
            if (*repaired) continue;
            if (wanted_ || complete_ || restarted.error().code != Errc::io)
                return tl::unexpected<Failure>(std::move(restarted).error());
            const Failure& why = restarted.error();
            pass_over((*plan)->manifest.version,
                      why.sys_errno ? fmt::format("{} ({})", why.text,
                                                  strerrordesc_np(why.sys_errno))
                                    : why.text);
            again = true;
        }
    }

private:
    // Those of the first node.
    Result<void> share_substitutions() {
        ckpt::Writer out;
        Result<void> parsed;
        if (impl_.node.rank() == 0) {
            auto own = ckpt::parse_substitutions(impl_.config.text("checkpoint.substitute"));
            if (own) {
                own->insert(own->end(), impl_.options.file_substitutions.begin(),
                            impl_.options.file_substitutions.end());
                for (const auto& [from, to] : *own) {
                    out.text(from);
                    out.text(to);
                }
            } else {
                parsed = tl::unexpected<Failure>(std::move(own).error());
            }
        }
        SSI_TRY(agree(impl_.node, std::move(parsed)));
        Bytes bytes(out.bytes().begin(), out.bytes().end());
        SSI_TRY(ckpt::share(impl_.node, bytes));
        for (ckpt::Reader in(bytes); in.ok() && !in.at_end();) {
            auto from = in.text();
            auto to = in.text();
            substitutions_.emplace_back(std::move(from), std::move(to));
        }
        return {};
    }

    // The first node learns what there is.
    Result<void> look() {
        Bytes mine;
        Result<void> listed;
        if (impl_.places->leads()) {
            const auto versions = ckpt::see(impl_.places->all());
            if (versions)
                mine = ckpt::encode_seen(*versions);
            else
                listed = tl::unexpected<Failure>(versions.error());
        }
        SSI_TRY(agree(impl_.node, std::move(listed)));
        const auto all = ckpt::gather(impl_.node, mine);
        if (!all) return tl::unexpected<Failure>(all.error());
        Result<void> told;
        std::vector<std::vector<ckpt::SeenVersion>> by_rank;
        for (const Bytes& bytes : *all) {
            auto seen = ckpt::decode_seen(bytes);
            if (!seen) told = tl::unexpected<Failure>(seen.error());
            by_rank.push_back(seen ? std::move(*seen) : std::vector<ckpt::SeenVersion>());
        }
        SSI_TRY(agree(impl_.node, std::move(told)));
        Result<std::vector<ckpt::SeenVersion>> global;
        if (ckpt::Store* store = impl_.places->global(); store && impl_.node.rank() == 0)
            global = ckpt::see(std::span(&store, 1));
        SSI_TRY(agree(impl_.node, global ? Result<void>()
                                         : tl::unexpected<Failure>(global.error())));
        if (impl_.node.rank() == 0)
            choices_ = ckpt::choices(by_rank, impl_.places->leaders(), *global);
        return {};
    }

    // On the first node.
    void tell_where(const ckpt::Choice& choice) {
        const auto lost = choice.only_global
                              ? std::ssize(choice.holders)
                              : std::ranges::count(choice.holders, std::vector<int>());
        if (choice.global && lost != 0)
            SSI_LOG(impl_.node.doors().log, info, "checkpoint",
                    "version {}: {} of {} members are read from {}", choice.version, lost,
                    choice.holders.size(), impl_.places->global()->name());
    }

    void pass_over(ckpt::VersionNumber version, const std::string& why) {
        passed_over_.push_back(fmt::format("version {}: {}", version, why));
        if (impl_.node.rank() == 0)
            SSI_LOG(impl_.node.doors().log, warn, "checkpoint", "passed over {}",
                    passed_over_.back());
    }

    // On the first node: the next one to try, or why there is none.
    Result<std::optional<ckpt::Choice>> choose() {
        while (at_ < choices_.size()) {
            ckpt::Choice& choice = choices_[at_++];
            if (wanted_ && choice.version != *wanted_) continue;
            if (choice.why_not.empty()) {
                tell_where(choice);
                return std::optional(choice);
            }
            // Another one by the same number may be in the global store.
            const bool another = at_ < choices_.size() && choices_[at_].version == choice.version;
            if (wanted_ && !another)
                return fail(Errc::io, fmt::format("version {} cannot be used: {}", *wanted_,
                                                  choice.why_not));
            pass_over(choice.version, choice.why_not);
        }
        const std::string& where = impl_.places->own().name();
        if (wanted_) return fail(Errc::not_found, fmt::format("no version {} in {}", *wanted_,
                                                              where));
        if (passed_over_.empty()) return std::optional<ckpt::Choice>();
        return fail(Errc::io, fmt::format("no version in {} can be used: {}", where,
                                          ckpt::joined(passed_over_)));
    }

    // Collective. Nothing: there is no version at all.
    Result<std::optional<Plan>> next() {
        std::optional<ckpt::Choice> choice;
        Result<void> chosen;
        if (impl_.node.rank() == 0) {
            auto any = choose();
            if (any)
                choice = std::move(*any);
            else
                chosen = tl::unexpected<Failure>(std::move(any).error());
        }
        SSI_TRY(agree(impl_.node, std::move(chosen)));
        Bytes told;
        if (impl_.node.rank() == 0) told = encode(choice);
        SSI_TRY(ckpt::share(impl_.node, told));
        if (told.empty()) return std::optional<Plan>();
        ckpt::Reader in(told);
        ckpt::Choice heard;
        heard.version = in.get<std::uint64_t>();
        heard.manifest_at = static_cast<int>(in.get<std::uint32_t>());
        Plan plan;
        plan.only_global = in.get<std::uint8_t>() != 0;
        for (std::uint32_t members = in.count(sizeof(std::uint32_t)); members > 0; --members)
            plan.readers.push_back(static_cast<int>(in.get<std::uint32_t>()));
        Result<void> read;
        Bytes bytes;
        if (impl_.node.rank() == heard.manifest_at) {
            auto manifest = manifest_of(heard.version, plan.only_global);
            if (manifest)
                bytes = ckpt::encode_manifest(*manifest);
            else
                read = tl::unexpected<Failure>(std::move(manifest).error());
        }
        SSI_TRY(agree(impl_.node, std::move(read)));
        SSI_TRY(ckpt::share(impl_.node, bytes, heard.manifest_at));
        auto manifest = ckpt::decode_manifest(bytes);
        if (!manifest) return tl::unexpected<Failure>(std::move(manifest).error());
        plan.manifest = std::move(*manifest);
        return std::optional(std::move(plan));
    }

    // Collective: what was lost of versions that have parity, before anything is read: one may
    // refer to another.
    Result<void> rebuild_lost() {
        std::vector<ckpt::ParityRebuild> wanted;
        if (impl_.node.rank() == 0) wanted = ckpt::missing_parity(choices_, impl_.seats());
        const auto made = make(wanted);
        return made ? Result<void>() : tl::unexpected<Failure>(made.error());
    }

    // Collective: how many were made. The first node says what.
    Result<std::uint64_t> make(std::span<const ckpt::ParityRebuild> wanted) {
        const auto done = ckpt::rebuild_by_parity(impl_.node, *impl_.places, *impl_.copies, wanted);
        if (!done) return tl::unexpected<Failure>(done.error());
        for (std::size_t i = 0; i < wanted.size(); ++i) told(wanted[i], (*done)[i]);
        const auto made = static_cast<std::uint64_t>(std::ranges::count_if(
            *done, [](const Result<void>& one) { return one.has_value(); }));
        rebuilt_ += made;
        return made;
    }

    // On the first node.
    void told(const ckpt::ParityRebuild& one, const Result<void>& done) {
        const auto choice = std::ranges::find(choices_, one.version, &ckpt::Choice::version);
        const std::string what = fmt::format("{}member {} of version {}",
                                             one.make_member ? "" : "the parity kept with ",
                                             one.member, one.version);
        if (!done) {
            SSI_LOG(impl_.node.doors().log, warn, "checkpoint", "{} cannot be rebuilt: {}", what,
                    done.error().to_string());
            if (one.make_member && choice->why_not.empty())
                choice->why_not = fmt::format("member {} was lost, and cannot be rebuilt: {}",
                                              one.member, done.error().text);
            return;
        }
        SSI_LOG(impl_.node.doors().log, info, "checkpoint", "{} was rebuilt by the parity of its "
                                                            "group", what);
        const int leader = impl_.places->leaders()[static_cast<std::size_t>(one.to)];
        if (one.make_parity) choice->parity[one.member] = {leader};
        if (!one.make_member) return;
        choice->holders[one.member] = {leader};
        choice->readers[one.member] = one.to;
    }

    // Collective, when a version could not be put back: whether what was damaged of it is whole
    // now. Each member once.
    Result<bool> repair(const Plan& plan, const Failure& why) {
        if (why.code != Errc::io || complete_) return false;
        if (impl_.places->global() && !plan.only_global) {
            auto there = read_globally(plan, why);
            if (!there || *there) return there;
        }
        const bool parity = plan.manifest.level == ckpt::parity_level;
        if (!parity && plan.manifest.level != ckpt::level_with_copies) return false;
        std::vector<ckpt::MemberIndex> mine;
        for (std::size_t member = 0; member < plan.readers.size(); ++member)
            if (plan.readers[member] == impl_.node.rank())
                mine.push_back(static_cast<ckpt::MemberIndex>(member));
        ckpt::Writer out;
        for (const ckpt::Damaged& one : ckpt::find_damage(*impl_.places, plan.manifest, mine)) {
            out.put(one.version);
            out.put(one.member);
        }
        const auto all = ckpt::gather(impl_.node, out.bytes());
        if (!all) return tl::unexpected<Failure>(all.error());
        const auto made = parity ? repair_by_parity(*all) : repair_by_copies(*all);
        if (!made) return tl::unexpected<Failure>(made.error());
        if (*made == 0) return false;
        if (impl_.node.rank() == 0) {
            SSI_LOG(impl_.node.doors().log, warn, "checkpoint",
                    "version {} was damaged, and repaired by {}: {}", plan.manifest.version,
                    parity ? "parity" : "its other copy", why.text);
            --at_;   // the same once more
        }
        return true;
    }

    Result<std::uint64_t> repair_by_parity(std::span<const Bytes> damaged) {
        std::vector<ckpt::ParityRebuild> wanted;
        if (impl_.node.rank() == 0) wanted = repairs(damaged);
        return make(wanted);
    }

    Result<std::uint64_t> repair_by_copies(std::span<const Bytes> damaged) {
        std::vector<ckpt::Damaged> all;
        std::vector<int> ranks;
        for (std::size_t rank = 0; rank < damaged.size(); ++rank)
            for (ckpt::Reader in(damaged[rank]); !in.at_end() && in.ok();) {
                const auto version = in.get<std::uint64_t>();
                const auto member = in.get<ckpt::MemberIndex>();
                if (!repaired_.emplace(version, member).second) continue;
                all.push_back({version, member});
                ranks.push_back(static_cast<int>(rank));
            }
        const auto wanted = ckpt::damaged_copies(choices_, all, ranks, impl_.places->leaders());
        auto made = ckpt::rebuild(impl_.node, *impl_.places, *impl_.copies, wanted);
        if (made) rebuilt_ += *made;
        return made;
    }

    // Collective: whether the global store has all of it, too.
    Result<bool> read_globally(const Plan& plan, const Failure& why) {
        std::uint64_t there = 0;
        if (impl_.node.rank() == 0) {
            ckpt::Choice& choice = choices_[at_ - 1];
            there = choice.global ? 1 : 0;
            if (choice.global) {
                SSI_LOG(impl_.node.doors().log, warn, "checkpoint",
                        "version {} is damaged, and read from {} instead: {}",
                        plan.manifest.version, impl_.places->global()->name(), why.text);
                choice.only_global = true;
                choice.manifest_at = 0;
                --at_;   // the same once more
            }
        }
        const auto any = ckpt::largest(impl_.node, there);
        if (!any) return tl::unexpected<Failure>(any.error());
        return *any != 0;
    }

    // On the first node. A damaged member counts as lost, and is made where it was.
    std::vector<ckpt::ParityRebuild> repairs(std::span<const Bytes> damaged) {
        std::map<std::pair<ckpt::VersionNumber, ckpt::MemberIndex>, int> places;
        for (std::size_t rank = 0; rank < damaged.size(); ++rank)
            for (ckpt::Reader in(damaged[rank]); !in.at_end() && in.ok();) {
                const auto version = in.get<std::uint64_t>();
                const auto member = in.get<ckpt::MemberIndex>();
                const auto choice = std::ranges::find(choices_, version, &ckpt::Choice::version);
                if (choice == choices_.end() || choice->level != ckpt::parity_level ||
                    member >= choice->holders.size() ||
                    !repaired_.emplace(version, member).second)
                    continue;
                choice->holders[member].clear();
                places[{version, member}] = static_cast<int>(rank);
            }
        std::vector<ckpt::ParityRebuild> wanted;
        for (ckpt::ParityRebuild& one : ckpt::missing_parity(choices_, impl_.seats())) {
            const auto place = places.find({one.version, one.member});
            if (place == places.end() || !one.make_member) continue;
            const auto choice = std::ranges::find(choices_, one.version, &ckpt::Choice::version);
            const auto group = choice->group_of(one.member);
            one.to = place->second;
            one.from[static_cast<std::size_t>(std::ranges::find(group, one.member) -
                                              group.begin())] = one.to;
            wanted.push_back(std::move(one));
        }
        return wanted;
    }

    Result<std::uint64_t> rebuild() {
        std::vector<ckpt::Rebuild> wanted;
        if (impl_.node.rank() == 0)
            wanted = ckpt::missing_copies(choices_, impl_.seats(),
                                          impl_.config.boolean("checkpoint.allow_same_host"));
        return ckpt::rebuild(impl_.node, *impl_.places, *impl_.copies, wanted);
    }

    static Bytes encode(const std::optional<ckpt::Choice>& choice) {
        if (!choice) return {};
        ckpt::Writer out;
        out.put(choice->version);
        out.put(static_cast<std::uint32_t>(choice->manifest_at));
        out.put(static_cast<std::uint8_t>(choice->only_global));
        out.put(static_cast<std::uint32_t>(choice->readers.size()));
        for (const int reader : choice->readers) out.put(static_cast<std::uint32_t>(reader));
        return {out.bytes().begin(), out.bytes().end()};
    }

    std::span<ckpt::Store* const> stores(bool only_global) const {
        const auto all = impl_.places->readable();
        return only_global ? all.last(1) : all;
    }

    Result<ckpt::Manifest> manifest_of(ckpt::VersionNumber version, bool only_global) {
        auto manifest = stores(only_global).front()->manifest(version);
        for (ckpt::Store* store : stores(only_global))
            if (!manifest) manifest = store->manifest(version);
        return manifest;
    }

    Result<void> check(const ckpt::Manifest& manifest) {
        if (manifest.application != impl_.options.application)
            return fail(Errc::mismatch,
                        fmt::format("version {} is of application \"{}\", this is \"{}\"",
                                    manifest.version, manifest.application,
                                    impl_.options.application));
        // Bytes of objects are as their machine has them. Versions that do not say were taken on
        // such as this one.
        const auto at = manifest.build.find('(');
        const std::string machine = fmt::format("({})", ckpt::machine_name());
        if (at != std::string::npos && manifest.build.substr(at) != machine)
            return fail(Errc::mismatch,
                        fmt::format("version {} was taken by libssi {}, and this is one {}: "
                                    "restart it on such a machine", manifest.version,
                                    manifest.build, machine));
        return {};
    }

    Result<Restarted> found(const ckpt::Manifest& manifest) {
        SSI_TRY(agree(impl_.node, check(manifest)));
        return Restarted{.version = manifest.version,
                         .number = manifest.user_number,
                         .bytes = manifest.user_bytes,
                         .description = manifest.description,
                         .saved_ranks = manifest.ranks,
                         .time = manifest.time,
                         .passed_over = passed_over_};
    }

    // Collective.
    Result<Restarted> put_back(const Plan& plan, bool again) {
        auto restarted = found(plan.manifest);
        if (!restarted) return restarted;
        SSI_TRY(agree(impl_.node, impl_.protection.accepts(
            plan.manifest, impl_.node.size(), impl_.config.boolean("checkpoint.other_types"))));
        ckpt::fault_point(ckpt::FaultPoint::restart_chosen);
        ckpt::Restoring restoring({impl_.node, impl_.engine, impl_.hub, impl_.protection},
                                  plan.manifest, again);
        SSI_TRY(agree(impl_.node, ckpt::probe(impl_.protection.all())));
        restoring.substitute(substitutions_);
        SSI_TRY(restoring.prepare());
        auto done = agree(impl_.node, read_all(plan, restoring));
        if (done) done = restoring.all_substituted();
        if (!done) {
            SSI_TRY(restoring.undo());
            return tl::unexpected<Failure>(std::move(done).error());
        }
        complete_ = true;
        SSI_TRY(restoring.complete());
        ckpt::fault_point(ckpt::FaultPoint::restarted);
        restarted->restored_bytes = restoring.bytes();
        restarted->files = restoring.files();
        SSI_TRY(impl_.run_together(CheckpointEvent::restarted));
        return restarted;
    }

    Result<void> read_all(const Plan& plan, ckpt::Restoring& restoring) {
        try {
            return read(plan, restoring);
        } catch (const std::bad_alloc&) {
            return fail(Errc::out_of_memory, fmt::format("node {}: what was saved does not fit",
                                                         impl_.node.id().value));
        }
    }

    Result<void> read(const Plan& plan, ckpt::Restoring& restoring) {
        auto dataset = ckpt::Dataset::open_part(stores(plan.only_global), plan.manifest);
        if (!dataset) return tl::unexpected<Failure>(std::move(dataset).error());
        restoring.set_dataset(std::move(*dataset));
        for (std::size_t member = 0; member < plan.readers.size(); ++member)
            if (plan.readers[member] == impl_.node.rank()) {
                SSI_TRY(restoring.read(static_cast<ckpt::MemberIndex>(member)));
                ckpt::fault_point(ckpt::FaultPoint::member_read);
            }
        return {};
    }

    Impl& impl_;
    const std::optional<ckpt::VersionNumber> wanted_;
    std::vector<ckpt::Choice> choices_;  // on the first node
    std::size_t at_ = 0;
    std::vector<std::string> passed_over_;
    ckpt::Substitutions substitutions_;
    std::uint64_t rebuilt_ = 0;          // by parity
    std::set<std::pair<ckpt::VersionNumber, ckpt::MemberIndex>> repaired_;   // or tried to be
    bool complete_ = false;              // it was whole: no older one would do better
};

}  // namespace

Result<std::optional<Restarted>> Impl::restart(std::optional<ckpt::VersionNumber> wanted,
                                               bool only_find) {
    finish_last();
    if (drain) drain->finish();
    SSI_TRY(meetings->meet(meet_for()));
    changes.forget();   // what is put in now may have versions that were seen with other bytes
    return Restart(*this, wanted).run(only_find);
}

}  // namespace ssi
