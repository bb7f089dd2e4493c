// SPDX-License-Identifier: BSD-3-Clause
// DumpSignal: SIGUSR2 writes to an eventfd while this lives, unless the application has a use for
// that signal. A process has one disposition for a signal, so the first node of a process takes it;
// this is the one place with state of the process rather than of a node.
#pragma once

namespace ssi::node {

class DumpSignal {
public:
    explicit DumpSignal(int event_fd);  // stays open longer than this
    ~DumpSignal();
    DumpSignal(const DumpSignal&) = delete;
    DumpSignal& operator=(const DumpSignal&) = delete;
    bool installed() const { return installed_; }

private:
    bool installed_ = false;
};

}  // namespace ssi::node
