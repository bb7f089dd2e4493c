// SPDX-License-Identifier: BSD-3-Clause
// Core: kDFS on one node, below paths' comfort and above sets: what FileSystem and whatever else
// shows the file system stand on. One file per concern: fs_path.cpp (names to inodes),
// fs_bucket_ops.cpp (entries), fs_home.cpp (operations at their home, and who calls them),
// fs_names.cpp (mkdir, link, unlink), fs_rename.cpp, fs_attributes.cpp, fs_opens.cpp,
// fs_file.cpp (bytes), fs_list.cpp, fs_sync.cpp (durability), fs_transaction.cpp (several objects,
// several logs), fs_recovery.cpp, fs_check.cpp, fs_look.cpp (a check while others go on).
//
// Order of guards: buckets, then inodes, then pages; each ascending. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "calls.hpp"
#include "fs_async.hpp"
#include "fs_bucket.hpp"
#include "fs_ids.hpp"
#include "fs_inode.hpp"
#include "fs_locks_service.hpp"
#include "fs_opens.hpp"
#include "fs_pages.hpp"
#include "fs_requests.hpp"
#include "fs_wire.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/many.hpp"

namespace ssi::fs {

// A failure that POSIX names.
tl::unexpected<Failure> refuse(int sys_errno, std::string_view what);

class Check;
class LookedAt;
class Transaction;

class Core {
public:
    static Result<std::unique_ptr<Core>> mount(node::Node& node, kddm::Engine& engine,
                                               Options options);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;
    Result<void> close();        // collective

    // -- fs_path.cpp
    static Result<void> check_path(std::string_view path);   // what is wrong by itself
    Result<void> require_absent(const Parent& at);
    Result<void> require_alive(InodeId directory);
    Result<Place> resolve(const Credentials& who, std::string_view path, bool follow,
                          VolumeList* volumes = nullptr);
    // through: a last symbolic link is followed to where it leads, or would.
    Result<Parent> resolve_parent(const Credentials& who, std::string_view path,
                                  bool through = false);
    void add_way(VolumeList& volumes, InodeId directory, BucketKey key,
                 const BucketPlaces& places) const;
    Result<Place> find(InodeId directory, std::string_view name, VolumeList* volumes = nullptr);
    Result<std::string> read_link(InodeId inode);
    Result<InodeHead> head_of(InodeId inode);                     // ENOENT
    Result<void> require(InodeId inode, const Credentials& who, int wanted);   // EACCES

    // -- fs_names.cpp
    // What is made is open already.
    Result<Place> create(const Parent& at, const Credentials& who, std::uint32_t mode,
                         const Striping& striping, bool exclusive, bool* made,
                         VolumeList* volumes);
    Result<void> make_directory(const Parent& at, const Credentials& who, std::uint32_t mode);
    Result<void> symlink(const Parent& at, const Credentials& who, std::string_view target);
    Result<void> link(Place from, const Parent& to, const Credentials& who);
    Result<void> unlink(const Parent& at, const Credentials& who);
    Result<void> remove_directory(const Parent& at, const Credentials& who);
    // -- fs_rename.cpp
    Result<void> rename(const Parent& from, const Parent& to, const Credentials& who,
                        unsigned flags);
    Result<void> commit_way(const Parent& from, const Parent& to);   // before it
    Result<void> commit_elders(InodeId directory, BucketKey key, const BucketPlaces& places,
                               std::uint32_t from_volume);

    // -- fs_attributes.cpp
    Result<Attributes> stat(InodeId inode);
    Result<void> set_attributes(InodeId inode, const AttributeChange& change,
                                const Credentials& who, bool opened_for_writing = false);
    Result<void> set_xattr(InodeId inode, const Credentials& who, std::string_view name,
                           std::span<const std::byte> value, int flags);
    Result<std::vector<std::byte>> get_xattr(InodeId inode, const Credentials& who,
                                             std::string_view name);
    Result<std::vector<std::string>> list_xattrs(InodeId inode);
    Result<void> remove_xattr(InodeId inode, const Credentials& who, std::string_view name);
    Result<Space> space();

