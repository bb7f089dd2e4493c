// SPDX-License-Identifier: BSD-3-Clause
// Messages and delays per operation, and memory per node, of the shipped runtime, kddm and kDFS in
// a simulated session of --nodes N. Counted, not timed: the same on every machine; real_time is
// virtual (1 us a message).
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "costs.hpp"
#include "cuts.hpp"
#include "files.hpp"
#include "report.hpp"
#include "rss.hpp"
#include "ssi/base/random.hpp"
#include "world.hpp"

namespace ssi::bench {
namespace {

constexpr int samples = 200;
constexpr std::uint32_t most_volumes = 64;
constexpr std::uint64_t active_objects = 32;   // of each node that is not idle

// What the process occupied before there were nodes, and when they had done nothing yet.
struct Memory {
    double start = 0, idle = 0;
};

class Scale {
public:
    Scale(const Settings& settings, Report& report, World& world)
        : settings_(settings), report_(report), world_(world),
          suffix_("/nodes:" + std::to_string(world.size())) {}

    // Every node knows the set, so that looking it up is nobody's message later.
    void open_everywhere() {
        sets_.resize(world_.size());
        // An object's home is in its id: {home, number}.
        const kddm::SetOptions options{.object_bytes = 8, .placement = "high_bits"};
        world_.run_all([&](std::uint32_t n) {
            sets_[n] = value_or_throw(world_.engine(n).create_or_open("scale", options));
        });
    }

    // The object is owned by a third node and read by a fourth: the longest way.
    void verb(const std::string& name, kddm::Access access) {
        if (!settings_.wants(name + suffix_)) return;
        Costs third_party, at_home;
        for (int i = 0; i < samples; ++i) {
            const auto roles = distinct(4);
            const ObjectId id(roles[0], next_object_++);
            write(roles[1], id);
            read(roles[2], id);
            third_party.add(acquire(roles[3], id, access));
            // Owned by its home, one reader: the usual way.
            const ObjectId plain(roles[0], next_object_++);
            write(roles[0], plain);
            read(roles[2], plain);
            at_home.add(acquire(roles[3], plain, access));
        }
        Row row = third_party.row(name + suffix_);
        row.counters["messages_owner_at_home"] = at_home.messages();
        row.counters["delays_owner_at_home"] = at_home.delays();
        row.note += "; owner, one reader, home and requester on four nodes";
        report_.add(std::move(row));
    }

    // A reader upgrades while the owner, which is the home, and `copies` other nodes have it too.
    void upgrade(const std::string& label, std::uint32_t copies) {
        const std::string name = "scale/upgrade/copies:" + label;
        if (!settings_.wants(name)) return;
        Costs costs;
        const int rounds = copies > 100 ? 3 : 50;
        for (int i = 0; i < rounds; ++i) {
            const auto nodes = distinct(copies + 2);
            const ObjectId id(nodes.back(), next_object_++);
            const std::uint32_t requester = nodes.front();
            write(nodes.back(), id);
            for (const std::uint32_t n : nodes) read(n, id);
            costs.add(world_.run(requester, [&] {
                auto guard = value_or_throw(sets_[requester].get(id));
                world_.count_from_here();
                value_or_throw(guard.upgrade());
                value_or_throw(guard.put());
            }));
        }
        Row row = costs.row(name);
        row.counters["nodes"] = world_.size();
        report_.add(std::move(row));
    }

    void collectives(Memory memory) {
        Costs barriers, broadcasts;
        constexpr int rounds = 5;
        for (int i = 0; i < rounds; ++i) {
            barriers.add(world_.run_all(
                [&](std::uint32_t n) { value_or_throw(world_.node(n).barrier()); }));
            const NodeId root(static_cast<std::uint32_t>(random_.below(world_.size())));
            broadcasts.add(world_.run_all([&](std::uint32_t n) { broadcast(n, root); }));
        }
        Row barrier = barriers.row("scale/barrier" + suffix_);
        Row broadcast = broadcasts.row("scale/broadcast" + suffix_);
        activity();
        Row cut = checkpoint_cut();
        const double nodes = world_.size();
        for (Row* row : {&barrier, &broadcast, &cut}) {
            // Messages of the whole session, so per node:
            row->counters["messages_per_node"] = row->counters["messages"] / nodes;
            row->counters["bytes_per_node_idle"] = (memory.idle - memory.start) / nodes;
            row->counters["bytes_per_node_active"] = (peak_bytes() - memory.start) / nodes;
            row->counters["bytes_per_node"] = row->counters["bytes_per_node_active"];
            row->counters["membership_bytes"] = static_cast<double>(world_.membership_bytes());
            row->counters["membership_bytes_per_node"] =
                row->counters["membership_bytes"] / nodes;
            report_.add(std::move(*row));
        }
    }

    // What stops the application when a checkpoint is taken while nobody works; the values that it
    // keeps are read out afterwards, without a message.
    Row checkpoint_cut() {
        Costs costs;
        constexpr int rounds = 5;
        for (int i = 0; i < rounds; ++i) {
            const CutCost cut = cut_everywhere(world_, sets_);
            if (cut.objects != next_object_ + active_objects * world_.size())
                wrong_data("the objects of a cut");
            costs.add(cut.stopping);
        }
        return costs.row("scale/checkpoint_cut" + suffix_);
    }

