// SPDX-License-Identifier: BSD-3-Clause
// usage: mpirun -n N volumes GENERATION DIRECTORIES
//
// One session of a chain over the same volumes. DIRECTORIES: those of each rank, `a,b;c;` for three
// ranks of which the last is diskless. Checks that every object of every set has what generation
// GENERATION - 1 gave it, or is gone if that removed it; then gives them what GENERATION says,
// from other ranks than before, syncs and closes. 0 looks like a generation that wrote nothing.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "rank_directories.hpp"
#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/io/volumes.hpp"
#include "ssi/kddm/session.hpp"

namespace {

using ssi::ObjectId;
using ssi::kddm::RawSet;

constexpr std::uint64_t table_objects = 3000, sparse_objects = 300, large_objects = 2048;
constexpr std::uint64_t budget_bytes = 1u << 20;   // of `large`, which has 8 MiB
// Values around what fits into an entry, a block of the log, a message, and much more.
constexpr std::size_t lengths[] = {0,    1,    7,     8,     63,      64,     65,     4047,
                                   4048, 4095, 4096,  4097,  8192,    65535,  65536,  100'000,
                                   1u << 20, (1u << 20) + 1, (2u << 20) - 1, 2u << 20};
constexpr std::uint64_t text_objects = 2 * std::size(lengths);

template <std::size_t words>
struct Record {
    std::uint64_t checksum;
    std::uint64_t payload[words];

    static Record of(std::uint64_t id, std::uint64_t generation) {
        Record record{};
        if (generation == 0) return record;
        const std::uint64_t seed = ssi::mix64(id * 1'000'003 + generation);
        for (std::size_t i = 0; i < words; ++i) record.payload[i] = ssi::mix64(seed + i);
        record.checksum = seed;
        for (const std::uint64_t word : record.payload)
            record.checksum = (record.checksum ^ word) * 0x100000001b3;
        return record;
    }
    bool operator==(const Record&) const = default;
};
using Row = Record<7>;      // 64 bytes
using Page = Record<511>;   // 4 KiB

std::vector<std::byte> text_of(std::uint64_t id, std::uint64_t generation) {
    if (generation == 0) return {};
    std::vector<std::byte> bytes(lengths[(id + generation) % std::size(lengths)]);
    std::uint64_t state = ssi::mix64(id + generation * 7919);
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        state = ssi::mix64(state);
        std::memcpy(bytes.data() + i, &state, std::min<std::size_t>(8, bytes.size() - i));
    }
    return bytes;
}

bool removed(std::uint64_t id, std::uint64_t generation) { return (id + generation) % 3 == 0; }
// Ids of both halves, far apart.
ObjectId sparse_id(std::uint64_t i) { return {i % 5, ssi::mix64(i)}; }

struct Sets {
    ssi::kddm::Set<Row> table, sparse;
    ssi::kddm::Set<Page> large;
    RawSet texts;
};

class Chain {
public:
    Chain(ssi::Session& session, ssi::io::Volumes& volumes)
        : session_(session), rank_(static_cast<std::uint64_t>(session.rank())),
          nodes_(static_cast<std::uint64_t>(session.size())) {
        const auto keep = [&](const char* name, ssi::kddm::SetOptions options) {
            return ssi::value_or_throw(volumes.keep(name, std::move(options)));
        };
        using ssi::kddm::ObjectKind;
        sets_.table = session.set<Row>("table", keep("table", {.object_bytes = sizeof(Row)}));
        sets_.texts = ssi::value_or_throw(
            session.raw_set("texts", keep("texts", {.kind = ObjectKind::variable})));
        sets_.sparse = session.set<Row>("sparse", keep("sparse", {.object_bytes = sizeof(Row)}));
        sets_.large = session.set<Page>("large", keep("large", {.count = large_objects,
                                                               .object_bytes = sizeof(Page),
                                                               .memory_bytes = budget_bytes}));
    }

    // All ranks look at everything that is small, and at each a part of what is large.
    void check(std::uint64_t generation) {
        for (std::uint64_t i = 0; i < table_objects; ++i)
            expect(*sets_.table.get(i) == Row::of(i, generation), "table", i, generation);
        for (std::uint64_t i = 0; i < text_objects; ++i) {
            const auto guard = ssi::value_or_throw(sets_.texts.get(i));
            expect(std::ranges::equal(guard.bytes(), text_of(i, generation)), "texts", i,
                   generation);
        }
        for (std::uint64_t i = 0; i < sparse_objects; ++i) {
            const std::uint64_t of = removed(i, generation) ? 0 : generation;
            expect(*sets_.sparse.get(sparse_id(i)) == Row::of(i, of), "sparse", i, of);
        }
        for (std::uint64_t i = rank_; i < large_objects; i += nodes_)
            expect(*sets_.large.get(i) == Page::of(i, generation), "large", i, generation);
    }