    // -- fs_opens.cpp
    Result<void> opened(InodeId inode);                // one more open of it; ENOENT
    Result<void> closed(InodeId inode);

    // -- fs_file.cpp
    Result<std::size_t> read(InodeId inode, std::uint64_t offset, std::span<std::byte> out,
                             Stream* stream);
    // The pieces are written one behind another.
    using Pieces = std::span<const std::span<const std::byte>>;
    Result<std::size_t> write(InodeId inode, std::uint64_t offset, Pieces pieces, bool append,
                              const Credentials& who, Stream* stream, std::uint64_t* end = nullptr);
    Result<void> truncate(InodeId inode, std::uint64_t size, const Credentials& who);
    static Result<void> check_allocation(int mode, std::uint64_t length);
    Result<void> allocate(InodeId inode, int mode, std::uint64_t offset, std::uint64_t length,
                          const Credentials& who);
    Result<std::uint64_t> seek(InodeId inode, std::uint64_t offset, bool data);
    Result<std::vector<Extent>> extents(InodeId inode);
    Result<std::vector<Copy>> copies(InodeId inode, std::uint64_t offset, std::uint64_t length);

    // -- fs_list.cpp
    Result<std::vector<DirectoryEntry>> list(InodeId directory, std::uint64_t cookie,
                                             std::size_t most, bool attributes);

    // -- fs_sync.cpp
    Result<void> sync(InodeId inode, const VolumeList& volumes);
    Result<void> sync_all();          // of every node
    Result<void> sync_mine();         // what this node homes
    Result<void> commit(const VolumeList& volumes);
    Result<CheckReport> run_check(bool repair, bool recovering);   // collective
    // Not collective, and others go on; `stop` ends it early.
    Result<CheckReport> look(const std::atomic<bool>& stop);

    io::Volumes& volumes() { return *volumes_; }
    Pages& pages() { return *pages_; }
    LockService& locks() { return *locks_; }
    AsyncIo& async() { return *async_; }
    io::Calls& calls() { return *calls_; }
    node::Node& node() { return node_; }
    std::uint64_t next_open() { return next_open_.fetch_add(1, std::memory_order_relaxed); }
    std::int64_t now() const;         // nanoseconds since 1970, as coarse as a kernel's: 4 ms
    const Options& options() const { return options_; }

    enum class Verb : std::uint8_t {   // of calls
        create, insert, unlink, make_inode, drop_link, reap, persist, sync_all,
        log, commit, settle, check, has_intent, count_open, close, keeps_open, space, list, look,
        lock, lock_granted,   // of LockService
    };

private:
    friend class Transaction;
    friend class Recovery;
    friend class Check;
    friend class Look;
    friend class LookedAt;
    Core(node::Node& node, kddm::Engine& engine, Options options);
    using Bytes = std::vector<std::byte>;

    // -- fs_core.cpp
    Result<void> start();
    Result<void> stop();
    Result<void> agree(Result<void> mine);
    std::vector<NodeId> all_nodes() const;
    Result<void> make_sets();
    bool lacks_root() const;
    Result<void> make_root();
    void register_calls();
    std::uint32_t volume_of(InodeId inode) const;
    std::uint32_t volume_of_bucket(InodeId directory, BucketKey key) const;
    NodeId home_of(InodeId inode) const;
    NodeId home_of_bucket(InodeId directory, BucketKey key) const;
    Result<std::uint64_t> next_serial(std::uint32_t volume);
    SlotId own_slot(std::uint64_t chance) const;       // of a volume of this node, or of any
    static Result<InodeHead> new_head(const Parent& at, const InodeHead& directory,
                                      const Credentials& who, std::uint32_t mode);
    Layout new_layout(const InodeHead& directory, const Striping& wanted) const;
    std::uint64_t chance() const;

    // -- fs_bucket_ops.cpp
    struct Bucket {
        kddm::RawGuard guard;
        BucketKey key;
    };
    Result<Bucket> bucket_for(InodeId directory, std::uint64_t hash, kddm::Access access);
    BucketKey guess(InodeId directory, std::uint64_t hash) const;
    BucketKey guess_elder(InodeId directory, BucketKey of) const;
    void learn(InodeId directory, std::uint16_t depth, const BucketPlaces& places);
    Result<std::vector<BucketKey>> buckets_of(InodeId directory);       // ascending
    std::uint16_t place_for(InodeId directory, NodeId only_writer) const;
    Result<void> split(InodeId directory, BucketKey key);

