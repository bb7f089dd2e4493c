// SPDX-License-Identifier: BSD-3-Clause
#include "votes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "fault_point.hpp"
#include "ssi/kddm/many.hpp"

namespace ssi::ckpt {
namespace {

// At its rank's node: what it gave, or, at the first, what was decided.
ObjectId given_by(int rank) { return {static_cast<std::uint64_t>(rank), 0}; }
const ObjectId decision{0, 1};

// What is put is of one vote: who finds that of an earlier one finds nothing.
constexpr std::size_t head_bytes = sizeof(std::uint64_t) + 1;
enum class Outcome : std::uint8_t { fine, failed };

Bytes numbered(std::uint64_t vote, Outcome outcome, std::span<const std::byte> bytes) {
    Bytes all(head_bytes + bytes.size());
    std::memcpy(all.data(), &vote, sizeof vote);
    all[sizeof vote] = static_cast<std::byte>(outcome);
    std::ranges::copy(bytes, all.begin() + head_bytes);
    return all;
}

bool is_of(std::uint64_t vote, std::span<const std::byte> all) {
    std::uint64_t number = 0;
    if (all.size() < head_bytes) return false;
    std::memcpy(&number, all.data(), sizeof number);
    return number == vote;
}

}  // namespace

Result<std::unique_ptr<Votes>> Votes::make(node::Node& node, kddm::Engine& engine,
                                           kddm::sync::Hub& hub, std::string_view name) {
    kddm::SetOptions options;
    options.kind = kddm::ObjectKind::variable;
    options.placement = "high_bits";
    auto set = engine.create_or_open(name, options);
    if (!set) return tl::unexpected<Failure>(std::move(set).error());
    auto barrier = hub.barrier(name, static_cast<std::uint32_t>(node.size()));
    if (!barrier) return tl::unexpected<Failure>(std::move(barrier).error());
    std::unique_ptr<Votes> votes(new Votes(node, *set, **barrier));
    // Of an earlier one of this session nothing counts any more.
    const int rank = node.rank();
    Result<void> done = votes->put(given_by(rank), {});
    if (done && rank == 0) done = votes->put(decision, {});
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    return votes;
}

Result<void> Votes::put(ObjectId id, std::span<const std::byte> bytes) {
    auto guard = set_.grab_new(id);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    SSI_TRY(guard->resize_for_overwrite(bytes.size()));
    std::ranges::copy(bytes, guard->writable().begin());
    return guard->put();
}

// Nothing of those that could not give anything.
Result<std::vector<Bytes>> Votes::given() {
    std::vector<ObjectId> ids;
    for (int rank = 0; rank < node_.size(); ++rank) ids.push_back(given_by(rank));
    auto all = set_.get_many(ids);
    if (!all) return tl::unexpected<Failure>(std::move(all).error());
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::span<const std::byte> one = all->bytes(i);
        const auto bytes = is_of(vote_, one) ? one.subspan(head_bytes) : one.first(0);
        out.emplace_back(bytes.begin(), bytes.end());
    }
    return out;
}

// Why the first could not decide is put where the decision would be.
Result<void> Votes::put_decision(const Decide& decide) {
    auto all = given();
    fault_point(FaultPoint::ballots_counted);
    if (all) return put(decision, numbered(vote_, Outcome::fine, decide(std::move(*all))));
    SSI_TRY(put(decision, numbered(vote_, Outcome::failed, encode_failure(all.error()))));
    return tl::unexpected<Failure>(std::move(all).error());
}

Result<Bytes> Votes::vote(std::span<const std::byte> mine, const Decide& decide) {
    ++vote_;
    // Whoever cannot give anything comes all the same: the others wait.
    auto put_in = put(given_by(node_.rank()), numbered(vote_, Outcome::fine, mine));
    fault_point(FaultPoint::ballot_given);
    SSI_TRY(kddm::sync::arrive_and_wait(barrier_));
    Result<void> decided;
    if (node_.rank() == 0) decided = put_decision(decide);
    SSI_TRY(kddm::sync::arrive_and_wait(barrier_));
    SSI_TRY(decided);
    SSI_TRY(put_in);
    const auto heard = set_.get(decision);
    if (!heard) return tl::unexpected<Failure>(heard.error());
    const std::span<const std::byte> all = heard->bytes();
    if (!is_of(vote_, all)) return fail(Errc::bad_message, "the first node could not tell what was "
                                                           "decided");
    const auto bytes = all.subspan(head_bytes);
    if (all[head_bytes - 1] == static_cast<std::byte>(Outcome::failed))
        return tl::unexpected(decode_failure(bytes));
    return Bytes(bytes.begin(), bytes.end());
}

}  // namespace ssi::ckpt
