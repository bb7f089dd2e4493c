// SPDX-License-Identifier: BSD-3-Clause
#include "application.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <functional>

#include "patterns/patterns.hpp"
#include "ssi/base/clock.hpp"
#include "support/progress.hpp"

namespace iobench {
namespace {

class Run {
public:
    Run(ssi::Session& session, Store& store, const Options& options)
        : session_(session), store_(store), options_(options),
          progress_("iobench", session.rank() == 0, options.progress, clock_) {
        report_.ranks = session.size();
    }

    Report all() {
        struct Pattern {
            const char* name;
            void (Run::*run)();
        };
        constexpr Pattern patterns[] = {
            {"easy", &Run::easy},     {"hard", &Run::hard},     {"metadata", &Run::metadata},
            {"small", &Run::small},   {"rename", &Run::rename}, {"shared", &Run::shared},
            {"find", &Run::find},     {"crowd", &Run::crowd}};
        on_one([&] {
            if (!store_.exists(options_.top)) store_.make_directory(options_.top);
        });
        for (const std::string& name : options_.patterns)
            for (const Pattern& pattern : patterns)
                if (name == pattern.name) {
                    pattern_ = name;
                    (this->*pattern.run)();
                }
        if (!options_.keep) on_one([&] { store_.remove_directory(options_.top); });
        progress_.finish();
        return std::move(report_);
    }

private:
    using Work = std::function<void(std::uint64_t)>;

    // Operations 0 .. count - 1 on every rank, then `last`; the time of the slowest.
    void phase(const char* name, std::uint64_t count, std::size_t bytes, const Work& work,
               const std::function<void()>& last = {}) {
        session_.barrier();
        const ssi::Nanoseconds begin = clock_.now();
        for (std::uint64_t i = 0; i < count; ++i) {
            work(i);
            progress_.update([&] {
                return fmt::format("{} {}: {:.0f} %", pattern_, name,
                                   100.0 * static_cast<double>(i) / static_cast<double>(count));
            });
        }
        if (last) last();
        const double mine = static_cast<double>(clock_.now() - begin) * 1e-9;
        Phase phase{pattern_, name, session_.reduce(mine, ssi::Reduce::max)};
        const double all = static_cast<double>(count) * session_.size();
        phase.operations = all;
        phase.bytes = all * static_cast<double>(bytes);
        report_.phases.push_back(phase);
    }
    void on_one(const std::function<void()>& work) {
        session_.barrier();
        if (session_.rank() == 0) work();
        session_.barrier();
    }
    std::string path(const std::string& name) const { return options_.top + "/" + name; }
    int reads_of() const {
        return options_.shift ? (session_.rank() + 1) % session_.size() : session_.rank();
    }

    void easy() {
        const auto transfers = Transfers::easy(options_.transfer_bytes);
        const auto name = [&](int rank) { return path("easy." + std::to_string(rank)); };
        large(transfers, transfers, name(session_.rank()), name(reads_of()));
        if (!options_.keep) store_.unlink(name(session_.rank()));
    }
    void hard() {
        on_one([&] { store_.open(path("hard"), O_CREAT | O_RDWR, striping()); });
        large(Transfers::hard(session_.rank(), session_.size()),
              Transfers::hard(reads_of(), session_.size()), path("hard"), path("hard"));
        if (!options_.keep) on_one([&] { store_.unlink(path("hard")); });
    }
    void large(const Transfers& writes, const Transfers& reads, const std::string& written,
               const std::string& read) {
        const std::uint64_t count = std::max<std::uint64_t>(1, options_.bytes / writes.bytes);
        Buffer buffer(writes.bytes);
        auto file = store_.open(written, O_CREAT | O_RDWR, striping());
        phase("write", count, writes.bytes,
              [&](std::uint64_t i) { buffer.write(*file, writes, i, 1); },
              [&] {
                  if (options_.sync) file->sync();
              });
        file.reset();
        if (options_.cold) store_.drop_caches();
        session_.barrier();
        file = store_.open(read, O_RDONLY);
        phase("read", count, reads.bytes,
              [&](std::uint64_t i) { buffer.read(*file, reads, i, 1); });
        file.reset();
        session_.barrier();
    }

