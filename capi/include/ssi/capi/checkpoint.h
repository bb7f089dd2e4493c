/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Checkpoints from C: saves a whole session at one moment, and puts it back on any number of ranks.
 * Included by ssi/ssi.h; docs/checkpointing.md is the guide, and what it promises holds here, too.
 *
 *     ssi_checkpoint *checkpoint;
 *     ssi_checkpoint_options options = SSI_CHECKPOINT_OPTIONS_INIT;
 *     ssi_take_options how = SSI_TAKE_OPTIONS_INIT;
 *     ssi_restarted from = SSI_RESTARTED_INIT;
 *     options.directory = "checkpoints";
 *     if (ssi_checkpoint_open(session, &options, &checkpoint)) ...
 *     if (ssi_checkpoint_protect_set(checkpoint, cells)) ...
 *     if (ssi_checkpoint_restart(checkpoint, &from)) ...
 *     for (how.number = from.number; how.number < steps; ++how.number) {
 *         if (ssi_checkpoint_need(checkpoint, &wanted)) ...
 *         if (ssi_checkpoint_wanted(checkpoint, &how)) ...
 *         if (wanted && ssi_checkpoint_take(checkpoint, "", &how, NULL)) ...
 *         if (ssi_checkpoint_should_exit(checkpoint)) return SSI_CHECKPOINT_EXIT_AGAIN;
 *         ...
 *     }
 *
 * What is protected is saved as of one moment, the cut, whatever other threads do meanwhile: sets
 * object by object, with the messages in all channels of the session. A version counts when all of
 * it is durable; until then, and whatever fails, the versions before stay as they are, and the
 * application goes on.
 *
 * Functions that are said to be collective are called by one thread of every rank, in the same
 * order as other collectives of the session, and by a thread that holds no guards. What fails in
 * them fails alike on every rank, but for misuse that a rank sees before it asks the others. One
 * thread at a time uses a checkpoint, and its callbacks do not: else invalid_argument. */
#ifndef SSI_CAPI_CHECKPOINT_H
#define SSI_CAPI_CHECKPOINT_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* SSI_CHECKPOINT_EXIT_AGAIN: what a program exits with that has left after a last checkpoint, to be
 * run again. */
#define SSI_CHECKPOINT_EXIT_AGAIN 75

/* ---- opening ---- */

typedef struct ssi_checkpoint ssi_checkpoint;
struct ssi_fs;     /* see ssi/capi/files.h */
struct ssi_file;

/* Grows at its end: initialise with SSI_CHECKPOINT_OPTIONS_INIT, and set members by name. */
typedef struct ssi_checkpoint_options {
    size_t size;               /* sizeof(ssi_checkpoint_options) */
    const char *directory;     /* of the store, made when its parent exists; %n stands for the node
                                * id. Ranks may have one together, or each its own. NULL: the
                                * setting checkpoint.directory */
    const char *application;   /* who may restart from it. NULL: the program's name */
    uint32_t keep;             /* how many versions; 0: the setting checkpoint.keep */
    uint32_t signals;          /* not 0: SIGUSR1 makes ssi_checkpoint_need say yes at the next
                                * point; SIGTERM, too, and it makes ssi_checkpoint_should_exit say
                                * yes from then on */
    const char *policy;        /* what makes ssi_checkpoint_need say yes by itself, such as
                                * "young_daly mtbf_s=86400" (`ssi checkpoint policy list`). NULL:
                                * the setting checkpoint.policy. Rank 0's */
    const char *global_directory;   /* of the global store, for SSI_CHECKPOINT_GLOBAL: one that all
                                * hosts see, made when its parent exists. NULL: the setting
                                * checkpoint.global_directory. Rank 0's */
} ssi_checkpoint_options;
#define SSI_CHECKPOINT_OPTIONS_INIT \
    { sizeof(ssi_checkpoint_options), NULL, NULL, 0, 1, NULL, NULL }

/* Collective. Makes the store where there is none, and removes what was never committed. One at a
 * time in a session (else exists). would_block: another session has the store. io. */
int ssi_checkpoint_open(ssi_session *session, const ssi_checkpoint_options *options,
                        ssi_checkpoint **checkpoint);
/* On every rank: waits for what is being saved, and copied to the global store; tickets tell how
 * that went. The handle is gone then (but for invalid_argument, when it is in use). ssi_finalize
 * does the same with one that is open. NULL: nothing happens. */
int ssi_checkpoint_close(ssi_checkpoint *checkpoint);

/* ---- what is saved ---- */

/* Before the first take or restart, the same names in the same order on every rank. exists: it is
 * protected already. */

/* All objects of a set that is kept in memory (unsupported: one with another linker). */
int ssi_checkpoint_protect_set(ssi_checkpoint *checkpoint, ssi_set *set);
/* Memory of this rank, which stays where it is until the close. It comes back on the same number of
 * ranks, of the same length, into the memory protected by that name then; restart on another number
 * is refused (unsupported). */
