// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/segment_log.hpp"

#include <fmt/format.h>

#include "segment_state.hpp"

namespace ssi::io {

SegmentLog::SegmentLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SegmentLog::~SegmentLog() {
    if (const auto closed = close(); !closed) return;   // whoever wants to know calls close()
}

Result<std::unique_ptr<SegmentLog>> SegmentLog::open(SegmentLogOptions options,
                                                     const RecordVisitor& visit) {
    if (!options.disk || options.segment_bytes % log_block_bytes != 0 ||
        options.segment_bytes < 4 * log_block_bytes || options.segment_bytes > (1u << 30))
        return fail(Errc::invalid_argument,
                    fmt::format("segments have 16 KiB to 1 GiB in whole blocks, not {} bytes",
                                options.segment_bytes));
    auto impl = std::make_unique<Impl>(std::move(options));
    SSI_TRY(impl->open(visit));
    if (impl->options.tasks)
        impl->task = impl->options.tasks->spawn("log writer", [log = impl.get()] {
            log->write_behind();
        });
    return std::unique_ptr<SegmentLog>(new SegmentLog(std::move(impl)));
}

Result<void> SegmentLog::free_segment(std::uint64_t generation) {
    std::lock_guard lock(impl_->mutex);
    const auto found = impl_->segments.find(generation);
    if (found == impl_->segments.end() || !found->second->complete || found->second->freed)
        return fail(Errc::invalid_argument,
                    fmt::format("segment {} of log {} is not complete, or free already", generation,
                                impl_->options.directory));
    found->second->freed = true;
    return {};
}

std::vector<SegmentInfo> SegmentLog::segments() const {
    std::lock_guard lock(impl_->mutex);
    std::vector<SegmentInfo> out;
    for (const auto& [generation, segment] : impl_->segments)
        if (!segment->freed)
            out.push_back({generation, segment->file_bytes, segment->end - segment->header_bytes,
                           segment->complete});
    return out;
}

Sequence SegmentLog::last() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->next_batch - 1;
}

Sequence SegmentLog::durable() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->durable;
}

SegmentLogStatistics SegmentLog::statistics() const {
    std::lock_guard lock(impl_->mutex);
    SegmentLogStatistics out = impl_->statistics;
    out.segments = impl_->segments.size();
    out.spares = impl_->spares.size();
    out.file_bytes = impl_->file_bytes();
    return out;
}

const LogRecovery& SegmentLog::recovery() const { return impl_->recovered; }

std::string SegmentLog::name() const {
    return fmt::format("{} of {}", impl_->options.directory, impl_->options.disk->name());
}

}  // namespace ssi::io
