/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Strategies of checkpoints: when one is taken, at which level, whole or incremental. C99; a shared
 * object that exports one symbol, ssi_checkpoint_policy_entry, is a strategy like those that libssi
 * brings along (ssi checkpoint policy list). docs/checkpointing.md is the guide,
 * apps/examples/12_policy.c a whole one.
 *
 * decide is a pure function of its three arguments: it remembers nothing, asks no clock and waits
 * for nothing. What it may go by is in the view. So the same shared object decides in a running
 * session and in `ssi checkpoint policy simulate`. It is asked on the session's first rank alone.
 * What create gave is used by one thread at a time; another one may be created meanwhile, when a
 * policy is to be replaced. A strategy whose plan is none, or that takes longer than 100 ms twice
 * in a row, is replaced by on_request; the log and `ssi checkpoint policy` tell why. One that never
 * returns hangs the program. */
#ifndef SSI_CKPT_POLICY_H
#define SSI_CKPT_POLICY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when what is here does otherwise than by growing at its end. */
#define SSI_CHECKPOINT_POLICY_ABI 1u

/* Places for levels: a level is its own index (1 local, 2 partner, ...; 0 stands for any). */
#define SSI_CHECKPOINT_LEVELS 8
#define SSI_CHECKPOINT_WHY_BYTES 160

/* What one checkpoint has cost, as the first rank saw it. blocked_s is negative when none was
 * measured yet. */
struct ssi_checkpoint_cost {
    double blocked_s;          /* the program stood in take */
    double durable_s;          /* from the call of take until it was durable */
    uint64_t bytes;            /* of the first rank's part */
};

struct ssi_checkpoint_level_view {
    double since_s;            /* since the last one of this level was begun, durable or not, or was
                                * wanted and the program took another level; when there was none,
                                * since the program began */
    uint64_t taken;            /* how many, since the program began */
    uint32_t possible;         /* 1: this session can have it */
    uint32_t reserved;
    struct ssi_checkpoint_cost full, incremental;   /* of the last one that became durable */
};

/* Grows at its end: size is that of the host. */
struct ssi_checkpoint_view {
    size_t size;
    double now_s;              /* since the program began: since its Checkpoint was opened */
    double mtbf_s;             /* mean time between failures of the whole job as configured
                                * (checkpoint.mtbf_s); negative: not */
    double observed_mtbf_s;    /* the same by the failures that ssi-relaunch has seen; negative:
                                * none yet */
    uint64_t observed_failures;
    double left_s;             /* until the job ends; negative: unknown */
    double between_points_s;   /* mean time between calls of need; negative: unknown */
    uint32_t asked;            /* 1: one is taken in any case, as somebody asked for it; the plan
                                * says how */
    uint32_t leaving;          /* 1: should_exit is true already */
    struct ssi_checkpoint_level_view levels[SSI_CHECKPOINT_LEVELS];   /* [0]: of any level */
};

enum ssi_checkpoint_kind {
    SSI_CHECKPOINT_AS_PROGRAM = 0,   /* what the program gives to take */
    SSI_CHECKPOINT_FULL = 1,
    SSI_CHECKPOINT_INCREMENTAL = 2   /* each checkpoint.full_every-th is whole all the same */
};

/* The host fills it in for decide: size, next_s -1, all else 0. */
struct ssi_checkpoint_plan {
    size_t size;
    uint32_t take;             /* 1: now, else 0 */
    uint32_t level;            /* of this one, or of one that somebody asks for; 0: as the program
                                * says, else one of those that `keep` has named */
    uint32_t kind;             /* an ssi_checkpoint_kind */
    uint32_t leave;            /* 1, only with take: should_exit is true afterwards */
    double next_s;             /* after how long it wants one if nothing changes but the time, 0 or
                                * more; negative: unknown, or never */
    char why[SSI_CHECKPOINT_WHY_BYTES];   /* a sentence for people, with its 0 */
};

#define SSI_CHECKPOINT_KEEP_AS_SET UINT32_MAX

struct ssi_checkpoint_policy {
    uint32_t abi;              /* SSI_CHECKPOINT_POLICY_ABI */
    uint32_t reserved;
    const char *name;          /* by which a policy_path finds it: that of its file, without .so */
    const char *help;          /* a sentence */
    const char *parameters;    /* what it takes: "every_s=S (default 0): ..."; "" when nothing */
    /* From "name=value name=value", with single spaces between them. NULL: they are wrong, and
     * `error`, of error_bytes bytes, says how, with its 0. */
    void *(*create)(const char *parameters, char *error, size_t error_bytes);
    /* Which levels its plans may name, and how many of the newest versions of each are kept:
     * counts[level], all 0 before, or SSI_CHECKPOINT_KEEP_AS_SET for checkpoint.keep. Versions of
     * levels that no strategy names are kept as the program or checkpoint.keep says. NULL: none. */
    void (*keep)(const void *policy, uint32_t counts[SSI_CHECKPOINT_LEVELS]);
    void (*decide)(const void *policy, const struct ssi_checkpoint_view *view,
                   struct ssi_checkpoint_plan *plan);
    void (*destroy)(void *policy);   /* what create gave. NULL: nothing is to be done */
};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern const struct ssi_checkpoint_policy ssi_checkpoint_policy_entry;

#ifdef __cplusplus
}
#endif

#endif
