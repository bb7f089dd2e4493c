/* SPDX-License-Identifier: BSD-3-Clause */
/* Deliberate bugs: each must make the verifier find an error. -DPLANT_X=1 plants one. These are
   named as the simulator's (kddm/include/ssi/kddm/engine.hpp): */
#ifndef PLANT_SKIP_INVALIDATION_ACK
#define PLANT_SKIP_INVALIDATION_ACK 0
#endif
#ifndef PLANT_SKIP_INVALIDATION
#define PLANT_SKIP_INVALIDATION 0
#endif
#ifndef PLANT_LOST_UPGRADE
#define PLANT_LOST_UPGRADE 0
#endif
#ifndef PLANT_EARLY_GRANT
#define PLANT_EARLY_GRANT 0
#endif
#ifndef PLANT_EVICT_WITHOUT_ACK
#define PLANT_EVICT_WITHOUT_ACK 0
#endif
#ifndef PLANT_FORGET_COPY
#define PLANT_FORGET_COPY 0
#endif
#ifndef PLANT_STALE_DATA
#define PLANT_STALE_DATA 0
#endif
#ifndef PLANT_LOST_WRITE
#define PLANT_LOST_WRITE 0
#endif
#ifndef PLANT_UNFAIR_QUEUE
#define PLANT_UNFAIR_QUEUE 0
#endif
/* And these take out one rule of docs/protocol.md each: a revocation is not put off until the open
   grant is complete; a get from a third node reports no `done`; evict_ack forgets that a yield is on
   its way; the last unpin does not run the machine; a prefetched object of a home set stays when a
   fetch met its grant; a yield that finds pins is tried again instead of put off (a livelock). */
#ifndef PLANT_IGNORE_AFTER
#define PLANT_IGNORE_AFTER 0
#endif
#ifndef PLANT_NO_DONE
#define PLANT_NO_DONE 0
#endif
#ifndef PLANT_FORGET_ASKED
#define PLANT_FORGET_ASKED 0
#endif
#ifndef PLANT_LOST_UNPIN
#define PLANT_LOST_UNPIN 0
#endif
#ifndef PLANT_KEEP_PREFETCHED
#define PLANT_KEEP_PREFETCHED 0
#endif
#ifndef PLANT_RETRY
#define PLANT_RETRY 0
#endif
