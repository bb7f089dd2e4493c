// SPDX-License-Identifier: BSD-3-Clause
#include "files_run.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "ssi/io/faulty_disk.hpp"

namespace ssi::model {
namespace {

constexpr const char* names[] = {"/x", "/a/x", "/a/y", "/b/x", "/b/y"};
constexpr std::uint32_t name_count = std::size(names);

Options world_options(const FilesOptions& from, std::uint32_t nodes) {
    Options options;
    options.nodes = nodes;
    options.faults = from.faults;
    options.preempt_every = from.preempt_every;
    options.trace = from.trace;
    return options;
}

template <class T>
int errno_of(const Result<T>& result) {
    if (result) return 0;
    return result.error().sys_errno ? result.error().sys_errno : -1;
}

}  // namespace

struct FilesRun::Life {
    Life(const FilesOptions& from, std::uint32_t nodes, std::uint64_t seed)
        : options(world_options(from, nodes)), catalog(empty()), world(options, seed, catalog),
          systems(nodes) {}

    static Catalog empty() {
        Options none;
        none.nodes = 1;
        return Catalog(none);
    }
    // All nodes at once; the last to end stops the world.
    template <class F>
    void everywhere(std::uint32_t tasks_of_each, F&& f) {
        left = world.node_count() * tasks_of_each;
        for (std::uint32_t node = 0; node < world.node_count(); ++node)
            for (std::uint32_t task = 0; task < tasks_of_each; ++task)
                world.on_node(node, [this, node, task, &f] {
                    f(node, task);
                    world.progressed();
                    if (--left == 0) world.scheduler.stop();
                });
        world.run();
        if (left != 0 && !cut && !world.verdict.failed())
            world.verdict.fail("progress", "some task never ended:\n" +
                                               world.scheduler.describe_parked(20));
    }
    bool failed() const { return world.verdict.failed(); }

