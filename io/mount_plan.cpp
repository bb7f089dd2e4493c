// SPDX-License-Identifier: BSD-3-Clause
#include "mount_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ssi::io {

using State = FoundVolume::State;

std::string FoundVolume::name() const { return fmt::format("{} (node {})", label, node.value); }

Result<MountPlan> plan_mount(const std::vector<FoundVolume>& found) {
    if (found.empty())
        return fail(Errc::not_found, "no node of the session has a volume: give at least one of "
                                     "them a directory");
    for (std::size_t i = 0; i < found.size(); ++i)
        for (std::size_t j = i + 1; j < found.size(); ++j)
            if (found[i].state != State::blank && found[j].state != State::blank &&
                found[i].id == found[j].id)
                return fail(Errc::exists,
                            fmt::format("volume {} is mounted twice: as {} and as {}",
                                        found[i].id.text(), found[i].name(), found[j].name()));
    MountPlan plan;
    plan.forming = std::ranges::none_of(
        found, [](const FoundVolume& v) { return v.state == State::formed; });
    if (plan.forming) return plan;
    const auto newest = std::ranges::max_element(found, {}, [](const FoundVolume& v) {
        return v.state == State::formed ? v.map_version : 0;
    });
    plan.newest = static_cast<std::size_t>(newest - found.begin());
    for (const FoundVolume& volume : found) {
        if (volume.state == State::blank)
            return fail(Errc::mismatch,
                        fmt::format("{} is empty, but {} holds data already: leave it out, or give "
                                    "empty directories only", volume.name(), newest->name()));
        if (volume.whole != newest->whole)
            return fail(Errc::mismatch,
                        fmt::format("{} and {} belong to different sets of volumes",
                                    volume.name(), newest->name()));
    }
    return plan;
}

Result<void> check_complete(const std::vector<FoundVolume>& found, const Superblock& map) {
    std::string missing;
    std::size_t count = 0;
    for (const Superblock::Entry& entry : map.volumes) {
        if (std::ranges::any_of(found, [&](const FoundVolume& v) { return v.id == entry.id; }))
            continue;
        if (count++ < 8)
            missing += fmt::format("{}{}, last seen as {}", missing.empty() ? "" : "; ",
                                   entry.id.text(), entry.label);
    }
    if (count != 0)
        return fail(Errc::not_found,
                    fmt::format("{} of {} volumes are not mounted by any node, so nothing is: {}",
                                count, map.volumes.size(), missing));
    for (const FoundVolume& volume : found)
        if (std::ranges::none_of(map.volumes, [&](const auto& e) { return e.id == volume.id; }))
            return fail(Errc::mismatch, fmt::format("{} is no volume of the newest map any more: "
                                                    "leave it out", volume.name()));
    return {};
}

}  // namespace ssi::io
