// SPDX-License-Identifier: BSD-3-Clause
// Calls, as who asks; beginning and end.
#include "calls.hpp"

#include <algorithm>
#include <utility>

#include "calls_door.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {

using namespace calls;

constexpr std::size_t most_later = 1024;

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
    const NodeId to = call.to;   // once it is registered, others may end its life
    {
        std::lock_guard lock(mutex);
        header.number = call.number = ++last_number;
        Pending*& first = pending[call.number % pending.size()];
        call.next = std::exchange(first, &call);
        stopped_before = stopped;
    }
    // Registered, it is ended by whoever finds it: of a loss or stop that came before, that is us.
    auto sent = stopped_before ? Result<void>(tl::unexpected(cancelled_here()))
                               : send(node, channel, to, header, arguments);
    if (!sent) complete(to, header.number, tl::unexpected(std::move(sent).error()));
    if (node.lost(to))
        complete(to, header.number,
                 fail(Errc::peer_lost, fmt::format("node {} is dead", to.value), to));
}

// Notified under the mutex, so that whoever has it afterwards may end the call's life.
void Calls::Impl::end(Pending& call, Result<Bytes> outcome) {
    if (call.later) {
        delete &call;
        if (--later != 0) return;
        for (sys::WaitCell* cell : std::exchange(drains, {})) node.doors().waiter.notify(*cell);
        return;
    }
    call.outcome = std::move(outcome);
    call.done = true;
    node.doors().waiter.notify(call.cell);
}

Result<Bytes> Calls::Impl::finish(Pending& call) {
    CallWait note(node.waits(), call);
    call.cell.long_wait = &note;
    call.owner = &sys::current_task();
    call.sort = handlers[call.kind].sort;
    // What waits for a task of the pool may have come before something slow.
    while (!call.cell.ready() && serve_queued(handlers[call.kind].sort)) {}
    std::unique_lock lock(mutex);
    waiting.push_back(&call);
    for (;;) {
        if (!call.meanwhile.empty()) {
            auto requests = std::exchange(call.meanwhile, {});
            lock.unlock();
            serve_all(requests);
            lock.lock();
        } else if (call.done) {
            break;
        } else {
            call.cell.reset();
            call.waits = true;
            lock.unlock();
            node.doors().waiter.wait(call.cell);
            lock.lock();
            call.waits = false;
        }
    }
    std::erase(waiting, &call);
    lock.unlock();
    return std::move(call.outcome);
}

// Leaf requests first: an operation may wait for a guard of somebody who waits for one of them.
void Calls::Impl::serve_all(std::vector<Request>& requests) {
    std::ranges::stable_partition(requests, [&](const Request& request) {
        return handlers[request.header.message.flags].sort == Sort::leaf;
    });
    for (const Request& request : requests) serve(request);
}

// To a task that waits for an answer: to this one, if it polls while it waits, or to one that
// spins. Who sleeps would have to be woken, as a task of the pool would.
bool Calls::Impl::hand_over(Request& request) {
    const Registered& what = handlers[request.header.message.flags];
    if (what.pace != Pace::quick) return false;
    const sys::Task* self = &sys::current_task();
    std::lock_guard lock(mutex);
    Pending* chosen = nullptr;
    for (Pending* call : waiting) {
        if (!call->waits) continue;
        if (what.sort == Sort::operation && call->sort == Sort::leaf) continue;
        const bool spins = !call->done && call->meanwhile.empty() &&
                           call->cell.state().load(std::memory_order_relaxed) == 0;
        if (call->owner != self && (chosen || !spins)) continue;
        chosen = call;
        if (call->owner == self) break;
    }
    if (!chosen) return false;
    chosen->meanwhile.push_back(std::move(request));
    node.doors().waiter.notify(chosen->cell);
    return true;
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

struct Calls::Begun::State {
    Impl* impl = nullptr;
    bool under_way = false;
    Pending call;
    Result<Bytes> outcome;

    Result<Bytes> end() {
        if (!std::exchange(under_way, false)) return std::move(outcome);
        auto answer = impl->finish(call);
        impl->leave();
        return answer;
    }
    ~State() {
        if (under_way) (void)end();
    }
};

Calls::Begun::Begun(std::unique_ptr<State> state) : state_(std::move(state)) {}
Calls::Begun::Begun(Begun&&) noexcept = default;
Calls::Begun& Calls::Begun::operator=(Begun&&) noexcept = default;
Calls::Begun::~Begun() = default;
Result<std::vector<std::byte>> Calls::Begun::answer() { return state_->end(); }

Calls::Begun Calls::begin(NodeId to, std::uint8_t kind, std::span<const std::byte> arguments) {
    auto state = std::make_unique<Begun::State>();
    if (to == impl_->node.id()) {
        state->outcome = call(to, kind, arguments);
    } else if (auto fits = check_size(kind, arguments.size(), "arguments"); !fits) {
        state->outcome = tl::unexpected(std::move(fits).error());
    } else if (!impl_->enter()) {
        state->outcome = tl::unexpected(cancelled_here());
    } else {
        state->impl = impl_.get();
        state->under_way = true;
        state->call.to = to;
        state->call.kind = kind;
        impl_->begin(state->call, std::make_shared<Bytes>(arguments.begin(), arguments.end()));
    }
    return Begun(std::move(state));
}

void Calls::call_later(NodeId to, std::uint8_t kind, std::span<const std::byte> arguments) {
    Impl& impl = *impl_;
    if (!impl.enter()) return;
    bool waits = to == impl.node.id();
    {
        std::lock_guard lock(impl.mutex);
        waits = waits || impl.later >= most_later;
        if (!waits) ++impl.later;
    }
    if (waits) {
        (void)call(to, kind, arguments);
    } else {
        auto* pending = new Pending;
        pending->to = to;
        pending->kind = kind;
        pending->later = true;
        impl.begin(*pending, std::make_shared<Bytes>(arguments.begin(), arguments.end()));
    }
    impl.leave();
}

void Calls::drain() {
    sys::WaitCell cell;
    {
        std::lock_guard lock(impl_->mutex);
        if (impl_->later == 0) return;
        impl_->drains.push_back(&cell);
    }
    impl_->node.doors().waiter.wait(cell);
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
