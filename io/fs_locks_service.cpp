// SPDX-License-Identifier: BSD-3-Clause
#include "fs_locks_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace ssi::fs {
namespace {

using Bytes = std::vector<std::byte>;

enum class Verb : std::uint8_t { lock = 1, unlock, test, look, withdraw, close, last = close };
enum class Verdict : std::uint8_t { granted = 1, busy, deadlock, waiting, free };

// To the home.
struct Question {
    Verb verb = Verb::lock;
    LockFamily family = LockFamily::range;
    LockKind kind = LockKind::shared;
    std::uint8_t zero[5] = {};
    std::uint64_t file = 0;
    std::uint64_t owner = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t process = 0;
    std::uint64_t ticket = 0;
};
static_assert(sizeof(Question) == 56);

// From the home; of a test that finds a lock, with that.
struct Reply {
    Verdict verdict = Verdict::granted;
    LockKind kind = LockKind::shared;
    std::uint8_t zero[2] = {};
    std::uint32_t node = 0;
    std::uint64_t owner = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t process = 0;
};
static_assert(sizeof(Reply) == 40);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}
template <class T>
Result<T> parse(std::span<const std::byte> bytes) {
    T value;
    if (bytes.size() != sizeof value)
        return fail(Errc::bad_message, fmt::format("{} bytes about locks", bytes.size()));
    std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
    return value;
}

tl::unexpected<Failure> closed_meanwhile() {
    return fail_errno(Errc::cancelled, EBADF, "the file was closed while waiting for its lock");
}

constexpr Nanoseconds ask_again = 200'000'000;      // whether it was granted, and the home lives
constexpr Nanoseconds look_for_signals = 10'000'000;

}  // namespace

struct LockService::Impl {
    // A task of this node that waits, or may have to: on its stack.
    struct Waiter {
        Question question;
        std::uint64_t through = 0;
        sys::WaitCell cell;
        // Meanwhile: its owner closed the file, and the home has forgotten it; or it is to go.
        enum class End : std::uint8_t { none, forgotten, asked } end = End::none;
        LockName name() const { return {InodeId(question.file), question.family}; }
    };

    Impl(node::Node& n, io::Calls& c, std::uint8_t first, std::function<NodeId(InodeId)> home)
        : node(n), calls(c), first_kind(first), home_of(std::move(home)) {}

    // At the home.
    Result<Bytes> decide(NodeId from, std::span<const std::byte> arguments);
    void bury();
    void tell_granted();
    // Of a waiting task's node.
    Result<Bytes> granted(std::span<const std::byte> arguments);
    Result<Reply> ask(const Question& question);
    Result<void> wait(Waiter& waiter, const Patience& patience);
    Result<void> granted_or_closed(const Waiter& waiter);

    node::Node& node;
    io::Calls& calls;
    const std::uint8_t first_kind;
    const std::function<NodeId(InodeId)> home_of;

    sys::Mutex mutex;                        // of what follows
    LockMachine machine;
    Nanoseconds buried = 0;                  // the last loss that it knows of
    std::deque<LockMachine::Granted> news;   // for the task that tells
    sys::Condition changed;
    bool stopping = false;
    std::unique_ptr<sys::Tasks::Handle> task;
    std::unordered_map<std::uint64_t, Waiter*> waiting;    // here, by ticket
    std::set<std::pair<LockName, std::uint64_t>> used;     // by owners of this node
    std::uint64_t last_ticket = 0;
};

// Locks of the dead go when anybody asks next; who waits for them does so from time to time.
void LockService::Impl::bury() {
    if (!node.any_lost() || node.last_loss() == buried) return;
    buried = node.last_loss();
    LockMachine::Grants grants;
    for (const NodeId known : machine.nodes())
        if (node.lost(known)) machine.forget(known, grants);
    news.insert(news.end(), grants.begin(), grants.end());
    changed.notify_one();
}

