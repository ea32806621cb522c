#ifndef STUB_H
#define STUB_H
/* What the parts of the stub share. build.py compiles them into one library, which answers for libcudart, libcuda,
   cuBLAS, cuDNN and NVML: an "A100" on which nothing is computed.

   Device memory is host memory that is never touched, so it costs nothing; what is allocated is counted, and refused
   beyond STUB_GB (80) a device. There are STUB_GPUS (1) devices. Kernels are counted and not run. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What NVIDIA's driver_types.h expects of its compiler; build.py puts an empty crt/host_defines.h in its way. */
#define __host__
#define __device_builtin__
#define __cudart_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define CUDART_CB
#include <driver_types.h>

enum { SMALL = 65536, OUT_OF_MEMORY = 2, NO_DEVICE = 100, BAD_DEVICE = 101, NOT_SUPPORTED = 801, MOST_GPUS = 64 };
typedef void *Handle; /* stream, event, descriptor: a number that nobody looks behind */

/* events.c: what happened, counted, and told to whoever watches */
enum event { LAUNCH, MATH, SYNC, EVENT_SYNC, PAGEABLE, EVENTS };
void note(enum event event);
long counted(enum event event);
int stub_call(const char *name, int result);
Handle handle(void);

/* memory.c */
extern __thread int current_device;
extern size_t used_bytes[MOST_GPUS];
int device_count(void);
size_t total_bytes(void);
void *reserve(size_t size, int device);
void forget_address(void *start);
int take(size_t size, int device); /* a negative size gives back */

#define CREATE(name) int name(Handle *made) { *made = handle(); return 0; }
#define LAUNCHES(name) int name(void) { note(LAUNCH); return 0; }
#define COMPUTES(name) int name(void) { note(LAUNCH), note(MATH); return 0; }
#endif
