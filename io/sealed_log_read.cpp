// SPDX-License-Identifier: BSD-3-Clause
// Reading a sealed log: segment by segment, each as a whole, while the next one comes from the
// disk; or single records by their places.
#include <fmt/format.h>

#include <array>
#include <mutex>
#include <tuple>

#include "disk_parts.hpp"
#include "read_ahead.hpp"
#include "sealed_log.hpp"
#include "segment_files.hpp"

namespace ssi::io {
namespace {

constexpr std::size_t read_bytes_at_once = 1 << 20;

// A segment's file on its way into memory. Waits for the disk when it goes.
class Loading {
public:
    explicit Loading(Disk& disk) : disk_(disk) {}
    ~Loading() { (void)wait(); }
    Loading(const Loading&) = delete;
    Loading& operator=(const Loading&) = delete;

    Result<void> start(const std::string& path) {
        auto opened = disk_.open(path, OpenMode::read);
        if (!opened) {
            Failure failure = std::move(opened).error();
            if (failure.code == Errc::not_found) failure.code = Errc::io;   // it has to be there
            return tl::unexpected<Failure>(std::move(failure));
        }
        file_ = std::move(*opened);
        const auto size = file_->size();
        if (!size) return tl::unexpected<Failure>(size.error());
        if (*size % log_block_bytes != 0 || *size < 2 * log_block_bytes ||
            *size > longest_sealed_segment + header_allowance)
            return fail(Errc::io, fmt::format("{} of {}: {} bytes are no segment's length", path,
                                              disk_.name(), *size));
        bytes_ = *size;
        buffer_.reserve(bytes_);
        std::vector<DiskRequest*> submitted;
        requests_ = std::vector<DiskRequest>((bytes_ + read_bytes_at_once - 1) /
                                             read_bytes_at_once);
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            DiskRequest& one = requests_[i];
            one.kind = DiskRequest::Kind::read;
            one.file = file_.get();
            one.place = i * read_bytes_at_once;
            one.memory = buffer_.data() + one.place;
            one.length = std::min<std::uint64_t>(read_bytes_at_once, bytes_ - one.place);
            submitted.push_back(&one);
        }
        disk_.submit(submitted);
        return {};
    }
    Result<void> wait() {
        Result<void> worst;
        for (DiskRequest& one : requests_) {
            disk_.wait(one);
            auto done = outcome_of(disk_, one, "read");
            if (done && one.moved != one.length)
                done = fail(Errc::io, fmt::format("{} of {} ended while it was read",
                                                  file_->name(), disk_.name()));
            if (!done && worst) worst = std::move(done);
        }
        requests_.clear();
        return worst;
    }
    std::span<const std::byte> bytes() { return buffer_.first(bytes_); }

private:
    // Headers list all segments before: of a log of 1 TiB they have 512 KiB.
    static constexpr std::uint64_t header_allowance = 64 << 20;
    Disk& disk_;
    std::unique_ptr<DiskFile> file_;
    BlockBuffer buffer_;
    std::uint64_t bytes_ = 0;
    std::vector<DiskRequest> requests_;
};

bool same_record(const FoundRecord& a, const FoundRecord& b) {
    return std::tie(a.kind, a.flags, a.set, a.id, a.version, a.value_bytes, a.batch, a.place) ==
           std::tie(b.kind, b.flags, b.set, b.id, b.version, b.value_bytes, b.batch, b.place);
}

// One segment in memory.
class Verifier {
public:
    Verifier(const SealedLogOptions& options, std::uint64_t generation, std::string file,
             SealedLogSummary& summary)
        : options_(options), generation_(generation), file_(std::move(file)),
          key_{options.identity, generation, {}}, summary_(summary) {}

