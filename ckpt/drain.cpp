// SPDX-License-Identifier: BSD-3-Clause
#include "drain.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <set>

#include "drain_copy.hpp"
#include "fault_point.hpp"
#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* votes_name = "ssi.checkpoint.drain";
constexpr Nanoseconds between_lines = 10'000'000'000;
constexpr int lowest_priority = 19;

Bytes number_of(VersionNumber version) {
    Writer out;
    out.put(version);
    return {out.bytes().begin(), out.bytes().end()};
}

// What failed, or nothing.
Bytes told(const Result<void>& outcome) {
    return outcome ? Bytes() : encode_failure(outcome.error());
}
Result<void> heard(std::span<const std::byte> bytes) {
    return bytes.empty() ? Result<void>() : tl::unexpected(decode_failure(bytes));
}

// A decision: a failure, or a version and the manifests that are copied for it.
Bytes encode_plan(VersionNumber version, const Result<std::vector<Manifest>>& manifests) {
    Writer out;
    out.put(version);
    out.put(static_cast<std::uint8_t>(manifests.has_value()));
    if (!manifests) {
        out.block(encode_failure(manifests.error()));
    } else {
        out.put(static_cast<std::uint32_t>(manifests->size()));
        for (const Manifest& one : *manifests) out.block(encode_manifest(one));
    }
    return {out.bytes().begin(), out.bytes().end()};
}

struct Plan {
    VersionNumber version = 0;
    Result<std::vector<Manifest>> manifests;
};
Plan decode_plan(std::span<const std::byte> bytes) {
    Reader in(bytes);
    Plan plan;
    plan.version = in.get<std::uint64_t>();
    if (in.get<std::uint8_t>() == 0) {
        plan.manifests = tl::unexpected(decode_failure(in.block()));
        return plan;
    }
    for (auto left = in.count(sizeof(std::uint32_t)); left > 0 && in.ok(); --left) {
        auto manifest = decode_manifest(in.block());
        if (!manifest) {
            plan.manifests = tl::unexpected<Failure>(std::move(manifest).error());
            return plan;
        }
        plan.manifests->push_back(std::move(*manifest));
    }
    return plan;
}

// The thread that calls: it is to take no core from the application. Not a fiber's.
void yield_to_all() {
    if (sys::current_task().scheduler) return;
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), lowest_priority);
}

}  // namespace

Result<std::unique_ptr<Drain>> Drain::make(node::Node& node, kddm::Engine& engine,
                                           kddm::sync::Hub& hub, Places& places,
                                           std::uint64_t bytes_per_second) {
    auto votes = Votes::make(node, engine, hub, votes_name);
    if (!votes) return tl::unexpected<Failure>(std::move(votes).error());
    std::unique_ptr<Drain> drain(new Drain(node, places, std::move(*votes), bytes_per_second));
    drain->task_ = node.doors().tasks.spawn("checkpoint drain",
                                            [self = drain.get()] { self->run(); });
    return drain;
}

Drain::~Drain() {
    finish();
    {
        std::lock_guard lock(mutex_);
        leaving_ = true;
        changed_.notify_all();
    }
    if (task_) task_->join();
}

// The lock is this node's: the part of whoever has the member.
void Drain::add(std::shared_ptr<CheckpointTicket::State> ticket, std::size_t keep) {
    Waiting one{std::move(ticket), keep, nullptr};
    auto lock = MemberLock::take(places_.own().state(), one.ticket->version,
                                 static_cast<MemberIndex>(node_.rank()));
    if (lock) {
        one.lock = std::make_unique<MemberLock>(std::move(*lock));
        if (const auto locked = one.lock->lock_folder(); !locked)
            SSI_LOG(node_.doors().log, warn, "checkpoint", "version {} is not locked while it is "
                                                           "drained: {}",
                    one.ticket->version, locked.error().to_string());
    }
    std::lock_guard lock_queue(mutex_);
    queue_.push_back(std::move(one));
    changed_.notify_all();
}

