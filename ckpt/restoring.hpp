// SPDX-License-Identifier: BSD-3-Clause
// Restoring: one version, put back by one node: objects go to their homes as they are read, all
// else waits in the inbox of whoever wants it until every member is known to be whole.
#pragma once

#include <map>
#include <vector>

#include "files.hpp"
#include "inbox.hpp"
#include "protection.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::ckpt {

struct RestoringDoors {
    node::Node& node;
    kddm::Engine& engine;
    kddm::sync::Hub& hub;
    const Protection& protection;
};

class Restoring {
public:
    // `again`: objects may have been put back before, and taken back since.
    Restoring(RestoringDoors doors, const Manifest& manifest, bool again);

    Result<void> prepare();                                  // collective
    // Before anything is read.
    void substitute(Substitutions files) {
        substitutions_ = std::move(files);
        substituted_.assign(substitutions_.size(), 0);
    }
    // Collective, once all have read all: invalid_argument when one is of no file.
    Result<void> all_substituted();
    // Must be read from as long as this lives.
    void set_dataset(std::unique_ptr<Dataset> dataset) { dataset_ = std::move(dataset); }
    // All that the member has; every byte of it is verified when it returns without a failure.
    Result<void> read(MemberIndex member);
    // Collective, once all nodes have read all: what others have read for this one.
    Result<void> complete();
    // Collective: after a failure: no object that was put back is there any more.
    Result<void> undo();
    std::uint64_t bytes() const { return bytes_; }
    // Once complete: of all ranks that saved.
    std::vector<RestartedFile> files() const;

private:
    // Of a file of a rank; of one that was read here, who has it.
    struct FoundFile {
        const Protected* item = nullptr;
        std::uint32_t rank = 0;
        FileState state;
        MemberIndex member = 0;
        ObjectId id;
        SetId saved_item;
        Bytes head;                                          // as far as it came
    };
    Result<void> place(const FoundPart& found);
    Result<void> place_file(const Protected& item, const FoundPart& found);
    Result<void> look_at_files();
    Result<void> nothing_to_substitute(std::span<const Bytes> paths) const;
    Result<void> restore_files();
    Result<void> share_files();
    Result<void> reopen_files();
    Result<void> place_channel(const FoundPart& found);
    Result<void> place_object(kddm::RawSet set, const Part& part,
                              std::span<const std::byte> bytes);
    Result<void> place_state(const Protected& item, const FoundPart& found);
    Result<void> restore_states();
    Result<void> place_span(const Protected& item, const FoundPart& found);
    Result<void> place_piece(const Protected& item, const FoundPart& found);
    // In pieces that an inbox takes.
    Result<void> send(int rank, FoundPart found);
    Result<void> receive(const Part& part, std::span<const std::byte> bytes);

    RestoringDoors doors_;
    const Manifest& manifest_;
    const bool again_;
    std::unique_ptr<Dataset> dataset_;
    MemberIndex member_ = 0;                                 // that is read
    std::vector<FoundFile> files_;
    Substitutions substitutions_;
    std::vector<std::uint64_t> substituted_;                 // how often each
    Inbox inbox_;
    std::map<SetId, const Protected*> items_;                // by the manifest's ids
    struct Piece {
        std::uint64_t offset = 0;                            // bytes
        std::uint64_t length = 0;
    };
    std::map<SetId, std::vector<Piece>> pieces_;             // of arrays, by rank
    std::map<SetId, std::vector<ObjectId>> restored_;        // by the session's set
    std::map<ObjectId, Bytes> channels_;                     // at home here; as far as they came
    std::map<SetId, Bytes> states_;                          // of this rank, by protected item
    Bytes object_;                                           // whose parts are being read
    Bytes zeroes_;
    std::uint64_t bytes_ = 0;
};

}  // namespace ssi::ckpt
