// SPDX-License-Identifier: BSD-3-Clause
// Power cuts at any moment: whatever the disk then has, recovery finds a prefix of the
// transactions, each whole, with all that were committed; and so again after a cut during recovery
// or compaction.
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>

#include "log_tools.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/object_log.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::io {
namespace {

using namespace test;

using Name = std::pair<SetId, ObjectId>;
using State = std::map<Name, std::string>;

// One transaction, as the checker replays it.
struct Step {
    std::vector<std::pair<Name, std::optional<std::string>>> puts;   // nullopt: removed
    struct Change {
        Name name;
        std::uint32_t length, offset;
        std::string part;
    };
    std::vector<Change> changes;
    std::optional<SetId> removed_set;   // before all else

    void apply(State& state) const {
        if (removed_set)
            std::erase_if(state, [&](const auto& one) { return one.first.first == *removed_set; });
        for (const auto& [name, value] : puts)
            if (value)
                state[name] = *value;
            else
                state.erase(name);
        for (const Change& change : changes) {
            std::string& value = state[change.name];
            value.resize(change.length);
            value.replace(change.offset, change.part.size(), change.part);
        }
    }
};

// What was done, over all lives of one log. Used by several tasks.
class History {
public:
    void add(Sequence sequence, Step step) {
        std::lock_guard lock(mutex_);
        steps_[sequence].push_back(std::move(step));   // one, and others that changed nothing
    }
    void committed(Sequence sequence) {
        Sequence before = committed_.load();
        while (before < sequence && !committed_.compare_exchange_weak(before, sequence)) {
        }
    }
    Sequence committed() const { return committed_.load(); }
    void restart(Sequence committed) { committed_.store(committed); }
    // What recovery must find when it found everything up to `last`; later steps never were.
    State truncate(Sequence last) {
        std::lock_guard lock(mutex_);
        steps_.erase(steps_.upper_bound(last), steps_.end());
        State state;
        for (const auto& [sequence, steps] : steps_)
            for (const Step& step : steps) step.apply(state);
        return state;
    }

private:
    sys::Mutex mutex_;
    std::map<Sequence, std::vector<Step>> steps_;
    std::atomic<Sequence> committed_{0};
};

constexpr std::uint64_t segment_bytes = 32 << 10;
const SetId intents{100};   // names of this set are intents

std::string value_of(Random& random) {
    std::string value(random.chance(1, 8) ? random.below(6000) : random.below(300), '\0');
    for (char& c : value) c = static_cast<char>('a' + random.below(26));
    return value;
}

Name name_of(Random& random) { return {SetId{1 + static_cast<std::uint32_t>(random.below(3))},
                                       ObjectId(random.below(random.chance(1, 3) ? 60 : 6))}; }

// Random transactions against a log that many tasks use.
void work(ObjectLog& log, History& history, std::uint64_t seed, int steps,
          std::uint64_t steps_of_commit, const std::atomic<bool>& over) {
    Random random(seed);
    for (int i = 0; i < steps && !over.load(); ++i) {
        Step step;
        LogTransaction transaction;
        std::map<Name, bool> used;
        if (random.chance(1, 25)) {
            step.removed_set = SetId{1 + static_cast<std::uint32_t>(random.below(3))};
            transaction.remove_set(*step.removed_set);
        }
        const std::uint64_t count = 1 + random.below(4);
        const Name plan{intents, ObjectId(random.below(10))};
        const std::string what = value_of(random);
        step.puts.reserve(count + 1);
        if (random.chance(1, 10)) {
            transaction.intent(intents, plan.second, bytes(what));
            step.puts.push_back({plan, what});
        } else if (random.chance(1, 10)) {
            transaction.done(intents, plan.second);
            step.puts.push_back({plan, std::nullopt});
        }
        step.changes.reserve(count);
        for (std::uint64_t k = 0; k < count; ++k) {
            const Name name = name_of(random);
            if (!used.emplace(name, true).second) continue;
            if (random.chance(1, 4)) {
                step.puts.push_back({name, std::nullopt});
                transaction.remove(name.first, name.second);
            } else if (random.chance(1, 2) && !step.removed_set) {
                const auto length = static_cast<std::uint32_t>(20 + random.below(200));
                step.changes.push_back({name, length,
                                        static_cast<std::uint32_t>(random.below(length - 10)),
                                        value_of(random).substr(0, 10)});
                const Step::Change& change = step.changes.back();
                transaction.change(name.first, name.second, length,
                                   {{change.offset, bytes(change.part)}});
            } else {
                step.puts.push_back({name, value_of(random)});
                transaction.put(name.first, name.second, bytes(*step.puts.back().second));
            }
        }
        const auto applied = log.apply(transaction);
        if (!applied && applied.error().code == Errc::not_found) continue;   // nothing to change
        if (!applied) return;
        history.add(*applied, step);
        if (random.chance(1, steps_of_commit)) {
            if (!log.commit(*applied)) return;
            history.committed(*applied);
        }
        if (random.chance(1, 15) && !log.compact()) return;
    }
}

ObjectLogOptions crash_options(Disk& disk, const LogPlants* plants = nullptr) {
    ObjectLogOptions options;
    options.log = options_for(disk, segment_bytes);
    options.log.plants = plants;
    return options;
}

// "" when the recovered log is as the history says; else what is wrong.
std::string check(ObjectLog& log, History& history) {
    const Sequence last = log.last(), committed = history.committed();
    if (last < committed) return fmt::format("batch {} was committed, {} is the last", committed,
                                             last);
    const State state = history.truncate(last);
    std::size_t objects = 0;
    for (const SetId set : log.sets()) {
        for (const ObjectFacts& facts : log.objects(set)) {
            ++objects;
            const auto expected = state.find({set, facts.id});
            if (expected == state.end())
                return fmt::format("set {} object {} came back", set.value, facts.id.lo);
            const auto value = log.get(set, facts.id);
            if (!value) return value.error().to_string();
            if (text(value->bytes) != expected->second)
                return fmt::format("set {} object {} of version {} has another value", set.value,
                                   facts.id.lo, facts.version);
            if (value->version != facts.version || batch_of(facts.version) > last)
                return fmt::format("set {} object {} has version {}", set.value, facts.id.lo,
                                   facts.version);
        }
    }
    const auto found = log.intents();
    if (!found) return found.error().to_string();
    for (const Intent& intent : *found) {
        ++objects;
        const auto expected = state.find({intents, intent.id});
        if (expected == state.end() || text(intent.bytes) != expected->second)
            return fmt::format("intent {} came back or is another", intent.id.lo);
    }
    if (objects == state.size()) return "";
    return fmt::format("{} objects where {} should be", objects, state.size());
}

// Passes everything on to a disk in memory and tells after each call; after a submit the requests
// are still under way.
class WatchedDisk final : public Disk {
public:
    WatchedDisk(MemoryDisk& disk, std::function<void()> tell)
        : disk_(disk), tell_(std::move(tell)) {}
    Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) override {
        return told(disk_.open(name, mode));
    }
    Result<void> remove(const std::string& name) override { return told(disk_.remove(name)); }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return told(disk_.rename(from, to));
    }
    Result<void> make_directory(const std::string& name) override {
        return told(disk_.make_directory(name));
    }
    Result<std::vector<std::string>> list(const std::string& directory) override {
        return disk_.list(directory);
    }
    Result<std::vector<std::string>> list_directories(const std::string& directory) override {
        return disk_.list_directories(directory);
    }
    Result<void> remove_directory(const std::string& name) override {
        return told(disk_.remove_directory(name));
    }
    Result<void> sync_directory(const std::string& directory) override {
        return told(disk_.sync_directory(directory));
    }
    Result<DiskSpace> space() override { return disk_.space(); }
    void submit(std::span<DiskRequest* const> requests) override {
        disk_.submit(requests);
        tell_();
    }
    std::size_t poll() override { return disk_.poll(); }
    void wait(DiskRequest& request) override {
        disk_.wait(request);
        tell_();
    }
    const std::string& name() const override { return disk_.name(); }

