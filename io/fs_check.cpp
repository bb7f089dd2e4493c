// SPDX-License-Identifier: BSD-3-Clause
#include "fs_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <mutex>

#include "fs_transaction.hpp"

namespace ssi::fs {
namespace {

constexpr std::size_t questions_at_once = 100'000;
constexpr std::size_t most_problems = 100;
constexpr int most_rounds = 4200;   // a directory that goes brings its children to the next one

}  // namespace

Check::Check(Core& core, bool repair, bool recovering)
    : core_(core), repair_(repair), recovering_(recovering) {}

void Check::problem(std::string text) {
    ++report_.problems;
    if (report_.texts.size() < most_problems) report_.texts.push_back(std::move(text));
}

Result<CheckReport> Check::run() {
    for (int round = 0; round < most_rounds; ++round) {
        const std::uint64_t found = report_.problems;
        repaired_ = 0;
        report_ = {.problems = report_.problems, .repaired = report_.repaired,
                   .texts = std::move(report_.texts)};
        SSI_TRY(core_.agree(core_.erase_all_gone()));
        SSI_TRY(core_.agree(core_.sync_mine()));
        blind_ = 0;
        SSI_TRY(core_.agree(load()));
        SSI_TRY(core_.node_.all_reduce({&blind_, 1}, node::ReduceOp::sum));
        SSI_TRY(core_.agree(look_at_buckets()));
        SSI_TRY(core_.agree(look_at_entries()));
        SSI_TRY(core_.agree(look_at_inodes()));
        SSI_TRY(core_.agree(look_at_pages()));
        report_.repaired += repaired_;
        std::uint64_t sums[] = {repaired_, report_.problems - found};
        SSI_TRY(core_.node_.all_reduce(sums, node::ReduceOp::sum));
        if (sums[0] == 0 || !repair_) break;
    }
    std::uint64_t sums[] = {report_.directories, report_.files, report_.others, report_.entries,
                            report_.problems, report_.repaired};
    SSI_TRY(core_.node_.all_reduce(sums, node::ReduceOp::sum));
    report_.directories = sums[0], report_.files = sums[1], report_.others = sums[2];
    report_.entries = sums[3], report_.problems = sums[4], report_.repaired = sums[5];
    return std::move(report_);
}

Result<void> Check::load() {
    {
        std::lock_guard lock(mutex_);
        buckets_.clear(), entries_.clear(), bucket_at_.clear(), inodes_.clear();
    }
    for (const std::uint32_t volume : core_.own_volumes_) {
        io::ObjectLog* log = core_.volumes_->log(volume, io::KeptIn::metadata);
        // In the order of the log, which it reads ahead; by their numbers each were a read.
        const auto in_order = [log](SetId set) {
            auto objects = log->objects(set);
            std::ranges::sort(objects, {}, &io::ObjectFacts::version);
            return objects;
        };
        for (const io::ObjectFacts& facts : in_order(core_.bucket_number_))
            SSI_TRY(load_bucket(volume, facts.id));
        for (const io::ObjectFacts& facts : in_order(core_.inode_number_))
            SSI_TRY(load_inode(volume, facts.id));
    }
    return {};
}

Result<void> Check::load_bucket(std::uint32_t volume, ObjectId id) {
    auto value = core_.volumes_->log(volume, io::KeptIn::metadata)->get(core_.bucket_number_, id);
    std::lock_guard lock(mutex_);
    BucketState state{InodeId(id.hi), BucketKey::of(id.lo), volume, 0, {}, false};
    if (!value) {
        problem(fmt::format("bucket {} of directory {}: {}", state.key.index, id.hi,
                            value.error().text));
        ++blind_;
        return {};
    }
    if (value->bytes.empty()) return {};
    const BucketView view(value->bytes);
    if (!view.valid()) {
        problem(fmt::format("bucket {} of directory {} is malformed", state.key.index, id.hi));
        ++blind_;
        return {};
    }
    state.depth = view.head().depth;
    state.places = view.places();
    bucket_at_[{id.hi, id.lo}] = buckets_.size();
    view.for_each([&](const EntryView& e) {
        entries_.push_back({buckets_.size(), InodeId(e.head.inode), e.head.hash, e.head.type,
                            std::string(e.name)});
    });
    buckets_.push_back(state);
    return {};
}

Result<void> Check::load_inode(std::uint32_t volume, ObjectId id) {
    auto value = core_.volumes_->log(volume, io::KeptIn::metadata)->get(core_.inode_number_, id);
    std::lock_guard lock(mutex_);
    if (!value) {
        problem(fmt::format("inode {}: {}", id.lo, value.error().text));
        inodes_[id.lo].unreadable = true;
        return {};
    }
    const auto head = inode_head(value->bytes);
    if (!head) return {};
    inodes_[id.lo].head = *head;
    if (head->is_directory()) ++report_.directories;
    else if (S_ISREG(head->mode)) ++report_.files;
    else ++report_.others;
    return {};
}

NodeId Check::asked(const Question& q) const {
    return q.ask == Ask::bucket ? core_.home_of_bucket(q.inode, q.key) : core_.home_of(q.inode);
}

// In the order of the questions.
Result<std::vector<Check::Answer>> Check::ask(const std::vector<Question>& questions) {
    std::vector<Answer> answers(questions.size(), Answer::fine);
    std::map<NodeId, std::vector<std::size_t>> by_node;
    for (std::size_t i = 0; i < questions.size(); ++i) by_node[asked(questions[i])].push_back(i);
    for (const auto& [node, list] : by_node) {
        for (std::size_t begin = 0; begin < list.size(); begin += questions_at_once) {
            const std::size_t end = std::min(list.size(), begin + questions_at_once);
            Writer call;
            for (std::size_t i = begin; i < end; ++i) call.put(questions[list[i]]);
            auto reply = core_.calls_->call(node, static_cast<std::uint8_t>(Core::Verb::check),
                                            call.bytes());
            if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
            Reader reader(*reply);
            for (std::size_t i = begin; i < end; ++i) answers[list[i]] = reader.get<Answer>();
            if (!reader.ok()) return fail(Errc::bad_message, "too few answers of a check");
        }
    }
    return answers;
}

Result<std::vector<std::byte>> Check::answer(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    Writer answers;
    std::lock_guard lock(mutex_);
    while (!reader.at_end()) {
        const auto question = reader.get<Question>();
        if (!reader.ok()) return fail(Errc::bad_message, "half a question of a check");
        answers.put(answer_one(question));
    }
    return answers.take();
}

Check::Answer Check::answer_one(const Question& q) {
    if (q.ask == Ask::bucket) {
        const auto found = bucket_at_.find({q.inode.value, q.key.word()});
        // A bucket 0 that is not there is an empty one of depth 0.
        if (found == bucket_at_.end()) return Answer::absent;
        const BucketState& b = buckets_[found->second];
        return b.depth > q.bit && key_on_way(q.split_off.index, q.bit, b.places) == q.split_off
                   ? Answer::fine : Answer::absent;
    }
    const auto found = inodes_.find(q.inode.value);
    if (found == inodes_.end()) return Answer::absent;
    InodeState& state = found->second;
    if (state.unreadable) return Answer::fine;
    if (q.ask == Ask::directory)
        return state.head.is_directory() ? Answer::fine : Answer::other_type;
    if (q.ask == Ask::pages) return state.head.paged() ? Answer::fine : Answer::no_pages;
    if ((state.head.mode >> 12 & 15) != q.type) return Answer::other_type;
    if (state.head.is_directory() && state.references != 0) return Answer::second;
    ++state.references;
    state.directory = q.directory.value;
    return Answer::fine;
}

Result<void> Check::remove_object(SetId number, std::uint32_t volume, kddm::RawSet& set,
                                  ObjectId id) {
    if (!repair_) return {};
    auto guard = set.grab(id);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    Transaction tx(core_);
    tx.remove(volume, number, *guard);
    SSI_TRY(tx.apply());
    ++repaired_;
    return {};
}

// Each belongs to a directory, and its elder has split it off.
Result<void> Check::look_at_buckets() {
    std::vector<Question> questions;
    for (const BucketState& b : buckets_) {
        questions.push_back({.ask = Ask::directory, .inode = b.directory});
        if (b.key.index != 0)
            questions.push_back(
                {.ask = Ask::bucket,
                 .bit = static_cast<std::uint16_t>(std::bit_width(b.key.index) - 1),
                 .split_off = b.key,
                 .inode = b.directory,
                 .key = elder_of(b.key.index, b.places)});
    }
    auto answers = ask(questions);
    if (!answers) return tl::unexpected<Failure>(std::move(answers).error());
    std::size_t at = 0;
    for (BucketState& b : buckets_) {
        const Answer directory = (*answers)[at++];
        const Answer elder = b.key.index != 0 ? (*answers)[at++] : Answer::fine;
        if (blind_ != 0) continue;   // the elder may be one of those
        if (directory == Answer::fine && elder == Answer::fine) continue;
        b.broken = true;
        problem(fmt::format("bucket {} of directory {}: {}", b.key.index, b.directory.value,
                            directory != Answer::fine ? "there is no such directory"
                                                      : "nothing leads to it"));
        SSI_TRY(remove_object(core_.bucket_number_, b.volume, core_.buckets_,
                              bucket_id(b.directory, b.key)));
    }
    return {};
}

Result<void> Check::look_at_entries() {
    std::vector<Question> questions;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const EntryState& e = entries_[i];
        if (buckets_[e.bucket].broken) continue;
        which.push_back(i);
        questions.push_back({.ask = Ask::reference,
                             .type = e.type,
                             .inode = e.inode,
                             .directory = buckets_[e.bucket].directory});
    }
    report_.entries = which.size();
    auto answers = ask(questions);
    if (!answers) return tl::unexpected<Failure>(std::move(answers).error());
    for (std::size_t i = 0; i < which.size(); ++i) {
        if ((*answers)[i] == Answer::fine) continue;
        const EntryState& e = entries_[which[i]];
        problem(fmt::format("name '{}' in directory {}: inode {} {}", e.name,
                            buckets_[e.bucket].directory.value, e.inode.value,
                            (*answers)[i] == Answer::absent       ? "does not exist"
                            : (*answers)[i] == Answer::other_type ? "is of another type"
                                                                  : "has another name already"));
        SSI_TRY(erase_entry(e));
    }
    return {};
}