    // All nodes work at the same time: each with objects of its own and of a neighbour.
    void activity() {
        world_.run_all([&](std::uint32_t n) {
            const std::uint32_t neighbour = (n + 1) % world_.size();
            for (std::uint64_t i = 0; i < active_objects; ++i) {
                auto mine = value_or_throw(sets_[n].grab(ObjectId(n, 1'000'000 + i)));
                std::memcpy(mine.writable().data(), &i, sizeof i);
                value_or_throw(mine.put());
                value_or_throw(sets_[n].get(ObjectId(neighbour, 1'000'000 + i)));
            }
        });
    }

private:
    void broadcast(std::uint32_t n, NodeId root) {
        const std::uint64_t value = root.value + 17;
        std::vector<std::byte> bytes(sizeof value);
        if (NodeId(n) == root) std::memcpy(bytes.data(), &value, sizeof value);
        value_or_throw(world_.node(n).broadcast(root, bytes));
        std::uint64_t got = 0;
        if (bytes.size() == sizeof got) std::memcpy(&got, bytes.data(), sizeof got);
        if (got != value) wrong_data("broadcast");
    }

    std::vector<std::uint32_t> distinct(std::uint32_t count) {
        std::vector<std::uint32_t> nodes;
        if (count >= world_.size()) {
            for (std::uint32_t n = 0; n < world_.size(); ++n) nodes.push_back(n);
            return nodes;
        }
        std::set<std::uint32_t> seen;
        while (nodes.size() < count) {
            const auto n = static_cast<std::uint32_t>(random_.below(world_.size()));
            if (seen.insert(n).second) nodes.push_back(n);
        }
        return nodes;
    }

    void write(std::uint32_t n, ObjectId id) {
        ++value_;
        world_.run(n, [&] {
            auto guard = value_or_throw(sets_[n].grab(id));
            std::memcpy(guard.writable().data(), &value_, sizeof value_);
            value_or_throw(guard.put());
        });
    }
    void read(std::uint32_t n, ObjectId id) { acquire(n, id, kddm::Access::read); }
    Cost acquire(std::uint32_t n, ObjectId id, kddm::Access access) {
        return world_.run(n, [&] {
            auto guard = value_or_throw(access == kddm::Access::read ? sets_[n].get(id)
                                                                     : sets_[n].grab(id));
            if (std::memcmp(guard.bytes().data(), &value_, sizeof value_) != 0)
                wrong_data("an object's value");
            value_or_throw(guard.put());
        });
    }

    const Settings& settings_;
    Report& report_;
    World& world_;
    std::string suffix_;
    std::vector<kddm::RawSet> sets_;
    Random random_{7};
    std::uint64_t next_object_ = 0;
    std::uint64_t value_ = 0;
};

void kddm_rows(const Settings& settings, Report& report, World& world, Memory memory) {
    Scale scale(settings, report, world);
    scale.open_everywhere();
    scale.verb("scale/get", kddm::Access::read);
    scale.verb("scale/grab", kddm::Access::write);
    if (world.size() == 10000) {
        scale.upgrade("0", 0);
        scale.upgrade("4", 4);
        scale.upgrade("64", 64);
        scale.upgrade("N", world.size() - 2);
    }
    scale.collectives(memory);
}

// kDFS over the disks of a few of the nodes; the others are diskless.
void file_rows(const Settings& settings, Report& report, World& world) {
    const std::string suffix = "/nodes:" + std::to_string(world.size());
    std::map<std::string, Costs> costs;   // by row
    const auto row_of = [&](FileVerb verb) { return "scale/" + name_of(verb) + suffix; };
    const std::string mount = "scale/mount" + suffix;
    if (!settings.wants(mount) && std::ranges::none_of(file_verbs, [&](FileVerb verb) {
            return settings.wants(row_of(verb));
        }))
        return;
    const double before = resident_bytes();
    Files files(world, std::min<std::uint32_t>(world.size(), most_volumes));
    const double mounted_bytes = resident_bytes() - before;
    costs[mount].add(files.mounting());
    for (int i = 0; i < samples; ++i)
        for (const auto& [verb, cost] : files.sample()) costs[row_of(verb)].add(cost);
    for (const auto& [name, cost] : costs) {
        if (!settings.wants(name)) continue;
        Row row = cost.row(name);
        row.note += "; disks on " + std::to_string(files.volumes()) + " nodes";
        if (name == mount) {
            const double nodes = world.size();
            row.counters["messages_per_node"] = row.counters["messages"] / nodes;
            row.counters["message_bytes_per_node"] = row.counters["message_bytes"] / nodes;
            // Memory disks are part of it.
            row.counters["bytes_per_node"] = mounted_bytes / nodes;
        }
        report.add(std::move(row));
    }
    files.close();
}

// Touches the code and what the process holds once, so that neither counts as a node's.
void warm_up(const Settings& settings) {
    Report unused(settings);
    World world(4);
    Scale scale(settings, unused, world);
    scale.open_everywhere();
    scale.activity();
}

void run(const Settings& settings) {
    if (settings.nodes < 4) throw std::runtime_error("--nodes N, at least 4");
    warm_up(settings);
    Report report(settings);
    ::malloc_trim(0);
    const double start_bytes = resident_bytes();
    World world(settings.nodes);
    const double idle_bytes = resident_bytes();
    kddm_rows(settings, report, world, {start_bytes, idle_bytes});
    file_rows(settings, report, world);
    world.close();
    report.write();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    try {
        ssi::bench::run(ssi::bench::parse(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
    return 0;
}
