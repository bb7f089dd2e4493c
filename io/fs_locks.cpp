// SPDX-License-Identifier: BSD-3-Clause
#include "fs_locks.hpp"

#include <algorithm>
#include <set>

namespace ssi::fs {

// Cuts `range` out, and puts `to` there if it is a lock. Neighbours that are alike become one.
void LockMachine::change(Pieces& pieces, const LockRange& range, const FileLock* to) {
    Pieces next;
    next.reserve(pieces.size() + 2);
    for (const Piece& piece : pieces) {
        if (!piece.range.overlaps(range)) {
            next.push_back(piece);
            continue;
        }
        if (piece.range.first < range.first)
            next.push_back({{piece.range.first, range.first - 1}, piece.kind, piece.process});
        if (piece.range.last > range.last)
            next.push_back({{range.last + 1, piece.range.last}, piece.kind, piece.process});
    }
    if (to) next.push_back({range, to->kind, to->process});
    std::ranges::sort(next, {}, [](const Piece& piece) { return piece.range.first; });
    pieces.clear();
    for (const Piece& piece : next) {
        const bool joins = !pieces.empty() && pieces.back().kind == piece.kind &&
                           pieces.back().range.last != LockRange::end &&
                           pieces.back().range.last + 1 == piece.range.first;
        if (joins)
            pieces.back().range.last = piece.range.last;
        else
            pieces.push_back(piece);
    }
}

void LockMachine::give(File& file, const FileLock& wanted) {
    change(file.held[wanted.owner], wanted.range, &wanted);
}

template <class F>
void LockMachine::each_in_the_way(const File& file, const FileLock& wanted, F&& f) {
    for (const auto& [owner, pieces] : file.held) {
        if (owner == wanted.owner) continue;
        for (const Piece& piece : pieces)
            if (piece.range.overlaps(wanted.range) &&
                (piece.kind == LockKind::exclusive || wanted.kind == LockKind::exclusive))
                f(FileLock{owner, piece.kind, piece.range, piece.process});
    }
}

bool LockMachine::is_blocked(const File& file, const FileLock& wanted) {
    bool blocked = false;
    each_in_the_way(file, wanted, [&](const FileLock&) { blocked = true; });
    return blocked;
}

std::optional<FileLock> LockMachine::in_the_way(const LockName& name,
                                                const FileLock& wanted) const {
    std::optional<FileLock> first;
    const auto file = files_.find(name);
    if (file == files_.end()) return first;
    each_in_the_way(file->second, wanted, [&](const FileLock& lock) {
        if (!first || lock.range.first < first->range.first) first = lock;
    });
    return first;
}

// Whether somebody whom `wanted` would wait for waits for its owner, directly or through others.
bool LockMachine::closes_cycle(const File& file, const FileLock& wanted) const {
    std::set<LockOwner> reached;
    std::vector<LockOwner> next;
    const auto reach = [&](const FileLock& lock) {
        if (reached.insert(lock.owner).second) next.push_back(lock.owner);
    };
    each_in_the_way(file, wanted, reach);
    while (!next.empty()) {
        const LockOwner owner = next.back();
        next.pop_back();
        if (owner == wanted.owner) return true;
        for (const auto& [name, other] : files_) {
            if (name.family != LockFamily::range) continue;
            for (const Waiting& waiting : other.waiting)
                if (waiting.wanted.owner == owner && !owner.is_open())
                    each_in_the_way(other, waiting.wanted, reach);
        }
    }
    return false;
}

LockMachine::Outcome LockMachine::lock(const LockName& name, const FileLock& wanted,
                                       std::uint64_t ticket, Grants& grants) {
    File& file = files_[name];
    const bool whole = name.family == LockFamily::whole;
    if (whole) {
        // A conversion: others may come in between, as they may on Linux.
        const auto held = file.held.find(wanted.owner);
        if (held != file.held.end() && held->second.front().kind == wanted.kind)
            return Outcome::granted;
        if (held != file.held.end()) {
            file.held.erase(held);
            advance(name, grants);
            return lock(name, wanted, ticket, grants);
        }
    }
    if (!is_blocked(file, wanted)) {
        give(file, wanted);
        if (!whole) advance(name, grants);   // what was exclusive may be shared now
        return Outcome::granted;
    }
    if (ticket == 0) return Outcome::busy;
    if (!whole && !wanted.owner.is_open() && closes_cycle(file, wanted)) return Outcome::deadlock;
    file.waiting.push_back({wanted, ticket});
    return Outcome::waiting;
}

// Grants what waited and is not blocked any more, until nothing changes: a grant may replace an
// exclusive lock of its owner by a shared one. A file without locks and requests is forgotten.
void LockMachine::advance(const LockName& name, Grants& grants) {
    const auto found = files_.find(name);
    if (found == files_.end()) return;
    File& file = found->second;
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < file.waiting.size() && !changed; ++i) {
            if (is_blocked(file, file.waiting[i].wanted)) continue;
            const Waiting granted = file.waiting[i];
            file.waiting.erase(file.waiting.begin() + static_cast<std::ptrdiff_t>(i));
            give(file, granted.wanted);
            grants.push_back({granted.wanted.owner, granted.ticket});
            changed = true;
        }
    }
    std::erase_if(file.held, [](const auto& one) { return one.second.empty(); });
    if (file.held.empty() && file.waiting.empty()) files_.erase(found);
}