int ssi_checkpoint_protect_span(ssi_checkpoint *checkpoint, const char *name, void *memory,
                                size_t length);
/* This rank's piece of an array over all ranks: `count` elements of `element_bytes` (at least 1)
 * bytes, from element `offset` on, of `length` elements. It stays where it is until the close.
 * Comes back on any number of ranks, however it is divided then. Pieces of ranks do not overlap;
 * what no rank had saved is left as it is. */
int ssi_checkpoint_protect_array(ssi_checkpoint *checkpoint, const char *name, void *piece,
                                 size_t count, uint32_t element_bytes, uint64_t offset,
                                 uint64_t length);

/* A file of kDFS: `*file`, whatever this rank has open there when a checkpoint is taken, or NULL
 * for none. Saved are the path that it was opened by, flags and length; what this node wrote to it
 * is durable when the version is. After a restart `*file` is open again on the rank of that
 * number, and what was appended since has been cut off; bytes before that are as they are by then.
 * With `content` (not 0) they are part of the version, copied while all ranks wait. The file system
 * is unmounted after the close. A take fails with unsupported when the file was removed. */
int ssi_checkpoint_protect_file(ssi_checkpoint *checkpoint, const char *name,
                                struct ssi_fs *fs, struct ssi_file **file, int content);

enum ssi_checkpoint_event {
    SSI_CHECKPOINT_BEFORE = 0,      /* in take, before anything is stopped: prepare it */
    SSI_CHECKPOINT_AFTER = 1,       /* in take, when the application goes on, also on failure */
    SSI_CHECKPOINT_RESTARTED = 2    /* in restart, when all is put back */
};
/* Returns SSI_OK, or an error number: the take (SSI_CHECKPOINT_BEFORE) or the restart
 * (SSI_CHECKPOINT_RESTARTED: all is put back all the same) fails with it on every rank; that of
 * SSI_CHECKPOINT_AFTER is logged. Numbers that are none count as function_failed. */
typedef int (*ssi_checkpoint_callback)(void *context);
/* Called on every rank, in the order they were given, by the thread that takes or restarts. */
int ssi_checkpoint_on(ssi_checkpoint *checkpoint, enum ssi_checkpoint_event event,
                      ssi_checkpoint_callback callback, void *context);

/* ---- taking ---- */

/* Where a version is kept. */
enum ssi_checkpoint_level {
    SSI_CHECKPOINT_LOCAL = 1,   /* each part in its rank's store */
    SSI_CHECKPOINT_PARTNER = 2, /* and in that of a rank on another host. unsupported: there is none
                                 * (checkpoint.allow_same_host), or all ranks have one store */
    SSI_CHECKPOINT_PARITY = 3,  /* and, of each group of ranks on several hosts (checkpoint.group),
                                 * so much with the others that any one may be lost. unsupported: as
                                 * above, or one host has more ranks than all others together */
    SSI_CHECKPOINT_GLOBAL = 4   /* as SSI_CHECKPOINT_LOCAL, and then all of it in the global store,
                                 * copied in the background, while the next one may be taken.
                                 * unsupported: there is none */
};

/* Grows at its end: initialise with SSI_TAKE_OPTIONS_INIT, and set members by name. */
typedef struct ssi_take_options {
    size_t size;             /* sizeof(ssi_take_options) */
    uint64_t number;         /* comes back from restart: such as the step. Rank 0's */
    const void *bytes;       /* the same: `length` bytes, at most 16 MiB */
    size_t length;
    uint32_t asynchronous;   /* not 0: take returns as soon as the cut is made; what is changed
                              * afterwards is not in it. 0: when it is durable */
    uint32_t incremental;    /* not 0: only what has changed since the last one that was taken so
                              * is written; what has not is read from older versions, which are
                              * kept as long */
    uint32_t level;          /* an ssi_checkpoint_level; 0: SSI_CHECKPOINT_LOCAL */
} ssi_take_options;
#define SSI_TAKE_OPTIONS_INIT { sizeof(ssi_take_options), 0, NULL, 0, 0, 0, SSI_CHECKPOINT_LOCAL }

/* One checkpoint that was taken. May be used by several threads; the last one frees it. May outlive
 * the checkpoint it came from. */
typedef struct ssi_ticket ssi_ticket;

/* Collective. Waits for the one before to be durable. `description` (NULL: none) is for people;
 * `options` NULL: as initialised; `ticket` may be NULL. timed_out: not at rest within
 * checkpoint.timeout_ms, or a rank does not come; the text names what was in the way. io, such as
 * no space; peer_lost; and what a callback returned. */
