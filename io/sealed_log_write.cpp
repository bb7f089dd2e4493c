// SPDX-License-Identifier: BSD-3-Clause
// Writing a sealed log: records are encoded into the buffer of the next write, up to four of which
// are under way.
#include <fmt/format.h>

#include <array>
#include <deque>
#include <mutex>
#include <optional>

#include "disk_parts.hpp"
#include "sealed_log.hpp"
#include "segment_files.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {
namespace {

constexpr std::size_t write_buffers = 4;
// Sealed segments that are made durable together, while the next ones are written.
constexpr std::size_t synced_together = 16;
// For the heads of records that were prepared for.
constexpr std::size_t prepared_heads = 64 << 10;

struct Write {
    BlockBuffer bytes;
    DiskRequest request;
    bool under_way = false;
};

struct Sealed {
    std::unique_ptr<DiskFile> file;
    std::uint64_t bytes = 0;
};

struct Syncing {
    explicit Syncing(std::unique_ptr<DiskFile> of) : file(std::move(of)) {
        request.kind = DiskRequest::Kind::sync;
        request.file = file.get();
    }
    std::unique_ptr<DiskFile> file;
    DiskRequest request;
};

struct Open {
    std::uint64_t generation = 0;
    Sequence first_batch = 1;
    std::uint64_t place = 0;             // of the next batch
    std::uint64_t end = 0;               // of the content
    bool indexed = true;
    std::vector<FoundRecord> index;
    std::unique_ptr<DiskFile> file;
};

}  // namespace

struct SealedLogBuffers::Impl {
    sys::Mutex mutex;                    // of `kept`; nothing there while a writer has them
    std::optional<std::array<BlockBuffer, write_buffers>> kept{std::in_place};
};

SealedLogBuffers::SealedLogBuffers() : impl_(std::make_shared<Impl>()) {}
SealedLogBuffers::~SealedLogBuffers() = default;

struct SealedLogWriter::Impl {
    explicit Impl(const SealedLogOptions& o) : options(o) {}
    ~Impl() { give_back(); }

    std::shared_ptr<SealedLogBuffers::Impl> lender;   // of the buffers; null: they are our own
    void borrow(std::shared_ptr<SealedLogBuffers::Impl> from);
    void give_back();

    SealedLogOptions options;
    SealedLogMirror* mirror = nullptr;
    std::optional<Failure> failure;
    bool finished = false;
    SealedLogSummary summary;
    std::vector<LiveSegment> live;       // sealed
    Open segment;
    std::deque<Sealed> sealed;           // not asked to be durable yet
    std::deque<Syncing> syncing;
    std::array<Write, write_buffers> writes;
    std::size_t current = 0;             // that records are encoded into
    std::size_t used = 0;                // of it; 0: no batch is begun
    std::size_t records = 0;             // in it
    Sequence batch = 1;                  // its id

    HashKey key() const { return {options.identity, segment.generation, {}}; }
    Write& write() { return writes[current]; }
    Result<void> await(Write& one);
    Result<void> await_all();
    std::string file_name() const { return segment_name(segment.generation); }
    Result<void> submit(std::uint64_t place, std::size_t length);
    Result<void> begin_segment();
    Result<void> seal(bool followed);
    Result<void> begin_sync(std::size_t count);
    Result<void> end_sync();
    Result<void> begin_batch();
    Result<void> end_batch();
    Result<void> prepare(std::size_t bytes);
    Result<void> add(const LogRecord& record, std::span<const std::byte> before);
    Result<void> finish();
};

void SealedLogWriter::Impl::borrow(std::shared_ptr<SealedLogBuffers::Impl> from) {
    std::lock_guard lock(from->mutex);
    if (!from->kept) return;
    for (std::size_t i = 0; i < writes.size(); ++i)
        writes[i].bytes = std::move((*from->kept)[i]);
    from->kept.reset();
    lender = std::move(from);
}

// No write is under way.
void SealedLogWriter::Impl::give_back() {
    if (!lender) return;
    std::lock_guard lock(lender->mutex);
    auto& kept = lender->kept.emplace();
    for (std::size_t i = 0; i < writes.size(); ++i) kept[i] = std::move(writes[i].bytes);
}

Result<void> SealedLogWriter::Impl::await(Write& one) {
    if (!one.under_way) return {};
    options.disk->wait(one.request);
    one.under_way = false;
    return outcome_of(*options.disk, one.request, "write");
}

Result<void> SealedLogWriter::Impl::await_all() {
    Result<void> worst;
    for (Write& one : writes)
        if (auto done = await(one); !done && worst) worst = std::move(done);
    return worst;
}

