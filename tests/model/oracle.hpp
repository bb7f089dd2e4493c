// SPDX-License-Identifier: BSD-3-Clause
// Oracle: what the guards of the whole world promise, judged the moment it happens. While somebody
// holds a grab nobody else holds anything; whoever acquires finds the value of the last release;
// equal versions mean equal bytes; a shipped function runs once; nobody waits while everybody who
// came later is served.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "verdict.hpp"

namespace ssi::model {

class Oracle {
public:
    Oracle(Verdict& verdict, std::uint32_t objects);

    // How many that came later may be served first before a waiter counts as starved.
    void set_patience(std::uint64_t patience) { patience_ = patience; }

    // An operation waits for the object from here until acquired() or gave_up().
    void called(std::uint32_t object, std::uint32_t op);
    void gave_up(std::uint32_t object, std::uint32_t op);

    struct Seen {
        std::uint64_t value = 0;
        std::uint64_t version = 0;
        bool fresh = false;    // grab_new: the value is of no account
        bool free = false;     // churn: only the histories judge values
    };
    void acquired(std::uint32_t object, std::uint32_t op, std::uint32_t node, bool write,
                  const Seen& seen);
    // A one-sided read has returned this. `floor`: newest_version() when it was called.
    void read(std::uint32_t object, std::uint32_t op, std::uint64_t floor, const Seen& seen);
    // The newest version of the object that anybody was shown.
    std::uint64_t newest_version(std::uint32_t object) const { return objects_[object].newest; }
    // Just before the guard is let go.
    void released(std::uint32_t object, std::uint32_t op);
    void released(std::uint32_t object, std::uint32_t op, std::uint64_t new_value);

    // A shipped function runs, on the object as `value` showed it, and leaves `new_value`.
    void executed(std::uint32_t object, std::uint32_t op, bool in_place, std::uint64_t value,
                  std::uint64_t new_value);
    bool was_executed(std::uint32_t op) const;

    // The release hook of a node runs: no task there grabs the object, and the value is the newest.
    void release_hook(std::uint32_t object, std::uint32_t node, std::uint64_t value);

    // A grab_new failed because a node died: it may still turn the object new-born, at any time.
    void may_be_renewed(std::uint32_t object) { objects_[object].may_be_renewed = true; }

    // The node's guards are gone; what it was writing is lost or not.
    void node_died(std::uint32_t node);

    std::uint64_t value_of(std::uint32_t object) const { return objects_[object].value; }
    std::uint64_t most_passed() const { return most_passed_; }

private:
    struct Holder {
        std::uint32_t op;
        std::uint32_t node;
        bool write;
    };
    struct Waiting {
        std::uint32_t op;
        std::uint64_t passed;
    };
    struct Object {
        std::uint64_t value = 0;
        std::uint64_t version = 0;
        std::uint64_t version_value = 0;
        std::uint64_t newest = 0;                        // version that anybody was shown
        std::map<std::uint64_t, std::uint64_t> values;   // by version, as somebody was shown them
        bool certain = true;            // false after a node died while it wrote
        bool may_be_renewed = false;
        std::vector<Holder> holders;
        std::vector<Waiting> waiting;   // in order of their calls
    };
    void stop_waiting(Object& object, std::uint32_t number, std::uint32_t op, bool served);
    void check_value(Object& object, std::uint32_t number, std::uint32_t op, std::uint64_t value);
    void check_version(Object& object, std::uint32_t number, std::uint32_t op, const Seen& seen);
    void check_pair(Object& object, std::uint32_t number, std::uint32_t op, const Seen& seen);

    Verdict& verdict_;
    std::uint64_t patience_ = UINT64_MAX;
    std::uint64_t most_passed_ = 0;
    std::vector<Object> objects_;
    std::vector<bool> executed_;   // by operation
};

}  // namespace ssi::model
