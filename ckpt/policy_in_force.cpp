// SPDX-License-Identifier: BSD-3-Clause
#include "policy_in_force.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <utility>

#include "levels.hpp"

namespace ssi::ckpt {
namespace {

// What is said when nobody says anything: checkpoint.policy, and checkpoint.interval_s besides.
std::string text_of(const Config& config, std::string_view given) {
    if (!given.empty()) return std::string(given);
    const std::string& text = config.text("checkpoint.policy");
    const std::int64_t interval = config.integer("checkpoint.interval_s");
    const bool none = text.find_first_not_of(' ') == std::string::npos;
    const auto parsed = parse_policies(text);
    const bool has_one = parsed && std::ranges::find(*parsed, "interval", &PolicyText::name) !=
                                       parsed->end();
    if (has_one || (interval == 0 && !none)) return text;
    return with_interval(text, std::to_string(interval));
}

// Of `interval`, where it is among them; else 0.
std::uint64_t interval_of(std::string_view text) {
    const auto parsed = parse_policies(text);
    double seconds = 0;
    for (const PolicyText& one : parsed ? *parsed : std::vector<PolicyText>())
        if (const auto at = one.parameters.find("every_s=");
            one.name == "interval" && at != std::string::npos)
            std::from_chars(one.parameters.data() + at + 8,
                            one.parameters.data() + one.parameters.size(), seconds);
    return static_cast<std::uint64_t>(seconds);
}

void put_known(Json& json, std::string_view key, double value) {
    if (value >= 0) json.field(key, value);
}

void put_cost(Json& json, std::string_view key, const ssi_checkpoint_cost& cost) {
    if (cost.blocked_s < 0) return;
    json.object(key).field("blocked_s", cost.blocked_s).field("durable_s", cost.durable_s);
    json.field("bytes", cost.bytes).end();
}

std::string_view kind_name(std::uint32_t kind) {
    return kind == SSI_CHECKPOINT_FULL          ? "full"
           : kind == SSI_CHECKPOINT_INCREMENTAL ? "incremental"
                                                : "any";
}

}  // namespace

Result<std::unique_ptr<PolicyInForce>> PolicyInForce::make(Doors doors, std::string_view text,
                                                           const CanHave& can_have) {
    Missing missing;
    missing.fill("there is none of this number");
    for (const LevelName& one : level_names) {
        const auto can = can_have(one.level);
        if (can)
            missing[one.index()].reset();
        else
            missing[one.index()] = fmt::format("{}: {}", one.name, can.error().text);
    }
    auto now = prepare(doors, missing, text_of(doors.config, text));
    if (!now) return tl::unexpected<Failure>(std::move(now).error());
    return std::unique_ptr<PolicyInForce>(
        new PolicyInForce(doors, std::move(missing), std::move(*now)));
}

PolicyInForce::PolicyInForce(const Doors& doors, Missing missing, Policies now)
    : doors_(doors),
      missing_(std::move(missing)),
      now_(std::move(now)),
      history_(doors.clock, doors.config,
               [this] {
                   std::uint32_t bits = 0;
                   for (std::uint32_t level = 0; level < missing_.size(); ++level)
                       bits |= missing_[level] ? 0u : 1u << level;
                   return bits;
               }()),
      text_(now_.text()),
      shown_(now_.shown()),
      view_(empty_view()) {}

Result<Policies> PolicyInForce::prepare(const Doors& doors, const Missing& missing,
                                        std::string_view text) {
    auto made = Policies::make(text, doors.config.text("checkpoint.policy_path"), &doors.clock);
    if (!made) return made;
    const auto counts = made->keep();
    for (std::uint32_t level = 0; level < counts.size(); ++level)
        if (counts[level] != 0 && missing[level])
            return fail(Errc::unsupported,
                        fmt::format("checkpoint policy \"{}\": this session cannot have level {}: "
                                    "{}", made->text(), level, *missing[level]));
    return made;
}

// What is replaced before it has decided goes here, by this task alone.
Result<void> PolicyInForce::set(std::string_view text) {
    auto made = prepare(doors_, missing_, text);
    if (!made) return tl::unexpected<Failure>(std::move(made).error());
    std::optional<Policies> unused;
    std::lock_guard lock(mutex_);
    text_ = made->text();
    unused = std::exchange(next_, std::move(*made));
    return {};
}

Result<void> PolicyInForce::set_interval(std::uint64_t seconds) {
    return set(with_interval(text(), std::to_string(seconds)));
}

std::string PolicyInForce::text() const {
    std::lock_guard lock(mutex_);
    return text_;
}

std::uint64_t PolicyInForce::interval_s() const { return interval_of(text()); }

void PolicyInForce::take_over() {
    std::optional<Policies> before;      // ends after the lock
    std::lock_guard lock(mutex_);
    if (!next_) return;
    before = std::exchange(now_, std::move(*next_));
    next_.reset();
    shown_ = now_.shown();
}

PolicyDecision PolicyInForce::decide(bool asked, bool leaving) {
    take_over();
    const ssi_checkpoint_view view = history_.view(asked, leaving);
    PolicyDecision decision = now_.decide(view);
    for (const std::string& one : decision.ejected)
        SSI_LOG(doors_.log, warn, "checkpoint",
                "policy {}; on_request takes its place until another one is set", one);
    show(decision, view);
    return decision;
}

void PolicyInForce::show(const PolicyDecision& decision, const ssi_checkpoint_view& view) {
    std::lock_guard lock(mutex_);
    if (!decision.ejected.empty()) shown_ = now_.shown();
    if (decision.take || view.asked != 0)
        taken_why_ = decision.take ? decision.why : "somebody asked for it";
    last_ = decision;
    view_ = view;
    decided_ = doors_.clock.now();
}

void PolicyInForce::put_view(Json& json) const {
    put_known(json, "mtbf_s", view_.mtbf_s);
    put_known(json, "observed_mtbf_s", view_.observed_mtbf_s);
    json.field("observed_failures", view_.observed_failures);
    put_known(json, "left_s", view_.left_s);
    put_known(json, "between_points_s", view_.between_points_s);
    json.array("levels");
    for (const LevelName& one : level_names) {
        const auto& seen = view_.levels[one.index()];
        json.object().field("level", one.index()).field("name", one.name);
        json.field("possible", !missing_[one.index()]).field("taken", seen.taken);
        if (missing_[one.index()]) json.field("why_not", *missing_[one.index()]);
        put_cost(json, "full", seen.full);
        put_cost(json, "incremental", seen.incremental);
        json.end();
    }
    json.end();
}

std::string PolicyInForce::report() const {
    std::lock_guard lock(mutex_);
    Json json;
    json.object().field("policy", text_).field("interval_s", interval_of(text_));
    json.field("pending", next_.has_value()).array("strategies");
    for (const Policies::Shown& one : shown_) {
        json.object().field("name", one.text.name).field("parameters", one.text.parameters);
        if (!one.origin.empty()) json.field("file", one.origin);
        if (!one.ejected.empty()) json.field("ejected", one.ejected);
        json.end();
    }
    json.end();
    if (decided_) {
        const double ago = static_cast<double>(doors_.clock.now() - *decided_) * 1e-9;
        json.object("decision").field("take", last_.take).field("why", last_.why);
        json.field("level", level_name(last_.level)).field("kind", kind_name(last_.kind));
        json.field("ago_s", ago).end();
        if (last_.next_s >= 0) json.field("next_s", std::max(0.0, last_.next_s - ago));
    }
    if (!taken_why_.empty()) json.field("last_why", taken_why_);
    put_view(json);
    return json.end().text();
}

}  // namespace ssi::ckpt