    void write(std::uint64_t generation) {
        const auto mine = [&](std::uint64_t i) { return (i + generation) % nodes_ == rank_; };
        for (std::uint64_t i = 0; i < table_objects; ++i)
            if (mine(i)) *sets_.table.grab(i) = Row::of(i, generation);
        for (std::uint64_t i = 0; i < text_objects; ++i) {
            if (!mine(i)) continue;
            const auto bytes = text_of(i, generation);
            auto guard = ssi::value_or_throw(sets_.texts.grab(i));
            ssi::value_or_throw(guard.resize(bytes.size()));
            std::ranges::copy(bytes, guard.writable().begin());
        }
        for (std::uint64_t i = 0; i < sparse_objects; ++i) {
            if (!mine(i)) continue;
            *sets_.sparse.grab(sparse_id(i)) = Row::of(i, generation);
            if (removed(i, generation)) sets_.sparse.remove(sparse_id(i));
        }
        // Twice, so that what was evicted dirty comes back and is changed again.
        for (const std::uint64_t pass : {generation + 1000, generation})
            for (std::uint64_t i = 0; i < large_objects; ++i)
                if (mine(i)) *sets_.large.grab(i) = Page::of(i, pass);
    }

    void sync() {
        sets_.table.sync();
        ssi::value_or_throw(sets_.texts.sync());
        sets_.sparse.sync();
        sets_.large.sync();
    }

    // Each object was brought in at least once, written back at least once, and no more often than
    // it was changed; and the budget held.
    void check_statistics() {
        const auto mine = sets_.large.stats();
        const auto loads = session_.reduce(mine.loads, ssi::Reduce::sum);
        const auto stores = session_.reduce(mine.write_backs, ssi::Reduce::sum);
        const auto most = session_.reduce(mine.memory_bytes, ssi::Reduce::max);
        if (rank_ == 0)
            std::printf("large: %llu loads, %llu write-backs, %llu of %llu bytes\n",
                        static_cast<unsigned long long>(loads),
                        static_cast<unsigned long long>(stores),
                        static_cast<unsigned long long>(most),
                        static_cast<unsigned long long>(budget_bytes));
        if (loads < large_objects + large_objects / 2 || stores < large_objects ||
            stores > 2 * large_objects || most > budget_bytes + budget_bytes / 4)
            complain("the statistics of set 'large' cannot be right");
    }

    bool failed() const { return wrong_ != 0; }

private:
    void expect(bool good, const char* set, std::uint64_t i, std::uint64_t generation) {
        if (!good)
            complain("object " + std::to_string(i) + " of set '" + set +
                     "' is not what generation " + std::to_string(generation) + " made it");
    }
    void complain(const std::string& what) {
        if (++wrong_ <= 5)
            std::fprintf(stderr, "rank %d: %s\n", static_cast<int>(rank_), what.c_str());
    }

    ssi::Session& session_;
    const std::uint64_t rank_, nodes_;
    Sets sets_;
    std::uint64_t wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        ssi::Session session(argc, argv);
        if (argc != 3) {
            if (session.rank() == 0)
                std::fprintf(stderr, "usage: volumes GENERATION DIRECTORIES\n");
            return 2;
        }
        const std::uint64_t generation = std::strtoull(argv[1], nullptr, 10);
        auto volumes = ssi::value_or_throw(ssi::io::Volumes::mount(
            session, {.directories = ssi::test::directories_of(argv[2], session.rank())}));
        Chain chain(session, *volumes);
        session.barrier();
        chain.check(generation - 1);
        session.barrier();
        chain.write(generation);
        session.barrier();
        chain.check(generation);
        session.barrier();
        chain.sync();
        session.barrier();
        chain.check_statistics();
        ssi::value_or_throw(volumes->close());
        const bool failed = session.reduce(std::uint64_t{chain.failed()}, ssi::Reduce::max) != 0;
        ssi::value_or_throw(session.close());
        return failed ? 1 : 0;
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "volumes: %s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
}