Result<void> Check::erase_entry(const EntryState& entry) {
    if (!repair_) return {};
    const BucketState& b = buckets_[entry.bucket];
    auto guard = core_.buckets_.grab(bucket_id(b.directory, b.key));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const BucketView view(guard->bytes());
    const auto found = view.find(entry.name, entry.hash);
    if (!found) return {};
    Transaction tx(core_);
    tx.change(b.volume, core_.bucket_number_, *guard, view.erase(*found, core_.now()));
    SSI_TRY(tx.apply());
    ++repaired_;
    return {};
}

Result<void> Check::look_at_inodes() {
    std::vector<std::uint64_t> all;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [inode, state] : inodes_) all.push_back(inode);
    }
    std::ranges::sort(all);
    for (const std::uint64_t inode : all) {
        const InodeState& state = inodes_.at(inode);
        if (InodeId(inode) == root_inode || state.unreadable) continue;
        const std::uint64_t most_links = state.head.is_directory() ? 1 : UINT64_MAX;
        const std::uint64_t links = std::min(state.head.links, most_links);
        const bool open = state.references == 0 && links == 0 && !recovering_;
        const bool parent = !state.head.is_directory() || state.head.parent == state.directory;
        if (open || (state.references == links && links != 0 && parent)) continue;
        if (blind_ != 0) continue;
        if (state.references == 0) {
            problem(fmt::format("inode {} has no name", inode));
            SSI_TRY(remove_object(core_.inode_number_, core_.volume_of(InodeId(inode)),
                                  core_.inodes_, ObjectId(inode)));
            continue;
        }
        problem(fmt::format("inode {} has {} names and counts {}, or another parent", inode,
                            state.references, links));
        SSI_TRY(mend_inode(InodeId(inode), state));
    }
    return {};
}

Result<void> Check::mend_inode(InodeId inode, const InodeState& state) {
    if (!repair_) return {};
    auto guard = core_.inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return {};
    head->links = state.references;
    if (head->is_directory()) head->parent = state.directory;
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    Transaction tx(core_);
    tx.change_made(core_.volume_of(inode), core_.inode_number_, *guard);
    SSI_TRY(tx.apply());
    ++repaired_;
    return {};
}

Result<void> Check::look_at_pages() {
    const std::vector<InodeId> paged = core_.pages_->inodes_with_pages();
    std::vector<Question> questions;
    for (const InodeId inode : paged) questions.push_back({.ask = Ask::pages, .inode = inode});
    auto answers = ask(questions);
    if (!answers) return tl::unexpected<Failure>(std::move(answers).error());
    for (std::size_t i = 0; i < paged.size(); ++i) {
        if ((*answers)[i] == Answer::fine) continue;
        problem(fmt::format("inode {} has pages, but {}", paged[i].value,
                            (*answers)[i] == Answer::absent ? "is not there" : "uses none"));
        if (!repair_) continue;
        SSI_TRY(core_.pages_->remove_mine(paged[i]));
        ++repaired_;
    }
    return {};
}

}  // namespace ssi::fs