void Drain::finish() {
    Nanoseconds next = node_.doors().clock.now() + between_lines;
    constexpr Nanoseconds pause = 5'000'000;
    for (;;) {
        {
            std::lock_guard lock(mutex_);
            if (queue_.empty() && !busy_) return;
        }
        node_.doors().tasks.sleep_for(pause);
        if (node_.doors().clock.now() < next) continue;
        next += between_lines;
        if (node_.rank() != 0) continue;
        const Status now = status();
        SSI_LOG(node_.doors().log, info, "checkpoint", "waiting for version {} to be drained to "
                                                       "{}: {} of {} bytes of this node",
                now.version, places_.global()->name(), now.copied_bytes, now.bytes);
    }
}

Drain::Status Drain::status() const {
    std::lock_guard lock(mutex_);
    Status now = now_;
    now.copied_bytes = copied_.load(std::memory_order_relaxed);
    now.waiting = queue_.size();
    return now;
}

void Drain::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            while (queue_.empty() && !leaving_) changed_.wait(mutex_);
            if (queue_.empty()) return;
            busy_ = true;
        }
        drain_next();
        std::lock_guard lock(mutex_);
        busy_ = false;
        now_ = {};
    }
}

// Which one, all nodes agree on: those that have more of them by now take their turn with the next.
void Drain::drain_next() {
    VersionNumber newest = 0;
    {
        std::lock_guard lock(mutex_);
        newest = queue_.back().ticket->version;
    }
    const auto decision = votes_->vote(
        number_of(newest), [this](const std::vector<Bytes>& all) { return choose(all); });
    if (!decision) return fail_all(decision.error());
    const Plan plan = decode_plan(*decision);
    skip_before(plan.version);
    Waiting first = take(plan.version);
    Result<void> drained;
    if (!plan.manifests)
        drained = tl::unexpected<Failure>(plan.manifests.error());
    else
        drained = copy_all(*plan.manifests);
    const std::size_t keep = first.keep;
    const bool fine = drained.has_value();
    end(std::move(first), std::move(drained));
    fault_point(FaultPoint::drain_committed);
    if (fine) prune(keep);   // nobody waits for it
}

// On the first node: the newest that all have.
Bytes Drain::choose(const std::vector<Bytes>& newest) {
    VersionNumber version = UINT64_MAX;
    for (const Bytes& one : newest) {
        Reader in(one);
        version = std::min(version, in.get<std::uint64_t>());
    }
    return encode_plan(version, with_bases(version));
}

// With what it refers to and the global store has not got, ascending.
Result<std::vector<Manifest>> Drain::with_bases(VersionNumber version) {
    std::map<VersionNumber, Manifest> found;
    std::set<VersionNumber> wanted{version};
    while (!wanted.empty()) {
        const VersionNumber one = *wanted.rbegin();
        wanted.erase(one);
        auto manifest = places_.own().manifest(one);
        if (!manifest) return tl::unexpected<Failure>(std::move(manifest).error());
        const auto there = places_.global()->manifest(one);
        if (there && *there == *manifest) continue;
        if (there)
            return fail(Errc::exists, fmt::format("another version {} is there", one));
        for (const BaseVersion& base : manifest->bases()) wanted.insert(base.version);
        found.emplace(one, std::move(*manifest));
    }
    std::vector<Manifest> all;
    for (auto& [number, manifest] : found) all.push_back(std::move(manifest));
    return all;
}

void Drain::skip_before(VersionNumber version) {
    for (;;) {
        Waiting one;
        {
            std::lock_guard lock(mutex_);
            if (queue_.empty() || queue_.front().ticket->version >= version) return;
            one = std::move(queue_.front());
            queue_.pop_front();
        }
        end(std::move(one), fail(Errc::cancelled, fmt::format("version {} came before it was its "
                                                              "turn", version)));
    }
}

// Nothing when this node does not have it, which only a failure of this node brings about.
Drain::Waiting Drain::take(VersionNumber version) {
    std::lock_guard lock(mutex_);
    Waiting one;
    if (queue_.empty() || queue_.front().ticket->version != version) return one;
    one = std::move(queue_.front());
    queue_.pop_front();
    return one;
}

