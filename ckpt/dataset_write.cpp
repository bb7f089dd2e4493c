// SPDX-License-Identifier: BSD-3-Clause
#include "dataset_write.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataset_record.hpp"
#include "manifest.hpp"
#include "store_files.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::size_t zero_grain = 4096;
constexpr std::size_t least_zeroes = 16 << 10;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

tl::unexpected<Failure> misused(const Part& part, std::string text) {
    return fail(Errc::invalid_argument,
                fmt::format("item {} object {}:{}, part at {}: {}", part.item.value, part.id.hi,
                            part.id.lo, part.offset, text));
}

bool same_object(const Part& a, const Part& b) {
    return a.item == b.item && a.id == b.id && a.version == b.version && a.total == b.total;
}

}  // namespace

// A version belongs to one dataset: the first to come leaves its name.
Result<void> MemberWriter::Impl::claim(const MemberOptions& options) {
    const std::string folder = version_folder(options.version);
    SSI_TRY(store.disk.make_directory(folder));
    const std::string mine = claim_name(options.dataset);
    auto file = store.disk.open(folder + "/" + mine, io::OpenMode::create);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    const auto names = store.disk.list(folder);
    if (!names) return tl::unexpected<Failure>(names.error());
    for (const std::string& name : *names) {
        if (name == manifest_name)
            return fail(Errc::exists, fmt::format("version {} is in {} already: take the next "
                                                  "number", options.version, store.disk.name()));
        if (name != mine && name.ends_with(claim_suffix)) {
            (void)store.disk.remove(folder + "/" + mine);
            return fail(Errc::exists,
                        fmt::format("version {} of {} is another dataset's ({}): take the next "
                                    "number", options.version, store.disk.name(),
                                    name.substr(0, name.size() - claim_suffix.size())));
        }
    }
    return {};
}

Result<void> MemberWriter::Impl::begin(const MemberOptions& options) {
    info.dataset = options.dataset;
    info.version = options.version;
    info.member = options.member;
    info.rank = options.rank;
    info.host = options.host;
    info.device = options.device;
    info.group = options.group;
    SSI_TRY(claim(options));
    const std::string folder = member_folder(options.version, options.member);
    SSI_TRY(store.disk.make_directory(folder));
    SSI_TRY(lock.lock_folder());
    io::Disk* disk = &store.disk;
    if (options.bytes_per_second != 0) {
        throttled = io::make_throttled_disk(store.disk,
                                            {.bytes_per_second = options.bytes_per_second,
                                             .tasks = store.options.tasks,
                                             .clock = store.options.clock});
        disk = throttled.get();
    }
    auto created = io::SealedLogWriter::create(log_of(*disk, info), options.buffers);
    if (!created) return tl::unexpected<Failure>(std::move(created).error());
    log = std::move(*created);
    return {};
}

Result<void> MemberWriter::Impl::accept(const Part& part, std::uint64_t length) {
    if (failure) return tl::unexpected<Failure>(*failure);
    if (finished) return misused(part, "the member is finished");
    if (part.offset > part.total || length > part.total - part.offset)
        return misused(part, fmt::format("{} bytes do not lie in an object of {}", length,
                                         part.total));
    if (length == 0 && part.total != 0) return misused(part, "it is empty");
    const bool inside = next < object.total;
    if (inside && (!same_object(part, object) || part.offset != next))
        return misused(part, fmt::format("object {}:{} of item {} goes on at byte {} first",
                                         object.id.hi, object.id.lo, object.item.value, next));
    if (!inside && part.offset != 0) return misused(part, "an object begins with its byte 0");
    if (!inside) {
        ++info.objects;
        object = part;
    }
    next = part.offset + length;
    info.bytes += length;
    put_bytes.fetch_add(length, std::memory_order_relaxed);
    return {};
}

Result<void> MemberWriter::Impl::keep(Result<void> outcome) {
    if (!outcome) failure = outcome.error();
    return outcome;
}

Result<void> MemberWriter::Impl::add(io::RecordKind kind, Part part, std::uint64_t length,
                                     std::span<const std::byte> bytes) {
    const bool whole = part.offset == 0 && length == part.total;
    const PieceHead head{part.offset, part.total};
    const io::LogRecord record{.kind = kind,
                               .flags = whole ? std::uint8_t{0} : io::record_piece,
                               .set = part.item,
                               .id = part.id,
                               .version = part.version,
                               .value_bytes = static_cast<std::uint32_t>(length),
                               .payload = bytes};
    return log->add(record, whole ? std::span<const std::byte>{} : bytes_of(head));
}

Result<void> MemberWriter::Impl::add_data(Part part, std::span<const std::byte> bytes) {
    do {
        const std::size_t length = std::min(bytes.size(), piece_bytes);
        SSI_TRY(add(io::RecordKind::raw, part, length, bytes.first(length)));
        bytes = bytes.subspan(length);
        part.offset += length;
    } while (!bytes.empty());
    return {};
}

Result<void> MemberWriter::Impl::add_long(io::RecordKind kind, Part part, std::uint64_t length,
                                          std::span<const std::byte> payload) {
    do {
        const std::uint64_t some = std::min(length, most_unwritten);
        SSI_TRY(add(kind, part, some, payload));
        length -= some;
        part.offset += some;
    } while (length != 0);
    return {};
}

