// SPDX-License-Identifier: BSD-3-Clause
#include "history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace ssi::model {
namespace {

using Kind = HistoryOp::Kind;
using Finding = std::optional<std::string>;

// A chain of values that follow each other directly.
struct Chain {
    std::uint64_t first_return = never;  // of any operation in it
    std::uint64_t last_call = 0;
    std::uint32_t early_op = 0;          // which operations these are
    std::uint32_t late_op = 0;

    void add(const HistoryOp& op) {
        if (op.ret < first_return) {
            first_return = op.ret;
            early_op = op.op;
        }
        if (op.call >= last_call) {
            last_call = op.call;
            late_op = op.op;
        }
    }
};

// One value: who wrote it, who read it, who updated it.
struct Value {
    const HistoryOp* writer = nullptr;
    const HistoryOp* updater = nullptr;
    std::vector<const HistoryOp*> readers;
};

class RegisterCheck {
public:
    explicit RegisterCheck(std::vector<HistoryOp> history) : history_(std::move(history)) {}
    Finding run();

private:
    Finding collect();
    Finding follow(std::uint64_t value, Chain& chain);
    Finding build_chains();
    Finding compare_chains() const;
    Finding check_removes() const;

    std::vector<HistoryOp> history_;
    bool removable_ = false;
    std::unordered_map<std::uint64_t, Value> values_;
    std::vector<std::uint64_t> written_;          // in order of the history: no hash order leaks
    std::vector<const HistoryOp*> from_zero_;     // removable: operations that read 0
    std::vector<Chain> chains_;
    std::size_t followed_ = 0;
};

Finding RegisterCheck::run() {
    for (const HistoryOp& op : history_) removable_ = removable_ || op.kind == Kind::remove;
    if (auto wrong = collect()) return wrong;
    if (auto wrong = build_chains()) return wrong;
    if (auto wrong = compare_chains()) return wrong;
    return removable_ ? check_removes() : std::nullopt;
}

Finding RegisterCheck::collect() {
    for (const HistoryOp& op : history_) {
        if (op.kind != Kind::write && op.kind != Kind::update) continue;
        Value& value = values_[op.written];
        if (value.writer || op.written == 0)
            return fmt::format("value {} was written twice", op.written);
        value.writer = &op;
        written_.push_back(op.written);
    }
    for (const HistoryOp& op : history_) {
        if (op.kind != Kind::read && op.kind != Kind::update) continue;
        if (op.read == 0 && removable_) {
            from_zero_.push_back(&op);
            continue;
        }
        Value& value = values_[op.read];
        if (op.read != 0 && !value.writer)
            return fmt::format("operation {} read {}, which nobody wrote", op.op, op.read);
        if (op.kind == Kind::read) {
            value.readers.push_back(&op);
            continue;
        }
        if (value.updater)
            return fmt::format("operations {} and {} both read {} and replaced it: an update is "
                               "lost",
                               value.updater->op, op.op, op.read);
        value.updater = &op;
    }
    return std::nullopt;
}

// Adds the chain that starts with a value; its own order must agree with the calls and returns.
Finding RegisterCheck::follow(std::uint64_t start, Chain& chain) {
    std::uint64_t latest_call = 0;
    auto place = [&](const HistoryOp& op, std::uint64_t after) -> Finding {
        chain.add(op);
        if (op.ret > after) return std::nullopt;
        return fmt::format("operation {} had returned before an operation was called whose effect "
                           "it must follow (it read {}, wrote {})",
                           op.op, op.read, op.written);
    };
    for (std::uint64_t at = start;;) {
        const Value& value = values_[at];
        if (value.writer) {
            ++followed_;
            if (auto wrong = place(*value.writer, latest_call)) return wrong;
            latest_call = std::max(latest_call, value.writer->call);
        }
        std::uint64_t after_readers = latest_call;
        for (const HistoryOp* reader : value.readers) {
            if (auto wrong = place(*reader, latest_call)) return wrong;
            after_readers = std::max(after_readers, reader->call);
        }
        latest_call = after_readers;
        if (!value.updater) return std::nullopt;
        at = value.updater->written;
    }
}

Finding RegisterCheck::build_chains() {
    if (!removable_) {
        Chain first;
        first.first_return = 0;  // the object was born before everything
        if (auto wrong = follow(0, first)) return wrong;
        chains_.push_back(first);
    }
    for (const std::uint64_t written : written_) {
        const HistoryOp& writer = *values_[written].writer;
        const bool starts = writer.kind == Kind::write || (removable_ && writer.read == 0);
        if (!starts) continue;
        Chain chain;
        if (auto wrong = follow(written, chain)) return wrong;
        chains_.push_back(chain);
    }
    if (followed_ != written_.size()) return "values read in a circle: each was read from a later";
    // A read of 0 and a remove stand between chains.
    for (const HistoryOp& op : history_) {
        const bool alone = op.kind == Kind::remove ||
                           (removable_ && op.kind == Kind::read && op.read == 0);
        if (!alone || op.ret == never) continue;
        Chain chain;
        chain.add(op);
        chains_.push_back(chain);
    }
    return std::nullopt;
}

// Two chains that must each come before the other. Sorted by first return, a partner for each
// chain is found among those before it, by the largest last call.
Finding RegisterCheck::compare_chains() const {
    std::vector<const Chain*> sorted;
    for (const Chain& chain : chains_) sorted.push_back(&chain);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Chain* a, const Chain* b) {
        return a->first_return < b->first_return;
    });
    std::vector<const Chain*> latest;  // of the prefix that ends here
    for (const Chain* chain : sorted) {
        // Earlier ones that must come first: those that returned before this one's last call.
        const auto end = std::partition_point(
            sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(latest.size()),
            [&](const Chain* other) { return other->first_return < chain->last_call; });
        if (end != sorted.begin()) {
            const Chain* other = latest[static_cast<std::size_t>(end - sorted.begin()) - 1];
            if (other->last_call > chain->first_return)
                return fmt::format(
                    "operations {} and {} show one value, {} and {} another, and neither can come "
                    "first",
                    other->early_op, other->late_op, chain->early_op, chain->late_op);
        }
        latest.push_back(latest.empty() || latest.back()->last_call < chain->last_call
                             ? chain
                             : latest.back());
    }
    return std::nullopt;
}

