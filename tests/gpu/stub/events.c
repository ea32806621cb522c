/* What the host asked of the device: counted, and told to Python, which knows the line that asked. */
#include "stub.h"

static const char *names[EVENTS] = {"launch", "math", "sync", "event sync", "pageable copy"};
static _Atomic long counts[EVENTS];
static void (*watcher)(int event);

const char *stub_event(int event) { return event >= 0 && event < EVENTS ? names[event] : 0; }
long stub_count(int event) { return counts[event]; }
long counted(enum event event) { return counts[event]; }

/* From now on `call` hears of every event but launches; 0: nobody does. */
void stub_watch(void (*call)(int event)) { watcher = call; }

void note(enum event event) {
    atomic_fetch_add(&counts[event], 1);
    if (event != LAUNCH && watcher) watcher(event);
}

/* Behind every function that only succeeds (0) or only fails: build.py writes them. STUB_TRACE=1 names each call. */
int stub_call(const char *name, int result) {
    if (result || getenv("STUB_TRACE")) fprintf(stderr, "[stub] %s%s\n", name, result ? ": not supported" : "");
    return result;
}

Handle handle(void) {
    static _Atomic uintptr_t last = 4096;
    return (Handle)atomic_fetch_add(&last, 16);
}