    // `batch`: the id its first one must have; that of the next segment's afterwards.
    Result<void> run(std::span<const std::byte> bytes, Sequence& batch,
                     const SealedLogReader::Visit& visit);

private:
    tl::unexpected<Failure> wrong(std::uint64_t byte, const std::string& text,
                                  Errc code = Errc::io) const {
        return tl::unexpected(log_failure({code, 0, no_node, text}, file_, byte));
    }
    Result<void> batches(std::span<const std::byte> content, Sequence& batch,
                         const SegmentFooter& footer, const SealedLogReader::Visit& visit);
    const SealedLogOptions& options_;
    const std::uint64_t generation_;
    const std::string file_;
    const HashKey key_;
    SealedLogSummary& summary_;
    std::uint64_t place_ = 0;
};

Result<void> Verifier::run(std::span<const std::byte> bytes, Sequence& batch,
                           const SealedLogReader::Visit& visit) {
    const auto header = decode_header(bytes);
    if (!header) return wrong(0, header.error().text, header.error().code);
    if (header->generation != generation_ || header->identity != options_.identity ||
        header->first_batch != batch || header->live.size() != generation_ - 1)
        return wrong(0, "the header is that of another segment");
    digest_end_of(bytes.first(header->header_bytes), summary_.digest);
    const std::uint64_t trailer = bytes.size() - footer_trailer_bytes;
    const auto footer = decode_footer(bytes, key_);
    if (!footer) return wrong(trailer, footer.error().text);
    place_ = header->header_bytes;
    const std::uint64_t begin = bytes.size() - footer_bytes_for(footer->index.size());
    if (whole_blocks(footer->end) != begin || footer->first_batch != batch ||
        begin < header->header_bytes)
        return wrong(trailer, "the footer is that of another segment");
    SSI_TRY(batches(bytes.first(begin), batch, *footer, visit));
    if (footer->last_batch != batch - 1)
        return wrong(trailer, "the footer tells of other batches than are there");
    digest_end_of(bytes, summary_.digest);
    summary_.bytes += bytes.size();
    ++summary_.segments;
    return {};
}

Result<void> Verifier::batches(std::span<const std::byte> content, Sequence& batch,
                               const SegmentFooter& footer, const SealedLogReader::Visit& visit) {
    std::size_t entry = 0;
    while (place_ < footer.end) {
        const auto found = decode_batch(content.subspan(place_), key_);
        if (!found) return wrong(place_, found.error().text, found.error().code);
        const std::uint64_t end = place_ + found->head.bytes, next = whole_blocks(end);
        if (found->head.id != batch) return wrong(place_, "it is not the batch expected here");
        for (std::uint64_t at = end; at < next; ++at)
            if (content[at] != std::byte{0}) return wrong(at, "no zero between batches");
        for (const RecordView& record : found->records) {
            FoundRecord here = record.found;
            here.place.offset += place_;
            if (footer.has_index &&
                (entry == footer.index.size() || !same_record(footer.index[entry++], here)))
                return wrong(here.place.offset, "the footer's index tells of another record");
            SSI_TRY(visit(here, record.payload));
        }
        digest_end_of(content.subspan(place_, found->head.bytes), summary_.digest);
        summary_.records += found->records.size();
        place_ = next;
        ++batch;
    }
    if (footer.has_index && entry != footer.index.size())
        return wrong(place_, "the footer's index has more records");
    return {};
}

}  // namespace

struct SealedLogReader::Impl {
    explicit Impl(const SealedLogOptions& o) : options(o) {}
    const SealedLogOptions options;
    ReadAhead ahead;                     // has a lock of its own
    sys::Mutex mutex;
    struct File {
        std::uint64_t generation = 0;
        std::shared_ptr<SegmentFile> file;
    };
    std::array<File, 16> files;          // open for read(), by generation

    std::string path(std::uint64_t generation) const {
        return path_in(options.directory, segment_name(generation));
    }
    std::string shown(std::uint64_t generation) const {
        return fmt::format("{} of {}", path(generation), options.disk->name());
    }
    Result<std::shared_ptr<SegmentFile>> file(std::uint64_t generation);
    Result<void> index_segment(std::uint64_t generation, const RecordVisitor& visit);
    Result<SealedLogSummary> stream(const Visit& visit, SealedLogMirror* copy);
};

Result<std::shared_ptr<SegmentFile>> SealedLogReader::Impl::file(std::uint64_t generation) {
    File& slot = files[generation % files.size()];
    {
        std::lock_guard lock(mutex);
        if (slot.generation == generation) return slot.file;
    }
    auto opened = open_segment(*options.disk, path(generation));
    if (!opened) {
        Failure failure = std::move(opened).error();
        if (failure.code == Errc::not_found) failure.code = Errc::io;
        return tl::unexpected<Failure>(std::move(failure));
    }
    auto file = std::make_shared<SegmentFile>(std::move(*opened));
    std::shared_ptr<SegmentFile> replaced;   // closed without the lock
    std::lock_guard lock(mutex);
    replaced = std::exchange(slot.file, file);
    slot.generation = generation;
    return file;
}