// The current buffer goes to the disk; the next one is the one submitted longest ago.
Result<void> SealedLogWriter::Impl::submit(std::uint64_t place, std::size_t length) {
    Write& one = write();
    one.request.kind = DiskRequest::Kind::write;
    one.request.file = segment.file.get();
    one.request.place = place;
    one.request.memory = one.bytes.data();
    one.request.length = length;
    one.under_way = true;
    DiskRequest* const submitted[] = {&one.request};
    options.disk->submit(submitted);
    current = (current + 1) % writes.size();
    if (!mirror) return {};
    return mirror->write(file_name(), longest_sealed_segment, place, {one.bytes.data(), length});
}

Result<void> SealedLogWriter::Impl::begin_segment() {
    segment = {};
    segment.generation = live.size() + 1;
    segment.first_batch = batch;
    const std::string path = path_in(options.directory, segment_name(segment.generation));
    auto file = options.disk->open(path, OpenMode::create_new);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    segment.file = std::move(*file);
    SSI_TRY(segment.file->allocate(0, sealed_segment_bytes));
    SSI_TRY(await(write()));
    const SegmentHeader header{options.identity, segment.generation, batch, sealed_segment_bytes,
                               header_bytes_for(live.size()), live};
    write().bytes.reserve(header.header_bytes);
    const auto bytes = write().bytes.first(header.header_bytes);
    std::memset(bytes.data(), 0, bytes.size());
    encode_header(header, bytes);
    digest_end_of(bytes, summary.digest);
    segment.place = segment.end = header.header_bytes;
    return submit(0, bytes.size());
}

// The footer, right behind the content.
Result<void> SealedLogWriter::Impl::seal(bool followed) {
    SSI_TRY(await(write()));
    if (!segment.indexed) segment.index.clear();
    live.push_back({segment.generation, segment.end});
    const SegmentFooter footer{segment.first_batch, batch - 1, segment.end, segment.indexed,
                               followed, std::move(segment.index)};
    const std::uint64_t length = footer_bytes_for(footer.index.size());
    write().bytes.reserve(length);
    const auto bytes = write().bytes.first(length);
    std::memset(bytes.data(), 0, bytes.size());
    encode_footer(footer, key(), bytes);
    digest_end_of(bytes, summary.digest);
    SSI_TRY(submit(segment.place, length));
    if (mirror) SSI_TRY(mirror->end(file_name(), segment.place + length));
    summary.bytes += segment.place + length;
    ++summary.segments;
    sealed.push_back({std::move(segment.file), segment.place + length});
    // Writes of the newest may be under way, of those before no more: it has had all the buffers.
    static_assert(write_buffers <= sealed_segment_bytes / sealed_write_bytes);
    if (sealed.size() <= synced_together) return {};
    SSI_TRY(end_sync());
    return begin_sync(synced_together);
}

// Of the oldest, all of whose writes are done: a sync covers no others, and a truncation would wait
// for them. What was set aside beyond the footer is given back.
Result<void> SealedLogWriter::Impl::begin_sync(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) SSI_TRY(sealed[i].file->truncate(sealed[i].bytes));
    std::vector<DiskRequest*> submitted;
    for (; count != 0; --count) {
        syncing.emplace_back(std::move(sealed.front().file));
        sealed.pop_front();
    }
    for (Syncing& one : syncing) submitted.push_back(&one.request);
    options.disk->submit(submitted);
    return {};
}

Result<void> SealedLogWriter::Impl::end_sync() {
    Result<void> worst;
    for (Syncing& one : syncing) {
        options.disk->wait(one.request);
        if (auto done = outcome_of(*options.disk, one.request, "sync"); !done && worst)
            worst = std::move(done);
    }
    syncing.clear();
    return worst;
}

Result<void> SealedLogWriter::Impl::begin_batch() {
    if (segment.file && segment.place + sealed_write_bytes > sealed_segment_bytes)
        SSI_TRY(seal(true));
    if (!segment.file) SSI_TRY(begin_segment());
    SSI_TRY(await(write()));
    write().bytes.reserve(log_block_bytes);
    used = batch_head_bytes;
    records = 0;
    return {};
}

Result<void> SealedLogWriter::Impl::end_batch() {
    if (records == 0) used = 0;          // begun for records that did not come
    if (used == 0) return {};
    used += commit_mark_bytes;
    const auto bytes = write().bytes.first(whole_blocks(used));
    close_batch(bytes.first(used), records, key(), batch, 0);
    std::memset(bytes.data() + used, 0, bytes.size() - used);
    digest_end_of(bytes.first(used), summary.digest);
    SSI_TRY(submit(segment.place, bytes.size()));
    segment.end = segment.place + used;
    segment.place += bytes.size();
    summary.records += records;
    ++batch;
    used = 0;
    return {};
}

