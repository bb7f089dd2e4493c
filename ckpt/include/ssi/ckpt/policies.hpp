// SPDX-License-Identifier: BSD-3-Clause
// Policies: strategies of checkpoints at work together, such as
//
//     young_daly mtbf_s=86400; time_limit exit=true; ./share.so percent=2
//
// Each is one of ours, a shared object by its path, or NAME.so in a directory of
// checkpoint.policy_path (ssi/ckpt/policy.h). A checkpoint is taken when any wants one; the
// strongest level that is wanted counts, and a whole one before an incremental one. By one thread
// at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/result.hpp"
#include "ssi/ckpt/policy.h"

namespace ssi::ckpt {

class Policy;

// One strategy as it is written: its name or path, and "key=value key=value".
struct PolicyText {
    std::string name;
    std::string parameters;
    std::string text() const { return parameters.empty() ? name : name + " " + parameters; }
    friend bool operator==(const PolicyText&, const PolicyText&) = default;
};
// parse: an empty part, or a parameter without "=". Of an empty text: none.
Result<std::vector<PolicyText>> parse_policies(std::string_view text);
std::string policies_text(const std::vector<PolicyText>& policies);
// With this interval of `interval`, which is added where it is not there. `every_s`: a number.
std::string with_interval(std::string_view text, std::string_view every_s);

// For people: what can be named.
struct KnownPolicy {
    std::string name, help, parameters;
    std::string origin;                  // the file; empty: one of ours
    std::string error;                   // why that file cannot be used
};
std::vector<KnownPolicy> known_policies(std::string_view path);

struct PolicyDecision {
    bool take = false;
    bool leave = false;
    std::uint32_t level = 0;             // 0: as the program says
    std::uint32_t kind = SSI_CHECKPOINT_AS_PROGRAM;
    double next_s = -1;                  // the soonest of all; negative: unknown
    std::string why;
    std::vector<std::string> ejected;    // by this call: which, and why
};

class Policies {
public:
    // `path`: directories with colons between them. `clock`: by which decide is timed; null: it is
    // not. Failures name the strategy and the way out: not_found (no such name or file), parse and
    // invalid_argument (its parameters), unsupported (another ABI), io (it may not or cannot
    // be loaded).
    static Result<Policies> make(std::string_view text, std::string_view path, const Clock* clock);
    Policies(Policies&&) noexcept;
    Policies& operator=(Policies&&) noexcept;
    ~Policies();

    PolicyDecision decide(const ssi_checkpoint_view& view);
    // By level, as in ssi_checkpoint_policy::keep: the most that any of them names.
    using Counts = std::array<std::uint32_t, SSI_CHECKPOINT_LEVELS>;
    Counts keep() const;

    std::string text() const;            // parse_policies reads it
    struct Shown {
        PolicyText text;
        std::string origin;              // the file; empty: one of ours
        std::string ejected;             // why it has been replaced by on_request; empty: it is not
    };
    std::vector<Shown> shown() const;

private:
    explicit Policies(std::vector<std::unique_ptr<Policy>> all);
    std::vector<std::unique_ptr<Policy>> all_;
};

// The best time of computing between two checkpoints that cost `cost` seconds each, where
// something fails every `mtbf` seconds on average and the time since the last one is lost then.
// Of first order: J. W. Young, A first order approximation to the optimum checkpoint interval,
// Communications of the ACM 17(9), 1974. Of higher order: J. T. Daly, A higher order estimate of
// the optimum checkpoint interval for restart dumps, Future Generation Computer Systems 22(3),
// 2006, equation (37).
double young_interval(double cost, double mtbf);
double daly_interval(double cost, double mtbf);

// A view in which nothing is known: what is unknown is negative, level 1 is possible.
ssi_checkpoint_view empty_view();

}  // namespace ssi::ckpt
