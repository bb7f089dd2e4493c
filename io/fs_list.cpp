// SPDX-License-Identifier: BSD-3-Clause
// Listing a directory: in the order of cookies, which splits do not change; so whatever is there
// all the while comes exactly once. Buckets that are neither at home nor cached here are listed by
// their home, many with one call, with the attributes of the inodes that lie with them; while one
// answer is taken apart the next is under way. The first bucket is cached instead: it is all of a
// small directory, which may be listed again.
#include <algorithm>
#include <utility>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

constexpr std::size_t most_answer_bytes = 128 << 10;

struct ListArguments {
    InodeId directory;
    BucketKey key;               // a guess
    std::uint64_t from = 0;      // cookie
    std::uint64_t most = 0;
    bool attributes = false;
};

// `from` is where to go on; then `count` entries: head, InodeHead if that is known, name.
struct ListReply {
    bool absent = false;         // as in NameReply
    bool moved = false;
    BucketKey key;
    std::uint16_t depth = 0;
    BucketPlaces places{};
    std::uint64_t from = 0;
    std::uint64_t count = 0;
};

// `unknown`: not asked for, or to be asked for by whoever lists.
enum class Known : std::uint8_t { unknown, known, gone };

struct Listed {
    std::uint64_t cookie = 0;
    std::uint64_t inode = 0;
    std::uint8_t type = 0;       // S_IFMT >> 12
    Known known = Known::unknown;
    bool is_directory() const { return type == S_IFDIR >> 12; }
};
struct ListedName : Listed {
    std::string name;
};

bool goes_on(std::uint64_t from) { return from != 0 && from < std::uint64_t{1} << 63; }

// Entries of the bucket from there on, in order, until there are `most`. Names of one cookie stay
// together, or the next call would miss some.
void append(const BucketView& view, std::uint64_t from, std::size_t most,
            std::vector<ListedName>& to) {
    const std::size_t first = to.size();
    view.for_each([&](const EntryView& e) {
        const std::uint64_t at = cookie_of(e.head.hash);
        if (at >= from) to.push_back({{at, e.head.inode, e.head.type}, std::string(e.name)});
    });
    const auto added = to.begin() + static_cast<std::ptrdiff_t>(first);
    std::sort(added, to.end(), [](const ListedName& a, const ListedName& b) {
        return a.cookie < b.cookie;
    });
    std::size_t end = std::min(std::max(most, first), to.size());
    while (end > 0 && end < to.size() && to[end].cookie == to[end - 1].cookie) ++end;
    to.resize(end);
}

}  // namespace

// Null: removed meanwhile.
Result<std::vector<std::optional<InodeHead>>> Core::read_heads(std::span<const ObjectId> inodes) {
    std::vector<std::optional<InodeHead>> out(inodes.size());
    std::vector<InodeHead> heads(inodes.size());
    auto all = inodes_.read_many(inodes, 0, sizeof(InodeHead),
                                 std::as_writable_bytes(std::span(heads)));
    if (all) {
        std::ranges::copy(heads, out.begin());
        return out;
    }
    if (all.error().code != Errc::invalid_argument)
        return tl::unexpected<Failure>(std::move(all).error());
    auto one_by_one = inodes_.read_many(inodes);   // one of them is no more
    if (!one_by_one) return tl::unexpected<Failure>(std::move(one_by_one).error());
    for (std::size_t i = 0; i < inodes.size(); ++i) out[i] = inode_head((*one_by_one)[i].bytes);
    return out;
}

// One call of list.
class Core::Listing {
public:
    Listing(Core& core, InodeId directory, std::uint64_t cookie, std::size_t most, bool attributes)
        : core_(core), directory_(directory), most_(most), attributes_(attributes),
          from_(cookie + 1) {}

    Result<std::vector<DirectoryEntry>> run() {
        while (goes_on(from_) && entries_.size() < most_) {
            const BucketKey key = key_ ? *key_ : core_.guess(directory_, hash_at(from_));
            SSI_TRY(misses_ < most_depth && by_call(key) ? take_called(key) : take_here());
        }
        if (attributes_) SSI_TRY(add_missing());
        return std::move(entries_);
    }

private:
    struct Ahead {
        BucketKey key;
        std::uint64_t from;
        io::Calls::Begun call;
    };

    bool by_call(BucketKey key) const {
        return key.index != 0 && core_.home_of_bucket(directory_, key) != core_.node_.id() &&
               core_.buckets_.find(bucket_id(directory_, key)) == kddm::Access::none;
    }