// A leaf call: whom a grant concerns is told by a task of its own.
Result<Bytes> LockService::Impl::decide(NodeId from, std::span<const std::byte> arguments) {
    const auto question = parse<Question>(arguments);
    if (!question) return tl::unexpected<Failure>(question.error());
    const Question& q = *question;
    if (q.verb < Verb::lock || q.verb > Verb::last || q.family > LockFamily::whole ||
        q.kind > LockKind::exclusive || q.first > q.last)
        return fail(Errc::bad_message, "a request about locks that makes no sense");
    const LockName name{InodeId(q.file), q.family};
    const LockRange range = q.family == LockFamily::whole ? LockRange{}
                                                          : LockRange{q.first, q.last};
    const FileLock wanted{{from, q.owner}, q.kind, range, q.process};
    Reply reply;
    LockMachine::Grants grants;
    std::lock_guard lock(mutex);
    bury();
    if (node.lost(from)) return fail(Errc::peer_lost, "who asks is dead", from);
    switch (q.verb) {
        case Verb::lock:
            // Verdicts are outcomes, from 1.
            reply.verdict = static_cast<Verdict>(
                static_cast<unsigned>(machine.lock(name, wanted, q.ticket, grants)) + 1);
            break;
        case Verb::unlock: machine.unlock(name, wanted.owner, range, grants); break;
        case Verb::look:
            if (machine.waits(name, from, q.ticket)) reply.verdict = Verdict::waiting;
            break;
        case Verb::withdraw:
            if (machine.withdraw(name, from, q.ticket)) reply.verdict = Verdict::busy;
            break;
        case Verb::close: machine.forget(name, wanted.owner, grants); break;
        case Verb::test:
            reply.verdict = Verdict::free;
            if (const auto found = machine.in_the_way(name, wanted))
                reply = {Verdict::busy, found->kind, {}, found->owner.node.value,
                         found->owner.number, found->range.first, found->range.last,
                         found->process};
    }
    if (!grants.empty()) {
        news.insert(news.end(), grants.begin(), grants.end());
        changed.notify_one();
    }
    const auto bytes = bytes_of(reply);
    return Bytes(bytes.begin(), bytes.end());
}

// Who cannot be told asks by himself.
void LockService::Impl::tell_granted() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        if (news.empty()) {
            changed.wait(mutex);
            continue;
        }
        const LockMachine::Granted one = news.front();
        news.pop_front();
        lock.unlock();
        (void)calls.call(one.owner.node, static_cast<std::uint8_t>(first_kind + 1),
                         bytes_of(one.ticket));
        lock.lock();
    }
}

Result<Bytes> LockService::Impl::granted(std::span<const std::byte> arguments) {
    const auto ticket = parse<std::uint64_t>(arguments);
    if (!ticket) return tl::unexpected<Failure>(ticket.error());
    std::lock_guard lock(mutex);
    const auto found = waiting.find(*ticket);
    if (found == waiting.end()) return Bytes();
    Waiter& waiter = *found->second;
    waiting.erase(found);
    node.doors().waiter.notify(waiter.cell);
    return Bytes();
}

Result<Reply> LockService::Impl::ask(const Question& question) {
    auto answer = calls.call(home_of(InodeId(question.file)), first_kind, bytes_of(question));
    if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
    return parse<Reply>(*answer);
}

// Until it is granted; else the request is taken back, unless it was granted meanwhile.
Result<void> LockService::Impl::wait(Waiter& waiter, const Patience& patience) {
    Question question = waiter.question;
    const Clock& clock = node.doors().clock;
    Nanoseconds next_question = clock.now() + ask_again;
    Result<void> why;
    while (why) {
        const Nanoseconds now = clock.now();
        if (now >= next_question) {
            question.verb = Verb::look;
            const auto reply = ask(question);
            if (!reply) return tl::unexpected<Failure>(reply.error());
            if (reply->verdict == Verdict::granted) return granted_or_closed(waiter);
            next_question = now + ask_again;
        }
        const Nanoseconds until = std::min(next_question, patience.deadline);
        const bool ready = node.doors().waiter.wait_until(
            waiter.cell, patience.interrupted ? std::min(until, now + look_for_signals) : until);
        bool stopped = false, asked = false;
        {
            std::lock_guard lock(mutex);
            stopped = stopping;
            asked = waiter.end == Waiter::End::asked;
        }
        if (ready && !stopped && !asked) return granted_or_closed(waiter);
        if (stopped)
            why = fail_errno(Errc::cancelled, EINTR, "the file system ends");
        else if (asked)
            why = closed_meanwhile();
        else if (patience.interrupted && patience.interrupted->load())
            why = fail_errno(Errc::cancelled, EINTR, "interrupted while waiting for a lock");
        else if (clock.now() >= patience.deadline)
            why = fail_errno(Errc::timed_out, EAGAIN, "the file is locked");
    }
    question.verb = Verb::withdraw;
    const auto reply = ask(question);
    if (!reply || reply->verdict != Verdict::granted) return why;
    if (why.error().sys_errno != EBADF) return granted_or_closed(waiter);
    question.verb = Verb::unlock;   // it came just now, to nobody
    (void)ask(question);
    return why;
}

// The home does not know the request any more.
Result<void> LockService::Impl::granted_or_closed(const Waiter& waiter) {
    std::lock_guard lock(mutex);
    if (waiter.end == Waiter::End::none) return {};
    return closed_meanwhile();
}

LockService::LockService(node::Node& node, io::Calls& calls, std::uint8_t first_kind,
                         std::function<NodeId(InodeId)> home_of)
    : impl_(std::make_shared<Impl>(node, calls, first_kind, std::move(home_of))) {
    using io::Calls;
    calls.handle(
        first_kind, Calls::Sort::leaf,
        [impl = impl_](NodeId from, std::span<const std::byte> arguments) {
            return impl->decide(from, arguments);
        },
        Calls::Pace::quick);
    calls.handle(
        static_cast<std::uint8_t>(first_kind + 1), Calls::Sort::leaf,
        [impl = impl_](NodeId, std::span<const std::byte> arguments) {
            return impl->granted(arguments);
        },
        Calls::Pace::quick);
}