private:
    template <class T>
    T told(T result) {
        tell_();
        return result;
    }
    MemoryDisk& disk_;
    std::function<void()> tell_;
};

struct World {
    sys::Tasks& tasks;
    sys::FiberScheduler* scheduler = nullptr;
    unsigned workers = 3;
    bool background = false;
    const LogPlants* plants = nullptr;
    std::uint64_t* most_under_way = nullptr;   // at least, in some life
    std::uint64_t* dropped_segments = nullptr; // in all lives
};

// Several lives: each ends by a cut after a random call of the disk, be it in recovery, in the work
// or in compaction; the next one recovers what that left. "" or what is wrong.
std::string lives(std::uint64_t seed, const World& world) {
    Random random(seed);
    History history;
    std::unique_ptr<MemoryDisk> disk =
        make_memory_disk({.seed = seed, .scheduler = world.scheduler});
    for (int life = 0; life < 5; ++life) {
        const std::uint64_t when = random.below(random.chance(1, 3) ? 30 : 500);
        const std::uint64_t cut_seed = random.next();
        std::unique_ptr<MemoryDisk> left;
        Sequence committed = history.committed();
        std::atomic<std::uint64_t> calls{0};
        std::atomic<bool> over{false};
        const auto cut = [&] {
            committed = history.committed();   // before the copy: what follows may be lost
            left = disk->after_power_cut(cut_seed);
        };
        WatchedDisk watched(*disk, [&] {
            if (calls.fetch_add(1) == when) {
                cut();
                over.store(true);
            }
        });
        {
            ObjectLogOptions options = crash_options(watched, world.plants);
            if (world.background) options.tasks = &world.tasks;
            // Some logs write much before anybody wants it durable.
            if (random.chance(1, 2)) options.log.write_behind_bytes = 512 << random.below(6);
            if (random.chance(1, 4)) options.log.backlog_bytes = 1024 << random.below(5);
            // With seldom a commit many writes are under way, and the cut takes any of them.
            const std::uint64_t steps_of_commit = random.chance(1, 2) ? 3 : 30;
            auto log = ObjectLog::open(options);
            if (!log) return fmt::format("life {}: {}", life, log.error().to_string());
            if (const std::string wrong = check(**log, history); !wrong.empty())
                return fmt::format("life {}: {}", life, wrong);
            if (world.dropped_segments)
                *world.dropped_segments += (*log)->recovery().dropped_segments;
            std::vector<std::unique_ptr<sys::Tasks::Handle>> running;
            for (unsigned t = 0; t < world.workers; ++t)
                running.push_back(world.tasks.spawn("worker", [&, t, work_seed = random.next()] {
                    work(**log, history, work_seed + t, 150, steps_of_commit, over);
                }));
            for (auto& task : running) task->join();
            if (!over) cut();   // as if killed now
            if (world.most_under_way)
                *world.most_under_way = std::max(*world.most_under_way,
                                                 (*log)->statistics().log.most_under_way);
            if (const auto healthy = (*log)->health(); !healthy)
                return healthy.error().to_string();
        }
        history.restart(committed);
        disk = std::move(left);
    }
    return "";
}

