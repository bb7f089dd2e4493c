// SPDX-License-Identifier: BSD-3-Clause
// RecordFile: a linker that keeps objects of a fixed size as records of a file: object `id` is
// record id.lo, at byte id.lo * record_bytes. An example to copy from, and good enough for scratch
// data and for tables that other programs read:
//
//     auto file = value_or_throw(kddm::RecordFile::open(directory + "/table", sizeof(Row)));
//     session.register_linker("table", std::move(file));
//     auto table = session.set<Row>("table", {.count = n, .linker = "table"});
//     { auto row = table.grab(7); row->x = 1; }
//     table.sync();     // on every node: what it homes is in its file, and on its disk
//
// Every node has a file of its own, with the records of the objects that it homes and holes for the
// others. All-zero records are new-born objects, so removing one writes zeroes. The file must be of
// a session with the same placement and number of nodes; it does not notice otherwise.
#pragma once

#include <memory>
#include <string>

#include "ssi/kddm/linker.hpp"

namespace ssi::sys {
class File;
}

namespace ssi::kddm {

class RecordFile final : public Linker {
public:
    // Creates the file when there is none. Records are what the set's objects are: object_bytes.
    static Result<std::shared_ptr<RecordFile>> open(const std::string& path,
                                                    std::uint32_t record_bytes);
    RecordFile(std::unique_ptr<sys::File> file, std::uint32_t record_bytes);
    ~RecordFile() override;

    Result<std::size_t> fetch(ObjectView& object) override;
    Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) override;
    Result<void> sync() override;
    Result<void> remove(ObjectId id) override;
    Result<void> destroy() override;   // the file stays, empty

private:
    Result<std::uint64_t> place_of(ObjectId id) const;

    std::unique_ptr<sys::File> file_;
    const std::uint32_t record_bytes_;
};

}  // namespace ssi::kddm
