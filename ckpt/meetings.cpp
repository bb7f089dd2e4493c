// SPDX-License-Identifier: BSD-3-Clause
#include "meetings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "collect.hpp"

namespace ssi::ckpt {
namespace {

// Of a meeting, at the first node: those that have come, and how it ends unless all come: one node
// is about to tell why, and has told.
constexpr std::uint64_t came = (std::uint64_t{1} << 32) - 1;
constexpr std::uint64_t giving_up = std::uint64_t{1} << 32;
constexpr std::uint64_t told = std::uint64_t{1} << 33;
ObjectId word_of(std::uint64_t meeting) { return {0, meeting}; }

// Of a rank, at its node: its attempt, and what it is doing. No meeting has that number.
ObjectId doing_of(int rank) { return {static_cast<std::uint64_t>(rank), 1}; }
constexpr int doing_bits = 8;

constexpr Nanoseconds first_pause = 10'000, longest_pause = 1'000'000;
constexpr Nanoseconds first_warning = 10'000'000'000;
constexpr std::size_t most_named = 16;

constexpr std::array<std::string_view, 7> doing_names{
    "has not come", "waits for the checkpoint before to be durable", "has just come",
    "is in a callback `before`", "has just come back from its callbacks",
    "is in a callback `after`", "is in a callback `restarted`"};

}  // namespace

Result<std::unique_ptr<Meetings>> Meetings::make(node::Node& node, kddm::Engine& engine) {
    kddm::SetOptions options;
    options.kind = kddm::ObjectKind::fixed;
    options.object_bytes = sizeof(std::uint64_t);
    options.placement = "high_bits";
    auto words = engine.create_or_open("ssi.checkpoint.meetings", options);
    if (!words) return tl::unexpected<Failure>(std::move(words).error());
    options.kind = kddm::ObjectKind::variable;
    options.object_bytes = 0;
    auto reasons = engine.create_or_open("ssi.checkpoint.meetings.reasons", options);
    if (!reasons) return tl::unexpected<Failure>(std::move(reasons).error());
    return std::unique_ptr<Meetings>(new Meetings(node, *words, *reasons));
}

Result<void> Meetings::begin() {
    const auto before = words_.fetch_add(doing_of(node_.rank()), std::uint64_t{0});
    auto got_to = largest(node_, before ? *before >> doing_bits : 0);
    SSI_TRY(agree(node_, before ? Result<void>() : tl::unexpected<Failure>(before.error())));
    if (!got_to) return tl::unexpected<Failure>(std::move(got_to).error());
    attempt_ = *got_to;
    now(Doing::elsewhere);
    return {};
}

// Nobody but this node writes it. Told to others only, so a failure does no harm.
void Meetings::now(Doing doing) {
    (void)words_.exchange(doing_of(node_.rank()),
                          attempt_ << doing_bits | static_cast<std::uint64_t>(doing));
}

Result<void> Meetings::meet(Nanoseconds timeout) {
    ++attempt_;
    now(Doing::waiting);
    return come(false, timeout);
}

Result<void> Meetings::meet_again(Nanoseconds timeout) {
    now(Doing::prepared);
    return come(true, timeout);
}

Result<void> Meetings::come(bool again, Nanoseconds timeout) {
    const std::uint64_t last = meeting_;
    meeting_ = 2 * attempt_ + again;
    const auto before = words_.fetch_add(word_of(meeting_), std::uint64_t{1});
    if (!before) return tl::unexpected<Failure>(before.error());
    // All have come here, so nobody is in the last one any more. A word that stays does no harm.
    if ((*before & came) + 1 == static_cast<std::uint64_t>(node_.size())) (void)forget_last(last);
    given_up_ = false;
    return wait(timeout, (*before & came) == 0);
}

Result<void> Meetings::forget_last(std::uint64_t number) {
    if (number == 0) return {};
    if (given_up_) SSI_TRY(reasons_.remove(word_of(number)));
    return words_.remove(word_of(number));
}

Result<std::uint64_t> Meetings::look() {
    std::uint64_t word = 0;
    const auto seen = words_.read_into(word_of(meeting_), 0,
                                       std::as_writable_bytes(std::span(&word, 1)));
    if (!seen) return tl::unexpected<Failure>(seen.error());
    return word;
}

// The first to come tells the log who is late, well before the end.
Result<void> Meetings::wait(Nanoseconds timeout, bool first) {
    const Clock& clock = node_.doors().clock;
    const Nanoseconds begun = clock.now();
    Nanoseconds warning = std::min(first_warning, timeout / 4);
    for (Nanoseconds pause = first_pause;; pause = std::min(2 * pause, longest_pause)) {
        const auto word = look();
        if (!word) return tl::unexpected<Failure>(word.error());
        if ((*word & told) != 0) return given_up();
        const bool open = (*word & giving_up) == 0;
        if (open && *word == static_cast<std::uint64_t>(node_.size())) return {};
        if (node_.any_lost()) return tl::unexpected(lost_one());
        const Nanoseconds waited = clock.now() - begun;
        if (open && waited >= timeout) SSI_TRY(give_up(*word, timeout));
        if (first && waited >= warning) {
            SSI_LOG(node_.doors().log, warn, "checkpoint", "waiting for other ranks for {} ms: {}",
                    waited / 1'000'000, missing());
            warning += waited;
        }
        node_.doors().tasks.sleep_for(pause);
    }
}

// Unless another has come meanwhile. Those that give up at the same time wait for the one that
// tells why.
Result<void> Meetings::give_up(std::uint64_t word, Nanoseconds timeout) {
    const auto found = words_.compare_exchange(word_of(meeting_), word, word | giving_up);
    if (!found) return tl::unexpected<Failure>(found.error());
    if (*found != word) return {};
    const Failure why{Errc::timed_out, 0, no_node,
                      fmt::format("given up after {} ms (checkpoint.meet_ms): {}",
                                  timeout / 1'000'000, missing())};
    const auto put = [&]() -> Result<void> {
        auto guard = reasons_.grab_new(word_of(meeting_));
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        const Bytes bytes = encode_failure(why);
        SSI_TRY(guard->resize_for_overwrite(bytes.size()));
        std::ranges::copy(bytes, guard->writable().begin());
        return guard->put();
    }();
    const auto over = words_.fetch_add(word_of(meeting_), told);
    SSI_TRY(put);
    return over ? Result<void>() : tl::unexpected<Failure>(over.error());
}

Result<void> Meetings::given_up() {
    given_up_ = true;
    const auto why = reasons_.read(word_of(meeting_));
    if (!why) return tl::unexpected<Failure>(why.error());
    return tl::unexpected(decode_failure(why->bytes));
}

// Who has not come, and what those do that are known to do something.
std::string Meetings::missing() {
    const bool again = (meeting_ & 1) != 0;
    std::array<std::string, doing_names.size()> ranks;
    std::size_t count = 0;
    for (int rank = 0; rank < node_.size(); ++rank) {
        std::uint64_t word = 0;
        const auto seen = words_.read_into(doing_of(rank), 0,
                                           std::as_writable_bytes(std::span(&word, 1)));
        if (!seen) continue;
        const std::size_t doing = std::min<std::uint64_t>(word & ((1u << doing_bits) - 1),
                                                          doing_names.size() - 1);
        const bool here = (word >> doing_bits) >= attempt_;
        if (here && (!again || doing == static_cast<std::size_t>(Doing::prepared))) continue;
        if (++count <= most_named)
            ranks[doing] += fmt::format("{}{}", ranks[doing].empty() ? "" : ", ", rank);
    }
    std::vector<std::string> texts;
    for (std::size_t doing = 0; doing < ranks.size(); ++doing)
        if (!ranks[doing].empty())
            texts.push_back(fmt::format("rank {} {}", ranks[doing], doing_names[doing]));
    if (count > most_named) texts.push_back(fmt::format("and {} more", count - most_named));
    // They may all have come just now.
    if (texts.empty()) texts.emplace_back("a rank has not come");
    return joined(texts);
}

Failure Meetings::lost_one() const {
    NodeId lost = no_node;
    for (const auto& member : node_.members().members)
        if (node_.lost(member.node)) lost = member.node;
    return {Errc::peer_lost, 0, lost, fmt::format("node {} is dead, which the others wait for",
                                                  lost.value)};
}

}  // namespace ssi::ckpt
