// SPDX-License-Identifier: BSD-3-Clause
// libssi's C++ API. `#include <ssi/ssi.hpp>`, link with `pkg-config --cflags --libs ssi`.
#pragma once

#include "ssi/kddm/session.hpp"
