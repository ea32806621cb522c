/* cuDNN: the graph interface, which all convolutions of torch >= 2 take, and what else torch asks. */
#include "stub.h"

enum { BACKEND_DESCRIPTOR = 15 };
typedef struct Attribute {
    int name, type;
    int64_t count;
    char *values;
    struct Attribute *next;
} Attribute;
typedef struct { Attribute *first; } Descriptor;

static size_t element(int type) { /* bytes of a cudnnBackendAttributeType_t; 4 for the enumerations */
    return type == 0 || type == 3 || type == 5 || type == 6 || type == BACKEND_DESCRIPTOR ? 8 : type == 2 ? 1 : 4;
}

int cudnnBackendCreateDescriptor(int type, Descriptor **made) { *made = calloc(1, sizeof **made); return 0; }
int cudnnBackendDestroyDescriptor(Descriptor *d) {
    while (d && d->first) {
        Attribute *a = d->first;
        d->first = a->next;
        free(a->values), free(a);
    }
    free(d);
    return 0;
}
int cudnnBackendFinalize(Descriptor *d) { return 0; }
int cudnnBackendSetAttribute(Descriptor *d, int name, int type, int64_t count, const void *values) {
    Attribute *a = malloc(sizeof *a);
    size_t bytes = count * element(type);
    *a = (Attribute){name, type, count, malloc(bytes + 1), d->first};
    memcpy(a->values, values, bytes);
    d->first = a;
    return 0;
}
/* What was set; of anything else one zero where one is wanted, nothing where a list is. Of descriptors, which the
   caller has made, one: so a heuristic knows one engine, and a plan has an engine, which wants no workspace. */
int cudnnBackendGetAttribute(Descriptor *d, int name, int type, int64_t wanted, int64_t *count, void *values) {
    Attribute *a = d->first;
    while (a && a->name != name) a = a->next;
    int64_t n = a && type != BACKEND_DESCRIPTOR ? a->count : wanted <= 1;
    if (count) *count = n;
    if (!values || wanted < 1 || !n || type == BACKEND_DESCRIPTOR) return 0;
    if (a) memcpy(values, a->values, (n < wanted ? n : wanted) * element(type));
    else memset(values, 0, element(type));
    return 0;
}
COMPUTES(cudnnBackendExecute)
COMPUTES(cudnnConvolutionForward)
COMPUTES(cudnnConvolutionBackwardData)
COMPUTES(cudnnConvolutionBackwardFilter)
COMPUTES(cudnnConvolutionBiasActivationForward)
LAUNCHES(cudnnBatchNormalizationForwardTrainingEx)
LAUNCHES(cudnnBatchNormalizationForwardInference)
LAUNCHES(cudnnBatchNormalizationBackwardEx)
CREATE(cudnnCreate)
CREATE(cudnnCreateActivationDescriptor)
CREATE(cudnnCreateConvolutionDescriptor)
CREATE(cudnnCreateDropoutDescriptor)
CREATE(cudnnCreateFilterDescriptor)
CREATE(cudnnCreatePoolingDescriptor)
CREATE(cudnnCreateSpatialTransformerDescriptor)
CREATE(cudnnCreateTensorDescriptor)
int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(Handle h, int mode, int operations, Handle x, Handle z,
                                                             Handle y, Handle scale, Handle act, size_t *bytes) {
    *bytes = 0;
    return 0;
}
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(Handle h, int mode, int operations, Handle x, Handle y, Handle dy,
                                                      Handle dz, Handle dx, Handle scale, Handle act, size_t *bytes) {
    *bytes = 0;
    return 0;
}
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(Handle h, int mode, int operations, Handle act, Handle x,
                                                         size_t *bytes) {
    *bytes = 0;
    return 0;
}
int cudnnDropoutGetStatesSize(Handle h, size_t *bytes) { *bytes = 0; return 0; }
void cudnnGetLastErrorString(char *text, size_t size) { if (size) *text = 0; }
