// SPDX-License-Identifier: BSD-3-Clause
#include "commands.hpp"

int main(int argc, char** argv) { return ssi::cli::main_of_ssi(argc, argv); }
