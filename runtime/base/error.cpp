// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/error.hpp"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <utility>

namespace ssi {
namespace {

// Exit codes: 2 for what the caller typed wrong (as shells and most tools have it), otherwise 40
// plus the number, or from number 24 on 55 plus the number: so they stay clear of sysexits.h (64 to
// 78) and of signals (128 and up).
constexpr int exit_of(Errc code) {
    const int number = static_cast<int>(code);
    return code == Errc::ok ? 0 : number < 24 ? 40 + number : 55 + number;
}
constexpr int usage_exit = 2;

constexpr ErrorInfo row(Errc code, const char* name, const char* text) {
    return {code, name, text, exit_of(code)};
}

constexpr std::array table{
    row(Errc::ok, "ok", "Success."),
    ErrorInfo{Errc::invalid_argument, "invalid_argument",
              "An argument is outside its documented range; the text names it and the range.",
              usage_exit},
    ErrorInfo{Errc::bad_config, "bad_config",
              "A configuration file, SSI_ variable or --ssi- flag cannot be used; `ssi config` "
              "lists what is accepted.",
              usage_exit},
    row(Errc::not_found, "not_found",
        "There is no such file, set, function or object; check its name, and that it was created "
        "or registered before."),
    row(Errc::exists, "exists",
        "It was to be created exclusively, but is there already; open it instead."),
    row(Errc::mismatch, "mismatch",
        "It was opened with attributes other than it was created with; all nodes must name the "
        "same ones."),
    row(Errc::too_large, "too_large",
        "It is larger than the limit that the text names; split it."),
    row(Errc::out_of_memory, "out_of_memory",
        "Memory, shared memory or a budget is exhausted; the text names the limit, `ssi doctor` "
        "shows them all."),
    row(Errc::would_block, "would_block",
        "A try_ verb would have had to wait for another holder; try again later."),
    row(Errc::deadlock, "deadlock",
        "Waiting would close a cycle, or guards are taken out of order; take guards in ascending "
        "order of (set, id), or let go and start over."),
    row(Errc::peer_lost, "peer_lost", "A node that the operation needs is dead."),
    row(Errc::lost, "lost",
        "The newest value of the object died with a node; write it anew or restart from a "
        "checkpoint."),
    row(Errc::timed_out, "timed_out",
        "A time limit passed; the text names the limit and what was waited for."),
    row(Errc::cancelled, "cancelled",
        "The session was shut down or the set was destroyed while the operation waited."),
    row(Errc::io, "io", "The operating system refused an I/O operation; see errno."),
    row(Errc::transport, "transport",
        "UCX or the network refused an operation; `ssi doctor` tests every transport."),
    row(Errc::build_mismatch, "build_mismatch",
        "Nodes of different builds of libssi tried to form one session; start the same program "
        "and the same library on every node."),
    row(Errc::stale_slot, "stale_slot",
        "The request was placed by a slot table that is no longer valid; libssi retries by "
        "itself, so seeing this is a defect."),
    row(Errc::serialization, "serialization",
        "A typed object could not be encoded or decoded; the reader's type must be the writer's."),
    row(Errc::bad_message, "bad_message",
        "A message from a peer is malformed; run the same build on every node."),
    row(Errc::unsupported, "unsupported",
        "It is not available in this build or on this machine; the text names what is missing."),
    row(Errc::parse, "parse", "The input is malformed; the text names the file and the line."),
    row(Errc::function_failed, "function_failed",
        "A function shipped by apply reported a failure; the text is the function's own."),
    row(Errc::internal, "internal",
        "An invariant of libssi is broken; please report it with the text and the log."),
    row(Errc::linker_failed, "linker_failed",
        "The linker of a set could not read, write or remove an object outside memory; the object "
        "is as it was, and the next access tries again."),
};

constexpr bool table_is_indexed_by_code() {
    for (std::size_t i = 0; i < table.size(); ++i)
        if (static_cast<std::size_t>(table[i].code) != i) return false;
    return true;
}
static_assert(table_is_indexed_by_code());
static_assert(table.size() == static_cast<std::size_t>(Errc::linker_failed) + 1);

}  // namespace

std::span<const ErrorInfo> error_table() { return table; }

const ErrorInfo& error_info(Errc code) {
    const auto number = static_cast<std::size_t>(code);
    return number < table.size() ? table[number] : table[static_cast<std::size_t>(Errc::internal)];
}

std::string Failure::to_string() const {
    std::string out = fmt::format("{}: ", error_info(code).name);
    if (node != no_node) {
        const std::string mention = fmt::format("node {}", node.value);
        if (text.find(mention) == std::string::npos) out += mention + ": ";
    }
    out += text;
    if (sys_errno != 0) {
        const char* name = strerrorname_np(sys_errno);
        const char* description = strerrordesc_np(sys_errno);
        out += fmt::format(" ({}: {})", name ? name : fmt::format("errno {}", sys_errno),
                           description ? description : "unknown error");
    }
    return out;
}

Error::Error(Failure failure)
    : std::runtime_error(failure.to_string()), failure_(std::move(failure)) {}

}  // namespace ssi
