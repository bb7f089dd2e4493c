// SPDX-License-Identifier: BSD-3-Clause
#include "calls.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "ssi/base/assert.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::io {
namespace {

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

Failure cancelled_here() { return {Errc::cancelled, 0, no_node, "calls were stopped here"}; }

Result<void> check_size(std::uint8_t kind, std::size_t bytes, const char* what) {
    if (bytes <= Calls::most_bytes) return {};
    return fail(Errc::too_large, fmt::format("call of kind {}: {} bytes of {}; the limit is {}",
                                             kind, bytes, what, Calls::most_bytes));
}

// The transport reads lent bytes until it releases them.
using SharedBytes = std::shared_ptr<const Bytes>;
void release_shared(void* context) { delete static_cast<SharedBytes*>(context); }

Result<void> send(node::Node& node, node::ChannelId channel, NodeId to, Header header,
                  const SharedBytes& bytes) {
    header.message.channel = static_cast<std::uint8_t>(channel);
    header.length = static_cast<std::uint32_t>(bytes->size());
    net::Payload payload{bytes->data(), bytes->size(), nullptr, nullptr};
    if (payload.length > net::max_copied_payload)
        payload = {bytes->data(), bytes->size(), &release_shared, new SharedBytes(bytes)};
    return node.send(to, std::as_writable_bytes(std::span(&header, 1)), payload);
}

// What `to` is told of its request. Of a dead node nobody waits.
void answer(node::Node& node, node::ChannelId channel, NodeId to, const Header& request,
            Result<Bytes> result) {
    Header header;
    header.generation = request.generation;
    header.number = request.number;
    header.message.flags = request.message.flags;
    header.message.kind = static_cast<std::uint8_t>(result ? What::answer : What::failure);
    auto bytes = std::make_shared<Bytes>();
    if (result) {
        *bytes = std::move(*result);
    } else {
        const Failure& failure = result.error();
        header.code = static_cast<std::uint32_t>(failure.code);
        header.sys_errno = failure.sys_errno;
        header.node = failure.node.value;
        const std::size_t shown = std::min(failure.text.size(), Calls::most_bytes);
        const auto text = std::as_bytes(std::span(failure.text)).first(shown);
        bytes->assign(text.begin(), text.end());
    }
    const auto sent = send(node, channel, to, header, bytes);
    if (!sent && sent.error().code != Errc::peer_lost)
        SSI_LOG(node.doors().log, error, "calls", "answer to node {} not sent: {}", to.value,
                sent.error().to_string());
}

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
    bool stopping = false;
    std::vector<std::unique_ptr<sys::Tasks::Handle>> tasks;
};

// A call whose answer is awaited, on its caller's stack.
struct Pending {
    std::uint64_t number = 0;
    NodeId to = no_node;
    std::uint8_t kind = 0;
    Pending* next = nullptr;
    sys::WaitCell cell;
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

}  // namespace

struct Calls::Impl {
    class Door;
    struct Registered {
        Sort sort = Sort::leaf;
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

    // As who is asked.
    void arrived(NodeId from, const Header& header, Arrived bytes);
    void no_room(NodeId from, const Header& header, std::size_t length);
    void malformed(NodeId from, std::string_view why);
    void work(Pool& pool);

    node::Node& node;
    const node::ChannelId channel;
    const unsigned tasks;
    std::array<Registered, 256> handlers;
    std::array<Pool, 2> pools;
    std::shared_ptr<Door> door;
    std::atomic<std::uint64_t> generation{0};   // 0: not started
    std::atomic<bool> complained{false};

    sys::Mutex mutex;               // of what follows
    sys::Condition left;
    std::array<Pending*, 64> pending{};
    std::uint64_t last_number = 0;
    std::uint64_t inside = 0;       // calls of this node's tasks
    bool stopped = false;
};

// What the node delivers to. It outlives the Calls, as a message may come at any time.
class Calls::Impl::Door final : public node::Channel {
public:
    Door(node::Node& node, node::ChannelId channel, Impl* impl)
        : node_(node), channel_(channel), impl_(impl) {}
    void close() {
        std::lock_guard lock(mutex_);
        impl_ = nullptr;
    }

