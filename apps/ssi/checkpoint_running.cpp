// SPDX-License-Identifier: BSD-3-Clause
// `ssi checkpoint take|status|policy`: of a running session, over its control sockets.
#include <fmt/format.h>

#include "checkpoint.hpp"
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

void print_status(const JsonValue& status) {
    say("application {}, checkpoints in {}\n", readable(status.text_of("application")),
        readable(status.text_of("directory")));
    const std::uint64_t interval = status.u64_of("interval_s");
    say("{} taken since it began; {}\n", status.u64_of("taken"),
        interval == 0 ? std::string("another one when somebody asks for it")
                      : fmt::format("another one each {} s", interval));
    if (!status.find("version")) return;
    say("version {}: ", status.u64_of("version"));
    if (status.boolean_of("saving"))
        say("being saved for {:.1f} s, {} bytes of the first node so far", status.number_of(
            "seconds"), status.u64_of("saved_bytes"));
    else if (status.find("error"))
        say("failed: {}", readable(status.text_of("error")));
    else
        say("durable after {:.3f} s, stopped for {:.6f} s", status.number_of("seconds"),
            status.number_of("stopped_seconds"));
    say("\n");
}

void print(const CheckpointRequest& request, const JsonValue& status) {
    if (request.json)
        say("{}\n", status.to_text());
    else
        print_status(status);
}

// Until one that was taken after `before` others is durable.
Result<JsonValue> wait(FirstNode& first, std::uint64_t before, double seconds) {
    const RealClock clock;
    const auto tasks = sys::make_thread_tasks();
    const Nanoseconds end = clock.now() + static_cast<Nanoseconds>(seconds * 1e9);
    for (;;) {
        auto status = first.ask("checkpoint.status");
        if (!status) return status;
        const bool taken = status->u64_of("taken") > before;
        if (taken && !status->boolean_of("saving")) {
            if (!status->find("error")) return status;
            return fail(Errc::io, fmt::format("version {} failed: {}", status->u64_of("version"),
                                              status->text_of("error")));
        }
        if (clock.now() > end)
            return fail(Errc::timed_out,
                        taken ? fmt::format("version {} is still being saved",
                                            status->u64_of("version"))
                              : std::string("the application has not come to a point where it "
                                            "takes one; it has been asked to"));
        tasks->sleep_for(between_looks);
    }
}

}  // namespace

Result<void> run_checkpoint_session(const Config& config, const CheckpointRequest& request) {
    auto first = find_first(config, request.session);
    if (!first) return tl::unexpected<Failure>(std::move(first).error());
    Result<JsonValue> status;
    if (request.verb == "policy")
        status = first->ask("checkpoint.policy", fmt::format(R"(,"interval_s":{})",
                                                             request.interval_s));
    else
        status = first->ask("checkpoint.status");
    if (status && request.verb == "take") {
        const std::uint64_t before = status->u64_of("taken");
        status = first->ask("checkpoint.take");
        if (status) status = wait(*first, before, request.timeout_s);
    }
    if (!status) return tl::unexpected<Failure>(std::move(status).error());
    print(request, *status);
    return {};
}

}  // namespace ssi::cli
