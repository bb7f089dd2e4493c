// SPDX-License-Identifier: BSD-3-Clause
#include "detector.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

#include "control.hpp"

namespace ssi::node {

Detector::Detector(Node& node, ProgressThread& progress, std::vector<NodeId> neighbours)
    : node_(node), progress_(progress), neighbours_(std::move(neighbours)) {}

Detector::~Detector() {
    for (const Watched& process : processes_)
        if (process.pidfd >= 0) ::close(process.pidfd);
}

const Member& Detector::self() const {
    return node_.membership()->members[static_cast<std::size_t>(node_.rank())];
}

void Detector::start() {
    if (!node_.doors().config.boolean("detect.enabled")) return;
    const auto membership = node_.membership();
    for (const Member& member : membership->members) {
        if (member.host_id != self().host_id || member.node == node_.id()) continue;
        // The descriptor closes on exec.
        const auto fd = static_cast<int>(syscall(SYS_pidfd_open, member.process_id, 0));
        processes_.push_back({member.node, member.process_id, fd, fd < 0 ? errno : 0});
    }
    active_.store(true, std::memory_order_release);  // from here on others read processes_
    for (const Watched& process : processes_) watch(process, *membership->find(process.node));
}

void Detector::watch(const Watched& process, const Member& member) {
    auto ended = [this, node = process.node, why = fmt::format("process {} on {} ended",
                                                               process.process_id,
                                                               member.host_name)] {
        dead(node, why);
    };
    if (process.pidfd >= 0 && progress_.watch(process.pidfd, ended)) return;
    if (process.error == ESRCH) return ended();
    SSI_LOG(node_.doors().log, debug, "session",
            "no pidfd of node {} (errno {}): asking for its process instead", process.node.value,
            process.error);
}

bool Detector::is_dead(const Watched& process) const {
    if (process.pidfd < 0) return ::kill(process.process_id, 0) != 0 && errno == ESRCH;
    pollfd ended{process.pidfd, POLLIN, 0};
    return ::poll(&ended, 1, 0) == 1;
}

void Detector::dead(NodeId node, std::string why) {
    if (!active() || node_.lost(node)) return;
    {
        std::lock_guard lock(mutex_);
        suspicions_.erase(node);
    }
    // The news first: what declare_lost sets off may end this process.
    spread(node, why);
    node_.declare_lost(node, why);
}

void Detector::spread(NodeId node, std::string_view why) {
    for (NodeId neighbour : neighbours_) {
        if (neighbour == node || node_.lost(neighbour)) continue;
        send_control(node_, neighbour, ControlKind::node_lost, node, 0,
                     std::as_bytes(std::span(why)));
    }
}

void Detector::on_told(NodeId node, std::string_view why) {
    if (node == node_.id() || !node_.membership()->find(node)) return;
    dead(node, std::string(why));
}

// ---- suspicions: nodes to which a connection broke

bool Detector::here(NodeId node) const {
    const Member* member = node_.membership()->find(node);
    return member && member->host_id == self().host_id;
}

void Detector::on_suspect(NodeId peer, const Failure& why) {
    const Member* member = node_.membership()->find(peer);
    if (!active() || !member) return;
    int broken = 0;
    {
        std::lock_guard lock(mutex_);
        Suspicion& suspicion = suspicions_[peer];
        suspicion.why = why.text;
        suspicion.asked_at = node_.doors().clock.now();
        broken = ++suspicion.broken_connections;
    }
    if (here(peer)) return;  // its pidfd tells; the next tick looks whether it lives on
    if (broken > 1 && witness_for(peer) == no_node)
        return dead(peer, fmt::format("{}, and so did a fresh one; nobody else answers on {}",
                                      why.text, member->host_name));
    investigate(peer);
}

// Another node on the suspect's host that is not suspect itself.
NodeId Detector::witness_for(NodeId suspect) {
    const auto membership = node_.membership();
    const std::uint64_t host = membership->find(suspect)->host_id;
    std::lock_guard lock(mutex_);
    for (const Member& member : membership->members)
        if (member.host_id == host && member.node != suspect && !node_.lost(member.node) &&
            !suspicions_.contains(member.node))
            return member.node;
    return no_node;
}

void Detector::investigate(NodeId suspect) {
    {
        std::lock_guard lock(mutex_);
        auto at = suspicions_.find(suspect);
        if (at == suspicions_.end()) return;
        at->second.asked_at = node_.doors().clock.now();
    }
    const NodeId witness = witness_for(suspect);
    if (witness != no_node)
        send_control(node_, witness, ControlKind::is_it_alive, suspect);
    else
        send_control(node_, suspect, ControlKind::ping, suspect);  // over a fresh connection
}

void Detector::on_question(NodeId from, NodeId about) {
    if (!active()) return;
    for (const Watched& process : processes_)
        if (process.node == about) {
            (void)send_control(node_, from, ControlKind::it_is, about, is_dead(process) ? 0 : 1);
            return;
        }
}

void Detector::on_verdict(NodeId from, NodeId about, bool alive) {
    if (!active() || !node_.membership()->find(about)) return;
    if (alive) return sign_of_life(about);
    std::string why = "its connection broke";
    {
        std::lock_guard lock(mutex_);
        if (auto at = suspicions_.find(about); at != suspicions_.end()) why = at->second.why;
    }
    dead(about, fmt::format("{}; node {} on its host confirms its end", why, from.value));
}

// A process that ends closes its connections before it counts as ended: believe the second sign.
void Detector::sign_of_life(NodeId suspect) {
    std::string why;
    {
        std::lock_guard lock(mutex_);
        auto at = suspicions_.find(suspect);
        if (at == suspicions_.end() || ++at->second.signs_of_life < 2) return;
        why = at->second.why;
        suspicions_.erase(at);
    }
    SSI_LOG(node_.doors().log, warn, "session",
            "node {} lives, but {}: messages to it may be lost", suspect.value, why);
}

void Detector::on_tick() {
    if (!active()) return;
    for (const Watched& process : processes_)
        if (process.pidfd < 0 && !node_.lost(process.node) && is_dead(process))
            dead(process.node, fmt::format("process {} is gone", process.process_id));
    std::vector<NodeId> again;
    const Nanoseconds period = node_.doors().config.integer("detect.interval_ms") * 1'000'000;
    const Nanoseconds now = node_.doors().clock.now();
    {
        std::lock_guard lock(mutex_);
        for (const auto& [node, suspicion] : suspicions_)
            if (now - suspicion.asked_at >= period) again.push_back(node);
    }
    for (NodeId node : again) {
        if (here(node))
            sign_of_life(node);  // else its pidfd would have told by now
        else
            investigate(node);
    }
}

}  // namespace ssi::node
