// SPDX-License-Identifier: BSD-3-Clause
#include "fs_copy_plan.hpp"

#include <cerrno>
#include <map>

namespace ssi::cli {
namespace {

class Writer {
public:
    void number(std::uint64_t value) {
        for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<std::byte>(value >> 8 * i));
    }
    void text(const std::string& text) {
        number(text.size());
        for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

// What rank 0 of the same program wrote.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8; ++i)
            value |= static_cast<std::uint64_t>(bytes_[at_++]) << 8 * i;
        return value;
    }
    std::string text() {
        const auto length = static_cast<std::size_t>(number());
        std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
        at_ += length;
        return text;
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
};

void write(Writer& out, const std::vector<CopyItem>& items) {
    out.number(items.size());
    for (const CopyItem& item : items) {
        out.number(std::uint64_t{item.from_kdfs} | std::uint64_t{item.is_directory} << 1);
        out.text(item.from);
        out.text(item.to);
        for (const std::uint64_t value :
             {std::uint64_t{item.mode}, std::uint64_t{item.uid}, std::uint64_t{item.gid},
              item.size, static_cast<std::uint64_t>(item.access_ns),
              static_cast<std::uint64_t>(item.modify_ns)})
            out.number(value);
    }
}

std::vector<CopyItem> read(Reader& in) {
    std::vector<CopyItem> items(in.number());
    for (CopyItem& item : items) {
        const std::uint64_t bits = in.number();
        item.from_kdfs = bits & 1;
        item.is_directory = bits & 2;
        item.from = in.text();
        item.to = in.text();
        item.mode = static_cast<std::uint32_t>(in.number());
        item.uid = static_cast<std::uint32_t>(in.number());
        item.gid = static_cast<std::uint32_t>(in.number());
        item.size = in.number();
        item.access_ns = static_cast<std::int64_t>(in.number());
        item.modify_ns = static_cast<std::int64_t>(in.number());
    }
    return items;
}

class Planner {
public:
    Planner(FsRun& run, Tree& kdfs, Tree& local) : run_(run), kdfs_(kdfs), local_(local) {}

    CopyPlan make() {
        std::vector<std::string> operands = run_.options().operands;
        const CopyPath to = CopyPath::parse(operands.back());
        operands.pop_back();
        to_ = &tree(to);
        plan_.to_kdfs = to.in_kdfs;
        const auto target = to_->stat(to.path, true);
        if (!target && target.error().sys_errno != ENOENT) return fault(target.error());
        const bool is_directory = target && target->is_directory();
        const bool slash = to.path.ends_with('/');
        if ((operands.size() > 1 || slash) && !is_directory) {
            if (target)
                return fault({Errc::io, ENOTDIR, no_node, to.shown() + ": is no directory"});
            if (!run_.good(to_->make_directory(to.path, 0755))) return std::move(plan_);
        }
        plan_.root = is_directory || slash || operands.size() > 1 ? to.path : parent(to.path);
        bool any_local = !to.in_kdfs;
        for (const std::string& operand : operands) {
            const CopyPath from = CopyPath::parse(operand);
            if (!from.in_kdfs) any_local = true;
            one(from, to, slash || operands.size() > 1, is_directory);
        }
        if (any_local) testify(to, CopyPath::parse(operands.front()));
        return std::move(plan_);
    }

private:
    struct Identity {
        bool in_kdfs = false;
        std::uint64_t device = 0, inode = 0;
        auto operator<=>(const Identity&) const = default;
    };
    CopyPlan fault(const Failure& failure) {
        run_.fault(failure);
        return std::move(plan_);
    }
    Tree& tree(const CopyPath& of) { return of.in_kdfs ? kdfs_ : local_; }
    static std::string parent(const std::string& path) {
        const auto at = path.find_last_of('/', path.find_last_not_of('/'));
        return at == std::string::npos ? "." : at == 0 ? "/" : path.substr(0, at);
    }

    // A directory is copied as TO itself, so that the same command again goes on where it was; a
    // file goes into a directory.
    void one(const CopyPath& from, const CopyPath& to, bool into, bool to_is_directory) {
        from_ = &tree(from);
        from_kdfs_ = from.in_kdfs;
        const auto of = from_->stat(from.path, true);
        if (!run_.good(of)) return;
        if (of->is_directory() && !run_.options().recursive)
            return run_.fault({Errc::io, EISDIR, no_node,
                               from.shown() + ": is a directory; -r copies it"});
        if (!of->is_directory() && to_is_directory) into = true;
        const std::string target = into ? join(to.path, last_name(from.path)) : to.path;
        if (from.in_kdfs == to.in_kdfs && below(from.path, target))
            return run_.fault({Errc::invalid_argument, EINVAL, no_node,
                               from.shown() + ": cannot be copied into itself"});
        add(from.path, target, *of);
    }
    static bool below(const std::string& above, const std::string& path) {
        std::string bare = above;
        while (bare.size() > 1 && bare.ends_with('/')) bare.pop_back();
        return path == bare || path.starts_with(bare == "/" ? bare : bare + "/");
    }