    // -- fs_home.cpp: operations where the bucket or inode is at home; no calls in them
    Result<NameReply> create_here(const NameRequest& request, const NewInode& inode,
                                  bool exclusive);
    Result<NameReply> insert_here(const NameRequest& request, Place place);
    Result<NameReply> unlink_here(const NameRequest& request);
    Result<InodeId> make_inode_here(SlotId slot, const NewInode& inode);
    Result<Gone> drop_link_here(InodeId inode);
    Result<Gone> reap_here(InodeId inode);
    Result<Gone> let_go(kddm::RawGuard& guard, InodeHead head, bool drop, Transaction& tx);
    Result<kddm::RawGuard> new_inode_guard(InodeId inode, const NewInode& made, std::int64_t now);
    // The same wherever that is.
    Result<NameReply> at_bucket(Verb verb, NameRequest request, const NewInode* inode,
                                bool exclusive, Place place);
    Result<Gone> at_inode(Verb verb, InodeId inode);
    Result<Bytes> serve_name(Verb verb, NodeId from, std::span<const std::byte> arguments);
    Result<Bytes> serve_inode(Verb verb, std::span<const std::byte> arguments);
    Result<Bytes> serve_new_inode(std::span<const std::byte> arguments);
    void clean_up(InodeId inode, const Gone& gone);
    Result<void> erase_gone();
    Result<void> erase_all_gone();   // also what others are about to erase

    // -- fs_rename.cpp
    struct Move;
    Result<bool> try_rename(Move& move);               // false: what was looked up has changed
    Result<void> check_rename(const Move& move);
    Result<std::vector<ObjectId>> buckets_for(Move& move, std::vector<BucketKey>* emptied);
    void plan_names(const Move& move, Transaction& tx, kddm::RawGuard& from, kddm::RawGuard& to,
                    std::int64_t time);
    Result<void> may_remove(const Parent& at, InodeId inode, const Credentials& who);
    Result<void> check_no_cycle(InodeId directory, InodeId inside);
    Result<bool> try_remove(const Parent& at, Place directory, std::int64_t time);
    Result<bool> all_empty(kddm::RawGuards& guards, std::size_t first, std::size_t count);

    // -- fs_attributes.cpp
    static Result<void> check_change(const InodeHead& head, const AttributeChange& change,
                                     const Credentials& who, bool opened_for_writing);
    Result<Bytes> serve_space(std::span<const std::byte> arguments);
    Result<void> set_bucket_times(InodeId directory, std::int64_t time);
    template <class F>
    Result<void> change_xattrs(InodeId inode, const Credentials& who, std::string_view name,
                               F&& change);
    // -- fs_list.cpp
    class Listing;
    Result<std::vector<std::optional<InodeHead>>> read_heads(std::span<const ObjectId> inodes);
    Result<Bytes> serve_list(std::span<const std::byte> arguments);

    // -- fs_opens.cpp
    Result<bool> is_open(InodeId inode);
    Result<void> close_here(InodeId inode);
    Result<Bytes> serve_open(std::span<const std::byte> arguments);
    Result<Bytes> serve_close(std::span<const std::byte> arguments);
    Result<Bytes> serve_keeps_open(std::span<const std::byte> arguments);
    Result<InodeId> own_inode(std::span<const std::byte> arguments) const;

    // -- fs_file.cpp
    Result<InodeHead> peek(InodeId inode);
    Result<void> clear_privileges(InodeId inode, const Credentials& who);
    Result<void> lose_privileges(InodeId inode, const Credentials& who);
    Result<void> note_writer(InodeId inode);
    Result<bool> write_inline(InodeId inode, std::uint64_t& offset, Pieces pieces,
                              std::size_t length, bool append);
    Result<void> move_to_pages(InodeId inode);