    std::byte* on_large(NodeId from, std::span<const std::byte> bytes,
                        std::size_t length) override {
        auto* memory = length <= Calls::most_bytes ? new (std::nothrow) std::byte[length] : nullptr;
        std::lock_guard lock(mutex_);
        Header header;
        if (!memory && impl_ && parse(from, bytes, header)) impl_->no_room(from, header, length);
        return memory;
    }
    void on_large_failed(NodeId, std::byte* memory) override {
        std::unique_ptr<std::byte[]>{memory};
    }
    void on_message(NodeId from, std::span<const std::byte> bytes, std::span<std::byte> payload,
                    bool owned) override {
        Arrived arrived{std::unique_ptr<std::byte[]>(owned ? payload.data() : nullptr),
                        payload.size()};
        std::lock_guard lock(mutex_);
        Header header;
        if (!parse(from, bytes, header)) return;
        if (!owned && !payload.empty()) {
            arrived.memory = std::make_unique_for_overwrite<std::byte[]>(payload.size());
            std::memcpy(arrived.memory.get(), payload.data(), payload.size());
        }
        if (impl_)
            impl_->arrived(from, header, std::move(arrived));
        else if (header.what() == What::request)
            answer(node_, channel_, from, header, tl::unexpected(cancelled_here()));
    }
    void on_node_lost(NodeId node) override {
        std::lock_guard lock(mutex_);
        if (impl_)
            impl_->end_pending({Errc::peer_lost, 0, node,
                                fmt::format("node {} is dead, which was called", node.value)},
                               node);
    }

private:
    bool parse(NodeId from, std::span<const std::byte> bytes, Header& header) {
        if (bytes.size() == sizeof header) {
            std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof header);
            if (header.what() >= What::request && header.what() <= What::last) return true;
        }
        if (impl_)
            impl_->malformed(from, fmt::format("a header of {} bytes that is none of a call",
                                               bytes.size()));
        return false;
    }

    node::Node& node_;
    const node::ChannelId channel_;
    sys::Mutex mutex_;              // few contend: messages come one at a time
    Impl* impl_;
};

// Once, as who sends such a thing sends many.
void Calls::Impl::malformed(NodeId from, std::string_view why) {
    if (complained.exchange(true)) return;
    SSI_LOG(node.doors().log, error, "calls", "malformed message of node {} dropped: {}",
            from.value, why);
}

void Calls::Impl::no_room(NodeId from, const Header& header, std::size_t length) {
    Failure failure{Errc::out_of_memory, 0, node.id(),
                    fmt::format("node {} has no memory for {} bytes of a call", node.id().value,
                                length)};
    if (length > most_bytes) {
        failure.code = Errc::bad_message;
        failure.text = fmt::format("{} bytes of a call; the limit is {}", length, most_bytes);
        malformed(from, failure.text);
    }
    if (header.what() == What::request)
        answer(node, channel, from, header, tl::unexpected(std::move(failure)));
    else if (header.generation == generation.load())
        complete(from, header.number, tl::unexpected(std::move(failure)));
}

void Calls::Impl::arrived(NodeId from, const Header& header, Arrived bytes) {
    const bool whole = header.length == bytes.length && header.message.flags < handlers.size();
    Failure bad{Errc::bad_message, 0, from,
                fmt::format("{} bytes follow a header that speaks of {}", bytes.length,
                            header.length)};
    if (!whole) malformed(from, bad.text);
    if (header.what() != What::request) {
        if (header.generation != generation.load()) return;   // of a Calls that ended
        const auto span = bytes.span();
        if (!whole) return complete(from, header.number, tl::unexpected(std::move(bad)));
        if (header.what() == What::answer)
            return complete(from, header.number, Bytes(span.begin(), span.end()));
        return complete(from, header.number,
                        tl::unexpected(Failure{
                            static_cast<Errc>(header.code), header.sys_errno, NodeId(header.node),
                            std::string(reinterpret_cast<const char*>(span.data()), span.size())}));
    }
    if (!whole) return answer(node, channel, from, header, tl::unexpected(std::move(bad)));
    Pool& pool = pools[static_cast<std::size_t>(handlers[header.message.flags].sort)];
    {
        std::lock_guard lock(pool.mutex);
        if (!pool.stopping) {
            pool.requests.push_back({from, header, std::move(bytes)});
            return pool.changed.notify_one();
        }
    }
    answer(node, channel, from, header, tl::unexpected(cancelled_here()));
}

