// SPDX-License-Identifier: BSD-3-Clause
// Engine::Impl: the shell around the sans-I/O machine: locks, memory, messages, waiting. One file
// per concern: acquire.cpp (verbs on guards), step.cpp (runs the machine), receive.cpp (messages),
// operations.cpp (apply, atomics, remove), read.cpp (one-sided reads), set_control.cpp (names),
// groups.cpp (coarse invalidation trees), loss.cpp (dead nodes).
// operations.cpp (apply, atomics, remove), evict.cpp (budgets), link.cpp (linkers), set_control.cpp
// (names), groups.cpp (coarse invalidation trees), loss.cpp (dead nodes).
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "cache.hpp"
#include "directory.hpp"
#include "executor.hpp"
#include "gate.hpp"
#include "outbox.hpp"
#include "read_out.hpp"
#include "remote_read.hpp"
#include "set_state.hpp"
#include "snapshot.hpp"
#include "ssi/base/json.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/many.hpp"
#include "updates.hpp"
#include "windows.hpp"

namespace ssi::kddm {

// A request whose answer is not about cached bytes. Lives on the caller's stack.
struct Rpc {
    const Message* request = nullptr;   // for who asks what is waited for
    std::uint64_t txn = 0;
    NodeId to = no_node;
    SetId set{};                // that it is about; a cut waits for its answer
    bool orphaned = false;      // nobody waits for it any more: on the heap
    Rpc* next = nullptr;
    sys::WaitCell cell;
    Message answer;
    std::vector<std::byte> bytes;
    std::byte* room = nullptr;   // for the bytes of a read_reply of just that length
    std::size_t room_bytes = 0;
    Errc error = Errc::ok;
    NodeId fault = no_node;
    bool answered = false;   // else it was woken to look again, as a node is lost
};

// Write-backs that somebody waits for; under Impl::store_mutex.
struct MoveBatch;   // migrate.cpp

struct StoreTicket {
    unsigned missing = 0;
    Result<void> result;   // the first failure
    sys::WaitCell cell;
};

// A shipped operation waiting for exclusive access at the home. Owned by the machine's queue, then
// by run_operation.
struct Operation final : Waiter {
    SetState* set = nullptr;
    Message request;
    std::vector<std::byte> arguments;
    std::unique_ptr<UpdatePart> part;   // of an update
    std::shared_ptr<MoveBatch> move;    // of a migrate: only to have the object here
    // A write-back instead: the pin is for reading, or for writing where copies must be recalled.
    bool storing = false;
    bool drops = false;              // the object leaves memory afterwards
    bool clean = false;              // the linker has the value of this version
    std::uint64_t version = 0;
    StoreTicket* ticket = nullptr;   // of whoever waits for it
};

struct RegisteredFunction {
    std::string name;
    Run run;
    ShippedFunction function;
};

// Acks of a group invalidation that this node collects for its parent in the tree.
struct FanIn {
    SetId set;
    ObjectId id;
    std::uint32_t requester;
    std::uint64_t txn;
    NodeId parent;
    std::uint32_t missing;
};

struct Engine::Impl final : node::Channel, Outbox::Carrier, Blocks::Keeper {
    Impl(Engine* owner, node::Node& node, Options options);
    ~Impl() override;

    // -- node::Channel
    std::byte* on_large(NodeId from, std::span<const std::byte> header,
                        std::size_t length) override;
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override;
    void on_large_failed(NodeId from, std::byte* memory) override;
    void on_node_lost(NodeId node) override;

    using Operations = boost::container::small_vector<Operation*, 4>;

    // -- acquire.cpp
    struct Want {
        Access access;
        bool renew = false;
        bool try_only = false;
        bool tried = false;      // the fast path has failed
        Nanoseconds deadline = sys::Waiter::forever;
    };
    Result<RawGuard> acquire(SetState& set, ObjectId id, Want want);
    Result<RawGuard> acquire_slow(SetState& set, ObjectId id, std::uint64_t hash, Want want,
                                  bool* value_kept);
    Result<RawGuard> acquire_once(SetState& set, ObjectId id, std::uint64_t hash, Want want,
                                  bool* value_kept, const Passage& entrance);
    Result<RawGuard> acquire_held(SetState& set, HeldItem& item, Want want);
    Result<void> wait_granted(SetState& set, ObjectId id, Waiter& waiter, const Want& want);
    void renew(SetState& set, Entry& entry);
    Result<bool> upgrade(RawGuard& guard);
    struct Growth {
        std::size_t room = 0;    // memory for so many bytes at least
        bool zeroed = true;      // what is new
    };
    Result<void> resize(SetState& set, Entry& entry, std::size_t length, Growth growth);
    Result<void> resize(SetState& set, Entry& entry, std::size_t length) {
        return resize(set, entry, length, {});
    }
    void wait_evictions(SetState& set);
    Result<void> check_set(SetState& set);
    Result<void> check_verb(SetState& set, ObjectId id);
    Result<void> check_order(const SetState& set, ObjectId id, const Held& held) const;

