// SPDX-License-Identifier: BSD-3-Clause
// A user's program with typed objects and a shipped function: what templates in public headers need
// from the linker shows only here, outside the tree.
#include <cstdio>
#include <string>
#include <vector>

#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <ssi/kddm/serialized.hpp>
#include <ssi/ssi.hpp>

struct Journal {
    std::vector<std::string> lines;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive & lines;
    }
};

int main(int argc, char** argv) {
    try {
        ssi::Session session(argc, argv);
        auto journals = session.set<Journal>("journals");
        {
            auto journal = journals.grab(1);
            journal->lines.push_back("node " + std::to_string(session.node().value));
        }
        session.barrier();
        const auto lines = journals.get(1)->lines.size();
        session.barrier();
        if (session.rank() == 0) std::printf("lines %zu of %d\n", lines, session.size());
        return lines == static_cast<std::size_t>(session.size()) ? 0 : 1;
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