LockService::~LockService() { stop(); }

void LockService::start() {
    Impl& impl = *impl_;
    impl.task = impl.node.doors().tasks.spawn("ssi-locks", [&impl] { impl.tell_granted(); });
}

void LockService::stop() {
    Impl& impl = *impl_;
    {
        std::lock_guard lock(impl.mutex);
        impl.stopping = true;
        impl.changed.notify_all();
        for (auto& [ticket, waiter] : impl.waiting)
            impl.node.doors().waiter.notify(waiter->cell);
        impl.waiting.clear();
    }
    if (!impl.task) return;
    impl.task->join();
    impl.task.reset();
}

Result<void> LockService::lock(const LockName& name, std::uint64_t owner, LockKind kind,
                               LockRange range, std::uint64_t process, Patience patience) {
    Impl& impl = *impl_;
    Impl::Waiter waiter;
    waiter.through = patience.through;
    Question& question = waiter.question;
    question = {Verb::lock, name.family, kind, {}, name.file.value, owner, range.first,
                range.last, process, 0};
    {
        std::lock_guard lock(impl.mutex);
        if (impl.stopping) return fail_errno(Errc::cancelled, EINTR, "the file system ends");
        impl.used.insert({name, owner});
        if (patience.wait) {
            question.ticket = ++impl.last_ticket;
            impl.waiting.emplace(question.ticket, &waiter);
        }
    }
    const auto reply = impl.ask(question);
    Result<void> result;
    if (!reply)
        result = tl::unexpected<Failure>(reply.error());
    else if (reply->verdict == Verdict::waiting)
        result = impl.wait(waiter, patience);
    else if (reply->verdict == Verdict::busy)
        result = fail_errno(Errc::would_block, EAGAIN, "the file is locked");
    else if (reply->verdict == Verdict::deadlock)
        result = fail_errno(Errc::deadlock, EDEADLK,
                            "the lock is held by somebody who waits for this owner");
    // Afterwards nobody touches the cell. A release meanwhile did not know of this lock.
    std::lock_guard lock(impl.mutex);
    if (patience.wait) impl.waiting.erase(question.ticket);
    if (result) impl.used.insert({name, owner});
    return result;
}

Result<void> LockService::unlock(const LockName& name, std::uint64_t owner, LockRange range) {
    const auto reply = impl_->ask({Verb::unlock, name.family, LockKind::shared, {},
                                   name.file.value, owner, range.first, range.last, 0, 0});
    if (!reply) return tl::unexpected<Failure>(reply.error());
    return {};
}

Result<std::optional<FileLock>> LockService::test(const LockName& name, std::uint64_t owner,
                                                  LockKind kind, LockRange range) {
    const auto reply = impl_->ask({Verb::test, name.family, kind, {}, name.file.value, owner,
                                   range.first, range.last, 0, 0});
    if (!reply) return tl::unexpected<Failure>(reply.error());
    if (reply->verdict == Verdict::free) return std::nullopt;
    return FileLock{{NodeId(reply->node), reply->owner}, reply->kind, {reply->first, reply->last},
                    reply->process};
}

Result<void> LockService::close(const LockName& name, std::uint64_t owner) {
    {
        std::lock_guard lock(impl_->mutex);
        if (impl_->used.erase({name, owner}) == 0) return {};
        for (auto at = impl_->waiting.begin(); at != impl_->waiting.end();) {
            Impl::Waiter& waiter = *at->second;
            const bool ends = waiter.name() == name && waiter.question.owner == owner;
            if (ends) waiter.end = Impl::Waiter::End::forgotten;
            if (ends) impl_->node.doors().waiter.notify(waiter.cell);
            at = ends ? impl_->waiting.erase(at) : std::next(at);
        }
    }
    const auto reply = impl_->ask({Verb::close, name.family, LockKind::shared, {},
                                   name.file.value, owner, 0, LockRange::end, 0, 0});
    if (!reply) return tl::unexpected<Failure>(reply.error());
    return {};
}

Result<void> LockService::release(const LockName& name, std::uint64_t owner) {
    {
        std::lock_guard lock(impl_->mutex);
        if (impl_->used.erase({name, owner}) == 0) return {};
    }
    return unlock(name, owner, {});
}

void LockService::end_waits(std::uint64_t through) {
    std::lock_guard lock(impl_->mutex);
    for (auto at = impl_->waiting.begin(); at != impl_->waiting.end();) {
        Impl::Waiter& waiter = *at->second;
        const bool ends = waiter.through == through;
        if (ends) waiter.end = Impl::Waiter::End::asked;
        if (ends) impl_->node.doors().waiter.notify(waiter.cell);
        at = ends ? impl_->waiting.erase(at) : std::next(at);
    }
}

}  // namespace ssi::fs