void LockMachine::unlock(const LockName& name, const LockOwner& owner, const LockRange& range,
                         Grants& grants) {
    const auto file = files_.find(name);
    if (file == files_.end()) return;
    const auto held = file->second.held.find(owner);
    if (held == file->second.held.end()) return;
    change(held->second, range, nullptr);
    advance(name, grants);
}

bool LockMachine::waits(const LockName& name, NodeId node, std::uint64_t ticket) const {
    const auto file = files_.find(name);
    return file != files_.end() &&
           std::ranges::any_of(file->second.waiting, [&](const Waiting& waiting) {
               return waiting.wanted.owner.node == node && waiting.ticket == ticket;
           });
}

bool LockMachine::withdraw(const LockName& name, NodeId node, std::uint64_t ticket) {
    const auto file = files_.find(name);
    if (file == files_.end()) return false;
    const bool waited = std::erase_if(file->second.waiting, [&](const Waiting& waiting) {
        return waiting.wanted.owner.node == node && waiting.ticket == ticket;
    }) != 0;
    Grants none;
    advance(name, none);   // nobody waited for a request: it only forgets the file
    return waited;
}

void LockMachine::forget(const LockName& name, const LockOwner& owner, Grants& grants) {
    const auto file = files_.find(name);
    if (file == files_.end()) return;
    file->second.held.erase(owner);
    std::erase_if(file->second.waiting,
                  [&](const Waiting& waiting) { return waiting.wanted.owner == owner; });
    advance(name, grants);
}

void LockMachine::forget(NodeId node, Grants& grants) {
    std::vector<LockName> names;
    for (auto& [name, file] : files_) {
        std::erase_if(file.held, [&](const auto& one) { return one.first.node == node; });
        std::erase_if(file.waiting, [&](const Waiting& waiting) {
            return waiting.wanted.owner.node == node;
        });
        names.push_back(name);
    }
    for (const LockName& name : names) advance(name, grants);
}

std::vector<FileLock> LockMachine::locks(const LockName& name) const {
    std::vector<FileLock> all;
    const auto file = files_.find(name);
    if (file == files_.end()) return all;
    for (const auto& [owner, pieces] : file->second.held)
        for (const Piece& piece : pieces)
            all.push_back({owner, piece.kind, piece.range, piece.process});
    return all;
}

std::vector<NodeId> LockMachine::nodes() const {
    std::set<NodeId> all;
    for (const auto& [name, file] : files_) {
        for (const auto& [owner, pieces] : file.held) all.insert(owner.node);
        for (const Waiting& waiting : file.waiting) all.insert(waiting.wanted.owner.node);
    }
    return {all.begin(), all.end()};
}

}  // namespace ssi::fs
