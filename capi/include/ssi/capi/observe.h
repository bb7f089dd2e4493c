/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a node was told and what it counts: settings, and statistics that `ssi stat` shows. Included
 * by ssi/ssi.h. All functions may be called by any thread at any time. */
#ifndef SSI_CAPI_OBSERVE_H
#define SSI_CAPI_OBSERVE_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- settings ---- */

/* The value in force of a setting of docs/configuration.md, by its key, as "log.level". not_found:
 * there is no such setting; mismatch: it is of the other type. */
/* Of integers, in the setting's unit, and of booleans, 1 or 0. */
int ssi_setting_i64(const ssi_session *session, const char *key, int64_t *value);
/* Of texts and choices; valid as long as the session. */
int ssi_setting_text(const ssi_session *session, const char *key, const char **value);
/* Where the value came from: "default", "x.toml:3", "SSI_LOG_LEVEL" or "--ssi-log-level". */
int ssi_setting_source(const ssi_session *session, const char *key, const char **source);

/* ---- statistics of this node ---- */

enum ssi_metrics_format { SSI_OPEN_METRICS = 0, SSI_JSON = 1 };
/* All counters and histograms of this node, as they are now, as a text that ends in a zero byte.
 * *length (may be NULL) becomes its length without that, also with too_large: `capacity` bytes do
 * not hold it, and `text` is the beginning of it, with a zero byte. */
int ssi_metrics(ssi_session *session, enum ssi_metrics_format format, char *text, size_t capacity,
                size_t *length);

/* A counter or gauge of the program's own beside those of libssi, by name: "myapp_steps_total" (a
 * counter), or "myapp_residual" (a gauge: it is set). Names are of a-z, 0-9 and '_', begin with a
 * letter and do not end in "_seconds". `labels` is NULL or like phase="solve". The same name and
 * labels are the same counter; valid as long as the session. */
typedef struct ssi_counter ssi_counter;
int ssi_counter_open(ssi_session *session, const char *name, const char *labels,
                     ssi_counter **counter);
/* Each is one relaxed atomic operation. */
int ssi_counter_add(ssi_counter *counter, uint64_t n);
int ssi_counter_set(ssi_counter *counter, uint64_t n);
int ssi_counter_value(const ssi_counter *counter, uint64_t *value);

/* A histogram of times, by a name that ends in "_seconds"; else like counters. */
typedef struct ssi_histogram ssi_histogram;
int ssi_histogram_open(ssi_session *session, const char *name, const char *labels,
                       ssi_histogram **histogram);
/* A time in nanoseconds; a negative one counts as 0. */
int ssi_histogram_record(ssi_histogram *histogram, int64_t ns);
/* How many times were recorded. */
int ssi_histogram_count(const ssi_histogram *histogram, uint64_t *count);
/* The time in nanoseconds below which that share of them (0 to 1) lies, at most 25 % too large; 0
 * when there is none. */
int ssi_histogram_quantile(const ssi_histogram *histogram, double share, int64_t *ns);

#ifdef __cplusplus
}
#endif

#endif
