// SPDX-License-Identifier: BSD-3-Clause
// A dataset: one checkpoint on disk (docs/formats/dataset.md). It has one member per saving rank,
// each a sealed log of records with a small manifest of its own, and one manifest of the whole,
// whose presence, verified by its hash, makes the version valid. Members may lie in different
// stores (store.hpp), each with a copy of the manifest.
//
//     auto member = store->begin({.dataset = id, .version = 7, .member = rank, .host = host});
//     (*member)->put({.item = set, .id = 12, .version = 3, .total = bytes.size()}, bytes);
//     auto info = (*member)->finish();             // durable; then all members vote, and
//     store->commit(manifest);                     // with all infos in it: valid from here on
//
// Who takes the checkpoint, at which cut, is decided above: nothing here talks to other nodes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"
#include "ssi/io/sealed_log.hpp"

namespace ssi::ckpt {

using DatasetId = io::VolumeId;          // random, made by whoever begins a checkpoint
using VersionNumber = std::uint64_t;     // from 1, ascending
using MemberIndex = std::uint32_t;       // from 0

// How many older versions may be needed, one for the other, to read one.
inline constexpr std::uint32_t max_chain = 8;
// Larger objects are kept in pieces.
inline constexpr std::size_t piece_bytes = std::size_t{1} << 20;

enum class ItemKind : std::uint32_t {
    set = 1,
    span = 2,
    array = 3,
    channel = 4,
    file = 5,
    state = 6,   // of a CheckpointBackend
};
const char* item_kind_name(ItemKind kind);

// Something that is protected: an entry of the manifest's table of contents.
struct Item {
    ItemKind kind = ItemKind::set;
    SetId id;                            // what records name it by
    std::string name;
    std::vector<std::byte> options;      // what restoring it takes: the owner's business
    std::uint64_t objects = 0;           // of all members
    std::uint64_t bytes = 0;
    friend bool operator==(const Item&, const Item&) = default;
};

// A version that others refer to, and which dataset that was.
struct BaseVersion {
    VersionNumber version = 0;
    DatasetId dataset;
    friend bool operator==(const BaseVersion&, const BaseVersion&) = default;
};

struct MemberInfo {
    DatasetId dataset;
    VersionNumber version = 0;
    MemberIndex member = 0;
    std::uint32_t rank = 0;
    std::string host;
    std::string device;                  // failure group: members of one may be lost together
    io::SealedLogSummary log;
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;             // of objects, with what was not written again
    std::uint32_t chain = 0;             // 0: refers to no other version
    std::vector<BaseVersion> bases;      // that it refers to itself, ascending
    // Of level parity: 1 + the first member of its group, to which all members belong that say the
    // same; 0: none.
    std::uint32_t group = 0;
    friend bool operator==(const MemberInfo&, const MemberInfo&) = default;
};

struct Manifest {
    DatasetId dataset;
    VersionNumber version = 0;
    std::string application;
    std::string build;
    std::string session;
    Nanoseconds time = 0;                // since the Unix epoch
    std::uint32_t level = 0;             // 0 memory, 1 local, 2 partner, 3 parity, 4 global
    std::string description;
    std::uint64_t user_number = 0;
    std::vector<std::byte> user_bytes;
    std::uint32_t ranks = 0;             // that saved
    std::vector<MemberInfo> members;     // by index, ascending, without gaps
    std::vector<Item> items;
    friend bool operator==(const Manifest&, const Manifest&) = default;

