// SPDX-License-Identifier: BSD-3-Clause
// Channels as part of a cut. Their messages are counted for each pair of nodes: when both ends
// count alike twice, and nobody began a verb in between, none is on its way.
#include <fmt/format.h>

#include "channel_machine.hpp"
#include "sync_hub.hpp"

namespace ssi::kddm::sync {

void Hub::Impl::count(NodeId peer, const Message& m, bool sent) {
    if (m.kind() != Kind::channel || node.lost(peer)) return;
    std::lock_guard lock(traffic_mutex);
    Traffic& with = traffic[peer];
    ++(sent ? with.sent : with.received);
}

void Hub::Impl::look(CutLook& look) {
    if (const std::uint64_t verbs = inside.load(std::memory_order_seq_cst); verbs != 0) {
        look.quiet = false;
        look.in_the_way.push_back(fmt::format("{} verbs on channels have not begun to wait at "
                                              "node {}", verbs, self.value));
    }
    std::lock_guard lock(traffic_mutex);
    for (const auto& [peer, with] : traffic) {
        look.sent += with.sent;
        look.received += with.received;
    }
}

void Hub::Impl::leave_out(ObjectId channel) {
    std::lock_guard lock(mutex);
    left_out.insert(channel);
}

std::vector<CutChannel> Hub::Impl::channels() {
    std::vector<Object*> all;
    {
        std::lock_guard lock(mutex);
        for (const auto& [id, object] : objects)
            if (static_cast<Kind>(id.hi) == Kind::channel && object->machine->is_home() &&
                !left_out.contains(id))
                all.push_back(object.get());
    }
    std::vector<CutChannel> out;
    for (Object* object : all) {
        std::lock_guard lock(object->mutex);
        const ChannelState& state = machine_of<ChannelMachine>(*object).state();
        if (state.capacity == 0) continue;   // nobody has opened it
        out.push_back({object->place.id, state.encode(), state.queue.size()});
    }
    return out;
}

Result<void> Hub::Impl::restore(ObjectId id, ChannelState state) {
    if (static_cast<Kind>(id.hi) != Kind::channel)
        return fail(Errc::invalid_argument, "restore of a channel that is none");
    Object& object = find_or_make(id);
    if (!object.machine->is_home())
        return fail(Errc::invalid_argument,
                    fmt::format("restore of a channel at node {}: it is at home at node {}",
                                self.value, object.place.home.value));
    std::lock_guard lock(object.mutex);
    auto& machine = machine_of<ChannelMachine>(object);
    if (machine.state().capacity != 0)
        return fail(Errc::exists, "restore of a channel that has been opened");
    machine.put_in(std::move(state));
    return {};
}

}  // namespace ssi::kddm::sync
