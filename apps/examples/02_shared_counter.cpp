// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 02_shared_counter`: all processes count together in one shared object, and then in
// another one by messages. No increment is lost, because grab is exclusive in the whole session.
#include <ssi/ssi.hpp>

#include <cstddef>
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
    // Shorter: the addition goes to the object, not the object to the addition.
    for (int i = 0; i < 1000; ++i) counters.fetch_add(1, 1, offsetof(Counter, value));
    session.barrier();
    const long grabbed = counters.get(0)->value;  // a shared copy
    const long added = counters.get(1)->value;
    if (session.rank() == 0)
        std::printf("%d nodes counted to %ld, and to %ld\n", session.size(), grabbed, added);
    return grabbed == 1000L * session.size() && added == grabbed ? 0 : 1;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "02_shared_counter: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
