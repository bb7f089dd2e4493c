// SPDX-License-Identifier: BSD-3-Clause
// Putting a version back: which one, by whom, and what if it turns out to be damaged.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "checkpoint_state.hpp"
#include "choice.hpp"
#include "fault_point.hpp"
#include "manifest.hpp"
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
};

class Restart {
public:
    Restart(Impl& impl, std::optional<ckpt::VersionNumber> wanted) : impl_(impl), wanted_(wanted) {}

    Result<std::optional<Restarted>> run(bool only_find) {
        SSI_TRY(look());
        bool again = false;
        for (;;) {
            auto plan = next();
            if (!plan) return tl::unexpected<Failure>(std::move(plan).error());
            if (!*plan) return std::optional<Restarted>();
            auto restarted = only_find ? found((*plan)->manifest) : put_back(**plan, again);
            if (restarted && !only_find) {
                const auto rebuilt = rebuild();
                if (!rebuilt) return tl::unexpected<Failure>(rebuilt.error());
                restarted->rebuilt_members = *rebuilt;
            }
            if (restarted) return std::optional(std::move(*restarted));
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
        if (impl_.node.rank() == 0) choices_ = ckpt::choices(by_rank, impl_.places->leaders());
        return {};
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
            if (choice.why_not.empty()) return std::optional(choice);
            if (wanted_)
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
        for (std::uint32_t members = in.count(sizeof(std::uint32_t)); members > 0; --members)
            plan.readers.push_back(static_cast<int>(in.get<std::uint32_t>()));
        Result<void> read;
        Bytes bytes;
        if (impl_.node.rank() == heard.manifest_at) {
            auto manifest = manifest_of(heard.version);
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
        out.put(static_cast<std::uint32_t>(choice->readers.size()));
        for (const int reader : choice->readers) out.put(static_cast<std::uint32_t>(reader));
        return {out.bytes().begin(), out.bytes().end()};
    }

    Result<ckpt::Manifest> manifest_of(ckpt::VersionNumber version) {
        auto manifest = impl_.places->own().manifest(version);
        for (ckpt::Store* store : impl_.places->all())
            if (!manifest) manifest = store->manifest(version);
        return manifest;
    }

    Result<void> check(const ckpt::Manifest& manifest) {
        if (manifest.application != impl_.options.application)
            return fail(Errc::mismatch,
                        fmt::format("version {} is of application \"{}\", this is \"{}\"",
                                    manifest.version, manifest.application,
                                    impl_.options.application));
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
        SSI_TRY(agree(impl_.node, impl_.protection.accepts(plan.manifest, impl_.node.size())));
        ckpt::fault_point(ckpt::FaultPoint::restart_chosen);
        ckpt::Restoring restoring({impl_.node, impl_.engine, impl_.hub, impl_.protection},
                                  plan.manifest, again);
        SSI_TRY(restoring.prepare());
        auto done = agree(impl_.node, read_all(plan, restoring));
        if (!done) {
            SSI_TRY(restoring.undo());
            return tl::unexpected<Failure>(std::move(done).error());
        }
        complete_ = true;
        SSI_TRY(restoring.complete());
        ckpt::fault_point(ckpt::FaultPoint::restarted);
        restarted->restored_bytes = restoring.bytes();
        restarted->files = restoring.files();
        SSI_TRY(agree(impl_.node, impl_.run(CheckpointEvent::restarted)));
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
        auto dataset = ckpt::Dataset::open_part(impl_.places->all(), plan.manifest);
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
    bool complete_ = false;              // it was whole: no older one would do better
};

}  // namespace

Result<std::optional<Restarted>> Impl::restart(std::optional<ckpt::VersionNumber> wanted,
                                               bool only_find) {
    finish_last();
    changes.forget();   // what is put in now may have versions that were seen with other bytes
    return Restart(*this, wanted).run(only_find);
}

}  // namespace ssi