    // `may_be_there`: of the copy's name. In a directory that was made just now nothing is.
    void add(const std::string& from, const std::string& to, const fs::Attributes& of,
             bool may_be_there = true) {
        CopyItem item{from_kdfs_, of.is_directory(), from,    to,           of.mode & 07777u,
                      of.uid,     of.gid,            of.size, of.access_ns, of.modify_ns};
        if (of.is_directory()) {
            const auto made = to_->make_directory(to, 0755);
            if (!made && made.error().sys_errno != EEXIST) return run_.fault(made.error());
            if (const auto there = to_->stat(to, true); there && !there->is_directory())
                return run_.fault({Errc::exists, EEXIST, no_node,
                                   readable(to) + ": is there and no directory"});
            const bool there_before = !made.has_value();
            plan_.directories.push_back(std::move(item));
            const auto entries = from_->list(from);
            if (!run_.good(entries)) return;
            for (const auto& entry : *entries) {
                const std::string inner = join(from, entry.name);
                const auto found = from_->stat(inner, false);
                if (run_.good(found)) add(inner, join(to, entry.name), *found, there_before);
            }
        } else if (of.is_symlink()) {
            symlink(item);
        } else if (of.is_file()) {
            file(std::move(item), of, may_be_there);
        } else {
            run_.fault({Errc::unsupported, 0, no_node,
                        readable(from) + ": is neither file, directory nor symbolic link"});
        }
    }

    void symlink(const CopyItem& item) {
        const auto target = from_->read_link(item.from);
        if (!run_.good(target)) return;
        const auto there = to_->read_link(item.to);
        if (there && *there != *target && !run_.good(to_->unlink(item.to))) return;
        if (!(there && *there == *target) && !run_.good(to_->symlink(*target, item.to))) return;
        ++plan_.symlinks;
        if (!run_.options().preserve) return;
        fs::AttributeChange change = attributes_of(item);
        change.mode.reset();   // a symbolic link has none
        run_.good(to_->set_attributes(item.to, change, false));
    }

    // What is one file under several names becomes one again.
    void file(CopyItem item, const fs::Attributes& of, bool may_be_there) {
        Identity source{from_kdfs_, 0, of.inode};
        if (of.links > 1) {
            const auto device = from_->device_of(item.from);
            if (!run_.good(device)) return;
            source.device = *device;
            const auto [known, fresh] = first_names_.emplace(source, item.to);
            if (!fresh) return plan_.links.push_back({known->second, item.to});
        }
        if (may_be_there && !come_apart(source, item.to)) return;
        plan_.files.push_back(std::move(item));
    }

    // Names of one file that are to become copies of several: all but the first let go of it, or
    // what is written by one would show under the others.
    bool come_apart(const Identity& source, const std::string& to) {
        const auto there = to_->stat(to, false);
        if (!there || !there->is_file() || there->links < 2) return true;
        const auto [owner, fresh] = owners_.emplace(there->inode, source);
        return fresh || owner->second == source || run_.good(to_->unlink(to));
    }

    void testify(const CopyPath& to, const CopyPath& from) {
        plan_.witness = to.in_kdfs ? from.path : plan_.root;
        if (const auto of = local_.stat(plan_.witness, true)) plan_.witness_inode = of->inode;
    }

    FsRun& run_;
    Tree &kdfs_, &local_;
    Tree *from_ = nullptr, *to_ = nullptr;
    bool from_kdfs_ = false;
    std::map<Identity, std::string> first_names_;    // of sources with several names: copies'
    std::map<std::uint64_t, Identity> owners_;       // of copies with several names, by inode
    CopyPlan plan_;
};

}  // namespace

fs::AttributeChange attributes_of(const CopyItem& item) {
    fs::AttributeChange change;
    change.mode = item.mode;
    change.uid = item.uid;
    change.gid = item.gid;
    change.access_ns = item.access_ns;
    change.modify_ns = item.modify_ns;
    return change;
}

CopyPath CopyPath::parse(const std::string& operand) {
    if (!operand.starts_with("fs:")) return {false, operand};
    return {true, operand.substr(3)};
}

std::vector<std::byte> CopyPlan::encode() const {
    Writer out;
    write(out, files);
    write(out, directories);
    out.number(symlinks);
    out.number(to_kdfs);
    out.text(root);
    out.text(witness);
    out.number(witness_inode);
    return out.take();
}

CopyPlan CopyPlan::decode(std::span<const std::byte> bytes) {
    Reader in(bytes);
    CopyPlan plan;
    plan.files = read(in);
    plan.directories = read(in);
    plan.symlinks = in.number();
    plan.to_kdfs = in.number() != 0;
    plan.root = in.text();
    plan.witness = in.text();
    plan.witness_inode = in.number();
    return plan;
}

CopyPlan make_plan(FsRun& run, Tree& kdfs, Tree& local) {
    return Planner(run, kdfs, local).make();
}

}  // namespace ssi::cli
