// SPDX-License-Identifier: BSD-3-Clause
// Logs that are written once: what is read is what was written, by several readers, and what checks
// logs takes them for good ones.
#include "ssi/io/sealed_log.hpp"

#include <cstring>
#include <map>
#include <thread>

#include "log_tools.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/log_check.hpp"

namespace ssi::io {
namespace {

using namespace test;

struct Kept {
    LogRecord record;
    std::string payload;
};

// Records of all sizes; `bytes` of them at least.
std::vector<Kept> some_records(std::uint64_t seed, std::size_t bytes, std::size_t longest) {
    Random random(seed);
    std::vector<Kept> out;
    for (std::size_t all = 0; all < bytes;) {
        Kept one;
        one.payload.resize(random.below(longest) + 1, static_cast<char>(random.below(256)));
        one.record = raw(random.next(), one.payload, static_cast<std::uint32_t>(random.below(9)));
        one.record.version = 1000 - random.below(900);
        all += one.payload.size() + record_head_bytes;
        out.push_back(std::move(one));
        out.back().record.payload = test::bytes(out.back().payload);
    }
    for (Kept& one : out) one.record.payload = test::bytes(one.payload);
    return out;
}

SealedLogOptions sealed_options(Disk& disk) {
    return {.disk = &disk, .directory = "log", .identity = identity};
}

// Of one that is there, for a reader.
SealedLogOptions written_options(Disk& disk, const SealedLogSummary& summary) {
    SealedLogOptions options = sealed_options(disk);
    options.segments = summary.segments;
    return options;
}

SealedLogSummary write_log(Disk& disk, const std::vector<Kept>& records) {
    const auto writer = SealedLogWriter::create(sealed_options(disk));
    EXPECT_TRUE(writer) << writer.error().to_string();
    for (const Kept& one : records) EXPECT_TRUE((*writer)->add(one.record));
    const auto summary = (*writer)->finish();
    EXPECT_TRUE(summary) << summary.error().to_string();
    return *summary;
}

std::string compare(SealedLogReader& reader, const std::vector<Kept>& records,
                    const SealedLogSummary& summary) {
    std::size_t at = 0;
    const auto read = reader.stream(
        [&](const FoundRecord& found, std::span<const std::byte> payload) -> Result<void> {
            if (at == records.size()) return fail(Errc::internal, "more than were written");
            const Kept& one = records[at++];
            if (found.id != one.record.id || found.set != one.record.set ||
                found.version != one.record.version || text(payload) != one.payload)
                return fail(Errc::internal, fmt::format("record {} is another one", at - 1));
            return {};
        });
    if (!read) return read.error().to_string();
    if (at != records.size()) return "fewer than were written";
    if (*read != summary) return "the summary is another one";
    std::vector<FoundRecord> index;
    if (const auto found = reader.index([&](const FoundRecord& r) { index.push_back(r); }); !found)
        return found.error().to_string();
    if (index.size() != records.size()) return "the index has another number of records";
    for (std::size_t i = 0; i < index.size(); i += 1 + index.size() / 300) {
        const auto one = reader.read(index[i].place);
        if (!one) return one.error().to_string();
        if (text(*one) != records[i].payload) return fmt::format("record {} is another one", i);
    }
    return "";
}

TEST(SealedLog, gives_back_what_was_written) {
    struct Case {
        std::size_t bytes, longest;
    };
    // None; one; several batches; several segments; records too small for an index.
    for (const Case& one : {Case{0, 1}, Case{1, 10}, Case{9 << 20, 1 << 20}, Case{40 << 20, 90'000},
                            Case{20 << 20, 8}}) {
        const auto disk = make_memory_disk();
        const auto records = some_records(one.bytes, one.bytes, one.longest);
        const SealedLogSummary summary = write_log(*disk, records);
        EXPECT_EQ(summary.records, records.size());
        EXPECT_EQ(summary.segments, one.bytes < (12 << 20) ? 1u : one.bytes < (21 << 20) ? 2u : 3u);
        SealedLogReader reader(written_options(*disk, summary));
        EXPECT_EQ(compare(reader, records, summary), "") << one.bytes;
        // What reads segment logs reads this one, too.
        const auto checked = check_log({.disk = disk.get(), .directory = "log"});
        ASSERT_TRUE(checked) << checked.error().to_string();
        EXPECT_EQ(checked->records, records.size());
        EXPECT_EQ(checked->segments, summary.segments);
        EXPECT_TRUE(checked->faults.empty()) << checked->faults[0].to_string();
        EXPECT_FALSE(checked->torn);
    }
}

TEST(SealedLog, several_read_at_once_where_nothing_may_change) {
    const auto disk = make_memory_disk();
    const auto records = some_records(3, 20 << 20, 50'000);
    const SealedLogSummary summary = write_log(*disk, records);
    SealedLogReader shared(written_options(*disk, summary));
    std::string wrong[4];
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i)
        readers.emplace_back([&, i] {
            SealedLogReader own(written_options(*disk, summary));
            wrong[i] = compare(i % 2 ? shared : own, records, summary);
        });
    for (auto& reader : readers) reader.join();
    for (const std::string& one : wrong) EXPECT_EQ(one, "");
}

TEST(SealedLog, the_same_records_have_the_same_digest_and_others_have_not) {
    const auto digest = [](std::uint64_t seed) {
        const auto disk = make_memory_disk();
        return write_log(*disk, some_records(seed, 100'000, 1000)).digest;
    };
    EXPECT_EQ(digest(1), digest(1));
    EXPECT_NE(digest(1), digest(2));
}

struct Mirror final : SealedLogMirror {
    std::map<std::string, std::string> files;
    std::size_t writes_left = SIZE_MAX;

    Result<void> write(std::string_view file, std::uint64_t most, std::uint64_t place,
                       std::span<const std::byte> bytes) override {
        if (writes_left-- == 0) return fail(Errc::peer_lost, "the other one is gone");
        std::string& content = files[std::string(file)];
        EXPECT_LE(place + bytes.size(), most);
        if (content.size() < place + bytes.size()) content.resize(place + bytes.size());
        std::memcpy(content.data() + place, bytes.data(), bytes.size());
        return {};
    }
    Result<void> end(std::string_view file, std::uint64_t bytes) override {
        files[std::string(file)].resize(bytes);
        return {};
    }
};

TEST(SealedLog, a_mirror_sees_the_very_files) {
    const auto disk = make_memory_disk();
    const auto writer = value_or_throw(SealedLogWriter::create(sealed_options(*disk)));
    Mirror mirror;
    writer->set_mirror(&mirror);
    const auto records = some_records(6, 34 << 20, 700'000);
    for (const Kept& one : records) ASSERT_TRUE(writer->add(one.record));
    const SealedLogSummary summary = value_or_throw(writer->finish());
    EXPECT_EQ(summary.segments, 3u);
    Mirror of_reader;
    const auto nothing = [](const FoundRecord&, auto) -> Result<void> { return {}; };
    EXPECT_EQ(value_or_throw(SealedLogReader(written_options(*disk, summary))
                                 .stream(nothing, of_reader)), summary);
    EXPECT_TRUE(of_reader.files == mirror.files);
    const auto names = value_or_throw(disk->list("log"));
    ASSERT_EQ(mirror.files.size(), names.size());
    for (const std::string& name : names) {
        const auto file = value_or_throw(disk->open("log/" + name, OpenMode::read));
        BlockBuffer content;
        content.reserve(value_or_throw(file->size()));
        const auto all = content.first(value_or_throw(file->size()));
        EXPECT_EQ(value_or_throw(read(*disk, *file, all, 0)), all.size());
        EXPECT_TRUE(text(all) == mirror.files[name]) << name;
    }
}

TEST(SealedLog, a_mirror_that_fails_fails_the_log) {
    const auto records = some_records(7, 20 << 20, 700'000);
    for (const std::size_t writes : {0, 1, 4, 6}) {
        const auto disk = make_memory_disk();
        const auto writer = value_or_throw(SealedLogWriter::create(sealed_options(*disk)));
        Mirror mirror;
        mirror.writes_left = writes;
        writer->set_mirror(&mirror);
        for (const Kept& one : records)
            if (!writer->add(one.record)) break;
        const auto finished = writer->finish();
        ASSERT_FALSE(finished) << writes;
        EXPECT_EQ(finished.error().code, Errc::peer_lost);
        EXPECT_FALSE(writer->add(records[0].record));
    }
}

// Also where nothing comes afterwards, and with buffers that another writer had.
TEST(SealedLog, nothing_is_written_while_what_was_prepared_for_comes) {
    const auto records = some_records(8, 18 << 20, 700'000);
    SealedLogBuffers buffers;
    for (const std::size_t prepared : {max_sealed_payload_bytes, std::size_t{1} << 20}) {
        const auto disk = make_memory_disk();
        auto writer = value_or_throw(SealedLogWriter::create(sealed_options(*disk), &buffers));
        Mirror mirror;
        writer->set_mirror(&mirror);
        std::size_t left = 0;
        for (const Kept& one : records) {
            if (one.payload.size() > left) {
                ASSERT_TRUE(writer->prepare(prepared));
                left = prepared;
                mirror.writes_left = 0;
            }
            left -= one.payload.size();
            ASSERT_TRUE(writer->add(one.record));
            if (left < 700'000) mirror.writes_left = SIZE_MAX;
        }
        mirror.writes_left = SIZE_MAX;
        ASSERT_TRUE(writer->prepare(prepared));
        const auto summary = value_or_throw(writer->finish());
        EXPECT_FALSE(writer->prepare(1));
        writer.reset();
        SealedLogReader reader(written_options(*disk, summary));
        EXPECT_EQ(compare(reader, records, summary), "");
    }
}

TEST(SealedLog, one_that_was_only_prepared_for_is_empty) {
    const auto disk = make_memory_disk();
    const auto writer = value_or_throw(SealedLogWriter::create(sealed_options(*disk)));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer->prepare(max_sealed_payload_bytes));
    const auto summary = value_or_throw(writer->finish());
    EXPECT_EQ(summary.records, 0u);
    SealedLogReader reader(written_options(*disk, summary));
    EXPECT_EQ(compare(reader, {}, summary), "");
}

TEST(SealedLog, writers_at_once_do_not_share_buffers) {
    const auto disk = make_memory_disk();
    SealedLogBuffers buffers;
    std::vector<std::unique_ptr<SealedLogWriter>> writers;
    std::vector<SealedLogOptions> options(3, sealed_options(*disk));
    std::vector<std::vector<Kept>> records;
    for (std::size_t i = 0; i < options.size(); ++i) {
        options[i].directory = fmt::format("log{}", i);
        writers.push_back(value_or_throw(SealedLogWriter::create(options[i], &buffers)));
        records.push_back(some_records(20 + i, 5 << 20, 300'000));
    }
    const std::size_t least = std::min({records[0].size(), records[1].size(), records[2].size()});
    for (std::size_t at = 0; at < least; ++at)
        for (std::size_t i = 0; i < writers.size(); ++i)
            ASSERT_TRUE(writers[i]->add(records[i][at].record));
    for (std::size_t i = 0; i < writers.size(); ++i) {
        records[i].resize(least);
        const auto summary = value_or_throw(writers[i]->finish());
        options[i].segments = summary.segments;
        SealedLogReader reader(options[i]);
        EXPECT_EQ(compare(reader, records[i], summary), "") << i;
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)   // 300 MiB: minutes
TEST(SealedLog, one_that_is_made_durable_in_parts_is_whole_after_a_power_cut) {
    const auto disk = make_memory_disk();
    const auto records = some_records(8, 300 << 20, 2'000'000);
    const SealedLogSummary summary = write_log(*disk, records);
    EXPECT_GT(summary.segments, 17u);
    ASSERT_TRUE(disk->sync_directory(""));
    const auto left = disk->after_power_cut(1);
    SealedLogReader reader(written_options(*left, summary));
    EXPECT_EQ(compare(reader, records, summary), "");
}
#endif

TEST(SealedLog, what_survives_a_power_cut_after_finish_is_whole) {
    const auto disk = make_memory_disk();
    const auto records = some_records(4, 18 << 20, 300'000);
    const SealedLogSummary summary = write_log(*disk, records);
    ASSERT_TRUE(disk->sync_directory(""));
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const auto left = disk->after_power_cut(seed);
        SealedLogReader reader(written_options(*left, summary));
        EXPECT_EQ(compare(reader, records, summary), "");
    }
}

TEST(SealedLog, is_written_once_and_refuses_what_is_too_large) {
    const auto disk = make_memory_disk();
    const auto writer = SealedLogWriter::create(sealed_options(*disk));
    const std::string large(max_sealed_payload_bytes + 1, 'x');
    EXPECT_EQ((*writer)->add(raw(1, large)).error().code, Errc::too_large);
    ASSERT_TRUE((*writer)->add(raw(1, large.substr(1))));
    ASSERT_TRUE((*writer)->finish());
    EXPECT_EQ((*writer)->add(raw(2, "late")).error().code, Errc::invalid_argument);
    EXPECT_EQ(SealedLogWriter::create(sealed_options(*disk)).error().code, Errc::exists);
}

TEST(SealedLog, an_error_ends_it) {
    const auto disk = make_memory_disk();
    const auto faulty = make_faulty_disk(*disk);
    const auto writer = SealedLogWriter::create(sealed_options(*faulty));
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->add(raw(1, "first")));
    faulty->set_plan({.fail_at = 1});
    EXPECT_EQ((*writer)->finish().error().sys_errno, EIO);
    faulty->set_plan({});
    EXPECT_EQ((*writer)->finish().error().sys_errno, EIO);
    EXPECT_EQ((*writer)->add(raw(1, "more")).error().sys_errno, EIO);
}

TEST(SealedLog, a_copy_gets_no_file_that_is_damaged) {
    const auto disk = make_memory_disk();
    const SealedLogSummary summary = write_log(*disk, some_records(8, 34 << 20, 100'000));
    const auto file = value_or_throw(disk->open("log/0000000000000002.seg", OpenMode::write));
    BlockBuffer block;
    block.reserve(block_bytes);
    const auto bytes = block.first(block_bytes);
    EXPECT_EQ(value_or_throw(read(*disk, *file, bytes, 1 << 20)), block_bytes);
    bytes[7] ^= std::byte{1};
    ASSERT_TRUE(write(*disk, *file, bytes, 1 << 20));
    Mirror copy;
    const auto nothing = [](const FoundRecord&, auto) -> Result<void> { return {}; };
    const auto read = SealedLogReader(written_options(*disk, summary)).stream(nothing, copy);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::io);
    EXPECT_EQ(copy.files.size(), 1u);
}

TEST(SealedLog, segments_that_are_missing_are_named) {
    const auto disk = make_memory_disk();
    const SealedLogSummary summary = write_log(*disk, some_records(5, 40 << 20, 100'000));
    SealedLogOptions options = sealed_options(*disk);
    options.segments = summary.segments;
    ASSERT_TRUE(disk->remove("log/0000000000000002.seg"));
    SealedLogReader reader(options);
    const auto read = reader.stream([](const FoundRecord&, auto) -> Result<void> { return {}; });
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::io);
    EXPECT_NE(read.error().text.find("log/0000000000000002.seg"), std::string::npos);
}

}  // namespace
}  // namespace ssi::io
