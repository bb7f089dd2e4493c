// SPDX-License-Identifier: BSD-3-Clause
// What a Checkpoint is inside.
#pragma once

#include <map>
#include <optional>

#include "control.hpp"
#include "drain.hpp"
#include "meetings.hpp"
#include "partners.hpp"
#include "saving.hpp"
#include "ssi/ckpt/checkpoint.hpp"

namespace ssi {

struct Checkpoint::Impl {
    Impl(node::Node& node, kddm::Engine& engine, kddm::sync::Hub& hub, CheckpointOptions options);

    node::Node& node;
    kddm::Engine& engine;
    kddm::sync::Hub& hub;
    const Config& config;
    CheckpointOptions options;
    std::string session_name;
    std::unique_ptr<ckpt::Places> places;
    std::unique_ptr<ckpt::Meetings> meetings;
    std::unique_ptr<ckpt::Votes> votes;
    std::unique_ptr<ckpt::PolicyInForce> policy;        // of the first node
    std::unique_ptr<ckpt::Requests> requests;
    std::unique_ptr<ckpt::Control> control;
    ckpt::Protection protection;
    ckpt::Changes changes;                              // since the last incremental one
    std::uint32_t chain = 0;                            // of that
    CheckpointLevel base_level = CheckpointLevel::local;
    std::unique_ptr<ckpt::Copies> copies;
    struct Callback {
        CheckpointEvent event;
        std::function<Result<void>()> function;
    };
    std::vector<Callback> callbacks;
    std::vector<fs::File*> open_files;                  // by protected file: what is saved
    kddm::Cut cut;
    // Where spans are copied to; kept from one checkpoint to the next, as fresh memory is slow.
    ckpt::Bytes shadow;
    io::SealedLogBuffers buffers;
    ckpt::Bytes scratch;
    std::unique_ptr<ckpt::Saving> saving;               // the last one, with its task
    std::unique_ptr<sys::Tasks::Handle> task;
    std::unique_ptr<ckpt::Drain> drain;                 // null: there is no global store
    // On the first node: by what was in the global store before; nobody else adds to it since.
    ckpt::VersionNumber next_globally = 0;
    std::size_t kept_globally = 1;                      // of what `saving` saves
    std::shared_ptr<CheckpointTicket::State> ticket;

    const Clock& clock() const { return node.doors().clock; }
    Result<void> open();                                // collective
    Result<void> run(CheckpointEvent event);
    Result<void> run_together(CheckpointEvent event);   // collective: and all come back
    Nanoseconds meet_for() const { return config.integer("checkpoint.meet_ms") * 1'000'000; }
    void find_open_files();
    void protect(ckpt::Protected one);                  // throws
    void finish_last();                                 // waits for the task

    // -- taking, in this order
    Result<CheckpointTicket> take(std::string_view description, const TakeOptions& options);
    Result<void> make_cut(std::string_view description, const TakeOptions& options,
                          std::shared_ptr<CheckpointTicket::State> state);
    Result<ckpt::Manifest> begin_version(std::string_view description,
                                         const TakeOptions& options);
    Result<std::unique_ptr<ckpt::MemberWriter>> begin_member(const ckpt::Manifest& version,
                                                             const ckpt::ParityGroup& group);
    void begin_changes(const TakeOptions& options);
    std::vector<ckpt::Seat> seats() const;              // by rank
    Result<void> can_have(CheckpointLevel level) const;
    Result<void> open_global();                         // collective
    Result<void> open_policy();                         // collective
    Result<std::vector<int>> choose_partners();
    Result<ckpt::ParityGroup> choose_group();
    std::map<std::uint32_t, std::size_t> kept_of_levels() const;
    std::size_t kept_in_global() const;
    Result<void> make_room(bool copy);
    Result<void> stop_and_begin(bool copy);             // the cut; opened again in any case
    void save();                                        // the task
    void keep_memory(bool copy);                        // into `saving`
    void keep_files();                                  // the same

    // -- putting back
    Result<std::optional<Restarted>> restart(std::optional<ckpt::VersionNumber> wanted,
                                             bool only_find);
};

}  // namespace ssi
