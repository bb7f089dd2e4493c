// SPDX-License-Identifier: BSD-3-Clause
// Cut: the means by which a coordinated checkpoint stops acquisitions, knows that nothing is under
// way, and reads the values as of that moment while the application goes on. For the layers above;
// whoever coordinates makes one on every node and leads all of them through the same steps:
//
//   close   on every node   outermost acquisitions of the sets wait from now on
//   look    on every node   until all are at rest: two rounds, see at_rest()
//   begin   on every node   the values of this moment are the cut
//   open    on every node   the application goes on; not before begin has returned everywhere
//   next    on every node   hands out each object whose newest value was here at the cut, once
//   end     on every node
//
// abandon() may come after any of them and leaves things as if there had been no cut. What is
// outermost: the calling task holds no guard of any of the sets and is in no CriticalSection.
// Tasks that wait in an outermost acquisition when the gate closes give back what they are granted
// and ask anew when it opens, so they stop nothing. Guards of sets that are no part of the cut do
// not count: whoever holds some of those only waits at the gate like everybody else.
// docs/walks/a-cut.md follows one; decisions/0021 says why it is enough.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::kddm {

// What one node sees at one moment.
struct CutLook {
    bool quiet = false;               // nothing of the sets, or of channels, is under way here
    std::uint64_t transitions = 0;    // messages about objects received since the gate was closed
    std::uint64_t sent = 0;           // messages of channels, to and from nodes that live
    std::uint64_t received = 0;
    // When not quiet: what is in the way, a sentence each, at most eight.
    std::vector<std::string> in_the_way;
};

// Whether nothing is under way anywhere: the looks of all nodes, in the same order, in two rounds
// of which the second began when the first had ended everywhere.
bool at_rest(std::span<const CutLook> first, std::span<const CutLook> second);

// An object as of the cut. The bytes are valid until the visitor returns.
struct CutObject {
    SetId set;
    ObjectId id;
    std::uint64_t version = 0;
    std::span<const std::byte> bytes;
    bool held = false;                // whoever wants to write it waits until the visitor returns
};

// A channel as of the cut; to be put in again at any node whose hub says it is its home.
struct CutChannel {
    ObjectId id;                      // what its name hashes to
    sync::Bytes state;                // ChannelState::encode
    std::uint64_t messages = 0;
};

struct CutOptions {
    // Most bytes for copies of objects that are written before they were handed out. Beyond it a
    // writer waits until next() has taken its object, which it then does first. What leaves this
    // node, or is changed by a message handler, is kept all the same. 0: every writer waits.
    std::uint64_t shadow_bytes = UINT64_MAX;
};

// One cut at a time of an engine: close() is refused with would_block while another one is closed
// or being read out. All functions are thread-safe and may be called by any task that holds no
// guard of the sets and is in no critical section; none of them waits for other nodes.
class Cut {
public:
    // `hub`: its channels are part of the cut, too; null: without channels.
    explicit Cut(Engine& engine, sync::Hub* hub = nullptr) : engine_(engine), hub_(hub) {}

    // Sets that were opened through this engine; on every node the same ones. invalid_argument for
    // one of another engine, not_found for one that was destroyed.
    Result<void> close(std::span<const RawSet> sets);
    // Costs a look at every object the first time that all is quiet, next to nothing after that as
    // long as nothing happens.
    CutLook look();
    // `number`: the same on every node, and greater than that of any cut before. would_block unless
    // the last look was quiet and nothing has happened since.
    Result<void> begin(std::uint64_t number, CutOptions options = {});
    void open();
    // Hands out one more object; false when there is none left. By several tasks at once if need
    // be. With an object that is `held` the visitor is brief; it makes no verb.
    bool next(const std::function<void(const CutObject&)>& visit);
    // Of the newest cut of the engine that began here; 0: none.
    std::uint64_t last_number() const;
    // The channels at home here, as of begin().
    const std::vector<CutChannel>& channels() const;
    void end();
    // open() and end(), whatever the state; what was not handed out is forgotten.
    void abandon();

    // A channel of that name is part of no cut from now on, as long as the hub lives. On all nodes,
    // as any may be its home.
    static void leave_out(sync::Hub& hub, std::string_view channel);

    // -- restart
    // At the home of an object that nobody has used yet, without a message: its value. exists when
    // it is in use; invalid_argument at another node, and for a length that the set cannot have.
    static Result<void> restore(const RawSet& set, ObjectId id, std::uint64_t version,
                                std::span<const std::byte> bytes);
    // What a channel of that name has as CutChannel::id.
    static ObjectId channel_id(std::string_view name);
    // Where a channel is at home in the session of that hub.
    static NodeId home_of(sync::Hub& hub, const CutChannel& channel);
    // There, before anybody has opened it: exists when somebody has.
    static Result<void> restore(sync::Hub& hub, const CutChannel& channel);

private:
    Engine& engine_;
    sync::Hub* hub_;
};

// While a task has one no gate stops it, and no cut begins: for steps that belong together, such as
// receiving a message and changing an object accordingly. Nestable; the outermost waits while a
// gate is closed, unless the task holds a guard of the cut. Do not wait in it for other tasks.
class CriticalSection {
public:
    explicit CriticalSection(Engine& engine);
    ~CriticalSection();
    CriticalSection(const CriticalSection&) = delete;
    CriticalSection& operator=(const CriticalSection&) = delete;

private:
    Engine& engine_;
};

}  // namespace ssi::kddm
