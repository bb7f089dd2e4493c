// SPDX-License-Identifier: BSD-3-Clause
// MapLinker: a linker over a map, that fails, throws and lies as it is told.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cluster.hpp"
#include "ssi/kddm/linker.hpp"

namespace ssi::test {

class MapLinker final : public kddm::Linker {
public:
    enum class Fault { none, error, exception, shorter };
    std::atomic<Fault> fetch_fault{Fault::none}, write_fault{Fault::none};
    std::atomic<bool> keeps{false};   // refuses to remove anything
    std::atomic<int> fetches{0}, writes{0}, births{0}, removals{0}, syncs{0}, destroyed{0};
    std::atomic<int> delay_us{0};
    bool blocks = true;
    std::function<void(ObjectId, std::span<const std::byte>)> on_write;
    bool knows = false;   // what it has, without waiting
    std::atomic<std::thread::id> fetched_by;
    std::byte birth{0};   // what new-born objects are filled with

    Result<std::size_t> fetch(kddm::ObjectView& object) override {
        ++fetches;
        fetched_by = std::this_thread::get_id();
        pause();
        switch (fetch_fault.load()) {
            case Fault::error: return fail(Errc::io, "the map is torn");
            case Fault::exception: throw std::runtime_error("the map threw");
            case Fault::shorter: return object.bytes().size() - 1;
            case Fault::none: break;
        }
        std::lock_guard lock(mutex_);
        const auto at = objects_.find(object.id());
        if (at == objects_.end()) return none;
        if (auto sized = object.resize(at->second.size()); !sized)
            return tl::unexpected<Failure>(sized.error());
        std::ranges::copy(at->second, object.bytes().begin());
        return at->second.size();
    }
    Result<void> instantiate(kddm::ObjectView& object) override {
        ++births;
        std::ranges::fill(object.bytes(), birth);
        return {};
    }
    Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) override {
        ++writes;
        if (on_write) on_write(id, bytes);
        pause();
        if (on_write) on_write(id, bytes);
        if (write_fault.load() != Fault::none) return fail(Errc::io, "the map is full");
        std::lock_guard lock(mutex_);
        objects_[id].assign(bytes.begin(), bytes.end());
        return {};
    }
    Result<void> sync() override {
        ++syncs;
        return {};
    }
    Result<void> remove(ObjectId id) override {
        ++removals;
        if (keeps) return fail(Errc::io, "the map is nailed down");
        std::lock_guard lock(mutex_);
        objects_.erase(id);
        return {};
    }
    Result<void> destroy() override {
        ++destroyed;
        return {};
    }
    bool may_block() const override { return blocks; }
    bool surely_none(ObjectId id) override {
        if (!knows) return false;
        std::lock_guard lock(mutex_);
        return !objects_.contains(id);
    }

    std::uint64_t number(ObjectId id) {   // the first 8 bytes; 0 when it is not there
        std::lock_guard lock(mutex_);
        std::uint64_t value = 0;
        const auto at = objects_.find(id);
        if (at != objects_.end()) std::memcpy(&value, at->second.data(), 8);
        return value;
    }

private:
    void pause() {
        if (delay_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    }
    std::mutex mutex_;
    std::map<ObjectId, std::vector<std::byte>> objects_;
};

// A cluster with a linker "map" on every node.
struct LinkedCluster {
    explicit LinkedCluster(int nodes, LoopNodes::Options options = quick())
        : cluster(nodes, kddm::Plant::none, std::move(options)) {
        for (int i = 0; i < nodes; ++i) {
            linkers.push_back(std::make_shared<MapLinker>());
            cluster[i].register_linker("map", linkers.back());
        }
    }
    static LoopNodes::Options quick() {
        LoopNodes::Options options;
        value_or_throw(options.config.set("kddm.evict_timeout_ms", "200", "test"));
        return options;
    }
    MapLinker& linker(int i) { return *linkers[static_cast<std::size_t>(i)]; }

    std::vector<std::shared_ptr<MapLinker>> linkers;
    Cluster cluster;
};

inline kddm::SetOptions linked(std::uint32_t bytes, std::uint64_t budget = 0,
                               const char* placement = "hashed") {
    kddm::SetOptions o;
    o.object_bytes = bytes;
    o.placement = placement;
    o.linker = "map";
    o.memory_bytes = budget;
    return o;
}

// What `objects` of that size take in memory, by the budget's count.
inline std::uint64_t room_for(std::uint64_t objects, std::uint32_t bytes) {
    return objects * (bytes + 48 + 144);
}

}  // namespace ssi::test