    Result<void> take_here() {
        auto bucket = core_.bucket_for(directory_, hash_at(from_), kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        const BucketView view(bucket->guard.bytes());
        std::vector<ListedName> here;
        append(view, from_, most_ - entries_.size(), here);
        from_ = view.end_cookie(bucket->key);
        key_.reset();
        misses_ = 0;
        for (ListedName& one : here) add(one, std::move(one.name));
        return {};
    }

    Result<void> take_called(BucketKey key) {
        if (!ahead_ || ahead_->key != key || ahead_->from != from_) begin(key, from_);
        auto answer = std::exchange(ahead_, std::nullopt)->call.answer();
        if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
        Reader reader(*answer);
        const auto reply = reader.get<ListReply>();
        if (reply.absent || reply.moved) {
            ++misses_;
            key_ = reply.absent ? core_.guess_elder(directory_, key) : reply.key;
            return {};
        }
        core_.learn(directory_, reply.depth, reply.places);
        key_.reset();
        misses_ = 0;
        if (goes_on(reply.from) && entries_.size() + reply.count < most_) {
            const BucketKey next = core_.guess(directory_, hash_at(reply.from));
            if (by_call(next)) begin(next, reply.from, reply.count);
        }
        from_ = reply.from;
        entries_.reserve(entries_.size() + std::min<std::uint64_t>(reply.count, answer->size()));
        for (std::uint64_t i = 0; i < reply.count && reader.ok(); ++i) {
            const auto listed = reader.get<Listed>();
            const auto head = listed.known == Known::known ? reader.get<InodeHead>() : InodeHead();
            add(listed, std::string(reader.text()), &head);
        }
        if (reader.ok()) return {};
        return fail(Errc::bad_message, "a malformed listing of a directory");
    }

    // `coming`: what is added before this is.
    void begin(BucketKey key, std::uint64_t from, std::uint64_t coming = 0) {
        const ListArguments a{directory_, key, from, most_ - entries_.size() - coming, attributes_};
        ahead_.emplace(Ahead{key, from,
                             core_.calls_->begin(core_.home_of_bucket(directory_, key),
                                                 static_cast<std::uint8_t>(Verb::list),
                                                 std::as_bytes(std::span(&a, 1)))});
    }

    void add(const Listed& listed, std::string name, const InodeHead* head = nullptr) {
        DirectoryEntry& entry = entries_.emplace_back();
        entry.name = std::move(name);
        entry.inode = listed.inode;
        entry.type = std::uint32_t{listed.type} << 12;
        entry.cookie = listed.cookie;
        if (listed.known == Known::known)
            entry.attributes = attributes_of(InodeId(listed.inode), *head);
        else if (listed.known == Known::unknown && attributes_)
            missing_.push_back(entries_.size() - 1);
    }

    Result<void> add_missing() {
        std::vector<ObjectId> ids;
        ids.reserve(missing_.size());
        for (const std::size_t i : missing_) ids.emplace_back(entries_[i].inode);
        auto heads = core_.read_heads(ids);
        if (!heads) return tl::unexpected<Failure>(std::move(heads).error());
        for (std::size_t i = 0; i < missing_.size(); ++i) {
            DirectoryEntry& entry = entries_[missing_[i]];
            const auto& head = (*heads)[i];
            if (!head) continue;
            if (!head->is_directory()) {
                entry.attributes = attributes_of(InodeId(entry.inode), *head);
            } else if (auto found = core_.stat(InodeId(entry.inode))) {
                entry.attributes = *found;
            }
        }
        return {};
    }

    Core& core_;
    const InodeId directory_;
    const std::size_t most_;
    const bool attributes_;
    std::uint64_t from_;
    std::optional<BucketKey> key_;         // where to look, when it is not what is guessed
    unsigned misses_ = 0;                  // since something was found
    std::vector<DirectoryEntry> entries_;
    std::vector<std::size_t> missing_;     // entries without attributes
    std::optional<Ahead> ahead_;
};

Result<std::vector<DirectoryEntry>> Core::list(InodeId directory, std::uint64_t cookie,
                                               std::size_t most, bool attributes) {
    return Listing(*this, directory, cookie, most, attributes).run();
}

// From the bucket on, as long as the next is at home here, too.
Result<Core::Bytes> Core::serve_list(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto a = reader.get<ListArguments>();
    if (!reader.ok() || home_of_bucket(a.directory, a.key) != node_.id())
        return fail(Errc::bad_message, "a malformed request for a listing");
    ListReply reply;
    reply.from = a.from;
    std::vector<ListedName> found;
    found.reserve(std::min<std::uint64_t>(a.most, most_answer_bytes / 128));
    std::size_t bytes = sizeof reply;
    BucketKey key = a.key;
    bool first = true;
    do {
        auto guard = buckets_.get(bucket_id(a.directory, key));
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        const BucketView view(guard->bytes());
        const bool absent = !view.exists() && key.index != 0;
        if (absent || !view.covers(hash_at(reply.from), key)) {
            if (!first) break;
            reply.absent = absent;
            reply.moved = !absent;
            if (!absent) reply.key = view.next_key(hash_at(reply.from), key);
            return Writer().put(reply).take();
        }
        learn(a.directory, view.head().depth, view.places());
        reply.depth = view.head().depth;
        reply.places = view.places();
        append(view, reply.from, a.most, found);
        bytes += view.head().used + view.head().entries * sizeof(InodeHead);
        reply.from = view.end_cookie(key);
        if (!goes_on(reply.from)) break;
        first = false;
        key = guess(a.directory, hash_at(reply.from));
    } while (bytes < most_answer_bytes && found.size() < a.most &&
             home_of_bucket(a.directory, key) == node_.id());

    std::vector<ObjectId> ids;
    if (a.attributes)
        for (ListedName& one : found)
            if (!one.is_directory() && home_of(InodeId(one.inode)) == node_.id()) {
                one.known = Known::known;
                ids.emplace_back(one.inode);
            }
    auto heads = read_heads(ids);
    if (!heads) return tl::unexpected<Failure>(std::move(heads).error());
    auto head = heads->begin();
    reply.count = found.size();
    Writer out;
    out.reserve(bytes + sizeof(Listed) * found.size());
    out.put(reply);
    for (ListedName& one : found) {
        const std::optional<InodeHead>* its = one.known == Known::known ? &*head++ : nullptr;
        if (its && !*its) one.known = Known::gone;
        out.put<Listed>(one);
        if (one.known == Known::known) out.put(**its);
        out.text(one.name);
    }
    return out.take();
}

}  // namespace ssi::fs