    Options options;
    Catalog catalog;
    World world;
    std::vector<std::unique_ptr<fs::FileSystem>> systems;
    std::uint32_t left = 0;
    bool may_be_cut = false;
    bool cut = false;
};

FilesRun::FilesRun(const FilesOptions& options, std::uint64_t seed)
    : options_(options), seed_(seed), history_(name_count) {}

// A task's operation on shared names, with what it was told.
void FilesRun::one_name(Life& life, std::uint32_t node, Random& random) {
    fs::FileSystem& system = *life.systems[node];
    NameOperation o;
    o.what = static_cast<NameOperation::What>(random.below(5));
    o.name = static_cast<std::uint32_t>(random.below(name_count));
    o.to = static_cast<std::uint32_t>(random.below(name_count));
    if (o.what == NameOperation::What::move && o.to == o.name) o.to = (o.to + 1) % name_count;
    const char* name = names[o.name];
    o.called = ++events_;
    switch (o.what) {
        case NameOperation::What::create: {
            auto file = system.open(name, O_CREAT | O_EXCL | O_RDWR);
            o.error = errno_of(file);
            if (file) o.inode = file->inode();
            o.answered = ++events_;
            if (file) (void)file->close();
            break;
        }
        case NameOperation::What::remove: o.error = errno_of(system.unlink(name)); break;
        case NameOperation::What::move:
            o.error = errno_of(system.rename(name, names[o.to]));
            break;
        case NameOperation::What::link: o.error = errno_of(system.link(name, names[o.to])); break;
        case NameOperation::What::look: {
            auto found = system.stat(name);
            o.error = errno_of(found);
            if (found) o.inode = found->inode;
            break;
        }
    }
    if (o.answered == 0) o.answered = ++events_;
    history_.add(o);
}

// Written, sometimes renamed, sometimes synced; what was synced is promised.
void FilesRun::own_file(Life& life, std::uint32_t node, Random& random, const std::string& name) {
    fs::FileSystem& system = *life.systems[node];
    const auto refused = [&](const char* what, const Failure& failure) {
        life.world.verdict.fail("errors", fmt::format("{} of {}: {}", what, name,
                                                      failure.to_string()));
    };
    std::string directory = random.chance(1, 2) ? "/a" : "/b";
    if (random.chance(1, 3)) {       // that another node made a moment before
        directory = fmt::format("{}/of-{}", directory, name);
        fs::FileSystem& another = *life.systems[random.below(life.systems.size())];
        if (auto made = another.make_directory(directory); !made)
            return refused("mkdir", made.error());
    }
    Promise promise{fmt::format("{}/{}", directory, name), name, ""};
    const std::size_t length = random.chance(1, 4) ? 9'000 : random.below(40);
    while (promise.content.size() < length) promise.content += promise.content + "+";
    auto file = system.open(promise.path, O_CREAT | O_EXCL | O_RDWR);
    if (!file) return refused("open", file.error());
    auto written = file->pwrite(std::as_bytes(std::span(promise.content)), 0);
    if (!written) return refused("write", written.error());
    if (random.chance(1, 2)) {
        if (random.chance(1, 3))
            return linked_file(life, system, random, *file, std::move(promise), name);
        promise.before = promise.path;
        promise.path = fmt::format("{}/{}-moved", random.chance(1, 2) ? "/a" : "/b", name);
        promise.either = random.chance(1, 2);
        if (promise.either) {
            if (auto synced = file->sync(); !synced) return refused("sync", synced.error());
            promises_.push_back(promise);   // from now on
        }
        if (cut_renames_ && cut_at_ != 0 && outcome_.operations >= cut_at_)
            plan_cut(life, 2'000'000);
        if (auto moved = system.rename(promise.before, promise.path); !moved)
            return refused("rename", moved.error());
        if (directory.size() > 2 && random.chance(1, 2)) {   // its own, and empty now
            auto removed = system.remove_directory(directory);
            if (removed) removed = system.sync(directory.substr(0, 2));
            if (!removed) return refused("rmdir", removed.error());
        }
        if (promise.either) return;
    }
    if (!random.chance(2, 3)) return;
    // A file that was renamed since it was opened: the new name's way is what is to be durable.
    auto synced = promise.before.empty() ? file->sync() : system.sync(promise.path);
    if (!synced) return refused("sync", synced.error());
    promises_.push_back(std::move(promise));
}

// Durable, and then it gets another name and loses the first: it has one of them at any time.
void FilesRun::linked_file(Life& life, fs::FileSystem& system, Random& random, fs::File& file,
                           Promise promise, const std::string& name) {
    const auto refused = [&](const char* what, const Failure& failure) {
        life.world.verdict.fail("errors", fmt::format("{} of {}: {}", what, name,
                                                      failure.to_string()));
    };
    if (auto synced = file.sync(); !synced) return refused("sync", synced.error());
    std::string directory = random.chance(1, 2) ? "/a" : "/b";
    if (random.chance(1, 2)) {
        directory += fmt::format("/to-{}", name);
        fs::FileSystem& another = *life.systems[random.below(life.systems.size())];
        if (auto made = another.make_directory(directory); !made)
            return refused("mkdir", made.error());
    }
    promise.before = promise.path;
    promise.path = fmt::format("{}/{}-linked", directory, name);
    promise.either = promise.linked = true;
    promises_.push_back(promise);
    if (cut_renames_ && cut_at_ != 0 && outcome_.operations >= cut_at_) plan_cut(life, 2'000'000);
    if (auto linked = system.link(promise.before, promise.path); !linked)
        return refused("link", linked.error());
    fs::FileSystem& remover = *life.systems[random.below(life.systems.size())];
    if (auto removed = remover.unlink(promise.before); !removed)
        return refused("unlink", removed.error());
}

void FilesRun::body(Life& life, std::uint32_t node, std::uint32_t task) {
    Random random(mix64(seed_ * 1'000 + node * 100 + task));
    for (std::uint32_t i = 0; i < options_.ops && !life.failed(); ++i) {
        if (random.chance(1, 4))
            own_file(life, node, random, fmt::format("own{}.{}.{}", node, task, i));
        else
            one_name(life, node, random);
        life.world.progressed();
        if (++outcome_.operations == cut_at_ && !cut_renames_) plan_cut(life, 3'000'000);
    }
}

// Somewhere in what happens next.
void FilesRun::plan_cut(Life& life, Nanoseconds within) {
    cut_at_ = 0;
    const auto later = static_cast<Nanoseconds>(
        life.world.scheduler.random().below(static_cast<std::uint64_t>(within)));
    life.world.scheduler.at(
        life.world.scheduler.now() + later,
        [](void* of, std::uint64_t) {
            auto& one = *static_cast<Life*>(of);
            if (!one.may_be_cut) return;
            one.cut = true;
            one.world.scheduler.stop();
        },
        &life, 0);
}

void FilesRun::check_rest(Life& life) {
    life.everywhere(1, [&](std::uint32_t node, std::uint32_t) {
        auto report = life.systems[node]->check(false);
        if (!report)
            return life.world.verdict.fail("check", report.error().to_string());
        if (report->problems != 0 && !report->texts.empty())
            life.world.verdict.fail("check", fmt::format("{} problems; node {}: {}",
                                                         report->problems, node,
                                                         fmt::join(report->texts, "; ")));
    });
}

void FilesRun::look_for_promises(Life& life) {
    life.everywhere(1, [&](std::uint32_t node, std::uint32_t) {
        if (node != 0) return;
        fs::FileSystem& system = *life.systems[0];
        for (const Promise& promise : promises_) {
            const auto broken = [&](const std::string& how) {
                life.world.verdict.fail("promise", promise.path + " was synced, and " + how);
            };
            const auto is_there = [&](const std::string& path) {
                auto found = system.stat(path);
                return found || found.error().sys_errno != ENOENT;
            };
            const bool old_name = !promise.before.empty() && is_there(promise.before);
            if (old_name && !promise.linked && (!promise.either || is_there(promise.path)))
                return broken("has its old name too, " + promise.before);
            auto file = system.open(old_name ? promise.before : promise.path, O_RDONLY);
            if (!file) return broken("is lost: " + file.error().to_string());
            std::string content(promise.content.size() + 1, '?');
            auto read = file->pread(std::as_writable_bytes(std::span(content)), 0);
            if (!read) return broken("cannot be read: " + read.error().to_string());
            content.resize(*read);
            if (content != promise.content) return broken("has other bytes");
        }
    });
}

void FilesRun::mount(Life& life) {
    life.everywhere(1, [&](std::uint32_t node, std::uint32_t) {
        fs::Options options;
        options.cache_bytes = 8 << 20;
        options.commit_ms = seed_ % 2 ? 5 : 500;   // of virtual time: the former joins in
        if (seed_ % 3 != 0) options.bucket_bytes = 190;   // one or two names
        options.plant = options_.plant;
        const bool disk = node < options_.volumes;
        options.volumes = {.directories = {}, .slots = 64, .segment_bytes = 256 << 10,
                           .open_disk = [this](const std::string& name) {
                               return Result<std::unique_ptr<io::Disk>>(
                                   io::make_faulty_disk(*shelf_.disks.at(name)));
                           }};
        for (std::uint32_t v = node; disk && v < options_.volumes; v += life.world.node_count())
            options.volumes.directories.push_back(fmt::format("v{}", v));
        auto mounted = fs::FileSystem::mount(life.world.node(node), life.world.engine(node),
                                             std::move(options));
        if (!mounted)
            return life.world.verdict.fail("mount", mounted.error().to_string());
        life.systems[node] = std::move(*mounted);
    });
}

void FilesRun::unmount(Life& life) {
    life.everywhere(1, [&](std::uint32_t node, std::uint32_t) {
        if (auto closed = life.systems[node]->close(); !closed)
            life.world.verdict.fail("close", closed.error().to_string());
        life.systems[node].reset();
    });
    if (life.failed()) return;
    life.world.run();                // what is under way arrives
    if (!life.failed()) life.world.close();
}

void FilesRun::first_life(Life& life) {
    mount(life);
    if (life.failed()) return;
    // A directory lies where it is made: these in two volumes, if there are two.
    life.everywhere(1, [&](std::uint32_t node, std::uint32_t) {
        for (std::uint32_t i = 0; i < 2; ++i) {
            const char* const path = i == 0 ? "/a" : "/b";
            if (node != i % life.world.node_count()) continue;
            auto made = life.systems[node]->make_directory(path);
            if (made) made = life.systems[node]->sync(path);
            if (!made) life.world.verdict.fail("errors", made.error().to_string());
        }
    });
    if (life.failed()) return;
    Random random(mix64(seed_ + 77));
    if (options_.cut)
        cut_at_ = 1 + random.below(std::uint64_t{options_.nodes} * options_.tasks * options_.ops);
    cut_renames_ = random.chance(1, 2);
    life.may_be_cut = options_.cut;
    life.everywhere(options_.tasks,
                    [&](std::uint32_t node, std::uint32_t task) { body(life, node, task); });
    life.may_be_cut = false;
    life.cut = options_.cut;         // at the latest now
    if (life.failed() || life.cut) return;
    if (auto wrong = history_.wrong()) return life.world.verdict.fail("names", *wrong);
    check_rest(life);
    if (!life.failed()) unmount(life);
}

void FilesRun::second_life(Life& life) {
    mount(life);
    if (!life.failed()) check_rest(life);
    if (!life.failed()) look_for_promises(life);
    if (!life.failed()) unmount(life);
}

FilesRun::Outcome FilesRun::run() {
    auto first = std::make_unique<Life>(options_, options_.nodes, seed_);
    for (std::uint32_t v = 0; v < options_.volumes; ++v) {
        const std::string name = fmt::format("v{}", v);
        io::MemoryDiskOptions disk{.name = name, .seed = seed_ + v};
        // What touches the disk takes a while, and others go on.
        disk.observe = [&tasks = first->world.tasks, &world = first->world](
                           const io::MemoryDisk&, std::uint64_t) {
            tasks.sleep_for(static_cast<Nanoseconds>(world.scheduler.random().below(60'000)));
        };
        shelf_.disks[name] = io::make_memory_disk(std::move(disk));
    }
    first_life(*first);
    const auto end = [&](Life& life) {
        outcome_.checker = life.world.verdict.checker();
        outcome_.text = life.world.verdict.text();
        outcome_.promises = promises_.size();
        outcome_.cut = outcome_.cut || life.cut;
        if (!life.failed() && !life.cut) return;
        // As it is, for ever: what it holds is not taken apart.
        life.world.abandon();
        for (auto& system : life.systems) (void)system.release();
    };
    end(*first);
    if (!outcome_.checker.empty()) {
        (void)first.release();
        return outcome_;
    }
    const auto disks = std::move(shelf_.disks);
    for (std::uint64_t salt = 0; const auto& [name, disk] : disks)
        shelf_.disks[name] = disk->after_power_cut(seed_ * 31 + salt++);
    auto second = std::make_unique<Life>(
        options_, 1 + static_cast<std::uint32_t>(mix64(seed_) % 4), seed_ + 1);
    second_life(*second);
    end(*second);
    if (!outcome_.checker.empty()) (void)second.release();
    return outcome_;
}

}  // namespace ssi::model