// Long runs of zeroes become records of their own.
Result<void> MemberWriter::Impl::put(const Part& part, std::span<const std::byte> bytes) {
    if (!bytes.empty() && all_zero(bytes))
        return add_long(io::RecordKind::zero, part, bytes.size(), {});
    const auto at = [&](std::size_t offset) {
        Part moved = part;
        moved.offset += offset;
        return moved;
    };
    std::size_t data = 0, zeroes = 0;   // where data that is not put yet begins, and zeroes
    const auto end_of_zeroes = [&](std::size_t end) -> Result<void> {
        if (end - zeroes < least_zeroes) return {};
        if (zeroes > data) SSI_TRY(add_data(at(data), bytes.subspan(data, zeroes - data)));
        data = end;
        return add_long(io::RecordKind::zero, at(zeroes), end - zeroes, {});
    };
    for (std::size_t i = 0; i < bytes.size(); i += zero_grain) {
        const std::size_t end = std::min(bytes.size(), i + zero_grain);
        if (all_zero(bytes.subspan(i, end - i))) continue;
        SSI_TRY(end_of_zeroes(i));
        zeroes = end;
    }
    SSI_TRY(end_of_zeroes(bytes.size()));
    if (data == bytes.size() && data != 0) return {};
    return add_data(at(data), bytes.subspan(data));
}

Result<void> MemberWriter::Impl::depend(const Base& base) {
    if (base.version == 0 || base.version >= info.version)
        return fail(Errc::invalid_argument,
                    fmt::format("version {} cannot refer to version {}: only to older ones",
                                info.version, base.version));
    auto known = bases.find(base.version);
    if (known == bases.end()) {
        auto manifest = store.manifest(base.version);
        if (!manifest) return tl::unexpected<Failure>(std::move(manifest).error());
        known = bases.emplace(base.version, std::move(*manifest)).first;
    }
    const Manifest& manifest = known->second;
    if (base.member >= manifest.members.size())
        return fail(Errc::not_found, fmt::format("version {} has {} members and no member {}",
                                                 base.version, manifest.members.size(),
                                                 base.member));
    const std::uint32_t chain = manifest.members[base.member].chain + 1;
    if (chain > max_chain)
        return fail(Errc::too_large,
                    fmt::format("version {} needs {} older ones already, one for the other, which "
                                "is the most: take a full checkpoint",
                                base.version, max_chain));
    info.chain = std::max(info.chain, chain);
    const auto place = std::ranges::lower_bound(info.bases, base.version, {},
                                                &BaseVersion::version);
    if (place == info.bases.end() || place->version != base.version)
        info.bases.insert(place, {base.version, manifest.dataset});
    return {};
}

Result<void> MemberWriter::Impl::finish() {
    if (next < object.total)
        return fail(Errc::invalid_argument,
                    fmt::format("object {}:{} of item {} has {} bytes, {} of them were put",
                                object.id.hi, object.id.lo, object.item.value, object.total, next));
    const auto summary = log->finish();
    if (!summary) return tl::unexpected<Failure>(summary.error());
    info.log = *summary;
    const std::string folder = member_folder(info.version, info.member);
    SSI_TRY(write_file(store.disk, folder + "/" + member_name, encode_member(info)));
    SSI_TRY(store.disk.sync_directory(folder));
    SSI_TRY(store.disk.sync_directory(version_folder(info.version)));
    SSI_TRY(store.disk.sync_directory(""));
    finished = true;
    return {};
}

// What cannot be removed is left to Store::clean().
void MemberWriter::Impl::abandon() {
    if (!failure) failure = Failure{Errc::cancelled, 0, no_node, "the member was abandoned"};
    log.reset();
    finished = false;
    const std::string folder = version_folder(info.version);
    (void)remove_folder(store.disk, member_folder(info.version, info.member));
    const auto others = store.disk.list_directories(folder);
    const auto files = store.disk.list(folder);
    if (others && others->empty() && files && std::ranges::find(*files, manifest_name) ==
                                                  files->end())
        (void)remove_folder(store.disk, folder);
}

MemberWriter::MemberWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemberWriter::~MemberWriter() {
    if (!impl_->finished && impl_->log) impl_->abandon();
}

void MemberWriter::set_mirror(io::SealedLogMirror* mirror) {
    if (impl_->log) impl_->log->set_mirror(mirror);
}

Result<void> MemberWriter::prepare(std::size_t bytes) {
    if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
    return impl_->keep(impl_->log->prepare(bytes));
}

Result<void> MemberWriter::put(const Part& part, std::span<const std::byte> bytes) {
    SSI_TRY(impl_->keep(impl_->accept(part, bytes.size())));
    return impl_->keep(impl_->put(part, bytes));
}

Result<void> MemberWriter::put_zero(const Part& part, std::uint64_t length) {
    SSI_TRY(impl_->keep(impl_->accept(part, length)));
    return impl_->keep(impl_->add_long(io::RecordKind::zero, part, length, {}));
}

Result<void> MemberWriter::put_ref(const Part& part, std::uint64_t length, const Base& base) {
    if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
    SSI_TRY(impl_->depend(base));   // refused: the object may be put instead
    SSI_TRY(impl_->keep(impl_->accept(part, length)));
    const RefBody body{base.version, base.member, 0};
    return impl_->keep(impl_->add_long(io::RecordKind::ref, part, length, bytes_of(body)));
}

Result<MemberInfo> MemberWriter::finish() {
    if (!impl_->finished) {
        if (impl_->failure) return tl::unexpected<Failure>(*impl_->failure);
        if (auto done = impl_->keep(impl_->finish()); !done)
            return tl::unexpected<Failure>(std::move(done).error());
    }
    return impl_->info;
}

void MemberWriter::abandon() {
    if (impl_->log) impl_->abandon();
}

std::uint64_t MemberWriter::put_bytes() const {
    return impl_->put_bytes.load(std::memory_order_relaxed);
}

}  // namespace ssi::ckpt