    // -- cut.cpp, restore.cpp
    struct CutState {
        enum class Phase : std::uint8_t { none, closed, begun, open };
        CutState(node::Node& node, Engine& engine) : gate(node), read_out(engine) {}
        Gate gate;
        std::atomic<std::uint64_t> critical{0};   // sections that are open
        std::atomic<std::uint64_t> passed{0};     // of those, begun while the gate was closed
        ReadOut read_out;
        sys::Mutex mutex;                         // of what follows
        Phase phase = Phase::none;
        std::vector<SetState*> sets;
        std::uint64_t last_number = 0;
        bool seen_quiet = false;                  // when so many messages had been heard
        std::uint64_t heard = 0;
        std::vector<CutChannel> channels;
    };
    Keepsakes* keepsakes_of(std::uint64_t control) {
        return control & control::reading ? &cut.read_out : nullptr;
    }
    static bool gated(const SetState& set) {
        return set.control.load(std::memory_order_seq_cst) & control::gated;
    }
    // A verb begins which the gate may stop, and waits there if need be. Counts, when it passes a
    // closed one.
    class Entrance : public Passage {
    public:
        Entrance(Impl& impl, SetState& set, Nanoseconds deadline = sys::Waiter::forever)
            : Passage(impl.cut.gate, set.inside, &set, [&set] { return gated(set); }, deadline) {
            if (gated(set)) [[unlikely]]
                set.heard.fetch_add(1, std::memory_order_seq_cst);
        }
    };
    // After the fast path's pin: the gate lets the task have it, and the cut its value.
    bool admit(SetState& set, Entry& entry, Access access);
    // Whoever has a write pin and has changed nothing yet.
    void before_write(SetState& set, Entry& entry, bool may_wait) {
        const std::uint64_t control = set.control.load(std::memory_order_acquire);
        if (is_older(entry, control)) [[unlikely]]
            keep_before_write(set, entry, control, may_wait);
    }
    void keep_before_write(SetState& set, Entry& entry, std::uint64_t control, bool may_wait);
    Result<void> close_gate(std::span<const RawSet> sets);
    void look_for_rest(CutLook& look);
    bool scan(SetState& set, CutLook& look);
    std::uint64_t heard_by(const std::vector<SetState*>& sets) const;
    void begin_cut(std::uint64_t generation, std::uint64_t shadow_bytes);
    void open_gate();
    void end_cut();
    Result<void> restore(SetState& set, ObjectId id, std::uint64_t version,
                         std::span<const std::byte> bytes);

    // -- many.cpp
    struct Many;
    Result<RawGuards> acquire_many(SetState& set, std::span<const ObjectId> ids, Access access);
    Result<void> check_many(SetState& set, std::span<const ObjectId> ids, Access access);
    bool ask(SetState& set, ObjectId id, Access access, Outbox& outbox);
    void send_one(NodeId to, Message& message, const Body& body) override;
    void send_packed(NodeId to, Message& message, std::span<const std::byte> packed) override;
    void release(Block* block) override { blocks.release(block); }

    // -- local_objects.cpp
    static std::vector<ObjectId> objects_here(SetState& set, bool owned);
    static std::vector<ObjectId> known_of(SetState& set, std::uint64_t hi);
    Result<std::uint64_t> for_each_here(SetState& set, bool owned, Access access,
                                        const std::function<void(RawGuard&)>& visit);

    // -- futures.cpp
    bool here(SetState& set, ObjectId id, Access access);

    // -- receive_updates.cpp
    void receive_updates(SetState& set, const Message& m, std::span<const std::byte> payload);
    void defer(SetState& set, const std::shared_ptr<UpdateBatch>& batch, ObjectId id,
               std::vector<std::uint32_t> elements);
    void run_part(Operation& operation, Operations& ready);
    void finish_part(UpdateBatch& batch);

