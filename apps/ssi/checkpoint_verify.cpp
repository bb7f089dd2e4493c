// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "checkpoint.hpp"
#include "fs.hpp"
#include "machine.hpp"
#include "ssi/base/json.hpp"
#include "support/progress.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

using ckpt::VersionInfo;
using ckpt::VersionNumber;
using ckpt::VersionState;

// What became of one version.
struct Outcome {
    VersionNumber version = 0;
    VersionNumber read_with = 0;     // a newer one that refers to it; 0: read by itself
    std::string skipped;             // why it was not read
    ckpt::Verified verified;
};

class Verification {
public:
    explicit Verification(const CheckpointRun& run)
        : run_(run), progress_("ssi", speaks_alone(), false, clock_) {}

    Result<void> one(const VersionInfo& info) {
        auto verified = ckpt::verify_version(
            run_.stores, info.version, [&](std::uint64_t done, std::uint64_t all) {
                progress_.update([&] {
                    return fmt::format("version {} {} {} of {} read", info.version,
                                       bar(done, all), human_bytes(done), human_bytes(all));
                });
            });
        progress_.finish();
        if (!verified) return tl::unexpected<Failure>(std::move(verified).error());
        outcomes_.push_back({.version = info.version, .verified = std::move(*verified)});
        return {};
    }

    // The newest first: what it refers to is read with it, and not again.
    Result<void> all() {
        auto versions = ckpt::list_versions(run_.stores);
        if (!versions) return tl::unexpected<Failure>(std::move(versions).error());
        std::map<VersionNumber, VersionNumber> with;
        for (auto at = versions->rbegin(); at != versions->rend(); ++at) {
            const auto newer = with.find(at->version);
            if (at->manifest && at->state == VersionState::complete)
                for (const VersionNumber base : bases_of(*at->manifest))
                    with.emplace(base, newer == with.end() ? at->version : newer->second);
            if (newer != with.end())
                outcomes_.push_back({.version = at->version, .read_with = newer->second});
            else if (!at->manifest && at->state == VersionState::incomplete)
                outcomes_.push_back({.version = at->version, .skipped = at->why});
            else if (auto done = one(*at); !done && done.error().code != Errc::not_found)
                return done;   // not_found: removed meanwhile
        }
        std::ranges::reverse(outcomes_);
        return {};
    }

    void print_text() const {
        for (const Outcome& outcome : outcomes_) {
            const auto& faults = outcome.verified.faults;
            if (outcome.read_with != 0)
                say("version {}: read with version {}\n", outcome.version, outcome.read_with);
            else if (!outcome.skipped.empty())
                say("version {}: not read: {}\n", outcome.version, outcome.skipped);
            else
                say("version {}: {} read, {}, {}\n", outcome.version,
                    human_bytes(outcome.verified.bytes),
                    counted(outcome.verified.records, "record"),
                    faults.empty() ? "no fault" : counted(faults.size(), "fault"));
            for (const std::string& fault : faults) say("fault: {}\n", readable(fault));
        }
    }

    void print_json() const {
        Json json;
        json.object().array("versions");
        for (const Outcome& outcome : outcomes_) {
            json.object().field("version", outcome.version);
            if (outcome.read_with != 0) json.field("read_with", outcome.read_with);
            if (!outcome.skipped.empty()) json.field("not_read", readable(outcome.skipped));
            json.field("bytes", outcome.verified.bytes);
            json.field("records", outcome.verified.records).array("faults");
            for (const std::string& fault : outcome.verified.faults) json.value(readable(fault));
            json.end().end();
        }
        say("{}\n", json.end().end().text());
    }

    Result<void> verdict() const {
        std::size_t faults = 0;
        std::string first;
        for (const Outcome& outcome : outcomes_) {
            if (faults == 0 && !outcome.verified.faults.empty())
                first = outcome.verified.faults.front();
            faults += outcome.verified.faults.size();
        }
        if (faults == 0) return {};
        return fail(Errc::io, fmt::format("{} found in {}: {}{}", counted(faults, "fault"),
                                          places_text(run_), readable(first),
                                          faults == 1 ? "" : "; ..."));
    }

private:
    const CheckpointRun& run_;
    RealClock clock_;
    support::Progress progress_;
    std::vector<Outcome> outcomes_;
};

}  // namespace

Result<void> checkpoint_verify(const CheckpointRun& run) {
    Verification verification(run);
    if (run.request.all) {
        SSI_TRY(verification.all());
    } else {
        const auto chosen = choose_version(run);
        if (!chosen) return tl::unexpected<Failure>(chosen.error());
        SSI_TRY(verification.one(*chosen));
    }
    run.request.json ? verification.print_json() : verification.print_text();
    return verification.verdict();
}

}  // namespace ssi::cli
