// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/record_file.hpp"

#include <fmt/format.h>

#include <vector>

#include "ssi/sys/file.hpp"

namespace ssi::kddm {

Result<std::shared_ptr<RecordFile>> RecordFile::open(const std::string& path,
                                                     std::uint32_t record_bytes) {
    if (record_bytes == 0)
        return fail(Errc::invalid_argument, "records of no bytes: give the size of an object");
    auto file = sys::File::open(path, sys::File::Mode::create);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    return std::make_shared<RecordFile>(std::move(*file), record_bytes);
}

RecordFile::RecordFile(std::unique_ptr<sys::File> file, std::uint32_t record_bytes)
    : file_(std::move(file)), record_bytes_(record_bytes) {}
RecordFile::~RecordFile() = default;

Result<std::uint64_t> RecordFile::place_of(ObjectId id) const {
    if (id.hi != 0 || id.lo >= INT64_MAX / record_bytes_)
        return fail(Errc::invalid_argument,
                    fmt::format("object {}:{} has no place in {}: ids of records are below {}",
                                id.hi, id.lo, file_->path(), INT64_MAX / record_bytes_));
    return id.lo * record_bytes_;
}

Result<std::size_t> RecordFile::fetch(ObjectView& object) {
    const auto place = place_of(object.id());
    if (!place) return tl::unexpected<Failure>(place.error());
    if (object.bytes().size() != record_bytes_)
        return fail(Errc::mismatch,
                    fmt::format("{} has records of {} bytes, the objects of the set {}: open it "
                                "with the size of an object",
                                file_->path(), record_bytes_, object.bytes().size()));
    const auto read = file_->read_at(object.bytes(), *place);
    if (!read) return tl::unexpected<Failure>(read.error());
    if (*read == 0) return none;   // beyond the end
    return *read;
}

Result<void> RecordFile::write_back(ObjectId id, std::span<const std::byte> bytes) {
    const auto place = place_of(id);
    if (!place) return tl::unexpected<Failure>(place.error());
    return file_->write_at(bytes, *place);
}

Result<void> RecordFile::sync() { return file_->sync(); }

Result<void> RecordFile::remove(ObjectId id) {
    return write_back(id, std::vector<std::byte>(record_bytes_));
}

Result<void> RecordFile::destroy() { return file_->truncate(0); }

}  // namespace ssi::kddm
