// SPDX-License-Identifier: BSD-3-Clause
// `ssi checkpoint take|halt|freeze|thaw|status|policy [set]`: of a running session, by control
// sockets.
#include <fmt/format.h>

#include <algorithm>

#include "checkpoint.hpp"
#include "checkpoint_stores.hpp"
#include "running.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/base/json.hpp"
#include "ssi/sys/task.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

constexpr Nanoseconds between_looks = 50'000'000;

// Of the session's first node, whose clock and directory count.
struct FirstNode {
    RunningSession session;
    node::ContactNode node;

    Result<JsonValue> ask(const char* verb, const std::string& more = {}) {
        auto answer = session.ask(node, verb, more);
        if (!answer && answer.error().code == Errc::not_found)
            return fail(Errc::not_found,
                        fmt::format("session {} ({}) takes no checkpoints: no ssi::Checkpoint is "
                                    "there", session.contact().session,
                                    session.contact().program));
        return answer;
    }
};

Result<FirstNode> find_first(const Config& config, const std::string& id) {
    auto session = RunningSession::find(config, id);
    if (!session) return tl::unexpected<Failure>(std::move(session).error());
    auto nodes = session->nodes(std::nullopt);
    if (!nodes) return tl::unexpected<Failure>(std::move(nodes).error());
    return FirstNode{std::move(*session), nodes->front()};
}

std::string when(const JsonValue& status) {
    const std::string policy = readable(status.text_of("policy"));
    const std::uint64_t interval = status.u64_of("interval_s");
    if (policy == fmt::format("interval every_s={}", interval))
        return interval == 0 ? "when somebody asks for it" : fmt::format("each {} s", interval);
    return fmt::format("by policy: {}", policy);
}

// Of the first node, as all run about alike.
void print_drain(const JsonValue& status) {
    if (!status.boolean_of("draining")) return;
    const std::uint64_t waiting = status.u64_of("drains_waiting");
    if (status.find("drain_version"))
        say("version {} is copied to the global store: {} of {} bytes of the first node",
            status.u64_of("drain_version"), status.u64_of("drained_bytes"),
            status.u64_of("drain_bytes"));
    else
        say("nothing is copied to the global store yet");
    if (waiting != 0) say("; {} more to come", waiting);
    say("\n");
}

void print_status(const JsonValue& status) {
    say("application {}, checkpoints in {}\n", readable(status.text_of("application")),
        readable(status.text_of("directory")));
    say("{} taken since it began; another one {}\n", status.u64_of("taken"), when(status));
    if (status.boolean_of("frozen")) say("stands still until `ssi checkpoint thaw`\n");
    print_drain(status);
    if (!status.find("version")) return;
    say("version {}: ", status.u64_of("version"));
    if (status.boolean_of("saving"))
        say("being saved for {:.1f} s, {} bytes of the first node so far", status.number_of(
            "seconds"), status.u64_of("saved_bytes"));
    else if (status.find("error"))
        say("failed: {}", readable(status.text_of("error")));
    else if (!status.boolean_of("durable"))
        say("in the ranks' stores, and on its way to the global one");
    else
        say("durable after {:.3f} s, stopped for {:.6f} s", status.number_of("seconds"),
            status.number_of("stopped_seconds"));
    say("\n");
}

void print_ended(const JsonValue& status) {
    say("version {} is in {}; the session has ended\n", status.u64_of("version"),
        readable(status.text_of("directory")));
}

void print(const CheckpointRequest& request, const JsonValue& status) {
    if (request.json)
        say("{}\n", status.to_text());
    else if (status.boolean_of("ended"))
        print_ended(status);
    else if (request.verb == "policy")
        print_policy(status);
    else
        print_status(status);
}

// Until `ended(status)`, the last one seen.
template <class Ended>
Result<JsonValue> wait_until(FirstNode& first, double seconds, Ended ended) {
    const RealClock clock;
    const auto tasks = sys::make_thread_tasks();
    const Nanoseconds end = clock.now() + static_cast<Nanoseconds>(seconds * 1e9);
    for (;;) {
        auto status = first.ask("checkpoint.status");
        if (!status || ended(*status) || clock.now() > end) return status;
        tasks->sleep_for(between_looks);
    }
}

bool taken_after(const JsonValue& status, std::uint64_t before) {
    return status.u64_of("taken") > before;
}

