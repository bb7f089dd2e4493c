// SPDX-License-Identifier: BSD-3-Clause
#include "drain_copy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fault_point.hpp"
#include "member_copy.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::size_t drain_piece_bytes = std::size_t{1} << 20;

// What the reader has verified, into the copy.
class Pieces final : public io::SealedLogMirror {
public:
    Pieces(MemberCopy& copy, const DrainPace& pace, std::uint64_t all)
        : copy_(copy), pace_(pace), all_(all), begun_(pace.clock.now()) {}

    Result<void> write(std::string_view file, std::uint64_t most, std::uint64_t place,
                       std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const auto some = bytes.first(std::min(bytes.size(), drain_piece_bytes));
            if (pace_.in_vain())
                return fail(Errc::cancelled, "another node is dead, without which this copy is of "
                                             "no use");
            SSI_TRY(copy_.write({file, most, place, some}));
            copied(some.size());
            place += some.size();
            bytes = bytes.subspan(some.size());
        }
        return {};
    }
    Result<void> end(std::string_view file, std::uint64_t bytes) override {
        return copy_.end_file(file, bytes);
    }

private:
    void copied(std::size_t bytes) {
        const bool half = done_ < all_ / 2 && done_ + bytes >= all_ / 2;
        done_ += bytes;
        pace_.copied.fetch_add(bytes, std::memory_order_relaxed);
        if (half) fault_point(FaultPoint::drain_half);
        if (pace_.bytes_per_second == 0) return;
        const double seconds = static_cast<double>(done_) /
                               static_cast<double>(pace_.bytes_per_second);
        const Nanoseconds due = begun_ + static_cast<Nanoseconds>(seconds * 1e9);
        if (const Nanoseconds now = pace_.clock.now(); now < due) pace_.tasks.sleep_for(due - now);
    }

    MemberCopy& copy_;
    const DrainPace& pace_;
    const std::uint64_t all_;
    const Nanoseconds begun_;
    std::uint64_t done_ = 0;
};

}  // namespace

Result<void> drain_member(Store& from, Store& to, const MemberInfo& info, const DrainPace& pace) {
    const auto here = from.member(info.version, info.member);
    if (!here) return tl::unexpected<Failure>(here.error());
    if (*here != info)
        return fail(Errc::io, fmt::format("member {} of version {} in {} is another one than the "
                                          "manifest names", info.member, info.version,
                                          from.name()));
    auto copy = MemberCopy::begin(to, info.dataset, info.version, info.member);
    if (!copy && copy.error().code == Errc::exists) return {};   // of an attempt that failed later
    if (!copy) return tl::unexpected<Failure>(std::move(copy).error());
    Pieces pieces(**copy, pace, info.log.bytes);
    io::SealedLogReader reader(log_of(from.state().disk, info));
    const auto read = reader.stream(
        [](const io::FoundRecord&, std::span<const std::byte>) { return Result<void>(); }, pieces);
    if (!read) return tl::unexpected<Failure>(read.error());
    if (*read != info.log)
        return fail(Errc::io, fmt::format("member {} of version {} in {} is not what was written "
                                          "(digest)", info.member, info.version, from.name()));
    SSI_TRY((*copy)->write_member_file(info));
    return (*copy)->finish();
}

}  // namespace ssi::ckpt
