// SPDX-License-Identifier: BSD-3-Clause
// The verbs between two nodes beside a raw UCX ping-pong: rank 0 works on objects whose home is
// rank 1, which waits in a session barrier. 2 ranks.
#include <mpi.h>

#include <cstring>
#include <memory>
#include <utility>

#include "table.hpp"
#include "ucx_floor.hpp"

namespace ssi::bench {
namespace {

// One pass over a table: what the ranks do before, during and after the timed loop.
struct Verb {
    std::string name;
    std::function<void(std::uint64_t count)> prepare;  // both ranks; untimed, as is check
    std::function<void(std::uint64_t i)> operation;    // rank 0, timed
    std::function<void(std::uint64_t count)> check;    // both ranks
};

// What the rows of a start are called after, as run.py gives it: the network, or how one-sided
// reads come by their bytes.
constexpr std::string_view over_tcp = "/net:tcp";
constexpr std::string_view one_way = "/by:";

class Pair {
public:
    Pair(const Settings& settings, Report& report, Session& session)
        : settings_(settings), report_(report), session_(session) {
        const bool tcp = settings.suffix == over_tcp;
        const int peer = 1 - settings.rank;
        choice_ = fastest(am_choices(tcp), peer, {});
        floor_ = std::make_unique<UcxFloor>(choice_, peer);
        report.context("floor/am_roundtrip" + settings.suffix, choice_.name);
    }

    bool wants(const std::string& name) const { return settings_.wants(name + settings_.suffix); }

    // Measures the verb beside a floor of `shape`.
    Row measure(const Verb& verb, std::uint64_t table_size, UcxFloor::Shape shape, Row& floor_row) {
        Side floor;
        floor.run = [&](std::uint64_t rounds, std::vector<double>* samples) {
            return floor_->ping_pong(shape, rounds, samples);
        };
        Side ours;
        // Over tcp a whole table would take too long.
        const bool tcp = settings_.suffix == over_tcp;
        ours.multiple_of = tcp ? 1 : table_size;
        ours.most_operations = tcp ? table_size : UINT64_MAX;
        ours.run = [&](std::uint64_t count, std::vector<double>* samples) {
            double spent = 0;
            for (std::uint64_t left = count; left > 0; left -= std::min(left, table_size))
                spent += pass(verb, std::min(left, table_size), samples);
            return spent / static_cast<double>(count);
        };
        Row row;
        row.name = verb.name + settings_.suffix;
        alternate(settings_, ours, row, &floor, &floor_row);
        return row;
    }

    // The timed nanoseconds of one pass, on rank 0.
    double pass(const Verb& verb, std::uint64_t count, std::vector<double>* samples) {
        double spent = 0;
        verb.prepare(count);
        session_.barrier();
        if (session_.rank() == 0) {
            linger();
            spent = timed(count, samples, verb.operation) * static_cast<double>(count);
        }
        session_.barrier();
        verb.check(count);
        // The next pass writes new values only after everybody has checked these.
        session_.barrier();
        return spent;
    }

    double floor_ping_pong(std::uint64_t rounds, std::vector<double>* samples) {
        return floor_->ping_pong({}, rounds, samples);
    }

    // Single slices of other shapes, reported on the floor's row.
    double floor_ns(UcxFloor::Shape shape) {
        std::vector<double> took;
        for (int i = 0; i < settings_.repetitions(); ++i)
            took.push_back(floor_->ping_pong(shape, 5000, nullptr));
        std::sort(took.begin(), took.end());
        return took[took.size() / 2];
    }