    // -- step.cpp: one critical section over an object's state machine
    class Step;
    struct Place {
        NodeId home;
        std::uint32_t slot_version;
    };
    Place place_of(const SetState& set, ObjectId id) const;
    NodeId home_of(const SetState& set, ObjectId id) const { return place_of(set, id).home; }
    SlotId slot_of(const SetState& set, ObjectId id) const;
    void run_unpinned(SetState& set, ObjectId id, Entry* entry, Operations* ready = nullptr);
    void log_unsent(NodeId to, const Message& m, const Result<void>& sent);
    void send_body(NodeId to, Message& message, const Body& body);
    void send_block(NodeId to, Message& message, Block* block);
    // With an outbox: packed with others, if there are not too many bytes.
    void send_bytes(NodeId to, Message& message, std::span<const std::byte> bytes,
                    Outbox* outbox = nullptr);

    // -- direct.cpp
    Surroundings surroundings(SetState& set, Shard& shard, std::uint32_t slot_version);
    bool ask_directly(SetState& set, ObjectId id, std::uint64_t hash, Waiter& waiter);
    bool answer_directly(SetState& set, const Message& m, std::uint64_t hash, Outbox* outbox);
    bool arrive_directly(SetState& set, const Message& m, std::uint64_t hash, const Body& body);

    // -- receive.cpp
    void take(NodeId from, const Message& m, std::span<std::byte> payload, Block* block,
              Outbox* outbox);
    void receive(NodeId from, SetState& set, const Message& m, std::span<std::byte> payload,
                 Block* block, Outbox* outbox = nullptr);
    void receive_batch(NodeId from, const Message& m, std::span<std::byte> payload);
    Body body_of(const SetState& set, const Message& m, std::span<std::byte> payload, Block* owned,
                 bool at_home);

    // -- evict.cpp: memory within the budgets of the node and of sets
    MemoryUse* use_of(SetId set) override;
    void press() override;
    std::int64_t room_for(const SetState& set) const;   // what another object of it takes
    bool crowded(const SetState& set, std::int64_t need) const {
        return blocks.use.excess(need) > 0 || set.use.excess(need) > 0;
    }
    Result<void> make_room(SetState& set, ObjectId id, std::uint64_t hash,
                           const Passage& entrance);
    void drop_unused(SetState& set);
    // After a failure: true, after a while, when it is worth another try, as the object's home had
    // no memory at that moment.
    bool home_may_have_room(const SetState& set, ObjectId id, const Failure& failure,
                            Nanoseconds& deadline);
    bool in_memory(SetState& set, ObjectId id, std::uint64_t hash) const;
    struct Swept {
        std::int64_t freed = 0;     // at once
        std::int64_t leaving = 0;   // soon
        bool around = false;        // the hand has been everywhere
    };
    Swept sweep(SetState* only, std::int64_t wanted);
    using Victims = boost::container::small_vector<ObjectId, 16>;
    bool find_victims(SetState& set, Victims& victims);
    cache::Shed evict(SetState& set, ObjectId id, std::int64_t& bytes);
    SetState* next_set(std::size_t number) const;
    void sweep_ahead();
    bool sweep_once(bool& fruitful);

    // -- link.cpp
    Result<std::shared_ptr<Linker>> find_linker(const SetOptions& options) const;
    template <class F>
    auto ask_linker(SetState& set, const std::string& what, F&& f) -> decltype(f());
    void run_linker(const SetState& set, std::function<void()> job);
    void start_load(SetState& set, ObjectId id);
    void load(SetState& set, ObjectId id, Nanoseconds deadline);
    Result<Body> fetch(SetState& set, ObjectId id);
    void start_store(Step& step, SetState& set, Entry& entry, Access access, bool drops,
                     StoreTicket* ticket);
    void begin_store(Operation* operation);
    void store(Operation* operation);
    void end_store(Operation* operation, Result<void> result);
    void wait_stores(StoreTicket& ticket, unsigned most);
    bool may_need_store(const Entry& entry) const;
    void store_all(SetState& set, std::span<const ObjectId> ids, StoreTicket& ticket);
    Result<void> sync_linked(SetState& set);
    Result<void> write_back(SetState& set, std::span<const ObjectId> ids);
    Result<void> unlink(SetState& set, Entry& entry);   // removes it at the linker
    void destroy_linked(SetState* set, Linker& linker, const std::string& name);
    void note_linker_failure(SetState& set, std::span<const std::byte> text);
    std::string linker_failure(SetState& set) const;
    void send_linker_failure(SetState& set, NodeId to, Message& m);

