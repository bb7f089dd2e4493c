// SPDX-License-Identifier: BSD-3-Clause
// What Calls are inside: messages, who executes requests, who waits for answers.
#pragma once

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "calls.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::io {
namespace calls {

using Bytes = std::vector<std::byte>;

enum class What : std::uint8_t { request = 1, answer, failure, last = failure };

// Every message starts with this; arguments, an answer or the text of a failure follow.
struct Header {
    node::MessageHeader message;     // kind: What; flags: the kind of call
    std::uint64_t generation = 0;    // of the Calls: earlier ones of the session had others
    std::uint64_t number = 0;        // of the call, by its caller
    std::uint32_t length = 0;        // of what follows
    std::uint32_t code = 0;          // of a failure, as the next two
    std::int32_t sys_errno = 0;
    std::uint32_t node = no_node.value;

    What what() const { return static_cast<What>(message.kind); }
};
static_assert(sizeof(Header) == 48);

// Bytes that came with a message: memory of ours, or a copy of the transport's.
struct Arrived {
    std::unique_ptr<std::byte[]> memory;
    std::size_t length = 0;
    std::span<const std::byte> span() const { return {memory.get(), length}; }
};

inline Failure cancelled_here() { return {Errc::cancelled, 0, no_node, "calls were stopped here"}; }

inline Result<void> check_size(std::uint8_t kind, std::size_t bytes, const char* what) {
    if (bytes <= Calls::most_bytes) return {};
    return fail(Errc::too_large, fmt::format("call of kind {}: {} bytes of {}; the limit is {}",
                                             kind, bytes, what, Calls::most_bytes));
}

using SharedBytes = std::shared_ptr<const Bytes>;
Result<void> send(node::Node& node, node::ChannelId channel, NodeId to, Header header,
                  const SharedBytes& bytes);

// What `to` is told of its request. Of a dead node nobody waits.
void answer(node::Node& node, node::ChannelId channel, NodeId to, const Header& request,
            Result<Bytes> result);

struct Request {
    NodeId from;
    Header header;
    Arrived arguments;
};

// The requests of one sort, and who executes them.
struct Pool {
    sys::Mutex mutex;
    sys::Condition changed;
    std::deque<Request> requests;
    std::atomic<std::size_t> queued{0};   // their number, for who looks without the mutex
    bool stopping = false;
    std::vector<std::unique_ptr<sys::Tasks::Handle>> tasks;
};

// A call whose answer is awaited, on its caller's stack.
struct Pending {
    std::uint64_t number = 0;
    NodeId to = no_node;
    std::uint8_t kind = 0;
    Pending* next = nullptr;
    sys::WaitCell cell;              // there is an outcome, or something to do meanwhile
    bool done = false;
    bool later = false;              // nobody waits: whoever ends it deletes it
    bool waits = false;              // its caller does, and may do something meanwhile
    const sys::Task* owner = nullptr;
    Calls::Sort sort = Calls::Sort::leaf;   // of the call
    std::vector<Request> meanwhile;
    Result<Bytes> outcome;
};

class CallWait final : public node::WaitNote {
public:
    CallWait(node::WaitList& list, const Pending& call) : WaitNote(list), call_(call) {}

private:
    node::WaitDescription describe() const override {
        node::WaitDescription what;
        what.verb = fmt::format("call of kind {}", call_.kind);
        what.from = call_.to;
        return what;
    }
    const Pending& call_;
};

}  // namespace calls

struct Calls::Impl {
    using Bytes = calls::Bytes;
    using Header = calls::Header;
    using Arrived = calls::Arrived;
    using Pool = calls::Pool;
    using Request = calls::Request;
    using Pending = calls::Pending;
    using SharedBytes = calls::SharedBytes;

    class Door;
    struct Registered {
        Sort sort = Sort::leaf;
        Pace pace = Pace::slow;
        Handler handler;
    };

    Impl(node::Node& node_, node::ChannelId channel_, unsigned tasks_)
        : node(node_), channel(channel_), tasks(std::max(tasks_, 1u)) {}

    // As a caller.
    void begin(Pending& call, const SharedBytes& arguments);
    Result<Bytes> finish(Pending& call);
    Result<Bytes> run(NodeId from, std::uint8_t kind, std::span<const std::byte> arguments);
    bool enter();
    void leave();
    void end_pending(const Failure& why, NodeId of);       // no_node: of all
    void complete(NodeId from, std::uint64_t number, Result<Bytes> outcome);

    void end(Pending& call, Result<Bytes> outcome);        // under the mutex

    // As who is asked.
    void arrived(NodeId from, const Header& header, Arrived bytes);
    void arrived_torn(NodeId from, const Header& header, std::size_t length);
    void no_room(NodeId from, const Header& header, std::size_t length);
    void malformed(NodeId from, std::string_view why);
    void work(Pool& pool);
    void serve(const Request& request);
    bool hand_over(Request& request);                      // to a caller that waits
    void serve_all(std::vector<Request>& requests);
    bool serve_queued(Sort sort);    // something quick that such a caller may do

    node::Node& node;
    const node::ChannelId channel;
    const unsigned tasks;
    std::array<Registered, 256> handlers;
    std::array<Pool, 2> pools;
    std::shared_ptr<Door> door;
    std::atomic<std::uint64_t> generation{0};   // 0: not started
    std::atomic<bool> complained{false};
    std::atomic<unsigned> looks{0};  // by serve_others, until others seem to have stopped asking

    sys::Mutex mutex;               // of what follows
    sys::Condition left;
    std::array<Pending*, 64> pending{};
    std::vector<Pending*> waiting;  // who is in `finish`
    std::uint64_t last_number = 0;
    std::uint64_t inside = 0;       // calls of this node's tasks
    std::size_t later = 0;          // of those, which nobody waits for
    std::vector<sys::WaitCell*> drains;
    bool stopped = false;
};

}  // namespace ssi::io
