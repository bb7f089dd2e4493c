/* SPDX-License-Identifier: BSD-3-Clause */
/* What a world of three nodes and one object is made of: each node's cache entry, what is under
   way for each node's request, and the home's directory. The names are those of kddm/entry.hpp.

   Nothing counts up, so that the graph of states is finite without a bound on operations:
   - bytes are `fresh` or not: a write makes its node's bytes fresh and all others stale, those in
     messages too;
   - a version is `current` or not: two versions are equal when both are the newest one;
   - a transaction is a node's latest one or an older one (`after`, `open_latest`). */

#define NODES 3
#define HOME 0
#define NOBODY 3

/* CacheState */
#define INVALID 0
#define SHARED 1
#define OWNER 2
#define EXCLUSIVE 3
#define EVICTING 4
#define GIVEN 5

/* what a task wants, and what a node requests; RENEW is grab_new */
#define NOTHING 0
#define READ 1
#define WRITE 2
#define RENEW 3

/* messages to the home, revocations, answers */
#define GET 1
#define GRAB 2
#define FETCH 1
#define YIELD 2
#define INVALIDATE 3
#define EVICT 4
#define DATA 1
#define GRANT 2
#define ACCEPTED 1
#define ASKED 2

#define NO_ACKS 2   /* `missing` may go two below zero: acks may overtake the data */

typedef Cache {
    unsigned state : 3;
    bool fresh; bool current;
    /* the pin word; `waiters` > 0 is its waiters bit, `slow` follows from the mode */
    bool readable; bool writable; bool revoking;
    unsigned pins : 2; bool writer;
    unsigned leaving : 2;   /* tasks between their last unpin and the machine that it must run */
    unsigned waiters : 2; unsigned first : 2; unsigned second : 2;
    /* Busy: our request */
    bool asking; unsigned requested : 2;
    bool has_data; bool renewing; bool want_done; unsigned missing : 3; bool evict_acked;
    /* Busy: revocations put off, each with the requester it is for */
    unsigned revocation : 3; unsigned revoked_for : 2;
    unsigned later : 2; unsigned later_for : 2;
    bool hook_running; bool hooked;
}

/* What is under way for one node's request: at most one message of each kind, which the model
   asserts. A message to the own node is handled within the step, in order: `own`. */
typedef Request {
    unsigned request : 2; bool queued;          /* requester -> home */
    bool has_copy; bool copy_current; bool renew;
    unsigned forward : 2; unsigned to : 2; bool after;    /* fetch or yield: home -> owner */
    unsigned told : 3; unsigned told_after : 3;           /* invalidate: home -> readers, a mask */
    unsigned acks : 2; bool want_done;                    /* what fetch, yield and grant carry */
    unsigned answer : 2; bool fresh; bool current; bool keep;   /* data, grant: -> requester */
    unsigned acking : 2;                                  /* acks: readers -> requester */
    bool done;                                            /* requester -> home */
    bool evict; bool evict_fresh; bool evict_current;     /* owner -> home */
    unsigned evict_ack : 2;                               /* home -> owner */
    unsigned passed : 2;                                  /* others started while this waited */
}

typedef Directory {
    unsigned owner : 2; unsigned copies : 3;
    unsigned open_node : 2; bool open_latest;
    bool busy; unsigned busy_node : 2;
}

Cache c[NODES];
Request m[NODES];
Directory home;
chan queue = [NODES + 1] of { byte };   /* requests that wait at the home, as node * 2 + evict */
bool stopped;                           /* the applications start nothing any more */

/* Of the step that runs; zero between steps. */
byte event, n, r, what, kind, reader, code, slip;
bool complete, granting, pumping, revoking_now, flushing, hook_stop;
chan own = [8] of { byte, byte };     /* messages to the own node: event, requester */

/* events */
#define WANT 1
#define PREFETCH 2
#define WITHDRAW 3
#define FLUSH 4
#define UNPIN 5
#define RUN_UNPINNED 6
#define RELEASED 7
#define ON_REQUEST 8
#define ON_EVICT 9
#define ON_DONE 10
#define ON_SERVED 11
#define ON_FORWARD 12
#define ON_INVALIDATE 13
#define ON_ANSWER 14
#define ON_ACK 15
#define ON_EVICT_ACK 16

#define mask(x) (1 << (x))
#define count(x) (c[x].pins + c[x].writer)
#define owns(x) (c[x].state == OWNER || c[x].state == EXCLUSIVE)
#define room(x) (c[x].waiters + count(x) + c[x].leaving < TASKS)
#define slow(x) (HOME_MODE && (x) != HOME)
#define blocked(x) (c[x].revoking || c[x].waiters > 0 || slow(x))
#define idle(x) (c[x].waiters == 0 && !c[x].asking && !c[x].revocation && !c[x].later)