    // -- migrate.cpp, touch.cpp
    Result<void> migrate(SetState& set, std::span<const ObjectId> ids, NodeId to);
    Result<void> check_migrate(SetState& set, std::span<const ObjectId> ids, NodeId to);
    void receive_migrate(SetState& set, const Message& m, std::span<const std::byte> payload);
    void take_over(SetState& set, const std::shared_ptr<MoveBatch>& batch, ObjectId id,
                   Outbox& outbox);
    void run_move(Operation& operation, Operations& ready);
    void finish_move(MoveBatch& batch);
    Result<void> touch(SetState& set, ObjectId id);
    void receive_claim(SetState& set, const Message& m);
    void learn_touched(SetState& set, ObjectId id);

    // -- operations.cpp
    void receive_operation(SetState& set, const Message& m, std::span<std::byte> payload);
    void queue_operation(SetState& set, Operation* operation, Outbox* outbox);
    void run_operations(Operations& ready);
    void run_operation(Operation* operation, Operations& ready);
    Result<void> execute(SetState& set, Entry& entry, const Message& m,
                         std::span<const std::byte> arguments, Message& answer,
                         std::vector<std::byte>& bytes);
    Result<void> execute_atomic(std::span<std::byte> bytes, const Message& m,
                                std::span<const std::byte> arguments, Message& answer) const;
    void answer_operation(const Message& request, Message& answer, const Result<void>& result,
                          std::vector<std::byte>& bytes);
    Result<void> call(NodeId to, Message& m, std::span<const std::byte> bytes, Rpc& rpc);
    void complete_rpc(const Message& m, std::span<const std::byte> payload);
    std::uint64_t new_rpc(Rpc& rpc, NodeId to, SetId set = {});
    void forget_rpc(Rpc& rpc);           // nobody will wait for it
    void send_request(NodeId to, Message& m, std::span<const std::byte> bytes,
                      Outbox* outbox = nullptr);
    static Result<void> answer_of(Rpc& rpc);
    Result<void> operate(SetState& set, ObjectId id, Message& m,
                         std::span<const std::byte> arguments, std::vector<std::byte>& bytes);
    const RegisteredFunction* function(std::uint64_t hash) const;
    Result<void> check_apply(const Message& m, std::string_view name, std::size_t bytes) const;

    // -- mapped_atomics.cpp
    static std::uint64_t pin_mark(NodeId node);
    Entry* mapped_entry(const SetState& set, ObjectId id, NodeId home,
                        const Window*& window) const;
    static std::span<std::byte> mapped_bytes(Entry& entry, const Window& window);
    std::optional<Result<void>> operate_in_place(SetState& set, ObjectId id, NodeId home,
                                                 Message& m, std::span<const std::byte> arguments);
    void show_place(const Entry& entry, const Message& request, Message& answer) const;
    void learn_shown(SetState& set, ObjectId id, NodeId home, const Message& answer);
    void receive_unpinned(SetState& set, ObjectId id);
    static void drop_pin_of(NodeId lost, Entry& entry, Step& step);

