// SPDX-License-Identifier: BSD-3-Clause
#include "control.hpp"

#include <algorithm>
#include <mutex>

#include "saving.hpp"
#include "ssi/base/json.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* take_verb = "checkpoint.take";
constexpr const char* halt_verb = "checkpoint.halt";
constexpr const char* freeze_verb = "checkpoint.freeze";
constexpr const char* thaw_verb = "checkpoint.thaw";
constexpr const char* status_verb = "checkpoint.status";
constexpr const char* policy_verb = "checkpoint.policy";

void add_drain(Json& json, const Drain::Status& now) {
    json.field("draining", now.version != 0 || now.waiting != 0);
    if (now.version != 0)
        json.field("drain_version", now.version)
            .field("drained_bytes", now.copied_bytes)
            .field("drain_bytes", now.bytes);
    json.field("drains_waiting", std::uint64_t{now.waiting});
}

}  // namespace

Control::Control(node::Node& node, Requests& requests, PolicyInForce* policy, const Drain* drain,
                 std::string directory, std::string application)
    : node_(node), requests_(requests), policy_(policy), drain_(drain),
      directory_(std::move(directory)), application_(std::move(application)) {
    node::ControlVerbs& verbs = node.control();
    const auto add = [&](const char* verb, auto wish) {
        verbs.add(verb, [this, wish](const JsonValue&) -> Result<std::string> {
            wish(requests_);
            return status();
        });
    };
    add(take_verb, [](Requests& requests) { requests.ask(); });
    add(halt_verb, [](Requests& requests) { requests.ask_to_leave(); });
    add(freeze_verb, [](Requests& requests) { requests.set_freeze(true); });
    add(thaw_verb, [](Requests& requests) { requests.set_freeze(false); });
    add(status_verb, [](Requests&) {});
    verbs.add(policy_verb, [this](const JsonValue& request) { return answer_policy(request); });
}

bool Control::is_there(node::Node& node) {
    const auto names = node.control().names();
    return std::ranges::find(names, take_verb) != names.end();
}

Control::~Control() {
    for (const char* verb :
         {take_verb, halt_verb, freeze_verb, thaw_verb, status_verb, policy_verb})
        node_.control().remove(verb);
}

void Control::took(std::shared_ptr<CheckpointTicket::State> ticket) {
    std::lock_guard lock(mutex_);
    last_ = std::move(ticket);
    ++taken_;
}

std::string Control::status() {
    std::shared_ptr<CheckpointTicket::State> last;
    std::uint64_t taken = 0;
    {
        std::lock_guard lock(mutex_);
        last = last_;
        taken = taken_;
    }
    Json json;
    json.object().field("directory", directory_).field("application", application_);
    if (policy_) json.field("policy", policy_->text()).field("interval_s", policy_->interval_s());
    json.field("taken", taken).field("frozen", requests_.frozen());
    if (last) {
        const CheckpointTicket ticket(last);
        const bool done = ticket.test();
        const auto progress = ticket.progress();
        json.field("version", ticket.version()).field("saving", !done && !progress.saved);
        json.field("saved_bytes", progress.saved_bytes);
        json.field("stopped_seconds", progress.stopped_seconds);
        json.field("seconds", progress.seconds);
        const auto outcome = done ? ticket.wait() : Result<void>();
        json.field("durable", done && outcome);
        if (!outcome) json.field("error", outcome.error().to_string());
    }
    if (drain_) add_drain(json, drain_->status());
    return json.end().text();
}

// Of the first node, whose policies count.
Result<std::string> Control::answer_policy(const JsonValue& request) {
    if (!policy_)
        return fail(Errc::invalid_argument, "checkpoint.policy is for the session's first node");
    const JsonValue* const text = request.find("policy");
    if (text && text->kind() != JsonValue::Kind::text)
        return fail(Errc::invalid_argument, "checkpoint.policy: policy is no text");
    if (text) SSI_TRY(policy_->set(text->text()));
    if (const JsonValue* const seconds = request.find("interval_s")) {
        if (!seconds->u64())
            return fail(Errc::invalid_argument, "checkpoint.policy: interval_s is no number of "
                                                "seconds");
        SSI_TRY(policy_->set_interval(*seconds->u64()));
    }
    return policy_->report();
}

}  // namespace ssi::ckpt