int ssi_checkpoint_take(ssi_checkpoint *checkpoint, const char *description,
                        const ssi_take_options *options, ssi_ticket **ticket);
/* Collective. *wanted becomes 1 when one should be taken now, else 0, the same on every rank: a
 * policy wants it (checkpoint.policy), such as after some time, or somebody asked for it (a signal,
 * `ssi checkpoint take`). Does not return between `ssi checkpoint freeze` and `thaw`. */
int ssi_checkpoint_need(ssi_checkpoint *checkpoint, int *wanted);
/* After ssi_checkpoint_need: `level` and `incremental` of *options become what those policies want
 * that have an opinion; after one that said no, nothing does. */
int ssi_checkpoint_wanted(ssi_checkpoint *checkpoint, ssi_take_options *options);
/* 1 when SIGTERM, or `ssi checkpoint halt`, had come to any rank by the last ssi_checkpoint_need,
 * or a policy wants the program to leave, else 0; 0 for NULL. By the thread that calls that. */
int ssi_checkpoint_should_exit(const ssi_checkpoint *checkpoint);

/* From 1, ascending. */
int ssi_ticket_version(const ssi_ticket *ticket, uint64_t *version);
/* *done: 1 when it is durable or has failed, else 0. */
int ssi_ticket_test(const ssi_ticket *ticket, int *done);
/* Waits until then, and returns how it went, the same on every rank. A SSI_CHECKPOINT_GLOBAL one is
 * durable when it is in the global store; one that did not come there (cancelled: a newer one was
 * taken before it was its turn) is valid in the ranks' stores all the same. */
int ssi_ticket_wait(const ssi_ticket *ticket);
typedef struct ssi_take_progress {
    uint64_t saved_bytes;      /* of this node's part so far, a lower bound */
    double stopped_seconds;    /* acquisitions waited at this node */
    double seconds;            /* from the call of take until now, or until its end */
} ssi_take_progress;
int ssi_ticket_progress(const ssi_ticket *ticket, ssi_take_progress *progress);
/* Stops nothing. NULL: nothing happens. */
void ssi_ticket_free(ssi_ticket *ticket);

/* ---- putting back ---- */

/* Where a run went on from. Pointers are valid until the next find or restart with the checkpoint,
 * or its close. Grows at its end: set size first, as by SSI_RESTARTED_INIT. */
typedef struct ssi_restarted {
    size_t size;                  /* sizeof(ssi_restarted) */
    uint32_t found;               /* 1; 0: there was none, and all that follows is 0 or "" */
    uint32_t saved_ranks;
    uint64_t version;
    uint64_t number;              /* as given to take */
    const void *bytes;            /* the same, `length` of them */
    size_t length;
    const char *description;      /* ends in a zero byte */
    int64_t time_ns;              /* when it was taken, since the Unix epoch */
    uint64_t restored_bytes;      /* by this node; 0 of a find */
    const char *const *passed_over;   /* newer versions that could not be used, a sentence each */
    size_t passed_over_count;
    uint64_t rebuilt_members;     /* that had lost one of two copies and have two again; 0 of a
                                   * find */
} ssi_restarted;
#define SSI_RESTARTED_INIT { sizeof(ssi_restarted), 0, 0, 0, 0, NULL, 0, "", 0, 0, NULL, 0, 0 }

/* Collective, while the protected sets are as they were created and no channel was opened: puts
 * back the newest version that is whole, or tells that there is none at all (SSI_OK, found 0).
 * Every byte is verified; what turns out to be damaged is taken back, and an older version put in
 * instead. mismatch: of another application, or other things are protected. unsupported. exists:
 * objects are in use. io: versions, but none that can be used. peer_lost; what a callback
 * returned. */
int ssi_checkpoint_restart(ssi_checkpoint *checkpoint, ssi_restarted *restarted);
/* That one or a failure (not_found). */
int ssi_checkpoint_restart_version(ssi_checkpoint *checkpoint, uint64_t version,
                                   ssi_restarted *restarted);
/* Collective. What restart would go on from, by the manifests alone, before anything need be
 * protected: for programs whose sets depend on what was saved. */
int ssi_checkpoint_find(ssi_checkpoint *checkpoint, ssi_restarted *found);
int ssi_checkpoint_find_version(ssi_checkpoint *checkpoint, uint64_t version,
                                ssi_restarted *found);

/* ---- steps that belong together ---- */

/* From enter to leave no cut falls between the steps of this thread: such as receiving a message
 * and changing an object accordingly. Nestable: as many leaves as enters, by the same thread (else
 * invalid_argument), before it ends. The outermost enter waits while a cut is made. Do not wait in
 * it for other threads. */
int ssi_checkpoint_enter(ssi_session *session);
int ssi_checkpoint_leave(ssi_session *session);

#ifdef __cplusplus
}
#endif

#endif
