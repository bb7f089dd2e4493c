// SPDX-License-Identifier: BSD-3-Clause
// The same program as C++: the header must do in both languages.
#include "c_api_test.c"
