// SPDX-License-Identifier: BSD-3-Clause
// `ssi fs cp`: rank 0 plans, all ranks copy pieces of files, which a counter of the session deals
// out, and then finish the files: size, attributes, and whether the source stayed what it was.
#include <fmt/core.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "fs_copy_plan.hpp"
#include "fs_run.hpp"
#include "machine.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/base/json.hpp"
#include "support/progress.hpp"

namespace ssi::cli {
namespace {

constexpr std::uint64_t piece_bytes = 64u << 20;   // what one rank copies at a time
constexpr std::size_t buffer_bytes = 4u << 20;

struct Counts {
    std::uint64_t copied = 0, present = 0, verified = 0;   // bytes
};

class Checksum {
public:
    Checksum() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
    void add(std::span<const std::byte> bytes) {
        XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
    }
    std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

private:
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

// A file that is being read and its copy: pieces of one file follow each other, mostly.
struct Pair {
    std::uint64_t item = UINT64_MAX;
    std::unique_ptr<TreeFile> from, to;
    std::uint64_t size_before = 0;     // of the copy, when this rank came to it
};

bool is_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{}; });
}

class Copy {
public:
    Copy(FsRun& run, const CopyPlan& plan, Tree& kdfs, Tree& local)
        : run_(run), plan_(plan), kdfs_(kdfs), local_(local), to_(plan.to_kdfs ? kdfs : local),
          counters_(run.session().set<std::uint64_t>("ssi fs cp", {.count = 3})),
          buffer_(buffer_bytes), progress_("ssi", run.is_first(), run.options().progress, clock_) {
        for (const CopyItem& item : plan.files) {
            first_pieces_.push_back(pieces_);
            pieces_ += std::max<std::uint64_t>(1, (item.size + piece_bytes - 1) / piece_bytes);
            bytes_ += item.size;
        }
        failed_.resize(plan.files.size());
    }

    void pieces() {
        const auto ranks = static_cast<std::uint64_t>(run_.session().size());
        const std::uint64_t deal = std::clamp<std::uint64_t>(pieces_ / (ranks * 16), 1, 16);
        while (true) {
            const std::uint64_t first = counters_.fetch_add(0, deal);
            if (first >= pieces_) break;
            for (std::uint64_t p = first; p < std::min(first + deal, pieces_); ++p) piece(p);
        }
        pair_ = {};
        progress_.finish();
    }

    // Sizes, attributes: dealt out like the pieces.
    void finish_files() {
        constexpr std::uint64_t deal = 16;
        const std::uint64_t count = plan_.files.size();
        while (true) {
            const std::uint64_t first = counters_.fetch_add(2, deal);
            if (first >= count) return;
            for (std::uint64_t i = first; i < std::min(first + deal, count); ++i)
                finish(plan_.files[i]);
        }
    }

    const Counts& counts() const { return counts_; }
    std::uint64_t bytes() const { return bytes_; }

private:
    Tree& from(const CopyItem& item) const { return item.from_kdfs ? kdfs_ : local_; }

    void piece(std::uint64_t number) {
        const auto at = std::ranges::upper_bound(first_pieces_, number) - 1;
        const auto i = static_cast<std::size_t>(at - first_pieces_.begin());
        const CopyItem& item = plan_.files[i];
        if (failed_[i]) return;
        const std::uint64_t offset = (number - *at) * piece_bytes;
        const std::uint64_t end = std::min(offset + piece_bytes, item.size);
        const auto done = copy(i, item, offset, end);
        if (done) return;
        Failure failure = done.error();
        if (failure.text.find(item.to) == std::string::npos &&
            failure.text.find(item.from) == std::string::npos)
            failure.text = readable(item.to) + ": " + failure.text;
        run_.fault(failure);
        failed_[i] = true;
    }

    Result<void> copy(std::size_t i, const CopyItem& item, std::uint64_t offset,
                      std::uint64_t end) {
        SSI_TRY(open(i, item));
        // There already, maybe: then it is compared first.
        if (pair_.size_before >= end && end > offset) {
            const auto theirs = hash(*pair_.from, offset, end);
            const auto ours = hash(*pair_.to, offset, end);
            if (!theirs) return tl::unexpected<Failure>(theirs.error());
            if (!ours) return tl::unexpected<Failure>(ours.error());
            if (*theirs == *ours) {
                counts_.present += end - offset;
                advance(end - offset);
                return {};
            }
        }
        const auto sum = transfer(item, offset, end);
        if (!sum) return tl::unexpected<Failure>(sum.error());
        if (run_.options().no_verify) return {};
        const auto again = hash(*pair_.to, offset, end);
        if (!again) return tl::unexpected<Failure>(again.error());
        if (*again != *sum)
            return fail(Errc::mismatch,
                        fmt::format("{}: bytes {} to {} are not what was copied there",
                                    readable(item.to), offset, end));
        counts_.verified += end - offset;
        return {};
    }

