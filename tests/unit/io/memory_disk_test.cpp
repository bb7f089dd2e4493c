// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/memory_disk.hpp"

#include <gtest/gtest.h>

#include "pages.hpp"

namespace ssi::io {
namespace {

TEST(MemoryDisk, starts) { make_memory_disk(); }

}  // namespace
}  // namespace ssi::io
