// SPDX-License-Identifier: BSD-3-Clause
// Kerrighed's own thirteen scenarios on its three sets: what rank 0 pays for an access, by who
// holds the object before it. 4 ranks; with fewer cores they take turns, and times are what that
// gives.
#include <mpi.h>

#include <array>

#include "table.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t objects = 16;   // as many as its benchmark took the mean of

enum class Access : std::uint8_t { get, grab, remove };
// Who made the object before rank 0 comes: nobody, its home, rank 0 itself, or another rank.
enum class Maker : std::uint8_t { nobody, home, here, rank_1, rank_2 };

struct Scenario {
    const char* name;
    Access access;
    Maker maker;
    int readers = 0;           // further ranks with copies: 2, then 3
    bool local_copy = false;   // rank 0 has one too
};
constexpr std::array scenarios{
    Scenario{"get_first_touch", Access::get, Maker::nobody},
    Scenario{"get_from_home", Access::get, Maker::home},
    Scenario{"get_from_third", Access::get, Maker::rank_2},
    Scenario{"grab_first_touch", Access::grab, Maker::nobody},
    Scenario{"grab_local_copy", Access::grab, Maker::home, 0, true},
    Scenario{"grab_remote_copies:1", Access::grab, Maker::rank_1},
    Scenario{"grab_remote_copies:2", Access::grab, Maker::rank_1, 1},
    Scenario{"grab_remote_copies:3", Access::grab, Maker::rank_1, 2},
    Scenario{"grab_local_copy_remote_copies:3", Access::grab, Maker::rank_1, 2, true},
    Scenario{"remove_local_copy", Access::remove, Maker::here},
    Scenario{"remove_remote_copies:1", Access::remove, Maker::rank_1},
    Scenario{"remove_remote_copies:2", Access::remove, Maker::rank_1, 1},
    Scenario{"remove_remote_copies:3", Access::remove, Maker::rank_1, 2},
};

inline void write_value(std::uint32_t& object, std::uint64_t value) {
    object = static_cast<std::uint32_t>(value);
}
inline bool holds(const std::uint32_t& object, std::uint64_t value) {
    return object == static_cast<std::uint32_t>(value);
}

template <class T>
class Bench {
public:
    Bench(Session& session, const std::string& name, int home)
        : session_(session), home_(home),
          set_(session.set<T>(name, {.placement = "node:" + std::to_string(home)})) {}

    // Nanoseconds an object of one pass over fresh objects, on rank 0.
    double pass(const Scenario& scenario) {
        first_ += objects;
        in_turn(maker(scenario.maker), [&](std::uint64_t id) {
            auto object = set_.grab(id);
            write_value(*object, value_of(id, 1));
        });
        for (int reader = 2; reader < 2 + scenario.readers; ++reader) in_turn(reader, read_);
        if (scenario.local_copy) in_turn(0, read_);
        double ns = 0;
        if (session_.rank() == 0) {
            linger();
            ns = timed(objects, nullptr, [&](std::uint64_t i) {
                access(scenario, first_ + i);
            });
        }
        session_.barrier();
        return ns;
    }

private:
    int maker(Maker maker) const {
        switch (maker) {
            case Maker::nobody: return -1;
            case Maker::home: return home_;
            case Maker::here: return 0;
            case Maker::rank_1: return 1;
            case Maker::rank_2: return 2;
        }
        return -1;
    }
    template <class Operation>
    void in_turn(int rank, Operation&& operation) {
        if (session_.rank() == rank)
            for (std::uint64_t i = 0; i < objects; ++i) operation(first_ + i);
        session_.barrier();
    }
    void access(const Scenario& scenario, std::uint64_t id) {
        const bool made = scenario.maker != Maker::nobody;
        const auto check = [&](const T& object) {
            const bool good = made ? holds(object, value_of(id, 1)) : is_zero(object);
            if (!good) wrong_data(scenario.name);
        };
        switch (scenario.access) {
            case Access::get: check(*set_.get(id)); break;
            case Access::grab: check(*set_.grab(id)); break;
            case Access::remove: set_.remove(id); break;
        }
    }
    static bool is_zero(const std::uint32_t& object) { return object == 0; }
    static bool is_zero(const Block& object) {
        return object.words[0] == 0 && object.words[511] == 0;
    }

    Session& session_;
    int home_;
    kddm::Set<T> set_;
    std::uint64_t first_ = 0;
    std::function<void(std::uint64_t)> read_ = [this](std::uint64_t id) {
        if (!holds(*set_.get(id), value_of(id, 1))) wrong_data(set_.raw().name());
    };
};

template <class T>
void rows_of(const Settings& settings, Report& report, Session& session, const std::string& kind,
             int home) {
    Bench<T> bench(session, "scenario." + kind, home);
    for (const Scenario& scenario : scenarios) {
        Row row{.name = std::string("kddm/scenario/") + scenario.name + "/" + kind};
        if (!settings.wants(row.name)) continue;
        bench.pass(scenario);   // unmeasured
        for (int i = 0; i < settings.repetitions(); ++i) {
            row.slices.push_back(bench.pass(scenario));
            row.iterations += objects;
        }
        report.add(std::move(row));
    }
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 4) throw std::runtime_error("needs 4 ranks");
        ssi::Session session = open_session();
        rows_of<std::uint32_t>(settings, report, session, "local_4B", 0);
        rows_of<std::uint32_t>(settings, report, session, "remote_4B", 1);
        rows_of<Block>(settings, report, session, "remote_4KiB", 1);
        ssi::value_or_throw(session.close());
    });
}
