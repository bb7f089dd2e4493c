// SPDX-License-Identifier: BSD-3-Clause
// What the rows of checkpoints share: state in a set whose content tells where it belongs, and a
// directory that all ranks have.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "disk_floor.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/ssi.hpp"

namespace ssi::bench {

inline constexpr std::size_t state_bytes = 512 * mib;   // of a rank
inline double since(double start) { return now_ns() - start; }

// What object `id` has after pass `pass`: no block is zeroes, and each tells its place.
inline void fill(std::span<std::byte> bytes, std::uint64_t id, std::uint64_t pass) {
    Random random(id * 1000 + pass);
    for (std::size_t block = 0; block < bytes.size(); block += small) {
        const std::uint64_t word = random.next() | 1;
        for (std::size_t i = 0; i + sizeof word <= small; i += sizeof word) {
            const std::uint64_t here = word + i;
            std::memcpy(bytes.data() + block + i, &here, sizeof here);
        }
    }
}

inline void expect(std::span<const std::byte> bytes, std::uint64_t id, std::uint64_t pass,
            std::size_t length) {
    std::vector<std::byte> wanted(length);
    fill(wanted, id, pass);
    if (!std::ranges::equal(bytes, wanted)) wrong_data("checkpoint");
}

// Directories of all ranks below one that rank 0 makes and removes.
class Shared {
public:
    Shared() {
        char path[256] = {};
        int rank = 0;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        if (rank == 0) {
            own_.emplace();
            own_->path().copy(path, sizeof path - 1);
        }
        MPI_Bcast(path, sizeof path, MPI_CHAR, 0, MPI_COMM_WORLD);
        path_ = path;
    }
    const std::string& path() const { return path_; }

private:
    std::optional<Directory> own_;
    std::string path_;
};

// The state of an application in one session: objects of a set, each at home where it is written.
class Sets {
public:
    Sets(Session& session, std::size_t objects, std::size_t length)
        : session_(session), objects_(objects), length_(length),
          set_(open()) {}
    kddm::RawSet& set() { return set_; }
    std::size_t bytes_here() const { return mine().size() * length_; }
    void write(std::uint64_t pass) {
        for (const ObjectId id : mine()) {
            auto guard = value_or_throw(set_.grab(id));
            fill(guard.writable(), id.lo, pass);
            value_or_throw(guard.put());
        }
    }
    // Blocks of 4 KiB: `percent` of them, anywhere or in a row.
    void change(unsigned percent, bool random_places, std::uint64_t pass) {
        const auto all = mine();
        const std::size_t blocks = length_ / small;
        const std::size_t count = all.size() * blocks * percent / 100;
        Random random(pass);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = random_places ? random.below(all.size() * blocks)
                                                 : (pass * count + i) % (all.size() * blocks);
            auto guard = value_or_throw(set_.grab(all[at / blocks]));
            fill(guard.writable().subspan(at % blocks * small, small), at, pass);
            value_or_throw(guard.put());
        }
    }
    // Every object is changed, next to nothing of each.
    double touch() {
        const auto all = mine();
        const double start = now_ns();
        for (const ObjectId id : all) {
            auto guard = value_or_throw(set_.grab(id));
            guard.writable()[8] ^= std::byte{1};
            value_or_throw(guard.put());
        }
        return since(start);
    }
    void check(std::uint64_t pass) {
        session_.barrier();
        std::size_t at = 0;
        for (const ObjectId id : mine())
            if (at++ % 17 == 0) {
                const auto guard = value_or_throw(set_.get(id));
                expect(guard.bytes(), id.lo, pass, length_);
            }
        session_.barrier();
    }
    // Collective.
    void destroy() {
        session_.barrier();
        if (session_.rank() == 0) value_or_throw(session_.destroy("state"));
        session_.barrier();
    }
    void forget() {
        destroy();
        set_ = open();
    }

private:
    kddm::RawSet open() {
        kddm::SetOptions options;
        options.object_bytes = static_cast<std::uint32_t>(length_);
        options.count = objects_;
        options.placement = "blocked";
        return value_or_throw(session_.raw_set("state", options));
    }
    std::vector<ObjectId> mine() const {
        std::vector<ObjectId> ids;
        for (std::uint64_t id = 0; id < objects_; ++id)
            if (set_.home(id) == session_.node()) ids.push_back(id);
        return ids;
    }
    Session& session_;
    std::size_t objects_, length_;
    kddm::RawSet set_;
};

}  // namespace ssi::bench
