/* Devices, their memory, and copies to and from it.

   What the host reads back is what copies have put there, if it is at most SMALL bytes and no kernel has run since,
   which might have changed it; else zeros. A scalar that was copied as such stays, though: an optimizer's count of
   steps must not become 0. */
#include "stub.h"

/* -- what a scalar reads as, instead: with an answer every float of 2, 4 or 8 bytes is that number, every byte (a bool)
      is 1 ---------------------------------------------------------------------------------------------------------- */

static double answer;
static int answering = -1;

void stub_answer(const double *value) {
    answering = value != 0;
    if (value) answer = *value;
}

static int answered(void *to, size_t n) {
    if (answering < 0) {
        const char *said = getenv("STUB_ANSWER");
        double value = said ? atof(said) : 0;
        stub_answer(said && *said ? &value : 0);
    }
    if (!answering) return 0;
    float single = (float)answer;
    if (n == 1) *(char *)to = 1;
    else if (n == 2) memcpy(to, (char *)&single + 2, 2); /* bfloat16 */
    else if (n == 4) memcpy(to, &single, 4);
    else if (n == 8) memcpy(to, &answer, 8);
    else return 0;
    return 1;
}

/* -- devices ------------------------------------------------------------------------------------------------------ */

__thread int current_device;

int device_count(void) {
    static int count = -1;
    if (count >= 0) return count;
    const char *all = getenv("STUB_GPUS"), *seen = getenv("CUDA_VISIBLE_DEVICES");
    int n = all && *all ? atoi(all) : 1, visible = 0;
    n = n < 0 ? 0 : n > MOST_GPUS ? MOST_GPUS : n;
    while (seen && *seen) { /* as CUDA: up to the first that does not exist; a UUID is taken on trust */
        char *end;
        long i = strtol(seen, &end, 10);
        if (end == seen ? strncmp(seen, "GPU-", 4) != 0 : i < 0 || i >= n) break;
        visible++;
        seen = strchr(seen, ',');
        if (seen) seen++;
    }
    return count = getenv("CUDA_VISIBLE_DEVICES") ? (visible < n ? visible : n) : n;
}

size_t total_bytes(void) {
    const char *said = getenv("STUB_GB");
    return (size_t)((said && *said ? atof(said) : 80) * (1L << 30));
}

int cudaGetDeviceCount(int *n) { return (*n = device_count()) ? 0 : NO_DEVICE; }
int cudaGetDevice(int *device) { *device = current_device; return 0; }
int cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return BAD_DEVICE;
    current_device = device;
    return 0;
}
int cudaDriverGetVersion(int *version) { *version = CUDA; return 0; }

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = 65536; break;
    case cudaDevAttrMultiProcessorCount: *value = 108; break;
    case cudaDevAttrL2CacheSize: *value = 41943040; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrMaxBlocksPerMultiprocessor: *value = 32; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 167936; break;
    case cudaDevAttrMaxRegistersPerMultiprocessor: *value = 65536; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 166912; break;
    default: *value = 0;
    }
    return 0;
}

int cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "STUB A100-SXM4");
    p->uuid.bytes[15] = (char)device;
    p->totalGlobalMem = total_bytes();
    p->major = 8;
    p->multiProcessorCount = 108;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerMultiprocessor = 167936;
    p->sharedMemPerBlockOptin = 166912;
    p->reservedSharedMemPerBlock = 1024;
    p->totalConstMem = 65536;
    p->l2CacheSize = 41943040;
    p->textureAlignment = 512;
    p->texturePitchAlignment = 32;
    p->unifiedAddressing = p->concurrentKernels = 1;
    p->pciBusID = device;
    return 0;
}

int cudaDeviceGetPCIBusId(char *id, int size, int device) { snprintf(id, size, "0000:%02x:00.0", device); return 0; }
int cudaDeviceCanAccessPeer(int *can, int a, int b) { *can = a != b; return 0; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return 0;
}

/* -- memory ------------------------------------------------------------------------------------------------------- */

