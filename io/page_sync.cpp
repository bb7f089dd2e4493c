// SPDX-License-Identifier: BSD-3-Clause
// Write-back. Each node remembers which pages it wrote; to sync a file it tells their homes, which
// have the newest values written to their logs and commit those: one wait for the disk serves
// everybody who came before it. The same goes on in the background, the oldest files first, many of
// them with one wait.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "page_wire.hpp"
#include "pages_state.hpp"

namespace ssi::fs {
namespace {

constexpr std::size_t ids_at_a_time = 1024;
// Of files that become durable with one wait. Pages: room that is promised and written is charged
// twice until then.
constexpr std::size_t most_files = 1024;
constexpr std::uint64_t most_pages = 1024;
// How long a writer waits for write-back before it goes on: it may hold what others wait for.
constexpr Nanoseconds longest_hold = 50'000'000;
constexpr Nanoseconds retry_after_failure = 1'000'000'000;

}  // namespace

// At a home: what it homes of the ranges is in the logs.
Result<void> Pages::Impl::answer_store(std::span<const std::byte> arguments) {
    auto request = decode_request(arguments);
    if (!request) return tl::unexpected<Failure>(std::move(request).error());
    const FileKey file = request->file;
    std::vector<ObjectId> ids;
    Result<void> result;
    const auto flush = [&] {
        if (ids.empty() || !result) return;
        result = set.write_back(ids);
        ids.clear();
    };
    for (const PageRange& range : request->ranges) {
        for (std::uint64_t i = range.first; i < range.last && result; ++i) {
            const ObjectId id = page_id(file.inode, file.layout, i);
            if (home_of(id) != node.id()) continue;
            ids.push_back(id);
            if (ids.size() == ids_at_a_time) flush();
        }
    }
    flush();
    return result;
}

// At a home: what the logs have is durable.
Result<void> Pages::Impl::answer_commit() {
    auto logs = this->logs();
    if (!logs) return tl::unexpected<Failure>(std::move(logs).error());
    if (std::ranges::count_if(logs->of, [](io::ObjectLog* log) { return log; }) > 1)
        for (io::ObjectLog* log : logs->of)
            if (log) log->start_commit();
    for (io::ObjectLog* log : logs->of) {
        if (!log) continue;
        SSI_TRY(log->commit_all());
    }
    return {};
}

Result<void> Pages::Impl::write_back(FileKey file, std::span<const PageRange> ranges,
                                     std::uint8_t call) {
    const std::vector<NodeId> homes = homes_of(file.layout);
    while (!ranges.empty()) {
        const auto part = ranges.first(std::min(ranges.size(), most_ranges));
        ranges = ranges.subspan(part.size());
        const std::vector<std::byte> request = encode(file, part);
        for (auto& answer : calls.call_all(homes, call, request))
            if (!answer) return page_failure(std::move(answer).error());
    }
    return {};
}

Result<void> Pages::Impl::sync(FileKey file) {
    end_behind(file);
    const auto ranges = written.take(file);
    if (!ranges) return {};
    note_sync(*ranges);
    auto done = write_back(file, *ranges);
    discharge(file, [&] { return written.settle(file, done.has_value()); });
    return done;
}

struct Pages::Impl::Batch {
    struct Taken {
        FileKey file;
        Result<void> stored;           // in the logs, not yet durable
    };
    std::vector<Taken> files;
    std::vector<NodeId> homes;
    std::uint64_t pages = 0;
};

// What is in the logs is durable, and the files are settled: of all those in vain when one of the
// homes fails.
Result<void> Pages::Impl::commit(Batch& batch) {
    std::ranges::sort(batch.homes);
    batch.homes.erase(std::unique(batch.homes.begin(), batch.homes.end()), batch.homes.end());
    Result<void> committed;
    for (auto& answer : calls.call_all(batch.homes, call_commit, {}))
        if (!answer && committed) committed = page_failure(std::move(answer).error());
    Result<void> result = committed;
    for (Batch::Taken& one : batch.files) {
        if (!one.stored && result) result = one.stored;
        discharge(one.file, [&] { return written.settle(one.file, one.stored && committed); });
    }
    batch = {};
    return result;
}

// Whoever has taken one file waits for nobody who has taken another.
Result<void> Pages::Impl::sync_files(std::span<const FileKey> files) {
    Batch batch;
    Result<void> result;
    const auto end_batch = [&] {
        if (batch.files.empty()) return;
        auto done = commit(batch);
        if (result) result = std::move(done);
    };
    for (const FileKey& file : files) {
        bool busy = false;
        auto ranges = written.take_now(file, busy);
        if (busy) {
            end_batch();
            ranges = written.take(file);
        }
        if (!ranges) continue;
        for (const PageRange& range : *ranges) batch.pages += range.count();
        std::ranges::copy(homes_of(file.layout), std::back_inserter(batch.homes));
        batch.files.push_back({file, write_back(file, *ranges, call_store)});
        if (batch.files.size() == most_files || batch.pages >= most_pages) end_batch();
    }
    end_batch();
    return result;
}

Result<void> Pages::sync_whole(InodeId inode, Layout layout, std::uint64_t size) {
    const FileKey file{inode, layout};
    SSI_TRY(impl_->sync(file));
    if (size == 0) return {};
    const PageRange all{0, (size + page_bytes - 1) / page_bytes};
    return impl_->write_back(file, {&all, 1});
}

Result<void> Pages::Impl::sync_all() {
    Result<void> result = sync_files(written.files());
    // And what others wrote, of the pages that this node homes.
    if (auto done = set.sync(); !done && result) result = page_failure(std::move(done).error());
    return result;
}

// A writer far ahead of the disk is held up a little. Where memory has a budget, that bounds it
// anyway.
void Pages::Impl::limit_written() {
    if (options.cache_bytes == 0) return;
    const std::uint64_t most = std::max<std::uint64_t>(options.cache_bytes / 2 / page_bytes, 16);
    const std::uint64_t pages = written.pages();
    if (pages <= most / 2) return;
    changed.notify_one();
    if (pages > most) written.wait_settled(longest_hold);
}

// The oldest first: what has been written for long, or all when memory or room is short.
void Pages::Impl::run_background() {
    const auto period = static_cast<Nanoseconds>(options.write_back_ms) * 1'000'000;
    const std::uint64_t most = options.cache_bytes / 4 / page_bytes;
    for (;;) {
        bool all = false;
        {
            std::lock_guard lock(mutex);
            if (!stopping && !pressed)
                (void)changed.wait_for(mutex, std::max<Nanoseconds>(period / 4, 1'000'000));
            if (stopping) return;
            all = std::exchange(pressed, false);
        }
        const Nanoseconds begun = now();
        for (;;) {
            const bool crowded = options.cache_bytes != 0 && written.pages() > most;
            const auto files =
                written.oldest(all || crowded ? begun : now() - period, most_files);
            if (files.empty()) break;
            auto done = sync_files(files);
            // It is told to whoever syncs the file; here it is tried again later.
            if (!done)
                SSI_LOG(node.doors().log, warn, "fs", "write-back of inode {}{} failed: {}",
                        files[0].inode.value, files.size() > 1 ? " or a later one" : "",
                        done.error().to_string());
            std::lock_guard lock(mutex);
            if (!done && !stopping) (void)changed.wait_for(mutex, retry_after_failure);
            if (stopping) return;
        }
    }
}

void Pages::Impl::stop() {
    {
        std::lock_guard lock(mutex);
        stopping = true;
        changed.notify_all();
        behind_changed.notify_all();
    }
    for (auto* one : {&task, &behind_task}) {
        if (*one) (*one)->join();
        one->reset();
    }
}

}  // namespace ssi::fs