Result<Bytes> Calls::Impl::run(NodeId from, std::uint8_t kind,
                               std::span<const std::byte> arguments) {
    const Handler& handler = handlers[kind].handler;
    if (!handler)
        return fail(Errc::unsupported,
                    fmt::format("node {} knows no call of kind {}", node.id().value, kind),
                    node.id());
    try {
        auto result = handler(from, arguments);
        if (!result) return result;
        SSI_TRY(check_size(kind, result->size(), "answer"));
        return result;
    } catch (const std::exception& e) {
        return fail(Errc::function_failed, fmt::format("call of kind {}: {}", kind, e.what()),
                    node.id());
    } catch (...) {
        return fail(Errc::function_failed,
                    fmt::format("call of kind {} threw something that is no std::exception", kind),
                    node.id());
    }
}

void Calls::Impl::work(Pool& pool) {
    std::unique_lock lock(pool.mutex);
    for (;;) {
        while (pool.requests.empty() && !pool.stopping) pool.changed.wait(pool.mutex);
        if (pool.requests.empty()) return;
        const Request request = std::move(pool.requests.front());
        pool.requests.pop_front();
        // Some may have come before this node knew its generation, or be of one that ended.
        const bool ours = !pool.stopping && request.header.generation == generation.load();
        lock.unlock();
        const auto kind = static_cast<std::uint8_t>(request.header.message.flags);
        answer(node, channel, request.from, request.header,
               ours ? run(request.from, kind, request.arguments.span())
                    : Result<Bytes>(tl::unexpected(cancelled_here())));
        lock.lock();
    }
}

bool Calls::Impl::enter() {
    std::lock_guard lock(mutex);
    if (stopped || generation.load() == 0) return false;
    ++inside;
    return true;
}

void Calls::Impl::leave() {
    std::lock_guard lock(mutex);
    if (--inside == 0 && stopped) left.notify_all();
}

void Calls::Impl::begin(Pending& call, const SharedBytes& arguments) {
    Header header;
    header.message.kind = static_cast<std::uint8_t>(What::request);
    header.message.flags = call.kind;
    header.generation = generation.load();
    bool stopped_before = false;
    {
        std::lock_guard lock(mutex);
        header.number = call.number = ++last_number;
        Pending*& first = pending[call.number % pending.size()];
        call.next = std::exchange(first, &call);
        stopped_before = stopped;
    }
    // Registered, it is ended by whoever finds it: of a loss or stop that came before, that is us.
    const NodeId to = call.to;
    auto sent = stopped_before ? Result<void>(tl::unexpected(cancelled_here()))
                               : send(node, channel, to, header, arguments);
    if (!sent) complete(to, header.number, tl::unexpected(std::move(sent).error()));
    if (node.lost(to))
        complete(to, header.number,
                 fail(Errc::peer_lost, fmt::format("node {} is dead", to.value), to));
}

Result<Bytes> Calls::Impl::finish(Pending& call) {
    if (!call.cell.ready()) {
        CallWait note(node.waits(), call);
        call.cell.long_wait = &note;
        node.doors().waiter.wait(call.cell);
    }
    return std::move(call.outcome);
}

void Calls::Impl::complete(NodeId from, std::uint64_t number, Result<Bytes> outcome) {
    std::lock_guard lock(mutex);
    for (Pending** link = &pending[number % pending.size()]; *link; link = &(*link)->next) {
        Pending& call = **link;
        if (call.number != number || call.to != from) continue;
        *link = call.next;
        call.outcome = std::move(outcome);
        return node.doors().waiter.notify(call.cell);
    }
}

