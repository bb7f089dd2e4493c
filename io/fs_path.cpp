// SPDX-License-Identifier: BSD-3-Clause
// Paths to inodes, as POSIX and Linux resolve them. Source: path_resolution(7).
#include <unistd.h>

#include <bit>
#include <cerrno>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

constexpr int most_links = 40;

// One name after the other of a path, with symbolic links put in front of what is left.
class Components {
public:
    explicit Components(std::string_view path) : text_(path) {}
    bool absolute() const { return text_.starts_with('/'); }
    // Empty at the end. `last`: none follows; `slash`: but a slash does.
    std::string_view next() {
        while (at_ < text_.size() && text_[at_] == '/') ++at_;
        const std::size_t begin = at_;
        while (at_ < text_.size() && text_[at_] != '/') ++at_;
        const std::size_t end = at_;
        std::size_t after = at_;
        while (after < text_.size() && text_[after] == '/') ++after;
        last = after == text_.size();
        slash = after > end;
        return text_.substr(begin, end - begin);
    }
    void put_in_front(std::string_view target) {
        std::string text(target);
        text.append(text_.substr(at_));
        own_ = std::move(text);
        text_ = own_;
        at_ = 0;
    }
    bool last = false, slash = false;

private:
    std::string_view text_;          // the caller's, or `own_`
    std::string own_;
    std::size_t at_ = 0;
};

}  // namespace

// Either to the end, or to the last name's directory.
struct Walk {
    Core& core;
    const Credentials& who;
    bool follow = true;
    bool to_parent = false;
    bool through = false;
    VolumeList* volumes = nullptr;

    Place place{root_inode, S_IFDIR >> 12};   // where it has come to
    std::string name{};
    LastName last = LastName::root;
    bool slash = false;

    Result<void> go(std::string_view path) {
        SSI_TRY(Core::check_path(path));
        Components rest(path);
        int links = 0;
        for (;;) {
            const std::string_view next = rest.next();
            if (next.empty()) return {};
            if (who.uid != 0) SSI_TRY(core.require(place.inode, who, X_OK));
            slash = rest.slash;
            if (next == "." || next == "..") {
                SSI_TRY(step_dots(next));
                continue;
            }
            last = LastName::plain;
            if (to_parent && rest.last && (!through || rest.slash)) {
                name = next;
                return {};
            }
            auto found = core.find(place.inode, next, volumes);
            if (to_parent && rest.last && (found ? !found->is_symlink() : is_absent(found))) {
                name = next;
                return {};
            }
            if (!found) return tl::unexpected<Failure>(std::move(found).error());
            if (found->is_symlink() && (!rest.last || follow || rest.slash)) {
                if (++links > most_links) return refuse(ELOOP, path);
                auto target = core.read_link(found->inode);
                if (!target) return tl::unexpected<Failure>(std::move(target).error());
                if (target->starts_with('/')) place = {root_inode, S_IFDIR >> 12};
                rest.put_in_front(*target);
                continue;
            }
            if (!found->is_directory() && (!rest.last || rest.slash)) return refuse(ENOTDIR, path);
            place = *found;
            if (rest.last) return {};
        }
    }

private:
    static bool is_absent(const Result<Place>& found) {
        return found.error().sys_errno == ENOENT;
    }
    Result<void> step_dots(std::string_view next) {
        last = next == "." ? LastName::dot : LastName::dot_dot;
        if (next == ".") return {};
        auto head = core.head_of(place.inode);
        if (!head) return tl::unexpected<Failure>(std::move(head).error());
        place = {InodeId(head->parent), S_IFDIR >> 12};
        return {};
    }
};

Result<void> Core::check_path(std::string_view path) {
    if (path.empty()) return refuse(ENOENT, "an empty path");
    if (path.size() >= most_path_bytes)
        return refuse(ENAMETOOLONG, "a path of more than 4095 bytes");
    if (path.find('\0') != std::string_view::npos)
        return refuse(EINVAL, "a path with a zero byte");
    return {};
}

Result<Place> Core::resolve(const Credentials& who, std::string_view path, bool follow,
                            VolumeList* volumes) {
    Walk walk{.core = *this, .who = who, .follow = follow, .volumes = volumes};
    SSI_TRY(walk.go(path));
    if (volumes) volumes->add(volume_of(walk.place.inode));
    return walk.place;
}

Result<Parent> Core::resolve_parent(const Credentials& who, std::string_view path, bool through) {
    Parent parent;
    Walk walk{.core = *this,
              .who = who,
              .to_parent = true,
              .through = through,
              .volumes = &parent.volumes};
    SSI_TRY(walk.go(path));
    parent.directory = walk.place.inode;
    parent.name = std::move(walk.name);
    parent.last = parent.name.empty() ? walk.last : LastName::plain;
    parent.slash = walk.slash;
    parent.volumes.add(volume_of(parent.directory));
    return parent;
}

// The directory itself and its first bucket, the bucket, and those that it was split off from:
// they lead to it.
void Core::add_way(VolumeList& volumes, InodeId directory, BucketKey key,
                   const BucketPlaces& places) const {
    volumes.add(volume_of(directory));
    for (std::uint32_t left = key.index; left != 0; left &= left - 1)
        volumes.add(volume_of_bucket(
            directory,
            key_on_way(key.index, static_cast<unsigned>(std::countr_zero(left)), places)));
}

Result<Place> Core::find(InodeId directory, std::string_view name, VolumeList* volumes) {
    if (name.size() > most_name_bytes) return refuse(ENAMETOOLONG, name);
    const std::uint64_t hash = name_hash(name);
    auto bucket = bucket_for(directory, hash, kddm::Access::read);
    if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
    const BucketView view(bucket->guard.bytes());
    if (volumes) add_way(*volumes, directory, bucket->key, view.places());
    const auto entry = view.find(name, hash);
    if (!entry) return refuse(ENOENT, name);
    return Place{InodeId(entry->head.inode), entry->head.type};
}

// Nothing has the name yet.
Result<void> Core::require_absent(const Parent& at) {
    auto found = find(at.directory, at.name);
    if (found) return refuse(EEXIST, at.name);
    if (found.error().sys_errno == ENOENT) return {};
    return tl::unexpected<Failure>(std::move(found).error());
}

Result<std::string> Core::read_link(InodeId inode) {
    auto guard = inodes_.get(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the symbolic link was removed");
    if (!S_ISLNK(head->mode)) return refuse(EINVAL, "no symbolic link");
    const auto target = inline_of(guard->bytes(), *head);
    return std::string(reinterpret_cast<const char*>(target.data()), target.size());
}

Result<InodeHead> Core::head_of(InodeId inode) {
    auto guard = inodes_.get(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the inode was removed");
    return *head;
}

// A directory that was removed is there until the last close, but gets no more names.
Result<void> Core::require_alive(InodeId directory) {
    auto head = head_of(directory);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (head->links == 0) return refuse(ENOENT, "the directory was removed");
    return {};
}

Result<void> Core::require(InodeId inode, const Credentials& who, int wanted) {
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (!may(*head, who, wanted)) return refuse(EACCES, "permissions deny it");
    return {};
}

}  // namespace ssi::fs