    std::uint32_t chain() const;                 // of the members
    std::vector<BaseVersion> bases() const;      // the same, each once
    // With parity: those of the group of a member, ascending, itself among them. Else none.
    std::vector<MemberIndex> group_of(MemberIndex member) const;
};

// A part of an object. Parts of one object are put one after another, from its first byte on,
// without gaps; a whole object is the part from 0 to its end.
struct Part {
    SetId item;
    ObjectId id;
    std::uint64_t version = 0;           // the object's, not the checkpoint's
    std::uint64_t offset = 0;            // bytes
    std::uint64_t total = 0;             // bytes of the object
    friend bool operator==(const Part&, const Part&) = default;
};

// Where an object lies that did not change.
struct Base {
    VersionNumber version = 0;
    MemberIndex member = 0;
};

// One member under construction. For one task at a time; its store outlives it. Holds 16 MiB of
// buffers and, until it goes, the lock that keeps others from the member: let it live until the
// manifest is committed.
class MemberWriter {
public:
    // Abandons a member that was not finished.
    ~MemberWriter();
    MemberWriter(const MemberWriter&) = delete;
    MemberWriter& operator=(const MemberWriter&) = delete;

    // See SealedLogWriter::set_mirror: of all files but the one that makes the member whole.
    void set_mirror(io::SealedLogMirror* mirror);
    // Until so many more bytes were put, in not too many parts, nothing waits for a disk.
    Result<void> prepare(std::size_t bytes);
    // Copied; waits for the disk when it has fallen behind. Zeroes, in runs of 16 KiB or more or as
    // a whole part, take no room. Failures of all verbs: invalid_argument (parts out of order), io;
    // after one nothing can be put any more.
    Result<void> put(const Part& part, std::span<const std::byte> bytes);
    Result<void> put_zero(const Part& part, std::uint64_t length);
    // The part is what the base has at the same place. Also not_found (no such valid version in
    // this store, or no such member of it), too_large (that would make a chain of more than
    // max_chain versions: take a full checkpoint).
    Result<void> put_ref(const Part& part, std::uint64_t length, const Base& base);
    // Durable. Nothing can be put afterwards.
    Result<MemberInfo> finish();
    // Removes what was written.
    void abandon();
    std::uint64_t put_bytes() const;     // so far; any task may ask

private:
    friend class Store;
    struct Impl;
    explicit MemberWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// A part as it is read: pieces of at most 1 MiB, or zeroes of any length.
struct FoundPart {
    Part part;
    std::uint64_t length = 0;
    bool zero = false;
    std::span<const std::byte> bytes;    // valid within the call; none for zeroes
    VersionNumber from = 0;              // the checkpoint that has the bytes
};

class Store;

// Who may restart from it; empty: whoever.
struct Expected {
    std::string application;
    std::string session;
};

// A valid version, for reading. Thread-safe; the stores outlive it. Changes nothing on disks.
class Dataset {
public:
    // The version's manifest and members are looked for in all stores. Failures: not_found,
    // mismatch (another application or session), unsupported (a newer format), io (incomplete or
    // damaged: what, and where).
    static Result<std::unique_ptr<Dataset>> open(std::span<Store* const> stores,
                                                 VersionNumber version,
                                                 const Expected& expected = {});
    // With a manifest that is known to be valid, of what the stores have of it: what is asked of
    // other members is not_found.
    static Result<std::unique_ptr<Dataset>> open_part(std::span<Store* const> stores,
                                                      const Manifest& manifest);
    ~Dataset();
    Dataset(const Dataset&) = delete;
    Dataset& operator=(const Dataset&) = delete;

    const Manifest& manifest() const;
    using Visit = std::function<Result<void>(const FoundPart& part)>;
    // All parts of a member, in the order they were put, every byte verified; only when it returns
    // without a failure was the member whole. What did not change comes from older versions.
    Result<void> stream(MemberIndex member, const Visit& visit);
    // The same, without what older versions have: only that they have it, by their indexes.
    using Progress = std::function<void(std::uint64_t bytes)>;
    Result<void> verify(MemberIndex member, const Progress& progress = {});
    // One object, or its first `most` bytes. not_found when the member does not have it.
    Result<std::vector<std::byte>> read(MemberIndex member, SetId item, ObjectId id,
                                        std::uint64_t most = UINT64_MAX);
    // The path of the open file that an object of an ItemKind::file has; empty: none was open.
    Result<std::string> path_of_file(MemberIndex member, SetId item, ObjectId id);

private:
    struct Impl;
    explicit Dataset(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::ckpt