    const Settings& settings() const { return settings_; }
    Report& report() { return report_; }
    Session& session() { return session_; }
    const UcxChoice& choice() const { return choice_; }

private:
    const Settings& settings_;
    Report& report_;
    Session& session_;
    UcxChoice choice_;
    std::unique_ptr<UcxFloor> floor_;
};

// How many operations went over the network: 1 each when every access was remote as the row's name
// says. The passes before the measured ones count too.
double per_operation(std::uint64_t requests, std::uint64_t operations) {
    return operations == 0 ? 0 : static_cast<double>(requests) / static_cast<double>(operations);
}

using Ship = std::function<std::int64_t(kddm::Set<std::uint64_t>&, std::uint64_t)>;

template <class T>
void get_row(Pair& pair, const std::string& name, std::uint32_t count, UcxFloor::Shape shape,
             Row& floor_row) {
    if (!pair.wants(name)) return;
    RemoteTable<T> table(pair.session(), name, 1, count);
    const bool lead = pair.session().rank() == 0;
    std::uint64_t stamp = 0, wrong = 0;
    std::uint64_t operations = 0;
    Verb verb{.name = name};
    verb.prepare = [&](std::uint64_t n) {
        ++stamp;
        if (!lead) table.take_back(n, 0, stamp);
    };
    verb.operation = [&](std::uint64_t i) {
        wrong += !holds(*table.set().get(table.id(i)), value_of(table.id(i), stamp));
    };
    verb.check = [&](std::uint64_t n) {
        if (wrong != 0) wrong_data(name + ": " + std::to_string(wrong) + " objects");
        if (lead) table.read_all(n, stamp);
        operations += n;
    };
    Row row = pair.measure(verb, count, shape, floor_row);
    row.counters["requests_per_operation"] =
        per_operation(table.set().stats().remote_gets, operations);
    pair.report().add(std::move(row));
}

void grab_row(Pair& pair, Row& floor_row) {
    const std::string name = "kddm/grab_remote_8B";
    if (!pair.wants(name)) return;
    RemoteTable<std::uint64_t> table(pair.session(), name, 1, word_count());
    const bool lead = pair.session().rank() == 0;
    std::uint64_t stamp = 0, wrong = 0, written = 0;
    std::uint64_t operations = 0;
    Verb verb{.name = name};
    // Odd stamps are the home's, even ones the grabber's.
    verb.prepare = [&](std::uint64_t n) {
        ++stamp;
        if (!lead) {
            table.take_back(std::min(n, written), stamp - 1, stamp);
            table.take_back(n, 0, stamp);
        }
        ++stamp;
        written = n;
    };
    verb.operation = [&](std::uint64_t i) {
        auto object = table.set().grab(table.id(i));
        wrong += *object != value_of(table.id(i), stamp - 1);
        *object = value_of(table.id(i), stamp);
    };
    verb.check = [&](std::uint64_t n) {
        if (wrong != 0) wrong_data(name + ": " + std::to_string(wrong) + " objects");
        operations += n;
    };
    Row row = pair.measure(verb, word_count(), {}, floor_row);
    row.counters["requests_per_operation"] =
        per_operation(table.set().stats().remote_grabs, operations);
    pair.report().add(std::move(row));
}

void upgrade_row(Pair& pair, Row& floor_row) {
    const std::string name = "kddm/upgrade_remote_8B";
    if (!pair.wants(name)) return;
    RemoteTable<std::uint64_t> table(pair.session(), name, 1, word_count());
    const bool lead = pair.session().rank() == 0;
    std::uint64_t stamp = 0, wrong = 0;
    std::uint64_t operations = 0;
    Verb verb{.name = name};
    verb.prepare = [&](std::uint64_t n) {
        ++stamp;
        if (!lead) table.take_back(n, 0, stamp);
        pair.session().barrier();
        if (lead) table.read_all(n, stamp);
        pair.session().barrier();
        if (!lead) table.read_all(n, stamp);
    };
    verb.operation = [&](std::uint64_t i) {
        auto object = table.set().grab(table.id(i));
        wrong += *object != value_of(table.id(i), stamp);
    };
    verb.check = [&](std::uint64_t n) {
        if (wrong != 0) wrong_data(name + ": " + std::to_string(wrong) + " objects");
        operations += n;
    };
    Row row = pair.measure(verb, word_count(), {}, floor_row);
    row.counters["requests_per_operation"] =
        per_operation(table.set().stats().remote_grabs, operations);
    pair.report().add(std::move(row));
}

// One-sided reads of what the home has just written: after the first, untimed pass the reader knows
// where the objects stand, and nobody hears of it.
void read_row(Pair& pair, Row& floor_row) {
    const std::string name = "kddm/read_remote_8B";
    if (!pair.wants(name)) return;
    RemoteTable<std::uint64_t> table(pair.session(), name, 1, word_count());
    const bool lead = pair.session().rank() == 0;
    auto& set = table.set();
    std::uint64_t stamp = 1, wrong = 0, operations = 0;
    if (!lead) table.take_back(table.size(), 0, stamp);
    pair.session().barrier();
    // The first answer has the home's memory mapped, which takes a moment.
    const double start = now_ns();
    for (std::uint64_t before = ~0ull; lead && now_ns() - start < 2e9;) {
        const std::uint64_t messages = set.stats().reads_by_message;
        if (std::exchange(before, messages) == messages) break;
        for (std::uint64_t i = 0; i < table.size(); ++i)
            if (set.read(table.id(i)).value != value_of(table.id(i), stamp))
                wrong_data(name + " in its first pass");
    }
    pair.session().barrier();
    const std::uint64_t messages = set.stats().reads_by_message;
    Verb verb{.name = name};
    verb.prepare = [&](std::uint64_t n) {
        ++stamp;
        if (!lead) table.take_back(n, 0, stamp);
    };
    verb.operation = [&](std::uint64_t i) {
        wrong += set.read(table.id(i)).value != value_of(table.id(i), stamp);
    };
    verb.check = [&](std::uint64_t n) {
        if (wrong != 0) wrong_data(name + ": " + std::to_string(wrong) + " objects");
        operations += n;
    };
    Row row = pair.measure(verb, word_count(), {}, floor_row);
    row.counters["messages_per_operation"] =
        per_operation(set.stats().reads_by_message - messages, operations);
    row.counters["by_rma"] = static_cast<double>(set.stats().reads_by_rma);
    pair.report().add(std::move(row));
}

// fetch_add and apply: `ship` adds 1 to the object at its home and returns what it was.
void shipped_row(Pair& pair, const std::string& name, Row& floor_row,
                 const Ship& ship) {
    if (!pair.wants(name)) return;
    RemoteTable<std::uint64_t> table(pair.session(), name, 1, word_count());
    const bool lead = pair.session().rank() == 0;
    std::vector<std::uint32_t> added(word_count());
    std::uint64_t wrong = 0, operations = 0;
    // The home instantiates and keeps all objects.
    if (!lead)
        for (std::uint64_t i = 0; i < table.size(); ++i) *table.set().grab(table.id(i)) = 0;
    Verb verb{.name = name};
    verb.prepare = [](std::uint64_t) {};
    verb.operation = [&](std::uint64_t i) {
        wrong += ship(table.set(), table.id(i)) != static_cast<std::int64_t>(added[i]++);
    };
    verb.check = [&](std::uint64_t n) {
        if (wrong != 0) wrong_data(name + ": " + std::to_string(wrong) + " results");
        operations += n;
    };
    Row row = pair.measure(verb, word_count(), {}, floor_row);
    // Exactly once: the home's sum is the number of operations.
    double sum = 0;
    if (!lead)
        for (std::uint64_t i = 0; i < table.size(); ++i)
            sum += static_cast<double>(*table.set().get(table.id(i)));
    if (sum_over_ranks(sum) != static_cast<double>(operations)) wrong_data(name + ": the sum");
    row.counters["recalls"] =
        sum_over_ranks(lead ? 0 : static_cast<double>(table.set().stats().recalls));
    pair.report().add(std::move(row));
}

// Both ranks do the same at the same time; the row is what one operation takes on one rank.
void meeting_row(Pair& pair, const std::string& name, Row& floor_row,
                 const std::function<void(std::uint64_t i)>& operation) {
    if (!pair.wants(name)) return;
    Side floor, ours;
    floor.run = [&](std::uint64_t rounds, std::vector<double>* samples) {
        return pair.floor_ping_pong(rounds, samples);
    };
    ours.run = [&](std::uint64_t count, std::vector<double>* samples) {
        pair.session().barrier();
        const double ns = timed(count, samples, operation);
        pair.session().barrier();
        return ns;
    };
    Row row;
    row.name = name;
    alternate(pair.settings(), ours, row, &floor, &floor_row);
    pair.report().add(std::move(row));
}

// Both ranks want the lock all the time. That it excludes is checked apart: reading and writing an
// object would be most of the time.
void lock_row(Pair& pair, Row& floor_row) {
    Mutex mutex = pair.session().mutex("bench.lock");
    meeting_row(pair, "kddm/lock_cycle", floor_row, [&](std::uint64_t) {
        mutex.lock();
        mutex.unlock();
    });
    if (!pair.wants("kddm/lock_cycle")) return;
    auto counter = pair.session().set<std::uint64_t>("bench.lock.count", {.count = 1});
    constexpr std::uint64_t checked = 2000;
    for (std::uint64_t i = 0; i < checked; ++i) {
        mutex.lock();
        const std::uint64_t before = *counter.get(0);
        *counter.grab(0) = before + 1;
        mutex.unlock();
    }
    pair.session().barrier();
    if (*counter.get(0) != 2 * checked) wrong_data("kddm/lock_cycle: two ranks held the lock");
    pair.session().barrier();
}

void register_functions(Session& session) {
    session.register_function(
        "bench.add", kddm::Run::inline_in_handler,
        [](kddm::ObjectView& object, std::span<const std::byte> arguments,
           std::vector<std::byte>& reply) -> Result<void> {
            std::uint64_t value = 0, delta = 0;
            std::memcpy(&value, object.bytes().data(), sizeof value);
            std::memcpy(&delta, arguments.data(), sizeof delta);
            reply.resize(sizeof value);
            std::memcpy(reply.data(), &value, sizeof value);
            value += delta;
            std::memcpy(object.bytes().data(), &value, sizeof value);
            return {};
        });
}

void run(Pair& pair) {
    const std::string& suffix = pair.settings().suffix;
    Row floor_8b{.name = "floor/am_roundtrip_8B" + suffix};
    Row floor_4kib{.name = "floor/am_roundtrip_4KiB"};
    floor_8b.note = floor_4kib.note = pair.choice().name;
    if (suffix.starts_with(one_way)) {
        read_row(pair, floor_8b);
    } else {
        get_row<std::uint64_t>(pair, "kddm/get_remote_8B", word_count(), {}, floor_8b);
        grab_row(pair, floor_8b);
    }
    if (suffix.empty()) {
        upgrade_row(pair, floor_8b);
        read_row(pair, floor_8b);
        shipped_row(pair, "kddm/fetch_add_remote", floor_8b,
                    [](auto& set, std::uint64_t id) { return set.fetch_add(id, 1); });
        shipped_row(pair, "kddm/apply_remote", floor_8b, [](auto& set, std::uint64_t id) {
            return set.template apply<std::int64_t>(id, "bench.add", std::int64_t{1});
        });
        meeting_row(pair, "kddm/barrier", floor_8b,
                    [&](std::uint64_t) { pair.session().barrier(); });
        lock_row(pair, floor_8b);
        get_row<Block>(pair, "kddm/get_remote_4KiB", block_count(),
                       {.request_bytes = 4096, .reply_bytes = 4096}, floor_4kib);
        if (!floor_4kib.slices.empty()) {
            floor_4kib.counters["reply_only_ns"] =
                pair.floor_ns({.request_bytes = 8, .reply_bytes = 4096});
            floor_4kib.counters["reply_only_cold_ns"] = pair.floor_ns(
                {.request_bytes = 8, .reply_bytes = 4096, .table_bytes = 4 * l2_bytes()});
            pair.report().add(std::move(floor_4kib));
        }
    }
    if (!floor_8b.slices.empty()) pair.report().add(std::move(floor_8b));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        ssi::Session session = open_session();
        register_functions(session);
        {
            Pair pair(settings, report, session);
            run(pair);
        }
        report.context("ucx", std::string("UCX ") + ucp_get_version_string());
        ssi::value_or_throw(session.close());
    });
}