typedef struct Region {
    char *start;
    size_t size;
    int device;          /* -1: pinned host memory */
    _Atomic long *known; /* of each BLOCK bytes: 0, or what `stamp` gave when a copy or memset last wrote them */
    struct Region *next;
} Region;
enum { BLOCK = 512 }; /* torch's allocator never gives two tensors the same */
static Region *regions;
size_t used_bytes[MOST_GPUS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *untouched(size_t size) {
    void *start = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? 0 : start;
}
static size_t notes(size_t size) { return (size / BLOCK + 1) * sizeof(long); }

void *reserve(size_t size, int device) {
    size = size ? size : 1;
    char *start = untouched(size);
    _Atomic long *known = device >= 0 ? untouched(notes(size)) : 0;
    if (!start || (device >= 0 && !known)) return 0;
    Region *region = malloc(sizeof *region);
    *region = (Region){start, size, device, known, 0};
    pthread_mutex_lock(&lock);
    region->next = regions, regions = region;
    pthread_mutex_unlock(&lock);
    return start;
}

int take(size_t size, int device) {
    pthread_mutex_lock(&lock);
    int full = (long)size > 0 && used_bytes[device] + size > total_bytes();
    if (!full) used_bytes[device] += size;
    pthread_mutex_unlock(&lock);
    return full ? OUT_OF_MEMORY : 0;
}

static Region find(const void *pointer) { /* a copy; device -2 where it is none of ours */
    Region *r, found = {0, 0, -2, 0, 0};
    pthread_mutex_lock(&lock);
    for (r = regions; r; r = r->next)
        if ((char *)pointer >= r->start && (char *)pointer < r->start + r->size) { found = *r; break; }
    pthread_mutex_unlock(&lock);
    return found;
}

static Region forget(void *start) {
    Region **link, found = {0, 0, -2, 0, 0};
    pthread_mutex_lock(&lock);
    for (link = &regions; *link; link = &(*link)->next)
        if ((*link)->start == start) {
            Region *region = *link;
            found = *region, *link = region->next;
            munmap(region->start, region->size);
            if (region->known) munmap((void *)region->known, notes(region->size));
            free(region);
            break;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

int cudaMalloc(void **pointer, size_t size) {
    *pointer = 0;
    if (take(size, current_device)) return OUT_OF_MEMORY;
    return (*pointer = reserve(size, current_device)) ? 0 : OUT_OF_MEMORY;
}
int cudaFree(void *pointer) {
    Region region = forget(pointer);
    if (region.device >= 0) take(-region.size, region.device);
    return 0;
}
int cudaHostAlloc(void **pointer, size_t size, unsigned flags) {
    return (*pointer = reserve(size, -1)) ? 0 : OUT_OF_MEMORY;
}
int cudaFreeHost(void *pointer) { forget(pointer); return 0; }
int cudaMemGetInfo(size_t *free_, size_t *total_) {
    *total_ = total_bytes(), *free_ = total_bytes() - used_bytes[current_device];
    return 0;
}
int cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *pointer) {
    Region region = find(pointer);
    memset(a, 0, sizeof *a);
    a->type = region.device >= 0    ? cudaMemoryTypeDevice
              : region.device == -1 ? cudaMemoryTypeHost
                                    : cudaMemoryTypeUnregistered;
    a->device = region.device >= 0 ? region.device : current_device;
    if (region.device >= -1) a->devicePointer = (void *)pointer;
    if (region.device == -1) a->hostPointer = (void *)pointer;
    return 0;
}

/* Zeros that take no memory, where the memory is the process's own: whole pages are handed back to the kernel. */
static void zero(char *to, size_t n) {
    uintptr_t page = 4096, first = ((uintptr_t)to + page - 1) & ~(page - 1), last = ((uintptr_t)to + n) & ~(page - 1);
    if (n > SMALL && !madvise((void *)first, last - first, MADV_DONTNEED)) {
        memset(to, 0, first - (uintptr_t)to);
        memset((void *)last, 0, (uintptr_t)to + n - last);
    } else
        memset(to, 0, n);
}

extern _Atomic long kernels_until_count;
static long stamp(size_t n) { return 2 * counted(LAUNCH) + 2 + (n <= 8); }

static void put(Region *region, void *to, const void *from, size_t n, int value) { /* from, else value */
    if (n > SMALL || region->device < 0) return;
    if (from) memmove(to, from, n);
    else memset(to, value, n);
    size_t first = (char *)to - region->start, last = first + n - 1;
    for (size_t i = first / BLOCK; n && i <= last / BLOCK; i++) region->known[i] = stamp(n);
}
static const void *got(Region *region, const void *from, size_t n) { /* 0: zeros */
    if (n > SMALL || region->device < 0 || (n <= 8 && kernels_until_count && kernels_until_count == counted(LAUNCH))) return 0;
    size_t first = (char *)from - region->start, last = first + n - 1;
    if (n <= 8 && region->known[first / BLOCK] & 1) return from;
    for (size_t i = first / BLOCK; n && i <= last / BLOCK; i++)
        if (region->known[i] / 2 != stamp(n) / 2) return 0;
    return from;
}

static int copy(void *to, const void *from, size_t n, int kind) {
    Region into = find(to), out_of = find(from);
    if (kind == cudaMemcpyDefault)
        kind = into.device >= 0 ? (out_of.device >= 0 ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                                : (out_of.device >= 0 ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
    int host = kind == cudaMemcpyHostToDevice ? out_of.device : kind == cudaMemcpyDeviceToHost ? into.device : 0;
    if (n && host == -2) note(PAGEABLE); /* real CUDA would stage it, and make the host wait */
    if (kind == cudaMemcpyDeviceToDevice) {
        put(&into, to, got(&out_of, from, n), n, 0);
    } else if (kind == cudaMemcpyHostToDevice) {
        put(&into, to, from, n, 0);
    } else if (kind == cudaMemcpyDeviceToHost) {
        if (answered(to, n)) return 0;
        if (got(&out_of, from, n)) memcpy(to, from, n);
        else zero(to, n);
    } else
        memcpy(to, from, n);
    return 0;
}
int cudaMemcpy(void *to, const void *from, size_t n, int kind) { note(SYNC); return copy(to, from, n, kind); }
int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, Handle s) { return copy(to, from, n, kind); }
int cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t pitch, size_t n, size_t rows, int kind) {
    for (size_t i = 0; i < rows; i++) copy((char *)to + i * to_pitch, (char *)from + i * pitch, n, kind);
    return 0;
}
int cudaMemcpyPeerAsync(void *to, int a, const void *from, int b, size_t n, Handle s) {
    return copy(to, from, n, cudaMemcpyDeviceToDevice);
}
int cudaMemset(void *to, int value, size_t n) {
    Region region = find(to);
    put(&region, to, 0, n, value);
    return 0;
}
int cudaMemsetAsync(void *to, int value, size_t n, Handle s) { return cudaMemset(to, value, n); }
int cudaGetSymbolAddress(void **pointer, const void *symbol) { return (*pointer = reserve(1 << 20, current_device)) ? 0 : 2; }
void forget_address(void *start) { forget(start); }
