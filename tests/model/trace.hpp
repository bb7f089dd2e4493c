// SPDX-License-Identifier: BSD-3-Clause
// Trace: what happened, one line an event. Keeps the last events for a report, or prints all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/net/sim.hpp"

namespace ssi::model {

struct TraceEvent {
    enum class What : std::uint8_t { message, operation, node };
    Nanoseconds time = 0;
    What what = What::operation;
    net::SimNetwork::Happening happening{};  // message
    std::uint8_t channel = 0;                // message
    std::uint8_t kind = 0;                   // message
    std::uint32_t node = 0;
    std::uint32_t peer = 0;                  // message
    std::uint32_t op = 0;
    std::uint32_t bytes = 0;                 // message
    SetId set{};
    ObjectId id{};
    std::uint64_t value = 0;                 // operation: value; message: transaction
    std::uint64_t version = 0;
    const char* text = "";                   // operation: "get", "grab", ...; node: "killed"
    const char* phase = "";                  // operation: "called", "holds", "lets go", ...
};

class Trace {
public:
    explicit Trace(bool print) : print_(print), ring_(ring_events) {}
    void add(const TraceEvent& event);
    void add_message(Nanoseconds now, const net::SimNetwork::Record& record);
    std::string tail(std::size_t lines) const;
    std::uint64_t count() const { return count_; }

private:
    static constexpr std::size_t ring_events = 4096;
    bool print_;
    std::vector<TraceEvent> ring_;
    std::uint64_t count_ = 0;
};

}  // namespace ssi::model
