// SPDX-License-Identifier: BSD-3-Clause
// get_many of large objects beside a raw UCX get: rank 0 takes 64 objects of 64 KiB in one call
// from rank 1, which waits in a session barrier. 2 ranks. An operation is one MiB.
#include <mpi.h>

#include <memory>

#include "table.hpp"
#include "ucx_floor.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t mib = 1u << 20;
constexpr std::uint64_t batch = 64;

struct Large {
    static constexpr std::uint64_t count = 8192;
    std::uint64_t words[count];
};
constexpr std::uint64_t objects_per_mib = mib / sizeof(Large);
constexpr std::uint32_t objects = (64 * mib) / sizeof(Large);   // more than any L3 we know

void write_value(Large& object, std::uint64_t value) {
    for (std::uint64_t i = 0; i < Large::count; ++i) object.words[i] = value + i;
}
bool holds(const Large& object, std::uint64_t value) {
    return object.words[0] == value && object.words[Large::count - 1] == value + Large::count - 1;
}
bool holds_all(const Large& object, std::uint64_t value) {
    for (std::uint64_t i = 0; i < Large::count; ++i)
        if (object.words[i] != value + i) return false;
    return true;
}

class GetMany {
public:
    GetMany(Session& session, const std::string& name)
        : session_(session), table_(session, name, 1, objects) {}

    double run(std::uint64_t operations, std::vector<double>* samples) {
        double spent = 0;
        const std::uint64_t calls = operations * objects_per_mib / batch;
        for (std::uint64_t left = calls; left > 0;) {
            const std::uint64_t some = std::min<std::uint64_t>(left, objects / batch);
            spent += pass(some, samples);
            left -= some;
        }
        return spent / static_cast<double>(operations);
    }
    double requests_per_object() const {
        return static_cast<double>(table_.set().stats().remote_gets) /
               static_cast<double>(std::max<std::uint64_t>(objects_got_, 1));
    }

private:
    // The home writes what is read next, which also takes the reader's copies away.
    double pass(std::uint64_t calls, std::vector<double>* samples) {
        const bool lead = session_.rank() == 0;
        ++stamp_;
        if (!lead)
            for (std::uint64_t i = 0; i < calls * batch; ++i) {
                auto object = table_.set().grab(table_.id(i));
                write_value(*object, value_of(table_.id(i), stamp_));
            }
        session_.barrier();
        double spent = 0;
        if (lead) {
            linger();
            spent = timed(calls, samples, [&](std::uint64_t call) { get(call); }) *
                    static_cast<double>(calls);
            if (wrong_ != 0) wrong_data("get_many");
            // All words, untimed, of the last call.
            for (std::uint64_t i = (calls - 1) * batch; i < calls * batch; ++i)
                if (!holds_all(*table_.set().get(table_.id(i)), value_of(table_.id(i), stamp_)))
                    wrong_data("get_many, all words");
            objects_got_ += calls * batch;
        }
        session_.barrier();
        return spent;
    }
    void get(std::uint64_t call) {
        ids_.clear();
        for (std::uint64_t i = call * batch; i < (call + 1) * batch; ++i)
            ids_.emplace_back(table_.id(i));
        auto guards = table_.set().get_many(ids_);
        for (std::uint64_t i = 0; i < batch; ++i)
            wrong_ += !holds(guards[i], value_of(ids_[i].lo, stamp_));
    }

    Session& session_;
    mutable RemoteTable<Large> table_;
    std::vector<ObjectId> ids_;
    std::uint64_t stamp_ = 0, wrong_ = 0, objects_got_ = 0;
};

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/get_many_64KiB"};
    if (!settings.wants(row.name)) return;
    const int peer = 1 - settings.rank;
    const UcxChoice choice = fastest(get_choices(), peer, {});
    UcxFloor raw(choice, peer);
    Side floor;
    floor.run = [&](std::uint64_t operations, std::vector<double>* samples) {
        return raw.get(mib, operations, samples);
    };
    GetMany many(session, row.name);
    Side ours;
    ours.multiple_of = batch / objects_per_mib;
    ours.run = [&](std::uint64_t operations, std::vector<double>* samples) {
        return many.run(operations, samples);
    };
    Row floor_row{.name = "floor/ucx_get_1MiB"};
    alternate(settings, ours, row, &floor, &floor_row);
    row.bytes_per_operation = floor_row.bytes_per_operation = mib;
    row.counters["requests_per_object"] = many.requests_per_object();
    floor_row.note = choice.name;
    report.add(std::move(row));
    report.add(std::move(floor_row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        ssi::Session session = open_session();
        run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
