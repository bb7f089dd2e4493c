// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include "parity_file.hpp"
#include "store_list.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {
namespace {

// The version and those that it refers to, as far as they can be opened.
struct Opened {
    std::vector<std::unique_ptr<Dataset>> datasets;
    std::uint64_t bytes = 0;
};

// Of what is kept with the member.
std::uint64_t parity_bytes(const Manifest& manifest, const MemberInfo& member) {
    std::vector<std::uint64_t> lengths;
    std::size_t place = 0;
    for (const MemberIndex one : manifest.group_of(member.member)) {
        if (one == member.member) place = lengths.size();
        lengths.push_back(manifest.members[one].log.bytes);
    }
    return lengths.size() < 2 ? 0 : parity_bytes_of(lengths, place);
}

Opened open_all(std::span<Store* const> stores, std::unique_ptr<Dataset> first, Verified& report) {
    Opened opened;
    std::set<VersionNumber> wanted;
    const auto take = [&](std::unique_ptr<Dataset> dataset) {
        const Manifest& manifest = dataset->manifest();
        for (const BaseVersion& base : manifest.bases()) wanted.insert(base.version);
        for (const MemberInfo& member : manifest.members)
            opened.bytes += member.log.bytes + parity_bytes(manifest, member);
        opened.datasets.push_back(std::move(dataset));
    };
    take(std::move(first));
    // The newest first: each refers to older ones only.
    while (!wanted.empty()) {
        const VersionNumber version = *wanted.rbegin();
        wanted.erase(version);
        auto dataset = Dataset::open(stores, version);
        if (dataset)
            take(std::move(*dataset));
        else
            report.faults.push_back(dataset.error().text);
    }
    return opened;
}

}  // namespace

Result<Verified> verify_version(std::span<Store* const> stores, VersionNumber version,
                                const VerifyProgress& progress) {
    Verified report;
    auto dataset = Dataset::open(stores, version);
    if (!dataset && dataset.error().code == Errc::not_found)
        return tl::unexpected<Failure>(std::move(dataset).error());
    if (!dataset) {
        report.faults.push_back(dataset.error().text);
        return report;
    }
    const Opened opened = open_all(stores, std::move(*dataset), report);
    for (const auto& one : opened.datasets) {
        for (const MemberInfo& member : one->manifest().members) {
            std::uint64_t done = report.bytes;
            auto verified = one->verify(member.member, [&](std::uint64_t bytes) {
                done += bytes;
                if (progress) progress(std::min(done, opened.bytes), opened.bytes);
            });
            if (!verified) report.faults.push_back(verified.error().text);
            report.bytes += member.log.bytes;
            report.records += member.log.records;
        }
        std::uint64_t done = report.bytes;
        for (std::string& fault : verify_parity(stores, one->manifest(), [&](std::uint64_t bytes) {
                 done += bytes;
                 if (progress) progress(std::min(done, opened.bytes), opened.bytes);
             }))
            report.faults.push_back(std::move(fault));
        report.bytes = done;
    }
    if (progress) progress(opened.bytes, opened.bytes);
    return report;
}

Result<Verified> Store::verify(VersionNumber version, const VerifyProgress& progress) {
    Store* const one[] = {this};
    return verify_version(one, version, progress);
}

}  // namespace ssi::ckpt