    Result<void> open(std::size_t i, const CopyItem& item) {
        if (pair_.item == i) return {};
        pair_ = {};
        auto from_file = from(item).open(item.from, O_RDONLY, 0);
        if (!from_file) return tl::unexpected<Failure>(from_file.error());
        auto to_file = to_.open(item.to, O_RDWR | O_CREAT, item.mode | 0600u);
        if (!to_file) return tl::unexpected<Failure>(to_file.error());
        const auto there = (*to_file)->stat(), source = (*from_file)->stat();
        if (!there) return tl::unexpected<Failure>(there.error());
        if (!source) return tl::unexpected<Failure>(source.error());
        if (item.from_kdfs == plan_.to_kdfs && there->inode == source->inode &&
            there->size == source->size && there->change_ns == source->change_ns)
            return fail_errno(Errc::invalid_argument, EINVAL,
                              readable(item.to) + ": is the same file as what is copied");
        pair_ = {i, std::move(*from_file), std::move(*to_file), there->size};
        return {};
    }

    // The checksum of what was read and written.
    Result<std::uint64_t> transfer(const CopyItem& item, std::uint64_t offset,
                                   std::uint64_t end) {
        Checksum sum;
        for (std::uint64_t at = offset; at < end;) {
            const auto wanted = std::span(buffer_).first(
                std::min<std::uint64_t>(buffer_bytes, end - at));
            const auto got = pair_.from->pread(wanted, at);
            if (!got) return tl::unexpected<Failure>(got.error());
            if (*got != wanted.size())
                return fail(Errc::io, readable(item.from) + ": became shorter meanwhile");
            sum.add(wanted);
            // What is not there yet and zero stays a hole, up to the last byte of a piece.
            const bool hole = at >= pair_.size_before && is_zero(wanted);
            const bool last = at + wanted.size() == end;
            if (!hole || last) {
                const auto kept = hole ? wanted.last(1) : wanted;
                const auto written = pair_.to->pwrite(kept, at + wanted.size() - kept.size());
                if (!written) return tl::unexpected<Failure>(written.error());
            }
            at += wanted.size();
            counts_.copied += wanted.size();
            advance(wanted.size());
        }
        return sum.value();
    }

    Result<std::uint64_t> hash(TreeFile& file, std::uint64_t offset, std::uint64_t end) {
        Checksum sum;
        for (std::uint64_t at = offset; at < end;) {
            const auto wanted = std::span(buffer_).first(
                std::min<std::uint64_t>(buffer_bytes, end - at));
            const auto got = file.pread(wanted, at);
            if (!got) return tl::unexpected<Failure>(got.error());
            if (*got == 0) break;   // shorter: another checksum
            sum.add(wanted.first(*got));
            at += *got;
        }
        return sum.value();
    }

    void finish(const CopyItem& item) {
        const auto source = from(item).stat(item.from, true);
        if (!run_.good(source)) return;
        if (source->size != item.size || source->modify_ns != item.modify_ns)
            return run_.fault({Errc::mismatch, 0, no_node,
                               readable(item.from) + ": was changed while it was copied"});
        auto copy = to_.stat(item.to, true);
        if (!run_.good(copy)) return;
        if (copy->size > item.size) {
            const auto file = to_.open(item.to, O_WRONLY, 0);
            if (!run_.good(file) || !run_.good((*file)->truncate(item.size))) return;
            copy = to_.stat(item.to, true);
            if (!run_.good(copy)) return;
        }
        if (copy->size != item.size)
            return run_.fault({Errc::io, 0, no_node,
                               fmt::format("{}: has {} of {} bytes", readable(item.to),
                                           copy->size, item.size)});
        attributes(item, *copy);
    }

public:
    void attributes(const CopyItem& item, const fs::Attributes& there) {
        fs::AttributeChange change;
        if (run_.options().preserve) {
            change = attributes_of(item);
            if (!run_.good(xattrs(item))) return;
        } else if ((there.mode & 07777u) != item.mode) {
            change.mode = item.mode;
        }
        if (change.mode) run_.good(to_.set_attributes(item.to, change, true));
    }

    // Further names of files that are there by now.
    void links() {
        for (const CopyLink& link : plan_.links) {
            const auto first = to_.stat(link.first, false);
            if (!run_.good(first)) continue;
            const auto there = to_.stat(link.to, false);
            if (there && there->inode == first->inode) continue;
            if (there && !run_.good(to_.unlink(link.to))) continue;
            run_.good(to_.link(link.first, link.to));
        }
    }

private:
    // Those of users: others mean what this system makes of them.
    Result<void> xattrs(const CopyItem& item) {
        const auto names = from(item).list_xattrs(item.from);
        if (!names) return tl::unexpected<Failure>(names.error());
        for (const std::string& name : *names) {
            if (!name.starts_with("user.")) continue;
            const auto value = from(item).get_xattr(item.from, name);
            if (!value) return tl::unexpected<Failure>(value.error());
            SSI_TRY(to_.set_xattr(item.to, name, *value));
        }
        return {};
    }

    void advance(std::uint64_t bytes) {
        const std::uint64_t done = counters_.fetch_add(1, bytes) + bytes;
        progress_.update([&] {
            return fmt::format("{} of {} copied", human_bytes(done), human_bytes(bytes_));
        });
    }