// Until one that was taken after `before` others is durable, or has failed.
Result<JsonValue> wait_saved(FirstNode& first, std::uint64_t before, double seconds) {
    return wait_until(first, seconds, [&](const JsonValue& now) {
        return taken_after(now, before) && !now.boolean_of("saving");
    });
}

// How that ended.
Result<JsonValue> outcome(Result<JsonValue> status, std::uint64_t before) {
    if (!status) return status;
    if (!taken_after(*status, before))
        return fail(Errc::timed_out, "the application has not come to a point where it takes one; "
                                     "it has been asked to");
    if (status->boolean_of("saving"))
        return fail(Errc::timed_out, fmt::format("version {} is still being saved",
                                                 status->u64_of("version")));
    if (!status->find("error")) return status;
    return fail(Errc::io, fmt::format("version {} failed: {}", status->u64_of("version"),
                                      status->text_of("error")));
}

// In the store of the first node, whose word counts; 0: none.
Result<ckpt::VersionNumber> newest_committed(const std::string& directory) {
    const auto opened = open_stores({directory});
    if (!opened && opened.error().code == Errc::not_found) return 0;
    if (!opened) return tl::unexpected<Failure>(opened.error());
    const auto versions = ckpt::list_versions(opened->all());
    if (!versions) return tl::unexpected<Failure>(versions.error());
    ckpt::VersionNumber newest = 0;
    for (const ckpt::VersionInfo& info : *versions)
        if (info.manifest) newest = std::max(newest, info.version);
    return newest;
}

Result<JsonValue> take(FirstNode& first, double seconds) {
    auto status = first.ask("checkpoint.status");
    if (!status) return status;
    const std::uint64_t before = status->u64_of("taken");
    status = first.ask("checkpoint.take");
    if (!status) return status;
    return outcome(wait_saved(first, before, seconds), before);
}

// The session may be gone before it is asked how the last one went: then its store tells.
Result<JsonValue> halt(FirstNode& first, double seconds) {
    auto status = first.ask("checkpoint.status");
    if (!status) return status;
    const std::uint64_t before = status->u64_of("taken");
    const std::string directory(status->text_of("directory"));
    const auto old = newest_committed(directory);
    if (!old) return tl::unexpected<Failure>(old.error());
    status = first.ask("checkpoint.halt");
    if (!status) return status;
    status = wait_saved(first, before, seconds);
    if (status) return outcome(std::move(status), before);
    const auto now = newest_committed(directory);
    if (!now) return tl::unexpected<Failure>(now.error());
    if (*now == *old)
        return fail(Errc::io, fmt::format("the session has ended, and {} has no newer version: its "
                                          "output tells why", directory));
    Json json;
    json.object().field("directory", directory).field("version", *now).field("ended", true);
    return JsonValue::parse(json.end().text());
}

Result<JsonValue> freeze(FirstNode& first, double seconds) {
    auto status = first.ask("checkpoint.freeze");
    if (!status) return status;
    status = wait_until(first, seconds,
                        [](const JsonValue& now) { return now.boolean_of("frozen"); });
    if (!status || status->boolean_of("frozen")) return status;
    return fail(Errc::timed_out, "the application has not come to a point where it can stand "
                                 "still; it will when it does, until `ssi checkpoint thaw`");
}

std::string policy_fields(const CheckpointRequest& request) {
    std::string fields;
    if (request.policy_verb == "set")
        fields = fmt::format(R"(,"policy":{})", Json().value(request.policy_text).text());
    if (request.interval_s) fields += fmt::format(R"(,"interval_s":{})", *request.interval_s);
    return fields;
}

Result<JsonValue> ask_session(FirstNode& first, const CheckpointRequest& request) {
    if (request.verb == "policy") return first.ask("checkpoint.policy", policy_fields(request));
    if (request.verb == "take") return take(first, request.timeout_s);
    if (request.verb == "halt") return halt(first, request.timeout_s);
    if (request.verb == "freeze") return freeze(first, request.timeout_s);
    return first.ask(request.verb == "thaw" ? "checkpoint.thaw" : "checkpoint.status");
}

}  // namespace

Result<void> run_checkpoint_session(const Config& config, const CheckpointRequest& request) {
    auto first = find_first(config, request.session);
    if (!first) return tl::unexpected<Failure>(std::move(first).error());
    const auto status = ask_session(*first, request);
    if (!status) return tl::unexpected<Failure>(status.error());
    print(request, *status);
    return {};
}

}  // namespace ssi::cli