    // -- fs_sync.cpp
    Result<Bytes> serve_commit(std::span<const std::byte> arguments);
    Result<void> persist_here(InodeId inode);
    void run_committer();

    // -- fs_recovery.cpp
    Result<void> recover();           // collective
    Result<void> redo(const io::Intent& intent);
    Result<void> apply_redo();
    Result<bool> has_intent(std::uint32_t volume, SetId set, ObjectId id);
    Result<bool> asks_intent(std::uint32_t volume, std::string_view set, ObjectId id);
    Result<Bytes> serve_has_intent(std::span<const std::byte> arguments);
    Result<Bytes> serve_check(std::span<const std::byte> arguments);

    // -- fs_transaction.cpp
    Result<Bytes> serve_log(std::span<const std::byte> arguments);
    Result<Bytes> serve_settle(std::span<const std::byte> arguments);
    Result<void> settle_intents();
    Result<void> call_volume(std::uint32_t volume, Verb verb, std::span<const std::byte> arguments);

    node::Node& node_;
    kddm::Engine& engine_;
    const Options options_;
    std::unique_ptr<io::Volumes> volumes_;
    std::unique_ptr<io::Calls> calls_;
    std::unique_ptr<Pages> pages_;
    std::unique_ptr<LockService> locks_;
    std::unique_ptr<AsyncIo> async_;
    std::atomic<std::uint64_t> next_open_{1};
    kddm::RawSet buckets_, inodes_;
    OpensHere opens_here_;
    SetId bucket_number_, inode_number_, serial_number_;
    std::uint32_t slots_ = 1;
    std::vector<std::uint32_t> own_volumes_;

    struct Serials {
        std::uint32_t volume = 0;
        std::uint64_t next = 0, reserved = 0;
    };
    mutable std::atomic<std::uint64_t> chance_{0};
    sys::Mutex serial_mutex_;
    std::vector<Serials> serials_;

    // What was last seen of a directory; what is wrong costs a look at another bucket.
    struct Hint {
        std::atomic<std::uint64_t> directory{0};
        std::atomic<std::uint16_t> depth{0};
        std::array<std::atomic<std::uint16_t>, most_depth> places{};
    };
    std::array<Hint, 1024> hints_;
    std::size_t hint_index(InodeId directory) const {
        return mix64(directory.value) % hints_.size();
    }
    const Hint& hint_of(InodeId directory) const { return hints_[hint_index(directory)]; }
    static BucketKey seen_at(InodeId directory, const Hint& hint, std::uint32_t index);

    // Transactions over several logs that are not durable everywhere yet.
    struct OpenIntent {
        ObjectId id;
        std::uint32_t primary = 0;
        std::vector<std::uint32_t> others;
    };
    sys::Mutex intent_mutex_;
    std::vector<OpenIntent> intents_;
    std::atomic<std::uint64_t> next_intent_{1};
    // What recovery is told to do again, before it does it.
    struct RedoPart {
        std::uint32_t volume = 0;
        ObjectId intent;
        std::vector<std::byte> part;
    };
    std::atomic<bool> redoing_{false};
    std::vector<RedoPart> redo_parts_;

    // Buckets that are known to be found after a crash, by rename.
    sys::Mutex led_to_mutex_;
    // {directory, word of the key, volume whose log is in order anyway}
    std::set<std::array<std::uint64_t, 3>> led_to_;

    // Files that are gone, whose pages are still there.
    struct Garbage {
        InodeId inode;
        Gone gone;
    };
    sys::Mutex garbage_mutex_;
    std::vector<Garbage> garbage_, erasing_;   // erasing_: by a task that has begun
    sys::Condition erased_;                    // some of these are

    sys::Mutex check_mutex_;
    Check* check_ = nullptr;         // while one runs
    std::unique_ptr<LookedAt> looked_at_;

    sys::Mutex committer_mutex_;
    sys::Condition committer_wakes_;
    std::unique_ptr<sys::Tasks::Handle> committer_;
    bool stopping_ = false;
    bool closed_ = false;
    Result<void> trouble_;           // of the committer: told by the next sync
};

}  // namespace ssi::fs
