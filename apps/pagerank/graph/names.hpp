// SPDX-License-Identifier: BSD-3-Clause
// Names: numbers names in the order in which they are first seen.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/types.hpp"

namespace graph {

class Names {
public:
    Vertex number(std::string_view name) {
        if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
        const auto vertex = static_cast<Vertex>(numbers_.size());
        numbers_.emplace(std::string(name), vertex);
        return vertex;
    }
    std::optional<Vertex> find(std::string_view name) const {
        const auto found = numbers_.find(name);
        if (found == numbers_.end()) return std::nullopt;
        return found->second;
    }
    std::size_t size() const { return numbers_.size(); }

    // The names by number; leaves this empty.
    std::vector<std::string> take() {
        std::vector<std::string> names(numbers_.size());
        while (!numbers_.empty()) {
            auto node = numbers_.extract(numbers_.begin());
            names[node.mapped()] = std::move(node.key());
        }
        return names;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const {
            return std::hash<std::string_view>{}(name);
        }
    };
    std::unordered_map<std::string, Vertex, Hash, std::equal_to<>> numbers_;
};

}  // namespace graph
