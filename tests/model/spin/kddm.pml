/* SPDX-License-Identifier: BSD-3-Clause */
/* KDDM's coherence protocol: three nodes, one object, fixed home. Every interleaving of the
   applications' verbs with the delivery of messages in any order. README.md says what is checked
   and which defines choose a variant; verify.py builds and runs them. */

#ifndef TASKS
#define TASKS 1   /* that hold or want the object at the same time, on each node */
#endif
#ifndef HOME_MODE
#define HOME_MODE 0
#endif
#ifndef HOOK
#define HOOK 0
#endif
#ifndef EXTRAS    /* 1: prefetch, try_grab that gives up, grab_new */
#define EXTRAS 0
#endif
#include "plants.pml"
#include "state.pml"

bool skipped;   /* of invalidate_copies() */
#ifdef PROGRESS
bool started;   /* the step is a new verb */
#endif

/* Marks a transition: the verifier says once that it was reached, and check.py wants all. */
#define cover(name) c_code { \
    static char once; \
    if (!once) { once = 1; printf("reached " #name "\n"); } \
}

#include "cache.pml"
#include "directory.pml"
#include "checks.pml"

/* Applications start something on node x. */
#define VERBS(x) \
    :: !stopped && room(x) -> event = WANT; n = x; what = READ; \
       printf("node %d: get\n", x) \
    :: !stopped && room(x) -> event = WANT; n = x; what = WRITE; \
       printf("node %d: grab\n", x) \
    :: !stopped && EXTRAS && room(x) -> event = WANT; n = x; what = RENEW; \
       printf("node %d: grab_new\n", x) \
    :: !stopped && EXTRAS && can_ask(x) && !satisfies(x, READ) -> \
       event = PREFETCH; n = x; what = READ; \
       printf("node %d: prefetch to read\n", x) \
    :: !stopped && EXTRAS && can_ask(x) && !satisfies(x, WRITE) -> \
       event = PREFETCH; n = x; what = WRITE; \
       printf("node %d: prefetch to write\n", x) \
    :: EXTRAS && c[x].waiters > 0 && c[x].first == WRITE -> event = WITHDRAW; n = x; \
       printf("node %d: try_grab gives up\n", x)

/* The home's flush does nothing. */
#define FLUSH_OF(x) \
    :: !stopped && idle(x) && c[x].state != INVALID && count(x) == 0 -> event = FLUSH; n = x; \
       printf("node %d: flush\n", x)

/* Tasks and the executor of node x go on. */
#define TASKS_OF(x) \
    :: c[x].pins > 0 -> event = UNPIN; n = x; what = READ; \
       printf("node %d: put of a get\n", x) \
    :: c[x].writer -> event = UNPIN; n = x; what = WRITE; \
       printf("node %d: put of a grab\n", x) \
    :: c[x].leaving > 0 -> event = RUN_UNPINNED; n = x; \
       printf("node %d: the last unpin runs the machine\n", x) \
    :: HOOK && c[x].hook_running -> event = RELEASED; n = x; \
       printf("node %d: the release hook has run\n", x)

/* The network delivers something of node x's request. */
#define TO_HOME(x) \
    :: m[x].request && !m[x].queued -> event = ON_REQUEST; n = HOME; r = x; \
       printf("home: request (get 1, grab 2) of node %d: %d\n", x, m[x].request) \
    :: m[x].evict && !m[x].queued -> event = ON_EVICT; n = HOME; r = x; \
       printf("home: evict of node %d\n", x) \
    :: m[x].done -> event = ON_DONE; n = HOME; r = x; \
       printf("home: done of node %d\n", x) \
    :: m[x].evict_ack -> event = ON_EVICT_ACK; n = x; r = x; \
       printf("node %d: evict_ack\n", x)
#define TO_REQUESTER(x) \
    :: m[x].answer -> event = ON_ANSWER; n = x; r = x; \
       printf("node %d: answer (data 1, grant 2): %d\n", x, m[x].answer) \
    :: m[x].acking > 0 -> event = ON_ACK; n = x; r = x; \
       printf("node %d: ack\n", x) \
    SLIPS_IN(x, READ) \
    SLIPS_IN(x, WRITE)
/* The same, and a task takes the fast path as soon as the word is open, within the step. */
#define SLIPS_IN(x, access) \
    :: m[x].answer && room(x) && c[x].waiters == 0 -> \
       event = ON_ANSWER; n = x; r = x; slip = access; \
       printf("node %d: answer; a get (1) or grab (2) may slip in: %d\n", x, slip) \
    :: m[x].acking > 0 && room(x) && c[x].waiters == 0 -> \
       event = ON_ACK; n = x; r = x; slip = access; \
       printf("node %d: ack; a get (1) or grab (2) may slip in: %d\n", x, slip)
#define TO_OWNER(x) \
    :: m[x].forward -> event = ON_FORWARD; n = m[x].to; r = x; \
       printf("node %d: forwarded (fetch 1, yield 2) for node %d: %d\n", n, x, m[x].forward)
#define TO_READER(x, y) \
    :: m[x].told & mask(y) -> event = ON_INVALIDATE; n = y; r = x; \
       printf("node %d: invalidate for node %d\n", y, x)

inline by_application() {
    if
    :: event == WANT ->
        if
        :: c[n].waiters == 0 -> c[n].first = what
        :: else -> c[n].second = what
        fi;
        c[n].waiters++;
        pumping = true
    :: event == PREFETCH -> cover(prefetches); start_request(n, what)
    :: event == WITHDRAW ->
        cover(withdraws);
        c[n].waiters--;
        c[n].first = c[n].second;
        c[n].second = NOTHING;
        pumping = true
    :: event == FLUSH -> flush_now(n)
    :: event == UNPIN ->
        if
        :: what == READ -> c[n].pins--
        :: else -> wrote(n); c[n].writer = false
        fi;
        if
        :: count(n) == 0 && blocked(n) && !PLANT_LOST_UNPIN -> c[n].leaving++
        :: else
        fi
    :: event == RUN_UNPINNED ->
        c[n].leaving--;
        if
        :: c[n].revocation && !c[n].hook_running -> revoke_at_last()
        :: else -> pumping = true
        fi;
        flushing = slow(n)
    :: event == RELEASED ->
        c[n].hook_running = false;
        c[n].hooked = true;
        revoke_at_last()
    fi
}

inline by_message() {
    if
    :: event == ON_REQUEST -> on_request(0)
    :: event == ON_EVICT -> on_request(1)
    :: event == ON_DONE -> m[r].done = false; on_done(false)
    :: event == ON_SERVED -> on_done(true)
    :: event == ON_FORWARD ->
        kind = m[r].forward;
        m[r].forward = 0; m[r].to = 0;
        on_revoke(m[r].after);
        m[r].after = false
    :: event == ON_INVALIDATE ->
        kind = INVALIDATE;
        m[r].told = m[r].told & (7 - mask(n));
        on_revoke(m[r].told_after & mask(n));
        m[r].told_after = m[r].told_after & (7 - mask(n))
    :: event == ON_ANSWER -> on_answer()
    :: event == ON_ACK -> on_ack()
    :: event == ON_EVICT_ACK -> on_evict_ack()
    fi
}

/* One step of the machine, then the messages it sent to its own node, in order. */
inline step() {
    do
    :: true ->
        if
        :: event <= RELEASED -> by_application()
        :: else -> by_message()
        fi;
        if
        :: complete -> complete = false; complete_now(); slip = NOTHING
        :: else
        fi;
        if
        :: revoking_now -> revoking_now = false; revoke_now()
        :: else
        fi;
        if
        :: pumping -> pumping = false; pump(n)
        :: else
        fi;
        if
        :: flushing -> flushing = false; flush_now(n)
        :: else
        fi;
        if
        :: len(own) > 0 -> own ? event, r; n = HOME
        :: else -> break
        fi
    od;
    event = 0; n = 0; r = 0; what = 0; kind = 0; slip = NOTHING; hook_stop = false;
    check();
    if
    :: everything_rests -> check_rest()
    :: else
    fi
}

active proctype world() {
    d_step {
        home.open_node = NOBODY;
        c[HOME].state = EXCLUSIVE;   /* new-born */
        c[HOME].readable = true; c[HOME].writable = true;
        c[HOME].fresh = true; c[HOME].current = true;
        c[0].missing = NO_ACKS; c[1].missing = NO_ACKS; c[2].missing = NO_ACKS
    }
next:
    atomic {
        if
        VERBS(0)
        VERBS(1)
        VERBS(2)
        FLUSH_OF(1)
        FLUSH_OF(2)
        TASKS_OF(0)
        TASKS_OF(1)
        TASKS_OF(2)
        TO_HOME(1)
        TO_HOME(2)
        TO_OWNER(0)
        TO_OWNER(1)
        TO_OWNER(2)
        TO_REQUESTER(0)
        TO_REQUESTER(1)
        TO_REQUESTER(2)
        TO_READER(0, 1)
        TO_READER(0, 2)
        TO_READER(1, 2)
        TO_READER(2, 1)
        :: !stopped -> stopped = true; goto next
        :: stopped && everything_rests -> goto end_rest
        fi;
#ifdef PROGRESS
        started = event >= WANT && event <= FLUSH && event != WITHDRAW;
#endif
        d_step { step() }
#ifdef PROGRESS
        if
        :: started -> started = false; goto progress_verb
        :: else
        fi;
#endif
        goto next
    }
#ifdef PROGRESS   /* a cycle without a new verb would be a livelock */
progress_verb:
    goto next;
#endif
end_rest:
    skip
}
