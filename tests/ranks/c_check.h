/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For tests of the C API under mpirun, in C99 that is C++ too: every rank runs every case, rank 0
 * prints TAP. With the argument `comm` the program brings its own MPI. One program includes it
 * once. */
#ifndef SSI_TESTS_C_CHECK_H
#define SSI_TESTS_C_CHECK_H

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include <ssi/ssi.h>

static ssi_session *session;
static int failures;   /* of the case that runs, on this rank */

#define CHECK(condition) check((condition) != 0, #condition, __LINE__)
#define CHECK_ERROR(error, call, text) check_error(call, error, text, #call, __LINE__)

static void check(int holds, const char *what, int line) {
    if (holds) return;
    ++failures;
    fprintf(stderr, "rank %d, line %d: %s (last error: %s)\n", ssi_rank(session), line, what,
            ssi_last_error());
}

static void check_error(int result, int error, const char *text, const char *what, int line) {
    const int right = result == error && strstr(ssi_last_error(), text) != NULL;
    if (!right) fprintf(stderr, "%s, not %s\n", ssi_error_name(result), ssi_error_name(error));
    check(right, what, line);
}

static int rank(void) { return ssi_rank(session); }
static int size(void) { return ssi_size(session); }
static void meet(void) { CHECK(ssi_barrier(session) == SSI_OK); }

/* Not used by every program. */
static inline ssi_set *make_set(const char *name, uint32_t object_bytes, uint64_t count) {
    ssi_set *set = NULL;
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    options.kind = object_bytes ? SSI_FIXED : SSI_VARIABLE;
    options.object_bytes = object_bytes;
    options.count = count;
    CHECK(ssi_set_create(session, name, &options, &set) == SSI_OK);
    return set;
}

struct test_case {
    const char *name;
    void (*run)(void);
};
#define CASE(name) { #name, name }

/* `before`: how many have run. */
static int run_some(const struct test_case *cases, int count, int before) {
    int64_t failed;
    int i, bad = 0;
    for (i = 0; i < count; ++i) {
        failures = 0;
        cases[i].run();
        failed = failures;
        if (ssi_reduce_i64(session, SSI_SUM, &failed, 1) != SSI_OK) failed = 1;
        if (failed != 0) bad = 1;
        if (rank() != 0) continue;
        printf("%s %d - %s\n", failed ? "not ok" : "ok", before + i + 1, cases[i].name);
        fflush(stdout);
    }
    return bad;
}

static inline int run_program(int argc, char **argv, const struct test_case *cases, int count) {
    const int own_mpi = argc > 1 && strcmp(argv[1], "comm") == 0;
    MPI_Comm comm;
    int bad, result;
    if (own_mpi) {
        MPI_Init(&argc, &argv);
        MPI_Comm_dup(MPI_COMM_WORLD, &comm);
        result = ssi_init_comm(&comm, &session);
    } else {
        result = ssi_init(&argc, &argv, &session);
    }
    if (result != SSI_OK) {
        fprintf(stderr, "cannot start: %s\n", ssi_last_error());
        return ssi_exit_code(result);
    }
    if (rank() == 0) printf("1..%d\n", count);
    bad = run_some(cases, count, 0);
    if (ssi_finalize(session) != SSI_OK) bad = 1;
    if (own_mpi) MPI_Finalize();
    return bad;
}

#endif
