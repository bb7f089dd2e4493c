// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 02_shared_counter`: all processes count together in one shared object. No increment
// is lost, because grab is exclusive in the whole session.
#include <ssi/ssi.hpp>

#include <cstdio>

struct Counter {
    long value;
};

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto counters = session.set<Counter>("counters");
    for (int i = 0; i < 1000; ++i) {
        auto counter = counters.grab(0);  // exclusive until the end of the scope
        counter->value += 1;
    }
    session.barrier();
    const long counted = counters.get(0)->value;  // a shared copy
    if (session.rank() == 0) std::printf("%d nodes counted to %ld\n", session.size(), counted);
    session.barrier();
    return counted == 1000L * session.size() ? 0 : 1;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "02_shared_counter: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
