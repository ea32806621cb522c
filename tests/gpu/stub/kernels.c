/* Streams, events, kernels and cuBLAS. */
#include "stub.h"

CREATE(cudaStreamCreate)
CREATE(cudaStreamCreateWithFlags)
CREATE(cudaStreamCreateWithPriority)
CREATE(cudaEventCreate)
CREATE(cudaEventCreateWithFlags)
int cudaStreamGetPriority(Handle s, int *priority) { *priority = 0; return 0; }
int cudaStreamIsCapturing(Handle s, int *capturing) { *capturing = 0; return 0; }
int cudaStreamGetCaptureInfo(Handle s, int *status, unsigned long long *id) {
    if (status) *status = 0;
    if (id) *id = 0;
    return 0;
}
int cudaStreamSynchronize(Handle s) { note(SYNC); return 0; }
int cudaDeviceSynchronize(void) { note(SYNC); return 0; }
int cudaEventSynchronize(Handle e) { note(EVENT_SYNC); return 0; }
int cudaEventElapsedTime(float *ms, Handle a, Handle b) { *ms = 1; return 0; }
int cudaLaunchHostFunc(Handle s, void (*call)(void *), void *data) { call(data); return 0; }
int cudaStreamAddCallback(Handle s, void (*call)(Handle, int, void *), void *data) { call(s, 0, data); return 0; }

_Atomic long kernels_until_count; /* kernels, when the last one ended that counts something for the host */

/* Kernels by name: cub's that count, say how many entries are not zero. The host reads the number next, and it is 0. */
static const void *counting[4096];

static const void **slot(const void *kernel) {
    size_t i = (uintptr_t)kernel / 16 % 4096;
    while (counting[i] && counting[i] != kernel) i = (i + 1) % 4096;
    return &counting[i];
}
static void registered(const void *kernel, const char *name) {
    static int count;
    if (strstr(name, "DeviceReduce") || strstr(name, "DeviceSelect") || strstr(name, "DeviceRunLength"))
        if (++count < 4000) *slot(kernel) = kernel;
}
void **__cudaRegisterFatBinary(void *binary) { static void *dummy; return &dummy; }
void __cudaRegisterFatBinaryEnd(void **binary) {}
void __cudaUnregisterFatBinary(void **binary) {}
void __cudaRegisterVar(void **binary) {}
void __cudaRegisterFunction(void **binary, const void *kernel, char *f, const char *name) { registered(kernel, name); }
char __cudaInitModule(void **binary) { return 1; }
int __cudaPushCallConfiguration(void) { return 0; }
int __cudaPopCallConfiguration(void) { return 0; }

typedef struct { unsigned x, y, z; } Dim;
static int launched(const void *kernel) {
    note(LAUNCH);
    if (*slot(kernel)) kernels_until_count = counted(LAUNCH);
    return 0;
}
int cudaLaunchKernel(const void *kernel, Dim grid, Dim block, void **arguments) { return launched(kernel); }
int __cudaLaunchKernel(const void *kernel, Dim grid, Dim block, void **arguments) { return launched(kernel); }
int __cudaLaunchKernel_ptsz(const void *kernel, Dim grid, Dim block, void **arguments) { return launched(kernel); }
int cudaLaunchCooperativeKernel(const void *kernel, Dim grid, Dim block, void **arguments) { return launched(kernel); }
int cudaLaunchKernelExC(const void *config, const void *kernel, void **arguments) { return launched(kernel); }
int __cudaGetKernel(const void **kernel, const void *function) { *kernel = function; return 0; }
int cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function) {
    memset(a, 0, sizeof *a);
    a->maxThreadsPerBlock = 1024;
    a->numRegs = 32;
    a->ptxVersion = a->binaryVersion = 80;
    a->maxDynamicSharedSizeBytes = 166912;
    return 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *f, int threads, size_t shared) {
    *n = 2;
    return 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *f, int threads, size_t shared) {
    *n = 2;
    return 0;
}

static int succeed(void) { return 0; }
int cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned v, unsigned long long flags, int *st) {
    *function = dlsym(RTLD_DEFAULT, name);
    if (!*function) stub_call(name, 0), *function = (void *)succeed;
    if (st) *st = 0;
    return 0;
}

/* -- cuBLAS ------------------------------------------------------------------------------------------------------- */

CREATE(cublasCreate_v2)
CREATE(cublasLtCreate)
CREATE(cublasLtMatmulDescCreate)
CREATE(cublasLtMatmulPreferenceCreate)
CREATE(cublasLtMatrixLayoutCreate)
int cublasGetMathMode(Handle h, int *mode) { *mode = 0; return 0; }
int cublasGetPointerMode_v2(Handle h, int *mode) { *mode = 0; return 0; }
int cublasLtMatmulAlgoGetHeuristic(Handle h, Handle operation, Handle a, Handle b, Handle c, Handle d, Handle wish,
                                   int requested, char *results, int *returned) {
    memset(results, 0, 96); /* the first: an algorithm, no workspace, success */
    *returned = 1;
    return 0;
}
COMPUTES(cublasLtMatmul)
COMPUTES(cublasGemmEx)
COMPUTES(cublasGemmStridedBatchedEx)
COMPUTES(cublasGemmBatchedEx)
COMPUTES(cublasSgemm_v2)
COMPUTES(cublasSgemmStridedBatched)
COMPUTES(cublasSgemmBatched)
COMPUTES(cublasDgemm_v2)
COMPUTES(cublasDgemmStridedBatched)
COMPUTES(cublasSgemv_v2)
COMPUTES(cublasDgemv_v2)
COMPUTES(cublasSgemmEx)
COMPUTES(cublasSdot_v2)
COMPUTES(cublasDdot_v2)
COMPUTES(cublasDotEx)