    // -- read.cpp: one-sided reads; receive_read.cpp: those that come as messages
    struct PendingRead {
        ReadJob* job = nullptr;
        NodeId asked = no_node;
        Message request;
        Rpc rpc;
        RemoteRead remote;       // tried before a message is sent
    };
    Result<void> read(SetState& set, ReadJob& job);
    Result<void> read_many(SetState& set, std::span<ReadJob> jobs);
    Result<bool> read_at_once(SetState& set, ReadJob& job);
    Look look_around(SetState& set, ReadJob& job, TaskCounters& counters);
    std::optional<std::size_t> length_here(SetState& set, ObjectId id) const;
    template <class Memory>
    Look look_often(const Entry& entry, ReadJob& job, const Memory& memory) const;
    static void expect_name(SetState& set, ObjectId id);
    void expect_read(SetState& set, ObjectId id) const;
    static void expect_own(SetState& set, ObjectId id);
    void start_read(SetState& set, ReadJob& job, PendingRead& pending, Outbox* outbox = nullptr);
    bool start_remote_read(SetState& set, ReadJob& job, PendingRead& pending);
    Result<bool> finish_remote_read(SetState& set, PendingRead& pending);
    void ask_to_read(SetState& set, PendingRead& pending, Outbox* outbox = nullptr);
    bool uses_rma() const { return read_way == ReadWay::automatic || read_way == ReadWay::rma; }
    bool reads_remotely(NodeId home) const;
    Result<void> finish_read(SetState& set, PendingRead& pending);
    Result<void> read_by_guard(SetState& set, ReadJob& job);
    Result<void> copy_held(SetState& set, ReadJob& job, Entry& entry);
    NodeId keeper_of(SetState& set, ObjectId id);
    void learn_place(SetState& set, ObjectId id, NodeId home, const ReadReply& reply);
    void receive_read(SetState& set, const Message& m, Outbox* outbox);
    void forward_read(const Message& m, const Entry& entry, Step& step);
    void answer_evicting_read(SetState& set, const Message& m, Entry& entry, Step& step);
    bool answer_read_at_once(SetState& set, const Message& m, std::uint64_t hash, Outbox* outbox);
    void answer_read(SetState& set, const Message& m, Entry& entry);
    void send_read(SetState& set, const Message& m, const Reading& reading, const Entry* entry,
                   std::span<const std::byte> bytes, Outbox* outbox = nullptr);
    void refuse_read(const Message& m, Errc code, std::string_view text = {});
    static bool is_lengthy_read(const Operation& operation);

    // -- set_control.cpp, set_destroy.cpp
    NodeId manager() const { return membership.members.front().node; }
    SetState* find_set(SetId id) const;
    Result<Placement> parse_placement(const SetOptions& options) const;
    Result<SetState*> open_set(std::string_view name, const SetOptions* create);
    Result<SetState*> install_set(SetId id, std::string_view name, const SetOptions& options);
    Result<SetState*> learn_set(SetId id, std::string_view name, const SetOptions& options);
    void receive_control(NodeId from, const Message& m, std::span<std::byte> payload);
    void answer_open(NodeId from, const Message& m, std::span<const std::byte> payload);
    Errc manage_open(std::string_view name, const SetOptions* create, SetId& id,
                     SetOptions& options);
    void send_set_info(NodeId to, std::uint64_t txn, SetId id, std::string_view name,
                       const SetOptions& options);
    SetState* park(NodeId from, const Message& m, std::span<const std::byte> payload);
    Result<void> destroy_set(std::string_view name);
    void start_destroy(std::string_view name, NodeId from, std::uint64_t txn);
    void receive_set_gone(NodeId from, const Message& m, std::span<const std::byte> payload);
    void set_gone_acknowledged(NodeId from, std::uint64_t number);
    void forget_set(SetId id, std::string_view linker_name, std::function<void()> then);
    void clear_set(SetState& set);

    // -- loss.cpp
    void fail_rpcs(NodeId lost);
    // False when the deadline passed first; then its answer may still come.
    bool wait_answered(Rpc& rpc, Nanoseconds deadline = sys::Waiter::forever);
    bool unlink_rpc(Rpc& rpc);           // under rpc_mutex

    // -- inspect.cpp
    void add_control_verbs();
    void remove_control_verbs();
    Result<std::string> describe_object(const JsonValue& request) const;

    // -- groups.cpp
    bool tell_subtree(const Message& m, std::uint32_t lo, std::uint32_t hi, Transition& t);
    void receive_group(const Message& m, Transition& t);
    void receive_group_ack(const Message& m, Transition& t);

    static constexpr std::uint64_t rpc_bit = 1ull << 63;
    std::uint64_t next_txn() { return ++last_txn; }

