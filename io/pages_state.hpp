// SPDX-License-Identifier: BSD-3-Clause
// What the parts of Pages share. page_read.cpp, page_write.cpp, page_sync.cpp (write-back),
// page_behind.cpp (that of streams, early),
// page_map.cpp (what is where), page_remove.cpp.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs_pages.hpp"
#include "page_ranges.hpp"
#include "page_room.hpp"
#include "page_written.hpp"
#include "ssi/kddm/engine.hpp"

namespace ssi::fs {

inline constexpr std::uint8_t call_write_back = 64;   // operation
inline constexpr std::uint8_t call_map = 65;          // leaf
inline constexpr std::uint8_t call_remove = 66;       // operation
inline constexpr std::uint8_t call_room = 67;         // leaf
inline constexpr std::uint8_t call_copies = 68;       // leaf
inline constexpr std::uint8_t call_store = 69;        // operation: call_write_back without a commit
inline constexpr std::uint8_t call_commit = 70;       // operation
// What a page takes in a log, with its record, its batch and what blocks leave unused.
inline constexpr std::uint64_t page_room_bytes = page_bytes + 512;
inline constexpr std::uint64_t room_chunk_bytes = 64u << 20;
inline constexpr const char* page_write_function = "fs.page_write";
inline constexpr const char* pages_set = "fs/pages";

constexpr std::uint64_t page_of(std::uint64_t offset) { return offset >> page_shift; }
constexpr std::uint64_t pages_of(std::uint64_t bytes) {
    return (bytes >> page_shift) + ((bytes & (page_bytes - 1)) != 0);
}
inline constexpr std::uint64_t most_page_index = std::uint64_t{1} << page_index_bits;

// Which pages there are, of a part of a file at one home.
struct PageMap {
    std::vector<PageRange> present;   // ascending
    std::vector<PageRange> in_memory; // of these: in that node's memory
    std::uint64_t next = 0;           // up to here is told
};

struct Pages::Impl {
    Impl(node::Node& n, kddm::Engine& e, io::Volumes& v, io::Calls& c, PagesOptions o)
        : node(n), engine(e), volumes(v), calls(c), options(o),
          room([this](auto... a) { return ask_room(a...); }, room_chunk_bytes) {}

    // -- pages.cpp
    Result<void> open();
    void register_calls();
    NodeId home_of(ObjectId id) const { return set.home(id); }
    std::uint32_t volume_of(ObjectId id) const {
        return volumes.volume_of(slot_of_page(set.id(), id, volumes.slots()));
    }
    // The data logs of this node by volume, null those of others; open as long as `hold` lives.
    struct Logs {
        std::shared_ptr<const void> hold;
        std::vector<io::ObjectLog*> of;
    };
    Result<Logs> logs() const;
    // Of all pages that a file with this layout may have; each once, ascending.
    std::vector<NodeId> homes_of(Layout layout) const;
    Nanoseconds now() const { return node.doors().clock.now(); }

    // -- page_read.cpp
    Result<void> read(FileKey file, std::uint64_t offset, std::span<std::byte> out, Stream* stream);
    void read_ahead(FileKey file, std::uint64_t offset, std::size_t length, Stream& stream);
    Result<void> ask_for(FileKey file, PageRange pages);
    Result<void> copy_page(ObjectId id, std::size_t at, std::span<std::byte> out);

    // -- page_write.cpp
    Result<void> write(FileKey file, std::uint64_t offset, std::span<const std::byte> bytes,
                       Stream* stream);
    Result<void> write_page(ObjectId id, std::size_t at, std::span<const std::byte> bytes,
                            bool stays);

    // -- page_sync.cpp
    Result<void> sync(FileKey file);
    Result<void> sync_all();
    struct Batch;                     // of files that are written back together
    Result<void> sync_files(std::span<const FileKey> files);
    Result<void> commit(Batch& batch);
    Result<void> write_back(FileKey file, std::span<const PageRange> ranges,
                            std::uint8_t call = call_write_back);
    Result<void> answer_store(std::span<const std::byte> arguments);
    Result<void> answer_commit();
    void run_background();
    void stop();
    void limit_written();

    // -- page_behind.cpp
    void note_sync(std::span<const PageRange> ranges);
    void write_behind(FileKey file, std::uint64_t offset, std::uint64_t end, bool sequential,
                      Stream& stream);
    void end_behind(FileKey file);
    void run_behind();

    // -- page_charge.cpp: room for what is written
    Result<void> charge(FileKey file, PageRange range, std::vector<PageRange>& charged);
    bool rewrites(FileKey file, std::span<const PageRange> ranges);
    // `uncharge()` tells what is charged no more: its room is given back.
    template <class Uncharge>
    void discharge(FileKey file, Uncharge&& uncharge) {
        struct Giving {
            std::atomic<int>& now;
            explicit Giving(std::atomic<int>& counter) : now(counter) { ++now; }
            ~Giving() { --now; }
        } giving(givers);
        give(file, uncharge());
    }
    void give(FileKey file, std::span<const PageRange> ranges);
    bool others_may_give(std::uint64_t own_pages) const;
    void note_written(FileKey file, PageRange range);
    // How many of them are on each volume.
    std::vector<std::pair<std::uint32_t, std::uint64_t>> count(
        FileKey file, std::span<const PageRange> ranges) const;
    Result<std::uint64_t> ask_room(std::uint32_t volume, std::uint64_t least, std::uint64_t wanted,
                                   std::uint64_t returned);
    Result<std::vector<std::byte>> answer_room(NodeId from, std::span<const std::byte> arguments);

    // -- page_map.cpp
    // Of the file's pages [range) all that are there, wherever.
    Result<PageMap> map(FileKey file, PageRange range);
    Result<PageMap> map_here(FileKey file, PageRange range) const;
    Result<std::vector<std::byte>> answer_map(std::span<const std::byte> arguments) const;

    // -- page_copies.cpp
    PageMap copies_here(FileKey file, PageRange range) const;
    Result<std::vector<std::byte>> answer_copies(std::span<const std::byte> arguments) const;

    // -- page_remove.cpp
    Result<void> zero(FileKey file, std::uint64_t offset, std::uint64_t length);
    Result<void> zero_part(ObjectId id, std::size_t at, std::size_t length);
    Result<void> remove_here(FileKey file, PageRange range);
    Result<std::vector<std::byte>> answer_remove(std::span<const std::byte> arguments);

    node::Node& node;
    kddm::Engine& engine;
    io::Volumes& volumes;
    io::Calls& calls;
    const PagesOptions options;
    kddm::RawSet set;
    SetId kept;                       // its number in the logs
    WrittenPages written;
    PageRoom room;
    std::atomic<int> givers = 0;      // of room, just now
    RoomPromises promises;            // of this node's volumes

    // Write-back in the background.
    sys::Mutex mutex;
    sys::Condition changed;
    bool stopping = false;
    bool pressed = false;             // somebody waits for room: write all back
    std::unique_ptr<sys::Tasks::Handle> task;

    // Write-behind, with the same lock.
    struct Behind {
        FileKey file;
        PageRange range;
    };
    std::atomic<bool> syncs_follow = false;
    std::deque<Behind> behind;        // to be given to the logs
    std::optional<FileKey> behind_now;
    sys::Condition behind_changed;
    std::unique_ptr<sys::Tasks::Handle> behind_task;
};

// A failure of the set's verbs as a file system tells it: io, with the errno that fits.
tl::unexpected<Failure> page_failure(Failure failure);

}  // namespace ssi::fs