Result<void> SealedLogReader::Impl::index_segment(std::uint64_t generation,
                                                  const RecordVisitor& visit) {
    const HashKey key{options.identity, generation, {}};
    auto opened = file(generation);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    const SegmentFile& segment = **opened;
    const auto header = read_header(*options.disk, segment);
    if (!header) return tl::unexpected(log_failure(header.error(), shown(generation), 0));
    if (header->generation != generation || header->identity != options.identity)
        return fail(Errc::io, fmt::format("{}: the header is that of another segment",
                                          shown(generation)));
    auto footer = read_footer(*options.disk, *segment.file, segment.bytes, key);
    if (footer && !*footer) footer = fail(Errc::io, "no footer");
    if (!footer)
        return tl::unexpected(log_failure(footer.error(), shown(generation),
                                          segment.bytes - footer_trailer_bytes));
    if ((*footer)->has_index) {
        for (const FoundRecord& record : (*footer)->index) visit(record);
        return {};
    }
    Loading loading(*options.disk);
    SSI_TRY(loading.start(path(generation)));
    SSI_TRY(loading.wait());
    SealedLogSummary summary;
    Sequence batch = header->first_batch;
    return Verifier(options, generation, shown(generation), summary)
        .run(loading.bytes(), batch, [&](const FoundRecord& record, auto) -> Result<void> {
            visit(record);
            return {};
        });
}

SealedLogReader::SealedLogReader(const SealedLogOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
SealedLogReader::~SealedLogReader() = default;

Result<SealedLogSummary> SealedLogReader::Impl::stream(const Visit& visit, SealedLogMirror* copy) {
    std::array<std::unique_ptr<Loading>, 2> loading;
    for (auto& one : loading) one = std::make_unique<Loading>(*options.disk);
    SealedLogSummary summary;
    Sequence batch = 1;
    if (options.segments > 0) {
        if (auto begun = loading[1]->start(path(1)); !begun)
            return tl::unexpected<Failure>(std::move(begun).error());
    }
    const auto work = [&](std::uint64_t generation) -> Result<void> {
        Loading& one = *loading[generation % 2];
        SSI_TRY(one.wait());
        if (generation < options.segments)
            SSI_TRY(loading[(generation + 1) % 2]->start(path(generation + 1)));
        SSI_TRY(Verifier(options, generation, shown(generation), summary)
                    .run(one.bytes(), batch, visit));
        if (!copy) return {};
        const std::string name = segment_name(generation);
        SSI_TRY(copy->write(name, one.bytes().size(), 0, one.bytes()));
        return copy->end(name, one.bytes().size());
    };
    for (std::uint64_t generation = 1; generation <= options.segments; ++generation)
        if (auto worked = work(generation); !worked)
            return tl::unexpected<Failure>(std::move(worked).error());
    return summary;
}

Result<SealedLogSummary> SealedLogReader::stream(const Visit& visit) {
    return impl_->stream(visit, nullptr);
}
Result<SealedLogSummary> SealedLogReader::stream(const Visit& visit, SealedLogMirror& copy) {
    return impl_->stream(visit, &copy);
}

Result<void> SealedLogReader::index(const RecordVisitor& visit) {
    for (std::uint64_t generation = 1; generation <= impl_->options.segments; ++generation)
        SSI_TRY(impl_->index_segment(generation, visit));
    return {};
}

Result<std::vector<std::byte>> SealedLogReader::read(const LogPlace& place) {
    auto opened = impl_->file(place.segment);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    const SegmentFile& segment = **opened;
    Disk& disk = *impl_->options.disk;
    const HashKey key{impl_->options.identity, place.segment, {}};
    const std::uint64_t first = place.offset / log_block_bytes * log_block_bytes;
    const std::uint64_t end = whole_blocks(place.offset + record_bytes(place.payload_bytes));
    const auto load = [&](std::uint64_t at, std::span<std::byte> out) {
        const auto moved = io::read(disk, *segment.file, out, at);
        return moved && *moved == out.size();
    };
    const auto payload = [&](std::span<const std::byte> bytes) -> Result<std::vector<std::byte>> {
        const auto record = decode_record(bytes, key);
        if (!record)
            return tl::unexpected(log_failure(record.error(), impl_->shown(place.segment),
                                              place.offset));
        if (record->payload.size() != place.payload_bytes)
            return fail(Errc::io, fmt::format("{}, byte {}: another record than the index says",
                                              impl_->shown(place.segment), place.offset));
        return std::vector<std::byte>(record->payload.begin(), record->payload.end());
    };
    if (end <= segment.bytes)
        if (const auto piece = impl_->ahead.find(place.segment, first, end, segment.bytes, load))
            return payload(piece->part(place.offset, end));
    auto bytes = read_bytes(disk, *segment.file, first, end - first);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return payload(bytes->first(end - first).subspan(place.offset - first));
}

}  // namespace ssi::io
