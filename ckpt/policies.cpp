// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/ckpt/policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "policy.hpp"
#include "policy_builtin.hpp"
#include "policy_plugin.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::string_view blanks = " \t\n\r";
constexpr std::size_t most_policies = 16;

std::string_view next_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    return word;
}

Result<PolicyText> parse_one(std::string_view text) {
    PolicyText one;
    one.name = next_word(text);
    if (one.name.empty())
        return fail(Errc::parse, "checkpoint policies: a name is missing; between them is one "
                                 "\";\", as in \"interval every_s=60; time_limit\"");
    for (std::string_view word = next_word(text); !word.empty(); word = next_word(text)) {
        if (word.find('=') == std::string_view::npos)
            return fail(Errc::parse, fmt::format("checkpoint policy {}: \"{}\" is no name=value; "
                                                 "between policies is a \";\"", one.name, word));
        one.parameters.append(one.parameters.empty() ? "" : " ").append(word);
    }
    return one;
}

void add_sentence(std::string& all, const Policy& policy, const ssi_checkpoint_plan& plan) {
    all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", policy.text().name, plan.why);
}

// Those that count: the strongest level; a whole one where anybody wants that.
void combine(PolicyDecision& all, const ssi_checkpoint_plan& one) {
    const auto rank = [](std::uint32_t kind) {
        return kind == SSI_CHECKPOINT_FULL ? 2 : kind == SSI_CHECKPOINT_INCREMENTAL ? 1 : 0;
    };
    all.take = all.take || one.take != 0;
    all.leave = all.leave || one.leave != 0;
    all.level = std::max(all.level, one.level);
    if (rank(one.kind) > rank(all.kind)) all.kind = one.kind;
}

}  // namespace

Result<std::vector<PolicyText>> parse_policies(std::string_view text) {
    std::vector<PolicyText> all;
    if (text.find_first_not_of(blanks) == std::string_view::npos) return all;
    for (std::size_t end = 0; end != std::string_view::npos;) {
        end = text.find(';');
        auto one = parse_one(text.substr(0, end));
        if (!one) return tl::unexpected<Failure>(std::move(one).error());
        all.push_back(std::move(*one));
        if (end != std::string_view::npos) text.remove_prefix(end + 1);
    }
    if (all.size() > most_policies)
        return fail(Errc::parse, fmt::format("checkpoint policies: {} at once, at most {}",
                                             all.size(), most_policies));
    return all;
}

std::string policies_text(const std::vector<PolicyText>& policies) {
    std::string text;
    for (const PolicyText& one : policies) text.append(text.empty() ? "" : "; ").append(one.text());
    return text;
}

std::string with_interval(std::string_view text, std::string_view every_s) {
    const std::string wanted = fmt::format("every_s={}", every_s);
    auto all = parse_policies(text);
    if (!all) return std::string(text);          // whoever makes it hears why
    const auto at = std::ranges::find(*all, "interval", &PolicyText::name);
    if (at == all->end()) {
        all->insert(all->begin(), {"interval", wanted});
        return policies_text(*all);
    }
    std::string rest = wanted;
    std::string_view left = at->parameters;
    for (std::string_view word = next_word(left); !word.empty(); word = next_word(left))
        if (!word.starts_with("every_s=")) rest.append(" ").append(word);
    at->parameters = std::move(rest);
    return policies_text(*all);
}

std::vector<KnownPolicy> known_policies(std::string_view path) {
    std::vector<KnownPolicy> all;
    for (const ssi_checkpoint_policy& one : builtin_policies())
        all.push_back({one.name, one.help, one.parameters, {}, {}});
    for (const std::string& file : plugin_files(path)) {
        const auto plugin = load_plugin(file);
        if (plugin)
            all.push_back({plugin->table->name, plugin->table->help, plugin->table->parameters,
                           plugin->file, {}});
        else
            all.push_back({{}, {}, {}, file, plugin.error().text});
    }
    return all;
}

Policies::Policies(std::vector<std::unique_ptr<Policy>> all) : all_(std::move(all)) {}
Policies::Policies(Policies&&) noexcept = default;
Policies& Policies::operator=(Policies&&) noexcept = default;
Policies::~Policies() = default;

Result<Policies> Policies::make(std::string_view text, std::string_view path, const Clock* clock) {
    auto texts = parse_policies(text);
    if (!texts) return tl::unexpected<Failure>(std::move(texts).error());
    if (texts->empty()) texts->push_back({"on_request", ""});
    std::vector<std::unique_ptr<Policy>> all;
    for (PolicyText& one : *texts) {
        auto made = Policy::make(std::move(one), path, clock);
        if (!made) return tl::unexpected<Failure>(std::move(made).error());
        all.push_back(std::move(*made));
    }
    return Policies(std::move(all));
}

PolicyDecision Policies::decide(const ssi_checkpoint_view& view) {
    PolicyDecision all, wanted;
    std::string others;
    for (const auto& policy : all_) {
        const bool was_ejected = !policy->ejected().empty();
        const ssi_checkpoint_plan plan = policy->decide(view);
        if (!policy->ejected().empty()) {
            if (!was_ejected)
                wanted.ejected.push_back(fmt::format("{}: {}", policy->text().name,
                                                     policy->ejected()));
            continue;
        }
        if (plan.next_s >= 0 && (wanted.next_s < 0 || plan.next_s < wanted.next_s)) {
            wanted.next_s = plan.next_s;
            others.clear();
            add_sentence(others, *policy, plan);
        } else if (others.empty()) {
            add_sentence(others, *policy, plan);
        }
        if (plan.take != 0) add_sentence(wanted.why, *policy, plan);
        if (plan.take != 0) combine(wanted, plan);
        if (view.asked != 0) combine(all, plan);
    }
    if (view.asked != 0) {
        wanted.level = all.level;
        wanted.kind = all.kind;
    }
    if (!wanted.take) wanted.why = std::move(others);
    return wanted;
}

Policies::Counts Policies::keep() const {
    Counts counts{};
    for (const auto& policy : all_) policy->keep(counts);
    return counts;
}

std::string Policies::text() const {
    std::vector<PolicyText> texts;
    for (const auto& policy : all_) texts.push_back(policy->text());
    return policies_text(texts);
}

std::vector<Policies::Shown> Policies::shown() const {
    std::vector<Shown> all;
    std::ranges::transform(all_, std::back_inserter(all), [](const auto& policy) {
        return Shown{policy->text(), policy->origin(), policy->ejected()};
    });
    return all;
}

ssi_checkpoint_view empty_view() {
    ssi_checkpoint_view view{};
    view.size = sizeof view;
    view.mtbf_s = view.observed_mtbf_s = view.left_s = view.between_points_s = -1;
    for (auto& level : view.levels) level.full.blocked_s = level.incremental.blocked_s = -1;
    view.levels[1].possible = 1;
    return view;
}

}  // namespace ssi::ckpt
