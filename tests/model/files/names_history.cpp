// SPDX-License-Identifier: BSD-3-Clause
#include "names_history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

namespace ssi::model {
namespace {

using State = std::vector<std::uint64_t>;

// What the search puts in order: an operation, or one of the two steps of a link.
struct Step {
    const NameOperation* operation = nullptr;
    std::size_t found = 0;           // of a link: where in the state its first step notes the file
    bool second = false;
};
constexpr std::uint64_t not_yet = UINT64_MAX;

bool apply_link(const Step& step, State& state, std::uint32_t names) {
    const NameOperation& o = *step.operation;
    std::uint64_t& found = state[step.found];
    if (!step.second) {
        found = state[o.name];
        return true;
    }
    if (found == not_yet) return false;
    const std::uint64_t inode = std::exchange(found, not_yet);   // over: states become alike again
    if (inode == 0) return o.error == ENOENT;
    if (state[o.to] != 0 && o.error == EEXIST) return true;
    const bool has_name = std::find(state.begin(), state.begin() + names, inode) !=
                          state.begin() + names;
    if (!has_name) return o.error == ENOENT;   // it lost its last one meanwhile
    if (state[o.to] != 0 || o.error != 0) return false;
    state[o.to] = inode;
    return true;
}

// Whether the answer is what a file system in this state gives; then the state is as after it.
bool apply(const Step& step, State& state, std::uint32_t names) {
    using What = NameOperation::What;
    const NameOperation& o = *step.operation;
    std::uint64_t& here = state[o.name];
    switch (o.what) {
        case What::create:
            if (here != 0) return o.error == EEXIST;
            here = o.inode;
            return o.error == 0;
        case What::remove:
            if (here == 0) return o.error == ENOENT;
            here = 0;
            return o.error == 0;
        case What::move:
            if (here == 0) return o.error == ENOENT;
            if (o.error != 0) return false;
            if (state[o.to] == here) return true;   // two names of one file: both stay
            state[o.to] = here;
            here = 0;
            return true;
        case What::link: return apply_link(step, state, names);
        case What::look:
            return here == 0 ? o.error == ENOENT : o.error == 0 && o.inode == here;
    }
    return false;
}

// Depth first; what was come to once, done steps and state, is not tried again.
class Search {
public:
    Search(const std::vector<NameOperation>& operations, std::uint32_t names)
        : names_(names), state_(names, 0) {
        for (const NameOperation& o : operations) {
            steps_.push_back({&o, state_.size(), false});
            if (o.what != NameOperation::What::link) continue;
            steps_.push_back({&o, state_.size(), true});
            state_.push_back(not_yet);
        }
        done_.resize(steps_.size(), false);
    }

    bool run() { return from(0); }
    const NameOperation* furthest() const {
        return furthest_ < steps_.size() ? steps_[furthest_].operation : nullptr;
    }

private:
    // `first`: before it, all are done.
    bool from(std::size_t first) {
        while (first < steps_.size() && done_[first]) ++first;
        furthest_ = std::max(furthest_, first);
        if (first == steps_.size()) return true;
        if (!seen_.insert({done_, state_}).second) return false;
        std::uint64_t earliest_answer = UINT64_MAX;
        for (std::size_t i = first; i < steps_.size(); ++i) {
            const NameOperation& o = *steps_[i].operation;
            if (o.called > earliest_answer) break;   // and so all behind it
            if (done_[i]) continue;
            earliest_answer = std::min(earliest_answer, o.answered);
            const State before = state_;
            if (apply(steps_[i], state_, names_)) {
                done_[i] = true;
                if (from(first)) return true;
                done_[i] = false;
            }
            state_ = before;
        }
        return false;
    }

    const std::uint32_t names_;
    std::vector<Step> steps_;
    std::vector<bool> done_;
    State state_;                    // inodes of the names; then what links have found
    std::set<std::pair<std::vector<bool>, State>> seen_;
    std::size_t furthest_ = 0;
};

}  // namespace

std::string NameOperation::text() const {
    static constexpr const char* names[] = {"create", "remove", "move", "link", "look"};
    std::string out = fmt::format("[{}..{}] {} {}", called, answered,
                                  names[static_cast<std::size_t>(what)], name);
    if (what == What::move || what == What::link) out += fmt::format(" to {}", to);
    out += error ? fmt::format(": {}", std::strerror(error)) : ": done";
    if (inode) out += fmt::format(", inode {}", inode);
    return out;
}

std::optional<std::string> NamesHistory::wrong() const {
    std::vector<NameOperation> sorted = operations_;
    std::ranges::sort(sorted, {}, &NameOperation::called);
    Search search(sorted, names_);
    if (search.run()) return {};
    const auto furthest = static_cast<std::size_t>(search.furthest() - sorted.data());
    std::string text = fmt::format("no order explains the answers; {} of {} operations fit:",
                                   furthest, sorted.size());
    const std::size_t begin = furthest > 40 ? furthest - 40 : 0;
    for (std::size_t i = begin; i < std::min(sorted.size(), furthest + 12); ++i)
        text += "\n    " + sorted[i].text();
    return text;
}

}  // namespace ssi::model