void Calls::Impl::end_pending(const Failure& why, NodeId of) {
    std::lock_guard lock(mutex);
    for (Pending*& first : pending) {
        for (Pending** link = &first; *link;) {
            Pending& call = **link;
            if (of != no_node && call.to != of) {
                link = &call.next;
                continue;
            }
            *link = call.next;
            call.outcome = tl::unexpected(why);
            node.doors().waiter.notify(call.cell);
        }
    }
}

Calls::Calls(node::Node& node, node::ChannelId channel, unsigned tasks_of_each_sort)
    : impl_(std::make_unique<Impl>(node, channel, tasks_of_each_sort)) {
    impl_->door = std::make_shared<Impl::Door>(node, channel, impl_.get());
    node.attach(channel, impl_->door);
}

Calls::~Calls() {
    stop();
    impl_->door->close();
}

void Calls::handle(std::uint8_t kind, Sort sort, Handler handler) {
    Impl::Registered& place = impl_->handlers[kind];
    SSI_ASSERT(!place.handler && impl_->generation.load() == 0,
               "a kind of call is registered once, before start");
    place = {sort, std::move(handler)};
}

// The instant that the last one came to is the generation: later than that of any Calls before.
// Nobody has it before all have attached.
Result<void> Calls::start() {
    Impl& impl = *impl_;
    const node::Doors& doors = impl.node.doors();
    auto generation = static_cast<std::uint64_t>(doors.clock.now()) + 1;
    SSI_TRY(impl.node.all_reduce(std::span(&generation, 1), node::ReduceOp::max));
    impl.generation.store(generation);
    for (Pool& pool : impl.pools)
        for (unsigned i = 0; i < impl.tasks; ++i)
            pool.tasks.push_back(doors.tasks.spawn("ssi-calls", [&] { impl.work(pool); }));
    return {};
}

void Calls::stop() {
    Impl& impl = *impl_;
    {
        std::lock_guard lock(impl.mutex);
        if (impl.stopped) return;
        impl.stopped = true;
    }
    impl.end_pending(cancelled_here(), no_node);
    for (Pool& pool : impl.pools) {
        std::lock_guard lock(pool.mutex);
        pool.stopping = true;
        pool.changed.notify_all();
    }
    for (Pool& pool : impl.pools)
        for (auto& task : pool.tasks) task->join();
    std::lock_guard lock(impl.mutex);
    while (impl.inside != 0) impl.left.wait(impl.mutex);
}

Result<std::vector<std::byte>> Calls::call(NodeId to, std::uint8_t kind,
                                           std::span<const std::byte> arguments) {
    return std::move(call_all(std::span(&to, 1), kind, arguments).front());
}

std::vector<Result<std::vector<std::byte>>> Calls::call_all(
    std::span<const NodeId> to, std::uint8_t kind, std::span<const std::byte> arguments) {
    Impl& impl = *impl_;
    std::vector<Result<Bytes>> results(to.size());
    if (auto fits = check_size(kind, arguments.size(), "arguments"); !fits) {
        for (auto& result : results) result = tl::unexpected(fits.error());
        return results;
    }
    if (!impl.enter()) {
        for (auto& result : results) result = tl::unexpected(cancelled_here());
        return results;
    }
    const NodeId self = impl.node.id();
    std::deque<Pending> calls(to.size());
    SharedBytes shared;
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (to[i] == self) continue;
        if (!shared) shared = std::make_shared<Bytes>(arguments.begin(), arguments.end());
        calls[i].to = to[i];
        calls[i].kind = kind;
        impl.begin(calls[i], shared);
    }
    for (std::size_t i = 0; i < to.size(); ++i)
        if (to[i] == self) results[i] = impl.run(self, kind, arguments);
    for (std::size_t i = 0; i < to.size(); ++i)
        if (to[i] != self) results[i] = impl.finish(calls[i]);
    impl.leave();
    return results;
}

}  // namespace ssi::io
