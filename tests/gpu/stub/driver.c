/* The driver, for this library is libcuda.so.1 too; and NVML. */
#include "stub.h"

int cudaDeviceGetAttribute(int *value, int attribute, int device);


static int context;
int cuDeviceGet(int *device, int i) { *device = i; return i < device_count() ? 0 : BAD_DEVICE; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    return cudaDeviceGetAttribute(value, attribute, device); /* the numbers are the same */
}
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    if (flags) *flags = 0;
    if (active) *active = device == 0 || used_bytes[device];
    return 0;
}
int cuDevicePrimaryCtxRetain(void **c, int device) { *c = &context; return 0; }
int cuCtxGetCurrent(void **c) { *c = &context; return 0; }
int cuGetErrorString(int error, const char **text) { *text = error ? "the stub's error" : "no error"; return 0; }
int cuDriverGetVersion(int *version) { *version = CUDA; return 0; }
int cuPointerGetAttribute(void *value, int attribute, const void *pointer) { memset(value, 0, 8); return 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, Handle f, int threads, size_t shared) { *n = 2; return 0; }
CREATE(cuModuleLoad)
CREATE(cuModuleLoadData)
CREATE(cuModuleLoadDataEx)
CREATE(cuModuleGetFunction)
LAUNCHES(cuLaunchKernel)
LAUNCHES(cuLaunchCooperativeKernel)

/* Virtual memory, for PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True. */
typedef struct { size_t size; int device; } Block;
int cuMemGetAllocationGranularity(size_t *bytes, const void *properties, int option) { *bytes = 2 << 20; return 0; }
int cuMemAddressReserve(uintptr_t *address, size_t size, size_t align, uintptr_t hint, unsigned long long flags) {
    return (*address = (uintptr_t)reserve(size, current_device)) ? 0 : OUT_OF_MEMORY;
}
int cuMemAddressFree(uintptr_t address, size_t size) { forget_address((void *)address); return 0; }
int cuMemCreate(Block **made, size_t size, const void *properties, unsigned long long flags) {
    if (take(size, current_device)) return OUT_OF_MEMORY;
    *made = malloc(sizeof **made);
    **made = (Block){size, current_device};
    return 0;
}
int cuMemRelease(Block *block) { take(-block->size, block->device), free(block); return 0; }

/* NVML: the allocator asks it about fabrics, and after a failure about other processes. build.py makes a
   libnvidia-ml.so.1 that finds these here. */
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, Handle *device) { *device = &context; return 0; }
int nvmlDeviceGetGpuFabricInfoV(Handle device, void *info) { return 3; } /* not supported */
int nvmlDeviceGetNvLinkRemoteDeviceType(Handle device, unsigned link, int *type) { return 3; }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(Handle device, unsigned link, void *info) { return 3; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = CUDA; return 0; }
int nvmlDeviceGetComputeRunningProcesses(Handle device, unsigned *count, void *found) { *count = 0; return 0; }