// Whoever finds the object new-born although it had a value needs a remove to explain it.
Finding RegisterCheck::check_removes() const {
    std::uint64_t first_remove = never;
    std::size_t removes = 0, births = 0;
    for (const HistoryOp& op : history_)
        if (op.kind == Kind::remove) {
            first_remove = std::min(first_remove, op.call);
            ++removes;
        }
    std::uint64_t first_written = never;
    for (const std::uint64_t written : written_)
        first_written = std::min(first_written, values_.at(written).writer->ret);
    for (const HistoryOp* op : from_zero_) {
        births += op->kind == Kind::update;
        if (first_written < op->call && first_remove > op->ret)
            return fmt::format("operation {} found the object new-born, but nobody had removed it",
                               op->op);
    }
    if (births > removes + 1)
        return fmt::format("the object was found new-born {} times, but removed {} times", births,
                           removes);
    return std::nullopt;
}

}  // namespace

std::optional<std::string> check_register(std::vector<HistoryOp> history) {
    return RegisterCheck(std::move(history)).run();
}

std::optional<std::string> check_counter(std::vector<CounterOp> history, bool complete) {
    // An add that saw v comes after all reads of v.
    std::stable_sort(history.begin(), history.end(), [](const CounterOp& a, const CounterOp& b) {
        return a.seen != b.seen ? a.seen < b.seen : a.add < b.add;
    });
    std::int64_t expected = 0;
    std::uint64_t latest_call = 0;        // of the operations before this group
    std::uint64_t group_latest_call = 0;  // reads of one value have no order among themselves
    const CounterOp* previous = nullptr;
    for (const CounterOp& op : history) {
        const bool same_group = previous && !previous->add && !op.add && previous->seen == op.seen;
        if (!same_group) latest_call = group_latest_call;
        if (op.ret <= latest_call)
            return fmt::format("operation {} saw {}, but had returned before an operation was "
                               "called that saw less",
                               op.op, op.seen);
        group_latest_call = std::max(group_latest_call, op.call);
        if (op.seen < expected)
            return fmt::format("operation {} saw {}, where {} is the next possible value", op.op,
                               op.seen, expected);
        if (op.seen > expected && complete)
            return fmt::format("operation {} saw {}, but all adds before it make {}: something "
                               "was added twice or by nobody",
                               op.op, op.seen, expected);
        expected = op.add ? op.seen + op.delta : op.seen;
        previous = &op;
    }
    return std::nullopt;
}

}  // namespace ssi::model
