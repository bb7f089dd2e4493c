// SPDX-License-Identifier: BSD-3-Clause
// Answers in words: of attributes only what two file systems must agree on.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fs_operations.hpp"

namespace ssi::test {

Answer answer_of(const Failure& failure);
Answer answer_of(const Result<void>& outcome);
Answer answer_of_count(const Result<std::size_t>& outcome);
// The first bytes of `bytes`, as many as were read.
Answer answer_of_read(const Result<std::size_t>& outcome, std::span<const std::byte> bytes);

// Type, permissions, owner; links and size unless it is a directory; the time of modification when
// it is a chosen one, which lies long ago.
std::string text_of(const fs::Attributes& attributes);
std::string text_of(std::vector<fs::DirectoryEntry>& entries, bool attributes);
std::string text_of_names(std::vector<std::string>& names);
std::string raw_text(std::span<const std::byte> bytes);

}  // namespace ssi::test
