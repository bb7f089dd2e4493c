/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The error numbers. Written from the table in runtime/base/error.cpp: do not edit it here (see
 * capi/README.md). Numbers are never reused. */
#ifndef SSI_CAPI_ERRORS_H
#define SSI_CAPI_ERRORS_H

enum ssi_error {
    /* Success. */
    SSI_OK = 0,
    /* An argument is outside its documented range; the text names it and the range. */
    SSI_ERR_INVALID_ARGUMENT = 1,
    /* A configuration file, SSI_ variable or --ssi- flag cannot be used; `ssi config` lists what is
       accepted. */
    SSI_ERR_BAD_CONFIG = 2,
    /* There is no such file, set, function or object; check its name, and that it was created or
       registered before. */
    SSI_ERR_NOT_FOUND = 3,
    /* It was to be created exclusively, but is there already; open it instead. */
    SSI_ERR_EXISTS = 4,
    /* It was opened with attributes other than it was created with; all nodes must name the same
       ones. */
    SSI_ERR_MISMATCH = 5,
    /* It is larger than the limit that the text names; split it. */
    SSI_ERR_TOO_LARGE = 6,
    /* Memory, shared memory or a budget is exhausted; the text names the limit, `ssi doctor` shows
       them all. */
    SSI_ERR_OUT_OF_MEMORY = 7,
    /* A try_ verb would have had to wait for another holder; try again later. */
    SSI_ERR_WOULD_BLOCK = 8,
    /* Waiting would close a cycle, or guards are taken out of order; take guards in ascending order
       of (set, id), or let go and start over. */
    SSI_ERR_DEADLOCK = 9,
    /* A node that the operation needs is dead. */
    SSI_ERR_PEER_LOST = 10,
    /* The newest value of the object died with a node; write it anew or restart from a checkpoint.
       */
    SSI_ERR_LOST = 11,
    /* A time limit passed; the text names the limit and what was waited for. */
    SSI_ERR_TIMED_OUT = 12,
    /* The session was shut down or the set was destroyed while the operation waited. */
    SSI_ERR_CANCELLED = 13,
    /* The operating system refused an I/O operation; see errno. */
    SSI_ERR_IO = 14,
    /* UCX or the network refused an operation; `ssi doctor` tests every transport. */
    SSI_ERR_TRANSPORT = 15,
    /* Nodes of different builds of libssi tried to form one session; start the same program and the
       same library on every node. */
    SSI_ERR_BUILD_MISMATCH = 16,
    /* The request was placed by a slot table that is no longer valid; libssi retries by itself, so
       seeing this is a defect. */
    SSI_ERR_STALE_SLOT = 17,
    /* A typed object could not be encoded or decoded; the reader's type must be the writer's. */
    SSI_ERR_SERIALIZATION = 18,
    /* A message from a peer is malformed; run the same build on every node. */
    SSI_ERR_BAD_MESSAGE = 19,
    /* It is not available in this build or on this machine; the text names what is missing. */
    SSI_ERR_UNSUPPORTED = 20,
    /* The input is malformed; the text names the file and the line. */
    SSI_ERR_PARSE = 21,
    /* A function shipped by apply reported a failure; the text is the function's own. */
    SSI_ERR_FUNCTION_FAILED = 22,
    /* An invariant of libssi is broken; please report it with the text and the log. */
    SSI_ERR_INTERNAL = 23,
    /* The linker of a set could not read, write or remove an object outside memory; the object is
       as it was, and the next access tries again. */
    SSI_ERR_LINKER_FAILED = 24
};

#endif