    void metadata() {
        const std::string directory = path("md." + std::to_string(session_.rank()));
        store_.make_directory(directory);
        SmallFiles files(store_, directory, 0);
        create(files);
        phase("stat", options_.files, 0, [&](std::uint64_t i) { files.stat(i); });
        remove(files);
        if (!options_.keep) store_.remove_directory(directory);
        session_.barrier();
    }
    void small() {
        SmallFiles mine = together("small", small_file_bytes, session_.rank());
        SmallFiles others = of("small", small_file_bytes, reads_of());
        create(mine);
        phase("stat", options_.files, 0, [&](std::uint64_t i) { others.stat(i); });
        if (options_.cold) store_.drop_caches();
        phase("read", options_.files, 0, [&](std::uint64_t i) { others.read(i); });
        remove(mine);
        end_together("small");
    }
    void rename() {
        SmallFiles mine = together("rename", 0, session_.rank());
        const std::string prefix = fmt::format("renamed.{}.", session_.rank());
        SmallFiles renamed(store_, path("rename"), 0, prefix);
        create(mine);
        phase("rename", options_.files, 0, [&](std::uint64_t i) { mine.rename(i, prefix); });
        remove(renamed);
        end_together("rename");
    }
    void shared() {
        SmallFiles mine = together("shared", 0, session_.rank());
        SmallFiles others = of("shared", 0, (session_.rank() + 1) % session_.size());
        create(mine);
        const std::uint64_t count = options_.files * static_cast<std::uint64_t>(session_.size());
        std::uint64_t listed = 0;
        phase("list", 1, 0, [&](auto) {
            store_.list(path("shared"), true, [&](const Store::Entry&) { ++listed; });
        });
        report_.phases.back().operations *= static_cast<double>(count);
        if (listed != count)
            throw ssi::Error({ssi::Errc::mismatch, 0, ssi::no_node,
                              fmt::format("{} lists {} of {} entries", path("shared"), listed,
                                          count)});
        phase("stat", options_.files, 0, [&](std::uint64_t i) { others.stat(i); });
        remove(mine);
        end_together("shared");
    }
    void find() {
        constexpr std::uint64_t in_one = 100;
        on_one([&] { store_.make_directory(path("find")); });
        const std::uint64_t directories = (options_.files + in_one - 1) / in_one;
        const auto name = [&](std::uint64_t d) {
            return path(fmt::format("find/d{}.{}", session_.rank(), d));
        };
        phase("create", directories * in_one, 0, [&](std::uint64_t i) {
            if (i % in_one == 0) store_.make_directory(name(i / in_one));
            SmallFiles(store_, name(i / in_one), 0).create(i % in_one);
        });
        Walked walked;
        phase("walk", 1, 0, [&](auto) { walked = walk(store_, path("find")); });
        const std::uint64_t count =
            directories * in_one * static_cast<std::uint64_t>(session_.size());
        report_.phases.back().operations *= static_cast<double>(count);
        if (walked.files != count)
            throw ssi::Error({ssi::Errc::mismatch, 0, ssi::no_node,
                              fmt::format("a walk finds {} of {} files", walked.files, count)});
        if (options_.keep) return;
        session_.barrier();
        phase("remove", directories * in_one, 0, [&](std::uint64_t i) {
            SmallFiles(store_, name(i / in_one), 0).unlink(i % in_one);
            if (i % in_one == in_one - 1) store_.remove_directory(name(i / in_one));
        });
        on_one([&] { store_.remove_directory(path("find")); });
    }

    // A directory of any number of files; a listing is not kept in memory.
    void crowd() {
        const double before = resident_bytes();
        SmallFiles mine = together("crowd", 0, session_.rank());
        SmallFiles others = of("crowd", 0, (session_.rank() + 1) % session_.size());
        create(mine);
        const auto ranks = static_cast<std::size_t>(session_.size());
        std::vector<std::uint64_t> homes(ranks);
        phase("list", 1, 0, [&](auto) {
            CrowdCheck check(ranks, options_.files);
            store_.list(path("crowd"), false, [&](const Store::Entry& entry) {
                check.see(entry.name);
                if (const auto home = store_.home_of(entry.inode); home && *home < ranks)
                    ++homes[*home];
                progress_.update([&] {
                    return fmt::format("crowd list: {} of {} entries", check.seen(),
                                       options_.files * ranks);
                });
            });
            check.conclude();
        });
        report_.phases.back().operations *= static_cast<double>(options_.files * ranks);
        phase("stat", options_.files, 0, [&](std::uint64_t i) { others.stat(i); });
        const double resident[] = {before, resident_bytes()};
        const auto all = session_.all_gather(std::span<const double>(resident));
        for (std::size_t rank = 0; rank < ranks; ++rank)
            report_.shares.push_back({homes[rank], all[2 * rank], all[2 * rank + 1]});
        remove(mine);
        end_together("crowd");
    }

    void create(SmallFiles& files) {
        phase("create", options_.files, 0,
              [&](std::uint64_t i) { files.create(i, options_.sync); });
    }
    void remove(SmallFiles& files) {
        session_.barrier();
        if (!options_.keep)
            phase("unlink", options_.files, 0, [&](std::uint64_t i) { files.unlink(i); });
    }
    SmallFiles of(const std::string& directory, std::size_t bytes, int rank) {
        return {store_, path(directory), bytes, fmt::format("f{}.", rank)};
    }
    SmallFiles together(const std::string& directory, std::size_t bytes, int rank) {
        on_one([&] { store_.make_directory(path(directory)); });
        return of(directory, bytes, rank);
    }
    void end_together(const std::string& directory) {
        if (!options_.keep) on_one([&] { store_.remove_directory(path(directory)); });
    }
    ssi::fs::Striping striping() const {
        return {options_.unit_bytes, static_cast<std::uint32_t>(options_.stripes)};
    }

    ssi::Session& session_;
    Store& store_;
    const Options& options_;
    const ssi::RealClock clock_;
    support::Progress progress_;
    std::string pattern_;
    Report report_;
};

}  // namespace

Report run_patterns(ssi::Session& session, Store& store, const Options& options) {
    return Run(session, store, options).all();
}

}  // namespace iobench
