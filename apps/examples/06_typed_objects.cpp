// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 06_typed_objects`: objects with strings and containers inside. A type that is not
// trivially copyable needs a serialize() function and <ssi/kddm/serialized.hpp>; then it is used
// like any other.
#include <boost/serialization/map.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <ssi/kddm/serialized.hpp>
#include <ssi/ssi.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

struct Student {
    std::string name;
    std::map<std::string, int> grades;   // by course
    std::vector<std::string> remarks;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/) {
        archive & name & grades & remarks;
    }
};

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto students = session.set<Student>("students");
    const char* const courses[] = {"algebra", "botany", "chemistry", "drawing"};

    if (session.rank() == 0) {
        auto ada = students.grab(1);   // decoded here ...
        ada->name = "Ada";
    }                                  // ... and encoded here, when it is let go
    session.barrier();

    for (int i = session.rank(); i < 4; i += session.size()) {   // who teaches what
        auto ada = students.grab(1);
        ada->grades[courses[i]] = 10 - i;
        if (i == 2) ada->remarks.push_back("set fire to the curtains");
        ada.put();   // like the end of the scope, but throws when it cannot be encoded
    }
    session.barrier();

    if (session.rank() == session.size() - 1) {
        auto ada = students.get(1);
        std::printf("%s\n", ada->name.c_str());
        for (const auto& [course, grade] : ada->grades)
            std::printf("  %s: %d\n", course.c_str(), grade);
        for (const std::string& remark : ada->remarks) std::printf("  %s\n", remark.c_str());
    }
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "06_typed_objects: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
