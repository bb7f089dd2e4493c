// SPDX-License-Identifier: BSD-3-Clause
// Calls, as who asks; beginning and end.
#include "calls.hpp"

#include <utility>

#include "calls_door.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {

using namespace calls;

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

// Notified under the mutex, so that whoever has it afterwards may end the call's life.
void Calls::Impl::end(Pending& call, Result<Bytes> outcome) {
    call.outcome = std::move(outcome);
    call.done = true;
    if (std::exchange(call.waits, false)) std::erase(waiting, &call);
    node.doors().waiter.notify(call.cell);
}

Result<Bytes> Calls::Impl::finish(Pending& call) {
    std::unique_lock lock(mutex);
    CallWait note(node.waits(), call);
    call.cell.long_wait = &note;
    while (!call.done) {
        call.waits = true;
        waiting.push_back(&call);
        lock.unlock();
        node.doors().waiter.wait(call.cell);
        lock.lock();
        if (!call.meanwhile) continue;
        const Request request = std::move(*call.meanwhile);
        call.meanwhile.reset();
        call.cell.reset();
        lock.unlock();
        serve(request);
        lock.lock();
    }
    lock.unlock();
    return std::move(call.outcome);
}

// Who sleeps would have to be woken, as a task of the pool would.
bool Calls::Impl::hand_over(Request& request) {
    const Registered& what = handlers[request.header.message.flags];
    if (what.pace != Pace::quick) return false;
    std::lock_guard lock(mutex);
    for (Pending* call : waiting) {
        const bool may = what.sort == Sort::leaf || handlers[call->kind].sort == what.sort;
        if (!may || call->cell.state().load(std::memory_order_relaxed) != 0) continue;
        call->meanwhile = std::move(request);
        call->waits = false;
        std::erase(waiting, call);
        node.doors().waiter.notify(call->cell);
        return true;
    }
    return false;
}

void Calls::Impl::complete(NodeId from, std::uint64_t number, Result<Bytes> outcome) {
    std::lock_guard lock(mutex);
    for (Pending** link = &pending[number % pending.size()]; *link; link = &(*link)->next) {
        Pending& call = **link;
        if (call.number != number || call.to != from) continue;
        *link = call.next;
        return end(call, std::move(outcome));
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
            end(call, tl::unexpected(why));
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

void Calls::handle(std::uint8_t kind, Sort sort, Handler handler, Pace pace) {
    Impl::Registered& place = impl_->handlers[kind];
    SSI_ASSERT(!place.handler && impl_->generation.load() == 0,
               "a kind of call is registered once, before start");
    place = {sort, pace, std::move(handler)};
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
