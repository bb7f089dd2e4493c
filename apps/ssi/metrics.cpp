// SPDX-License-Identifier: BSD-3-Clause
#include "metrics.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

namespace ssi::cli {
namespace {

constexpr std::string_view bucket_suffix = "_bucket";
constexpr std::string_view count_suffix = "_count";
constexpr std::string_view sum_suffix = "_sum";

bool is_name_char(char c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

// Takes a metric or label name off the front; empty when there is none.
std::string_view take_name(std::string_view& text) {
    std::size_t length = 0;
    while (length < text.size() && is_name_char(text[length], length == 0)) ++length;
    const auto name = text.substr(0, length);
    text.remove_prefix(length);
    return name;
}

std::optional<double> take_number(std::string_view& text) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (word == "+Inf") return INFINITY;
    if (word == "NaN") return NAN;
    double number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return number;
}

struct Sample {
    std::string name;
    std::string labels;            // without le
    std::optional<double> le;
    double value = 0;
};

class Parser {
public:
    Parser(std::string_view text, const std::string& source) : rest_(text), source_(source) {}

    Result<Metrics> parse() {
        while (!rest_.empty() && !ended_) {
            ++line_number_;
            const auto end = rest_.find('\n');
            if (end == std::string_view::npos) return wrong("the last line has no end");
            const auto line = rest_.substr(0, end);
            rest_.remove_prefix(end + 1);
            auto done = line.starts_with('#') ? comment(line) : sample(line);
            if (!done) return tl::unexpected(std::move(done).error());
        }
        ++line_number_;
        if (!ended_) return wrong("the file ends before \"# EOF\": it was cut short");
        if (!rest_.empty()) return wrong("there is text after \"# EOF\"");
        return std::move(metrics_);
    }

private:
    tl::unexpected<Failure> wrong(std::string_view what) const {
        return fail(Errc::parse, fmt::format("{}:{}: {}", source_, line_number_, what));
    }

    Result<void> comment(std::string_view line) {
        if (line == "# EOF") {
            ended_ = true;
            return {};
        }
        if (line.starts_with("# UNIT ") || line.starts_with("# HELP ")) return {};
        constexpr std::string_view type_line = "# TYPE ";
        if (!line.starts_with(type_line))
            return wrong("neither a sample nor TYPE, UNIT, HELP or EOF");
        line.remove_prefix(type_line.size());
        const std::string name(take_name(line));
        if (name.empty() || !line.starts_with(' ')) return wrong("a TYPE line needs a name");
        const std::string type(line.substr(1));
        if (type != "counter" && type != "gauge" && type != "histogram" && type != "unknown")
            return wrong(fmt::format("type \"{}\" is none of counter, gauge, histogram", type));
        if (!types_.emplace(name, type).second)
            return wrong(fmt::format("a second TYPE of {}", name));
        return {};
    }

    Result<void> sample(std::string_view line) {
        Sample sample;
        sample.name = take_name(line);
        if (sample.name.empty()) return wrong("a line must begin with a metric's name");
        if (line.starts_with('{')) SSI_TRY(labels(line, sample));
        if (!line.starts_with(' ')) return wrong("a space and a value must follow the name");
        line.remove_prefix(1);
        const auto value = take_number(line);
        if (!value) return wrong(fmt::format("the value of {} is no number", sample.name));
        if (!line.empty() && !line.starts_with(' ')) return wrong("text after the value");
        sample.value = *value;
        return store(sample);
    }

    // {a="b",le="1"}: keeps all but le as they are written.
    Result<void> labels(std::string_view& line, Sample& sample) {
        line.remove_prefix(1);
        while (!line.starts_with('}')) {
            const auto start = line;
            const auto name = take_name(line);
            if (name.empty() || !line.starts_with("=\""))
                return wrong("labels are written name=\"value\"");
            line.remove_prefix(2);
            std::size_t length = 0;
            while (length < line.size() && line[length] != '"')
                length += line[length] == '\\' ? 2 : 1;
            if (length >= line.size()) return wrong("a label's value has no closing quote");
            auto value = line.substr(0, length);
            line.remove_prefix(length + 1);
            if (name == "le") {
                sample.le = take_number(value);
                if (!sample.le || !value.empty()) return wrong("le is no number");
            } else {
                if (!sample.labels.empty()) sample.labels += ',';
                sample.labels += start.substr(0, start.size() - line.size());
            }
            if (line.starts_with(','))
                line.remove_prefix(1);
            else if (!line.starts_with('}'))
                return wrong("a comma or a brace must follow a label");
        }
        line.remove_prefix(1);
        return {};
    }

    // The histogram that the sample belongs to by its TYPE line, or none.
    std::optional<std::string> histogram_of(const Sample& sample) const {
        for (const auto suffix : {bucket_suffix, count_suffix, sum_suffix}) {
            if (!sample.name.ends_with(suffix)) continue;
            std::string family = sample.name.substr(0, sample.name.size() - suffix.size());
            const auto type = types_.find(family);
            if (type != types_.end() && type->second == "histogram") return family;
        }
        return std::nullopt;
    }

    Result<void> store(const Sample& sample) {
        const std::string le = sample.le ? fmt::format("{}", *sample.le) : "";
        if (!seen_.insert(fmt::format("{} {} {}", sample.name, sample.labels, le)).second)
            return wrong(fmt::format("{} is there twice with the same labels", sample.name));
        const auto family = histogram_of(sample);
        if (!family) {
            metrics_.values[{sample.name, sample.labels}] = sample.value;
            return {};
        }
        MetricHistogram& histogram = metrics_.histograms[{*family, sample.labels}];
        if (sample.name.ends_with(bucket_suffix)) {
            if (!sample.le) return wrong("a bucket needs a label le");
            if (!histogram.buckets.empty() && (histogram.buckets.rbegin()->first > *sample.le ||
                                               histogram.buckets.rbegin()->second > sample.value))
                return wrong("buckets must ascend, and so must their values");
            histogram.buckets[*sample.le] = sample.value;
        } else if (sample.name.ends_with(count_suffix)) {
            histogram.count = sample.value;
        }
        return {};
    }

    std::string_view rest_;
    const std::string& source_;
    int line_number_ = 0;
    bool ended_ = false;
    Metrics metrics_;
    std::map<std::string, std::string> types_;
    std::set<std::string> seen_;
};

// How many values are at most `bound`, by a histogram that may lack this very bucket.
double at_most(const MetricHistogram& histogram, double bound) {
    auto after = histogram.buckets.upper_bound(bound);
    return after == histogram.buckets.begin() ? 0 : std::prev(after)->second;
}

}  // namespace

double MetricHistogram::quantile(double q) const {
    for (const auto& [bound, below] : buckets)
        if (below > 0 && below >= q * count) return bound;
    return 0;
}

void Metrics::add(const Metrics& other) {
    for (const auto& [key, value] : other.values) values[key] += value;
    for (const auto& [key, theirs] : other.histograms) {
        MetricHistogram& ours = histograms[key];
        MetricHistogram sum;
        sum.count = ours.count + theirs.count;
        for (const MetricHistogram* side : {static_cast<const MetricHistogram*>(&ours), &theirs})
            for (const auto& [bound, below] : side->buckets)
                sum.buckets[bound] = at_most(ours, bound) + at_most(theirs, bound);
        ours = std::move(sum);
    }
}

Result<Metrics> parse_open_metrics(std::string_view text, const std::string& source) {
    return Parser(text, source).parse();
}

}  // namespace ssi::cli