std::string on_threads(std::uint64_t seed, const LogPlants* plants = nullptr) {
    const auto tasks = sys::make_thread_tasks();
    return lives(seed, {*tasks, nullptr, 3, seed % 2 == 0, plants});
}

std::string on_fibers(std::uint64_t seed, const LogPlants* plants = nullptr,
                      std::uint64_t* most_under_way = nullptr,
                      std::uint64_t* dropped_segments = nullptr) {
    sys::FiberScheduler::Options options;
    options.seed = seed;
    options.preempt_every = seed % 3 == 0 ? 50 : 0;
    options.stack_bytes = 4 * sys::FiberScheduler::default_stack_bytes();
    sys::FiberScheduler scheduler(options);
    sys::FiberTasks tasks(scheduler);
    std::string verdict = "it hangs";
    scheduler.spawn(0, [&] {
        verdict = lives(seed, {tasks, &scheduler, 4, seed % 2 == 0, plants, most_under_way,
                               dropped_segments});
    });
    scheduler.run();
    if (verdict == "it hangs") verdict += ": " + scheduler.describe_parked(5);
    return verdict;
}

// SSI_LOG_SEEDS: so many instead, for a long search.
std::uint64_t seeds(std::uint64_t usual) {
    const char* const text = std::getenv("SSI_LOG_SEEDS");
#if defined(__SANITIZE_THREAD__)
    usual /= 5;   // it is twenty times slower
#endif
    return text ? std::strtoull(text, nullptr, 10) : usual;
}

TEST(LogCrash, loses_nothing_that_was_committed_on_fibers) {
    std::uint64_t most_under_way = 0, dropped_segments = 0;
    for (std::uint64_t seed = 1; seed <= seeds(300); ++seed) {
        const std::string wrong = on_fibers(seed, nullptr, &most_under_way, &dropped_segments);
        ASSERT_EQ(wrong, "") << "seed " << seed;
    }
    EXPECT_GE(most_under_way, 5u) << "the cuts met few writes at a time";
    EXPECT_GE(dropped_segments, 3u) << "few cuts came between a header and the end before it";
}

TEST(LogCrash, loses_nothing_that_was_committed_on_threads) {
    for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
        const std::string wrong = on_threads(seed);
        ASSERT_EQ(wrong, "") << "seed " << seed;
    }
}

// Deliberate bugs are seen, so the tests above can fail.
TEST(LogCrash, finds_a_commit_mark_that_is_ignored) {
    const LogPlants plants{.marks_ignored = true};
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 300 && wrong.empty(); ++seed)
        wrong = on_fibers(seed, &plants);
    EXPECT_NE(wrong, "");
}

TEST(LogCrash, finds_a_write_that_counts_for_those_before_it) {
    const LogPlants plants{.order_ignored = true};
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 300 && wrong.empty(); ++seed)
        wrong = on_fibers(seed, &plants);
    EXPECT_NE(wrong, "");
}

TEST(LogCrash, finds_a_segment_that_counts_though_the_one_before_ends_early) {
    const LogPlants plants{.early_ends_ignored = true};
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 300 && wrong.empty(); ++seed)
        wrong = on_fibers(seed, &plants);
    EXPECT_NE(wrong, "");
}

TEST(LogCrash, finds_removals_that_are_dropped_too_early) {
    const LogPlants plants{.tombstones_dropped = true};
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 300 && wrong.empty(); ++seed)
        wrong = on_fibers(seed, &plants);
    EXPECT_NE(wrong, "");
}

}  // namespace
}  // namespace ssi::io
