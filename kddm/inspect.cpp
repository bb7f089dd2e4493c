// SPDX-License-Identifier: BSD-3-Clause
// What a node tells about its objects while it runs: the control verbs of this layer, and what the
// tasks that wait for long wait for.
#include <fmt/format.h>

#include "engine_impl.hpp"
#include "long_wait.hpp"
#include "ssi/base/json.hpp"
#include "ssi/node/control_verbs.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

std::string number_of(ObjectId id) {
    return id.hi ? fmt::format("{}:{}", id.hi, id.lo) : fmt::format("{}", id.lo);
}

// The guards of this task on objects of the engine.
std::vector<std::string> guards_of_task(const Engine* owner) {
    std::vector<std::string> out;
    for (const HeldItem& item : Held::of_task().items())
        if (item.set->owner == owner)
            out.push_back(fmt::format("object {} of set '{}' ({})", number_of(item.id),
                                      item.set->name, item.write ? "grab" : "get"));
    return out;
}

const char* verb_of(Kind kind) {
    switch (kind) {
        case Kind::apply: return "apply";
        case Kind::atomic: return "atomic";
        case Kind::remove: return "remove";
        case Kind::read_request: return "read";
        case Kind::set_open: return "set open";
        case Kind::set_destroy: return "set destroy";
        default: return "request";
    }
}

const char* name_of(Access access) {
    return access == Access::write ? "write" : access == Access::read ? "read" : "none";
}

}  // namespace

node::WaitDescription GrantWait::describe() const {
    node::WaitDescription what;
    what.verb = want_ == Access::write ? "grab" : "get";
    what.set = set_.name;
    what.set_id = set_.id;
    what.object = number_of(id_);
    what.object_id = id_;
    what.home = impl_.home_of(set_, id_);
    what.held = guards_of_task(impl_.owner);
    return what;
}

node::WaitDescription AnswerWait::describe() const {
    node::WaitDescription what;
    what.verb = "request";
    what.from = rpc_.to;
    what.held = guards_of_task(impl_.owner);
    if (!rpc_.request) return what;
    const Message& m = *rpc_.request;
    what.verb = verb_of(m.kind());
    if (const SetState* set = impl_.find_set(m.set_id())) {
        what.set = set->name;
        what.set_id = set->id;
        what.object = number_of(m.object());
        what.object_id = m.object();
        what.home = rpc_.to;
    }
    return what;
}

// {"verb":"object","set_id":S,"hi":H,"lo":L}: what this node knows of it, as in Inspection.
Result<std::string> Impl::describe_object(const JsonValue& request) const {
    const SetId set(static_cast<std::uint32_t>(request.u64_of("set_id")));
    const ObjectId id{request.u64_of("hi"), request.u64_of("lo")};
    const SetState* state = find_set(set);
    if (!state)
        return fail(Errc::not_found, fmt::format("set {} was not opened at this node", set.value));
    const Inspection seen = owner->inspect(set, id);
    Json json;
    json.object()
        .field("node", self.value)
        .field("set", state->name)
        .field("object", number_of(id))
        .field("home", home_of(*state, id).value)
        .field("present", seen.present)
        .field("access", name_of(seen.access))
        .field("guards", seen.pins)
        .field("writer_held", seen.writer_held)
        .field("in_transition", seen.in_transition);
    if (seen.is_home) {
        json.field("owner", seen.home_owner.value).array("readers");
        for (const NodeId reader : seen.exact) json.value(reader.value);
        json.end();
    }
    return json.end().text();
}

void Impl::add_control_verbs() {
    if (options.simulated) return;
    node.control().add("object", [this](const JsonValue& r) { return describe_object(r); });
    node.control().add_publisher("kddm", [this] { owner->publish_stats(); });
    if (offer.fd < 0) return;
    node.control().add_fd(Windows::fd_name, [this](const JsonValue&) -> Result<node::ControlFd> {
        return node::ControlFd{offer.fd, "{}"};
    });
}

void Impl::remove_control_verbs() {
    if (options.simulated) return;
    node.control().remove("object");
    node.control().remove_publisher("kddm");
    if (offer.fd >= 0) node.control().remove_fd(Windows::fd_name);
}

}  // namespace ssi::kddm
