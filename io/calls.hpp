// SPDX-License-Identifier: BSD-3-Clause
// Calls: requests from node to node with an answer, executed by tasks of the node that is asked.
//
// Two sorts, with tasks of their own, so that nobody waits for himself round the session: `leaf`
// requests neither take guards nor call; `operation` requests may take guards of objects, but make
// no calls. Who holds guards may make leaf calls only. A task that waits for an answer meanwhile
// executes what others ask of its node and is quick, if it could make such a call itself: nobody
// has to be woken for it.
// Thread-safe between start and stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ssi/node/node.hpp"

namespace ssi::io {

class Calls {
public:
    enum class Sort : std::uint8_t { leaf, operation };
    // slow: waits for a disk as a rule, so no caller is kept waiting for it.
    enum class Pace : std::uint8_t { slow, quick };
    using Handler = std::function<Result<std::vector<std::byte>>(
        NodeId from, std::span<const std::byte> arguments)>;
    static constexpr std::size_t most_bytes = 8u << 20;   // of arguments, and of an answer

    Calls(node::Node& node, node::ChannelId channel, unsigned tasks_of_each_sort);
    ~Calls();   // stop()
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    // Before start. `kind` is any number.
    void handle(std::uint8_t kind, Sort sort, Handler handler, Pace pace = Pace::slow);
    Result<void> start();   // collective
    void stop();            // calls under way end with `cancelled`; not collective

    // The answer, or the handler's failure with its code, errno and text; peer_lost when the node
    // is or becomes dead; cancelled. When `to` is this node the handler runs in the caller.
    Result<std::vector<std::byte>> call(NodeId to, std::uint8_t kind,
                                        std::span<const std::byte> arguments);
    // The same of several nodes at once; in the order of `to`.
    std::vector<Result<std::vector<std::byte>>> call_all(
        std::span<const NodeId> to, std::uint8_t kind, std::span<const std::byte> arguments);

    // A call in two steps, to do something meanwhile. Waits for its end when it is dropped; stop()
    // waits for that or for answer().
    class Begun {
    public:
        Begun(Begun&&) noexcept;
        Begun& operator=(Begun&&) noexcept;
        ~Begun();
        Result<std::vector<std::byte>> answer();   // as of `call`; once

    private:
        friend class Calls;
        struct State;
        explicit Begun(std::unique_ptr<State> state);
        std::unique_ptr<State> state_;
    };
    Begun begin(NodeId to, std::uint8_t kind, std::span<const std::byte> arguments);

    // Nobody waits for it: failures are not told. So many may be under way that the caller waits
    // for this one after all.
    void call_later(NodeId to, std::uint8_t kind, std::span<const std::byte> arguments);
    void drain();           // until all of those have been answered

    // By a task that holds nothing and has just done what others ask of this node, too: it does
    // theirs, if any has come, when it is quick. Costs a poll while others ask, else nothing.
    void serve_others();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::io