    FsRun& run_;
    const CopyPlan& plan_;
    Tree &kdfs_, &local_, &to_;
    kddm::Set<std::uint64_t> counters_;   // pieces dealt, bytes done, files finished
    std::vector<std::byte> buffer_;
    const RealClock clock_;
    support::Progress progress_;
    std::vector<std::uint64_t> first_pieces_;
    std::uint64_t pieces_ = 0, bytes_ = 0;
    std::vector<bool> failed_;
    Pair pair_;
    Counts counts_;
};

// Files of the machine may be out of this rank's sight.
bool takes_part(FsRun& run, const CopyPlan& plan, Tree& local) {
    if (plan.witness.empty() || plan.files.empty() || run.is_first()) return true;
    const auto of = local.stat(plan.witness, true);
    if (of && of->inode == plan.witness_inode) return true;
    fmt::print(stderr, "ssi: rank {} does not see {}: it takes no part\n", run.session().rank(),
               readable(plan.witness));
    return false;
}

void report(FsRun& run, const CopyPlan& plan, const Counts& all, std::uint64_t bytes,
            const std::vector<std::uint64_t>& by_rank, double seconds) {
    if (run.options().json) {
        Json json;
        json.object().field("files", static_cast<std::uint64_t>(plan.files.size()));
        json.field("directories", static_cast<std::uint64_t>(plan.directories.size()));
        json.field("symlinks", plan.symlinks);
        json.field("links", static_cast<std::uint64_t>(plan.links.size())).field("bytes", bytes);
        json.field("copied_bytes", all.copied).field("present_bytes", all.present);
        json.field("verified_bytes", all.verified).field("seconds", seconds).array("by_rank");
        for (const std::uint64_t done : by_rank) json.value(done);
        say("{}\n", json.end().end().text());
        return;
    }
    say("{} files, {} directories, {} symbolic links, {} hard links; {} bytes: {} copied, {} there "
        "before, {} verified; {:.1f} s\n", plan.files.size(), plan.directories.size(),
        plan.symlinks, plan.links.size(), bytes, all.copied, all.present, all.verified, seconds);
}

// The word of all ranks: a copy is whole, and read again unless that was not wanted, or a failure.
Result<void> whole(FsRun& run, const Counts& all, std::uint64_t bytes) {
    SSI_TRY(run.verdict());
    const bool verified = run.options().no_verify || all.verified == all.copied;
    if (all.copied + all.present == bytes && verified) return {};
    return fail(Errc::internal, run.is_first() ? fmt::format(
                    "{} of {} bytes were copied, {} verified", all.copied + all.present, bytes,
                    all.verified) : "");
}

}  // namespace

Result<void> fs_cp(FsRun& run) {
    const RealClock clock;
    const Nanoseconds begin = clock.now();
    Kdfs& kdfs = run.system();
    const auto local = make_local_tree();
    bool any_kdfs = false;
    for (const std::string& operand : run.options().operands)
        any_kdfs |= CopyPath::parse(operand).in_kdfs;
    if (!any_kdfs) {
        if (run.is_first())
            run.fault({Errc::invalid_argument, EINVAL, no_node,
                       "no path is in kDFS: those are written fs:/PATH"});
        return run.verdict();
    }
    std::vector<std::byte> encoded;
    std::vector<CopyLink> links;
    if (run.is_first()) {
        CopyPlan made = make_plan(run, kdfs, *local);
        encoded = made.encode();
        links = std::move(made.links);
    }
    run.session().broadcast(0, encoded);
    CopyPlan plan = CopyPlan::decode(encoded);
    if (run.is_first()) plan.links = std::move(links);
    Copy copy(run, plan, kdfs, *local);
    run.session().barrier();
    const bool takes = takes_part(run, plan, *local);
    if (takes) copy.pieces();
    run.session().barrier();
    SSI_TRY(run.verdict());
    if (takes) copy.finish_files();
    run.session().barrier();
    Tree& to = plan.to_kdfs ? kdfs : *local;
    if (run.is_first()) copy.links();
    // From below upwards: what is made in a directory changes its times.
    if (run.is_first())
        for (auto item = plan.directories.rbegin(); item != plan.directories.rend(); ++item)
            if (const auto there = to.stat(item->to, true); run.good(there))
                copy.attributes(*item, *there);
    run.session().barrier();
    if (takes) run.good(to.sync(plan.root));
    const auto sum = [&](std::uint64_t value) { return run.session().reduce(value, Reduce::sum); };
    const Counts& mine = copy.counts();
    const Counts all{sum(mine.copied), sum(mine.present), sum(mine.verified)};
    const auto by_rank = run.session().all_gather(mine.copied + mine.present);
    auto verdict = whole(run, all, copy.bytes());
    if (run.is_first() && verdict)
        report(run, plan, all, copy.bytes(), by_rank,
               static_cast<double>(clock.now() - begin) * 1e-9);
    return verdict;
}

}  // namespace ssi::cli
