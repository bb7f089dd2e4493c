// SPDX-License-Identifier: BSD-3-Clause
// Power cuts after every operation of the disk, and errors at every one: whatever is left, the
// newest valid version is the last one committed or the one whose commit was under way, whole and
// equal to what was saved; and the store goes on.
#include <cerrno>
#include <optional>
#include <set>

#include "ssi/io/faulty_disk.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;

// What has been promised.
struct History {
    std::map<VersionNumber, std::vector<State>> golden;   // that were ever begun
    std::set<VersionNumber> committed;                    // and not asked to be removed
    VersionNumber committing = 0;                         // 0: none
};

// Of version 2 on, half of the objects did not change.
Result<void> save(Store& store, History& history, VersionNumber version, Random& random) {
    std::vector<State> states;
    const auto before = history.golden.find(version - 1);
    const bool incremental = before != history.golden.end() &&
                             history.committed.contains(version - 1);
    for (MemberIndex m = 0; m < 2; ++m) {
        State state = random_state(random, 2, 9'000);
        if (incremental) state.insert(*before->second[m].begin());
        states.push_back(std::move(state));
    }
    history.golden[version] = states;
    std::vector<std::unique_ptr<MemberWriter>> writers;
    std::vector<MemberInfo> infos;
    for (MemberIndex m = 0; m < 2; ++m) {
        auto member = store.begin({.dataset = dataset_of(version), .version = version,
                                   .member = m});
        if (!member) return tl::unexpected<Failure>(std::move(member).error());
        writers.push_back(std::move(*member));
        for (const auto& [name, bytes] : states[m]) {
            const Part part = part_of(name, version, bytes.size());
            if (incremental && before->second[m].contains(name))
                SSI_TRY(writers[m]->put_ref(part, bytes.size(), {version - 1, m}));
            else
                SSI_TRY(writers[m]->put(part, bytes));
        }
        auto info = writers[m]->finish();
        if (!info) return tl::unexpected<Failure>(std::move(info).error());
        infos.push_back(std::move(*info));
    }
    history.committing = version;
    SSI_TRY(store.commit(manifest_of(version, std::move(infos))));
    history.committing = 0;
    history.committed.insert(version);
    return {};
}

// "" or what is wrong with a disk that a cut or an error left.
std::string check(io::Disk& disk, const History& history) {
    auto store = Store::open({.disk = &disk});
    if (!store) return store.error().to_string();
    const auto newest = (*store)->newest();
    if (!newest) return newest.error().to_string();
    const VersionNumber last = history.committed.empty() ? 0 : *history.committed.rbegin();
    const VersionNumber found = newest->value_or(0);
    if (found < last || (found > last && found != history.committing &&
                         !history.golden.contains(found)))
        return fmt::format("version {} is the newest, {} was committed", found, last);
    const auto list = (*store)->list();
    if (!list) return list.error().to_string();
    std::set<VersionNumber> complete;
    for (const VersionInfo& info : *list) {
        if (info.state == VersionState::damaged)
            return fmt::format("version {} is damaged: {}", info.version, info.why);
        if (info.state != VersionState::complete) continue;
        complete.insert(info.version);
        const auto back = dump(**store, info.version);
        if (!back) return back.error().to_string();
        const auto golden = history.golden.find(info.version);
        if (golden == history.golden.end() || *back != golden->second)
            return fmt::format("version {} is another one", info.version);
    }
    for (const VersionNumber version : history.committed)
        if (!complete.contains(version)) return fmt::format("version {} is gone", version);
    // It goes on: what was not committed is cleaned up, the next number is a new one.
    if (const auto cleaned = (*store)->clean(); !cleaned) return cleaned.error().to_string();
    const auto next = (*store)->next_version();
    if (!next) return next.error().to_string();
    if (*next <= last) return fmt::format("version {} is given out again", *next);
    if (auto saved = checkpoint(**store, *next, {State{{{1, 1}, Bytes(9, std::byte{5})}}}); !saved)
        return saved.error().to_string();
    const auto after = (*store)->newest();
    return after && *after == *next ? "" : "the next version is not the newest";
}

// Some versions, of which old ones are pruned, and an abandoned one.
Result<void> live(Store& store, History& history, std::uint64_t seed) {
    Random random(seed);
    for (int round = 0; round < 4; ++round) {
        const auto next = store.next_version();
        if (!next) return tl::unexpected<Failure>(next.error());
        SSI_TRY(save(store, history, *next, random));
        if (round == 1) {
            auto member = store.begin({.dataset = dataset_of(*next + 1), .version = *next + 1});
            if (!member) return tl::unexpected<Failure>(std::move(member).error());
            SSI_TRY((*member)->put(part_of({1, 1}, 1, 9), Bytes(9)));
        }
        // Every version from here on may go.
        if (round == 2) {
            const VersionNumber last = *history.committed.rbegin();
            history.committed = {last};
            const auto pruned = store.prune(1);
            if (!pruned) return tl::unexpected<Failure>(pruned.error());
        }
    }
    history.committed.clear();
    return store.remove(history.golden.rbegin()->first);
}

TEST(DatasetCrash, a_power_cut_at_any_moment_leaves_the_version_before_or_the_new_one) {
    std::uint64_t cuts = 0;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        History history;
        std::string wrong;
        bool checking = false;
        const auto observe = [&](const io::MemoryDisk& disk, std::uint64_t operation) {
            if (checking || !wrong.empty()) return;
            checking = true;
            for (std::uint64_t cut = 0; cut < 1 && wrong.empty(); ++cut, ++cuts) {
                const auto left = disk.after_power_cut(seed * 1000 + operation);
                wrong = check(*left, history);
                if (!wrong.empty())
                    wrong += fmt::format(", seed {}, operation {}, cut {}", seed, operation, cut);
            }
            checking = false;
        };
        const auto disk = io::make_memory_disk({.seed = seed, .observe = observe});
        const auto store = open_store(*disk);
        ASSERT_FINE(live(*store, history, seed));
        ASSERT_EQ(wrong, "");
    }
    EXPECT_GT(cuts, 300u);
}

// fail_after: the disk has died, as for a process that is killed; else one error.
// `step`: of so many operations one.
void every_error(int sys_errno, bool fail_after, std::uint64_t step) {
    bool met = true;
    std::uint64_t points = 0;
    for (std::uint64_t at = 1; met; at += step, ++points) {
        const auto disk = io::make_memory_disk();
        const auto faulty = io::make_faulty_disk(*disk);
        History history;
        {
            const auto store = open_store(*faulty);
            faulty->set_plan({.fail_at = at, .fail_after = fail_after, .sys_errno = sys_errno});
            const auto lived = live(*store, history, 7);
            met = faulty->faults() != 0;
            if (!lived) {
                EXPECT_EQ(lived.error().sys_errno, sys_errno) << lived.error().to_string();
                EXPECT_NE(lived.error().text.find("disk"), std::string::npos)
                    << lived.error().text;
            }
        }
        ASSERT_EQ(check(*disk, history), "") << "operation " << at;
    }
    EXPECT_GT(points, 20u);
}

TEST(DatasetCrash, an_error_at_any_operation_harms_no_other_version) { every_error(EIO, false, 7); }
TEST(DatasetCrash, a_full_disk_at_any_operation_harms_no_other_version) {
    every_error(ENOSPC, false, 11);
}
TEST(DatasetCrash, a_disk_that_dies_at_any_operation_leaves_a_valid_version) {
    every_error(EIO, true, 7);
}

}  // namespace
}  // namespace ssi::ckpt