Result<void> SealedLogWriter::Impl::add(const LogRecord& record,
                                        std::span<const std::byte> before) {
    const std::size_t payload = before.size() + record.payload.size();
    const std::uint64_t bytes = record_bytes(payload);
    if (used != 0 && (used + bytes + commit_mark_bytes > sealed_write_bytes ||
                      records == max_batch_records))
        SSI_TRY(end_batch());
    if (used == 0) SSI_TRY(begin_batch());
    // Grows as it is needed: a small member takes little memory.
    write().bytes.reserve(whole_blocks(used + bytes + commit_mark_bytes), used);
    encode_record(record, before, key(), batch, write().bytes.first(used + bytes).subspan(used));
    segment.indexed = segment.indexed && segment.index.size() < most_sealed_entries;
    if (segment.indexed)
        segment.index.push_back({.kind = record.kind,
                                 .flags = record.flags,
                                 .set = record.set,
                                 .id = record.id,
                                 .version = record.version,
                                 .value_bytes = record.value_bytes,
                                 .batch = batch,
                                 .place = {segment.generation, segment.place + used,
                                           static_cast<std::uint32_t>(payload)}});
    used += bytes;
    ++records;
    return {};
}

Result<void> SealedLogWriter::Impl::prepare(std::size_t bytes) {
    const std::size_t needed = bytes + prepared_heads + commit_mark_bytes;
    if (used != 0 && (used + needed > sealed_write_bytes || records > max_batch_records / 2))
        SSI_TRY(end_batch());
    if (used == 0) SSI_TRY(begin_batch());
    write().bytes.reserve(std::min(whole_blocks(used + needed), sealed_write_bytes), used);
    return {};
}

Result<void> SealedLogWriter::Impl::finish() {
    SSI_TRY(end_batch());
    if (!segment.file) SSI_TRY(begin_segment());
    SSI_TRY(seal(false));
    SSI_TRY(await_all());
    SSI_TRY(end_sync());
    SSI_TRY(begin_sync(sealed.size()));
    SSI_TRY(end_sync());
    return options.disk->sync_directory(options.directory);
}

SealedLogWriter::SealedLogWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SealedLogWriter::~SealedLogWriter() {
    (void)impl_->await_all();
    (void)impl_->end_sync();
}

Result<std::unique_ptr<SealedLogWriter>> SealedLogWriter::create(const SealedLogOptions& options,
                                                                 SealedLogBuffers* buffers) {
    if (auto made = options.disk->make_directory(options.directory); !made)
        return tl::unexpected<Failure>(std::move(made).error());
    const auto files = list_log(*options.disk, options.directory);
    if (!files) return tl::unexpected<Failure>(files.error());
    if (!files->segments.empty())
        return fail(Errc::exists, fmt::format("{} of {} has a log already", options.directory,
                                              options.disk->name()));
    auto impl = std::make_unique<Impl>(options);
    if (buffers) impl->borrow(buffers->impl_);
    return std::unique_ptr<SealedLogWriter>(new SealedLogWriter(std::move(impl)));
}

std::string sealed_file_name(std::uint64_t segment) { return segment_name(segment); }

void SealedLogWriter::set_mirror(SealedLogMirror* mirror) { impl_->mirror = mirror; }

Result<void> SealedLogWriter::prepare(std::size_t bytes) {
    if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
    if (impl_->finished) return fail(Errc::invalid_argument, "the log is finished");
    auto prepared = impl_->prepare(std::min(bytes, max_sealed_payload_bytes));
    if (!prepared) impl_->failure = prepared.error();
    return prepared;
}

Result<void> SealedLogWriter::add(const LogRecord& record, std::span<const std::byte> before) {
    if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
    if (impl_->finished) return fail(Errc::invalid_argument, "the log is finished");
    if (before.size() + record.payload.size() > max_sealed_payload_bytes)
        return fail(Errc::too_large, fmt::format("a record of {} bytes: at most {}",
                                                 before.size() + record.payload.size(),
                                                 max_sealed_payload_bytes));
    auto added = impl_->add(record, before);
    if (!added) impl_->failure = added.error();
    return added;
}

Result<SealedLogSummary> SealedLogWriter::finish() {
    if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
    if (!impl_->finished) {
        if (auto done = impl_->finish(); !done) {
            impl_->failure = done.error();
            return tl::unexpected<Failure>(std::move(done).error());
        }
        impl_->finished = true;
    }
    return impl_->summary;
}

}  // namespace ssi::io
