// SPDX-License-Identifier: BSD-3-Clause
// Package relations: `a (>= 1) | b:any, c` as in Depends, Pre-Depends and Provides.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

namespace graph {

bool is_package_name(std::string_view name);

// The names of one relation's alternatives, in order.
using Alternatives = std::vector<std::string_view>;

// Calls `each` for every clause of a relation field that parses and `bad` with what is wrong and
// the text of the clause for every one that does not. Views point into `field`. A comma at the end
// is accepted, as dpkg does.
void parse_relations(std::string_view field, const std::function<void(const Alternatives&)>& each,
                     const std::function<void(const char*, std::string_view)>& bad);

}  // namespace graph
