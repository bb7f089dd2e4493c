// SPDX-License-Identifier: BSD-3-Clause
// One round of the comparison: operations of a seed, one at a time in their order, each issued by
// the rank and thread that the seed names, on the system under test and on the reference.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs_operations.hpp"
#include "fs_reference.hpp"
#include "ssi/kddm/session.hpp"

namespace ssi::test {

// A file system as this rank reaches it.
using Reach = std::function<void(const std::function<void(FileApi&)>&)>;

struct Plan {
    std::uint64_t seed = 0;
    Shape shape;
    std::vector<std::uint64_t> numbers;   // of the operations, ascending
    // Deliberate faults of the reference, at an operation: its answer is another, or it is not
    // carried out there although it says so.
    std::uint64_t lie_at = UINT64_MAX, lose_at = UINT64_MAX;
};

struct Found {
    std::uint64_t number = UINT64_MAX;    // of the operation whose answers differ
    std::string text;
    bool any() const { return number != UINT64_MAX; }
};

// One per rank; `run`, `run_apart` and `walks` are collective. Who has the baton acts: it goes from
// issuer to issuer through channels of the session, once for each run of operations of the same
// issuer, and whoever finds a difference passes the end on to all who wait.
class Rounds {
public:
    Rounds(Session& session, Reach system, LocalDirectory& reference, std::uint32_t threads);
    ~Rounds();

    // Makes the top of the round on both sides, runs it and compares the trees; the same on every
    // rank. The trees stay.
    Found run(const Plan& plan);
    // All issuers at once, without a baton, each with a sequence of its own below a directory of
    // its own: what they see must not depend on the others.
    Found run_apart(const Plan& plan);
    // What issuer `issuer` does there.
    static Plan part_of(const Plan& plan, std::uint32_t issuer);
    // Every rank compares what lies below `path`.
    Found walks(const std::string& path, std::uint64_t number);
    void remove(const std::string& path);
    // Successes and failures of each kind of operation on this rank.
    using Coverage = std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>;
    const Coverage& coverage() const { return actor_.coverage; }

private:
    struct Baton {
        std::uint64_t group = 0;
        bool stop = false;
    };
    struct Group {
        std::uint32_t issuer = 0;
        std::vector<std::uint64_t> numbers;
    };
    std::uint32_t issuers() const {
        return static_cast<std::uint32_t>(session_.size()) * threads_;
    }
    std::vector<Group> groups_of(const Plan& plan) const;
    // What one thread, or those that take turns, have open; and what they have found.
    struct Actor {
        Side system, reference;
        Found found;
        Coverage coverage;
    };
    void play(const Plan& plan, const std::vector<Group>& groups, std::uint32_t issuer);
    bool same(const Plan& plan, std::uint64_t number, Actor& actor, std::uint32_t thread);
    void everybody(const std::function<void(std::uint32_t issuer, std::uint32_t thread)>& body);
    void both(const std::function<void(FileApi&)>& body);
    Channel<Baton> baton(std::uint32_t issuer) {
        return session_.channel<Baton>("baton " + std::to_string(issuer));
    }
    Found together(Found mine);   // the first of all ranks

    Session& session_;
    Reach system_;
    LocalDirectory& reference_;
    const std::uint32_t threads_;
    Actor actor_;

    // What is under way, for whoever looks when it takes too long.
    struct Watched;
    std::unique_ptr<Watched> watched_;
};

}  // namespace ssi::test
