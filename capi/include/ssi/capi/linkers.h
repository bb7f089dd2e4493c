/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Linkers: where the objects of a set are born and kept outside memory: a file, a database, a
 * device. Register one on every node before a set that names it (ssi_set_options.linker) is created
 * or opened. Included by ssi/ssi.h. */
#ifndef SSI_CAPI_LINKERS_H
#define SSI_CAPI_LINKERS_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What ssi_linker.fetch returns for an object that was never written back, or was removed. */
#define SSI_NO_OBJECT (-1)

/* The functions of a linker. An object is linked at its home: the linker of that node alone is
 * asked, about one object by one call at a time, about several at once: by several threads of
 * libssi (see never_blocks). They must not call libssi, but for ssi_call_text and, where it says
 * so, ssi_call_resize. `call->id` is the object, `context` the member below.
 *
 * They return 0 when it is done. Any other number is an error: whoever asked gets linker_failed,
 * with the text of ssi_call_text or, without one, the number; the object stays as it was, and the
 * next access tries again.
 *
 * Grows at its end: initialise with SSI_LINKER_INIT and set members by name. */
typedef struct ssi_linker {
    size_t size;   /* sizeof(ssi_linker) */
    /* Fills in all call->size bytes at call->data, which are zero; SSI_VARIABLE: after
     * ssi_call_resize, from 0 bytes. SSI_NO_OBJECT: there is none, it is new-born. */
    ssi_function fetch;
    /* May fill in a new-born object, as above; its bytes are zero, or none. NULL: they stay so. */
    ssi_function instantiate;
    /* The newest value: call->arguments_size bytes at call->arguments. Nobody writes it meanwhile.
     * What libssi promises: a value which was put, and is in no node's memory any more, has been
     * written back before. */
    ssi_function write_back;
    /* All that was written back is to be durable. Called by ssi_sync, on each node that calls it.
     * NULL: it is. */
    ssi_function sync;
    /* The object is removed: fetch returns SSI_NO_OBJECT from now on. */
    ssi_function remove;
    /* The set was destroyed: nothing of this node's part is needed any more. May be NULL. */
    ssi_function destroy;
    void *context;           /* for the functions; used until ssi_finalize has returned */
    /* 0: calls may take long, and have threads of their own. Not 0: they never block, and are made
     * by whoever is there: message handlers, and threads of the program in a verb. */
    uint32_t never_blocks;
    uint32_t reserved;       /* 0 */
} ssi_linker;
#define SSI_LINKER_INIT { sizeof(ssi_linker), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 }

/* *linker is copied; fetch, write_back and remove must be there. `name`: 1 to 255 bytes, not
 * "memory". */
int ssi_register_linker(ssi_session *session, const char *name, const ssi_linker *linker);

/* A linker that comes with libssi, for sets of SSI_FIXED with ids of one number: the object id.lo
 * is a record of `record_bytes` (object_bytes of the set), at byte id.lo * record_bytes of the
 * file. The file is created when there is none. Every node has a file of its own, with the records
 * of the objects that it homes and holes for the others; ssi_sync on every node brings it to the
 * disk. It must be of a session with the same placement and number of nodes: nothing checks that.
 * io: it cannot be opened. */
int ssi_register_record_file(ssi_session *session, const char *name, const char *path,
                             uint32_t record_bytes);

#ifdef __cplusplus
}
#endif

#endif
