// SPDX-License-Identifier: BSD-3-Clause
// Two nodes of the shipped UCX transport in one process send each other a message. In a child: UCX
// prints warnings to standard output, and a broken driver may crash or hang.
#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "child.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/net/ucx.hpp"
#include "trials.hpp"

namespace ssi::cli {
namespace {

constexpr int trial_timeout_ms = 15'000;
constexpr Nanoseconds answer_timeout = 5'000'000'000;
constexpr int warm_rounds = 20;
constexpr int timed_rounds = 100;

// Counts what arrives; the trial sends no large payloads.
class Counter final : public net::Receiver {
public:
    int messages = 0;
    std::string suspicion;

    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t) override {
        return nullptr;
    }
    void on_message(NodeId, std::span<const std::byte>, std::span<std::byte>, bool) override {
        ++messages;
    }
    void on_large_failed(NodeId, std::byte*) override {}
    void on_peer_suspect(NodeId, const Failure& why) override { suspicion = why.text; }
};

struct End {
    Counter counter;
    std::unique_ptr<net::UcxTransport> transport;
};

Result<void> open_end(End& end, NodeId self, const Config& config, Log& log) {
    auto made = net::make_ucx_transport({.self = self, .want_address = {}}, config, log);
    if (!made) return tl::unexpected(std::move(made).error());
    end.transport = std::move(*made);
    end.transport->set_receiver(&end.counter);
    return {};
}

// One message from `from` to `to`.
Result<void> pass_message(End& from, End& to, const RealClock& clock) {
    std::array<std::byte, 16> header{};
    const int before = to.counter.messages;
    SSI_TRY(from.transport->send(to.transport->self(), header, {}));
    const Nanoseconds deadline = clock.now() + answer_timeout;
    while (to.counter.messages == before) {
        from.transport->poll();
        to.transport->poll();
        const std::string& why =
            from.counter.suspicion.empty() ? to.counter.suspicion : from.counter.suspicion;
        if (!why.empty()) return fail(Errc::transport, why);
        if (clock.now() > deadline)
            return fail(Errc::timed_out, "a message did not arrive within 5 s");
    }
    return {};
}

Result<double> round_trip(const Config& config) {
    const RealClock clock;
    Log log(LogLevel::off);
    End a, b;
    SSI_TRY(open_end(a, NodeId{0}, config, log));
    SSI_TRY(open_end(b, NodeId{1}, config, log));
    a.transport->learn_address(NodeId{1}, b.transport->address());
    b.transport->learn_address(NodeId{0}, a.transport->address());
    Nanoseconds start = 0;
    for (int i = 0; i < warm_rounds + timed_rounds; ++i) {
        if (i == warm_rounds) start = clock.now();
        SSI_TRY(pass_message(a, b, clock));
        SSI_TRY(pass_message(b, a, clock));
    }
    const Nanoseconds took = clock.now() - start;
    for (End* end : {&a, &b}) end->transport->close(true);
    const Nanoseconds deadline = clock.now() + answer_timeout;
    while (!(a.transport->closed() && b.transport->closed()) && clock.now() < deadline) {
        a.transport->poll();
        b.transport->poll();
    }
    return static_cast<double>(took) / timed_rounds / 1000;
}

// The last line that UCX printed says most; its time stamp and file are cut off.
std::string last_words(const std::string& output) {
    const auto end = output.find_last_not_of('\n');
    if (end == std::string::npos) return "";
    const auto begin = output.rfind('\n', end);
    std::string line = output.substr(begin == std::string::npos ? 0 : begin + 1, end - begin);
    const auto ucx = line.find("UCX ");
    return " (" + (ucx == std::string::npos ? line : line.substr(ucx)) + ")";
}

}  // namespace

Trial try_messages(const Config& config, const std::string& transports) {
    const auto report = run_in_child(
        [&]() -> std::string {
            Config chosen = config;
            if (!transports.empty()) {
                const auto set = chosen.set("net.ucx_tls", transports, "ssi doctor");
                if (!set) return "-" + set.error().text;
            }
            const auto took = round_trip(chosen);
            return took ? fmt::format("+{}", *took) : "-" + took.error().text;
        },
        trial_timeout_ms);
    Trial trial;
    if (!report.answer || report.answer->empty())
        trial.text = report.end + last_words(report.output);
    else if (report.answer->front() == '-')
        trial.text = report.answer->substr(1) + last_words(report.output);
    else
        trial = {true, std::strtod(report.answer->c_str() + 1, nullptr), ""};
    return trial;
}

}  // namespace ssi::cli
