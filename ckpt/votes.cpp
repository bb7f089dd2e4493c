// SPDX-License-Identifier: BSD-3-Clause
#include "votes.hpp"

#include <algorithm>

#include "fault_point.hpp"
#include "ssi/kddm/many.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* name = "ssi.checkpoint.votes";
// At its rank's node: what it gave, or, at the first, what was decided.
ObjectId given_by(int rank) { return {static_cast<std::uint64_t>(rank), 0}; }
const ObjectId decision{0, 1};

}  // namespace

Result<std::unique_ptr<Votes>> Votes::make(node::Node& node, kddm::Engine& engine,
                                           kddm::sync::Hub& hub) {
    kddm::SetOptions options;
    options.kind = kddm::ObjectKind::variable;
    options.placement = "high_bits";
    auto set = engine.create_or_open(name, options);
    if (!set) return tl::unexpected<Failure>(std::move(set).error());
    auto barrier = hub.barrier(name, static_cast<std::uint32_t>(node.size()));
    if (!barrier) return tl::unexpected<Failure>(std::move(barrier).error());
    return std::unique_ptr<Votes>(new Votes(node, *set, **barrier));
}

Result<void> Votes::put(ObjectId id, std::span<const std::byte> bytes) {
    auto guard = set_.grab_new(id);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    SSI_TRY(guard->resize_for_overwrite(bytes.size()));
    std::ranges::copy(bytes, guard->writable().begin());
    return guard->put();
}

Result<std::vector<Bytes>> Votes::given() {
    std::vector<ObjectId> ids;
    for (int rank = 0; rank < node_.size(); ++rank) ids.push_back(given_by(rank));
    auto all = set_.get_many(ids);
    if (!all) return tl::unexpected<Failure>(std::move(all).error());
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < ids.size(); ++i)
        out.emplace_back(all->bytes(i).begin(), all->bytes(i).end());
    return out;
}

Result<Bytes> Votes::vote(std::span<const std::byte> mine, const Decide& decide) {
    // Whoever cannot give anything comes all the same: the others wait.
    auto put_in = put(given_by(node_.rank()), mine);
    fault_point(FaultPoint::ballot_given);
    SSI_TRY(kddm::sync::arrive_and_wait(barrier_));
    Result<void> decided;
    if (node_.rank() == 0) {
        auto all = given();
        fault_point(FaultPoint::ballots_counted);
        decided = all ? put(decision, decide(std::move(*all)))
                      : Result<void>(tl::unexpected(std::move(all).error()));
    }
    SSI_TRY(kddm::sync::arrive_and_wait(barrier_));
    SSI_TRY(decided);
    SSI_TRY(put_in);
    const auto heard = set_.get(decision);
    if (!heard) return tl::unexpected<Failure>(heard.error());
    return Bytes(heard->bytes().begin(), heard->bytes().end());
}

}  // namespace ssi::ckpt
