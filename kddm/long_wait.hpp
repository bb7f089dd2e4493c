// SPDX-License-Identifier: BSD-3-Clause
// What a task waits for, told when it waits for long (node::WaitList). On the stack of the waiting
// task; costs some stores until then.
#pragma once

#include "engine_impl.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::kddm {

// For a get or grab.
class GrantWait final : public node::WaitNote {
public:
    GrantWait(Engine::Impl& impl, SetState& set, ObjectId id, Waiter& waiter)
        : WaitNote(impl.node.waits()), impl_(impl), set_(set), id_(id), want_(waiter.want) {
        waiter.cell.long_wait = this;
    }

private:
    node::WaitDescription describe() const override;
    Engine::Impl& impl_;
    SetState& set_;
    const ObjectId id_;
    const Access want_;
};

// For the answer to a shipped operation or to a question about sets.
class AnswerWait final : public node::WaitNote {
public:
    AnswerWait(Engine::Impl& impl, Rpc& rpc)
        : WaitNote(impl.node.waits()), impl_(impl), rpc_(rpc) {
        rpc.cell.long_wait = this;
    }

private:
    node::WaitDescription describe() const override;
    Engine::Impl& impl_;
    const Rpc& rpc_;
};

}  // namespace ssi::kddm