// One line, in the log of the first node.
void Drain::end(Waiting waiting, Result<void> outcome) {
    if (!waiting.ticket) return;
    if (!outcome) {
        Failure& failure = outcome.error();
        failure.text = fmt::format("version {} is in the nodes' stores, and not in {}: {}",
                                   waiting.ticket->version, places_.global()->name(),
                                   failure.text);
        if (node_.rank() == 0)
            SSI_LOG(node_.doors().log, warn, "checkpoint", "{}", failure.to_string());
    }
    waiting.lock.reset();
    waiting.ticket->finish(std::move(outcome));
}

void Drain::fail_all(const Failure& why) {
    for (;;) {
        Waiting one;
        {
            std::lock_guard lock(mutex_);
            if (queue_.empty()) return;
            one = std::move(queue_.front());
            queue_.pop_front();
        }
        end(std::move(one), tl::unexpected(why));
    }
}

Result<void> Drain::copy_all(const std::vector<Manifest>& manifests) {
    const auto self = static_cast<std::size_t>(node_.rank());
    copied_ = 0;
    {
        std::lock_guard lock(mutex_);
        now_ = {};
        for (const Manifest& one : manifests) {
            now_.version = one.version;
            if (self < one.members.size()) now_.bytes += one.members[self].log.bytes;
        }
    }
    for (const Manifest& one : manifests) SSI_TRY(copy_one(one));
    return {};
}

// What is durable stays when a node has died, as the first one may have committed it.
Result<void> Drain::copy_one(const Manifest& manifest) {
    const auto copied = copy_mine(manifest);
    fault_point(FaultPoint::drain_copied);
    const auto decision = votes_->vote(told(copied), [&](const std::vector<Bytes>& all) {
        for (const Bytes& one : all)
            if (!one.empty()) return one;
        return told(commit(manifest));
    });
    if (!decision) return tl::unexpected<Failure>(decision.error());
    auto committed = heard(*decision);
    if (!committed)
        (void)places_.global()->state().drop_member(manifest.version,
                                                    static_cast<MemberIndex>(node_.rank()));
    return committed;
}

// By a thread of its own: one that votes must not wait for a core.
Result<void> Drain::copy_mine(const Manifest& manifest) {
    const auto self = static_cast<MemberIndex>(node_.rank());
    if (manifest.members.size() != static_cast<std::size_t>(node_.size()))
        return fail(Errc::internal, fmt::format("version {} is of {} ranks", manifest.version,
                                                manifest.members.size()));
    Result<void> copied;
    const auto task = node_.doors().tasks.spawn("checkpoint drain", [&] {
        yield_to_all();
        fault_point(FaultPoint::drain_begun);
        try {
            copied = drain_member(places_.own(), *places_.global(), manifest.members[self],
                                  {rate_, node_.doors().clock, node_.doors().tasks, copied_,
                                   [this] { return node_.any_lost(); }});
        } catch (const std::bad_alloc&) {
            copied = fail(Errc::out_of_memory, "no memory for a file of a member");
        }
    });
    task->join();
    if (!copied)
        copied.error().text = fmt::format("node {}: {}", node_.id().value, copied.error().text);
    return copied;
}

// On the first node.
Result<void> Drain::commit(const Manifest& manifest) {
    fault_point(FaultPoint::drain_manifest);
    Store& global = *places_.global();
    for (const MemberInfo& member : manifest.members) {
        const auto there = global.member(manifest.version, member.member);
        if (!there) return tl::unexpected<Failure>(there.error());
        if (*there != member)
            return fail(Errc::mismatch, fmt::format("member {} of version {} in {} is another one",
                                                    member.member, manifest.version,
                                                    global.name()));
    }
    return global.commit(manifest);
}

void Drain::prune(std::size_t keep) {
    if (node_.rank() != 0) return;
    Store* const one[] = {places_.global()};
    const auto pruned = prune_versions(one, {.keep = keep});
    fault_point(FaultPoint::drain_pruned);
    if (!pruned)
        SSI_LOG(node_.doors().log, warn, "checkpoint", "older versions in {} stay: {}",
                places_.global()->name(), pruned.error().to_string());
}

}  // namespace ssi::ckpt