    Engine* const owner;
    node::Node& node;
    const node::Membership& membership;
    const node::SlotTable& slots;
    const Options options;
    const NodeId self;
    Log& log;
    sys::Waiter& waiter;
    const Clock& clock;
    const Nanoseconds try_timeout;
    const Nanoseconds loss_grace;
    const std::uint32_t shard_count;
    const Nanoseconds evict_timeout;
    const std::uint8_t moves_to_visit;
    const bool direct_;              // no protocol bug is planted: those are in the general steps
    const ReadWay read_way;
    const bool atomics_in_place_;
    Blocks blocks;
    Executor executor;
    const Blocks::Offer offer;
    Windows windows;
    Executor linker_pool;
    CutState cut;
    std::atomic<bool> closing{false};
    std::atomic<bool> sweeping{false};       // ahead of need
    std::atomic<Nanoseconds> next_sweep{0};  // not before: the last one found nothing
    std::atomic<unsigned> stores{0};         // write-backs under way
    sys::Mutex sweep_mutex;                  // of the hands of the clock, and of the next
    std::size_t sweep_set = 0;
    sys::Mutex store_mutex;                  // of StoreTickets
    std::atomic<std::uint64_t> last_txn{0};
    std::atomic<std::uint64_t> refused_slots{0};

    static constexpr std::size_t set_chunk = 256;
    struct SetChunk {
        std::atomic<SetState*> sets[set_chunk]{};
    };
    std::atomic<SetChunk*> set_chunks[set_chunk]{};
    mutable sys::Mutex sets_mutex;       // of what follows
    std::uint64_t generation = 0;        // of new sets, as in SetState::control
    std::vector<std::unique_ptr<SetState>> owned_sets;
    std::map<std::string, SetState*, std::less<>> by_name;
    std::set<std::uint32_t> gone;        // destroyed, maybe never known here; no id is used twice
    std::map<std::uint64_t, RegisteredFunction> functions;
    std::map<std::string, PlacementFunction, std::less<>> placements;
    std::map<std::string, std::shared_ptr<const HomeTable>, std::less<>> homes;
    std::map<std::string, std::shared_ptr<Linker>, std::less<>> linkers;
    struct ManagedSet {
        SetId id;
        SetOptions options;
    };
    std::map<std::string, ManagedSet, std::less<>> managed;  // at the manager only
    std::uint32_t last_set_id = 0;                           // at the manager only
    struct Destruction {
        SetId set;
        NodeId requester;
        std::uint64_t txn = 0;
        std::uint64_t number = 0;
        std::vector<NodeId> missing;     // not yet acknowledged
    };
    std::vector<Destruction> destructions;                   // at the manager only
    struct Parked {
        NodeId from;
        Message message;
        std::vector<std::byte> payload;
    };
    std::map<std::uint32_t, std::vector<Parked>> parked;     // for sets not known yet

    sys::Mutex rpc_mutex;
    std::array<Rpc*, 64> rpcs{};         // by transaction
    sys::Mutex fan_in_mutex;
    std::vector<FanIn> fan_ins;
};

// One critical section: locks the shard, runs the machine on events of one object, and, when it
// ends, unlocks and carries out what the machine decided.
class Engine::Impl::Step {
public:
    // Operations that the step lets run are run after it, or added to `ready` when given.
    Step(Impl& impl, SetState& set, ObjectId id, std::uint64_t hash, Operations* ready = nullptr)
        : Step(impl, set, id, hash, impl.place_of(set, id), ready) {}
    Step(Impl& impl, SetState& set, ObjectId id, std::uint64_t hash, Place place,
         Operations* ready = nullptr);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

    Entry* find() {
        if (entry_) return entry_;
        entry_ = shard_.index.find(hash_, id_);
        if (entry_) {   // most events need both, and the lines they are in are likely cold
            if (t_.at_home()) expect_home(entry_);
            expect_bytes(*entry_);
        }
        return entry_;
    }
    Entry& make();                       // find or make
    void use(Entry* entry) { entry_ = entry; }
    void collect(Outbox* outbox) { outbox_ = outbox; }   // where its messages go; null: out
    Transition& t() { return t_; }
    Shard& shard() { return shard_; }
    void event(const Message& m, const Body& body);   // a message for this object
    void finish();                       // unlock and carry out; idempotent

private:
    void dispatch(const Message& m, const Body& body);
    void settle();
    void carry_out();

    Impl& impl_;
    SetState& set_;
    ObjectId id_;
    std::uint64_t hash_;
    Shard& shard_;
    Entry* entry_ = nullptr;
    Transition t_;
    Operations operations_;
    Operations* ready_;
    Outbox* outbox_ = nullptr;
    bool locked_ = true;
};

std::uint64_t function_hash(std::string_view name);
Message atomic_message(const SetState& set, ObjectId id, const Atomic& atomic,
                       std::uint32_t offset, NodeId self);

}  // namespace ssi::kddm
