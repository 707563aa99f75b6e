// The part of CUDA C++ that generated kernels use, for one thread at a time on a processor.
#include "state.h"

static StandinState standin;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define threadIdx standin.thread
#define blockIdx standin.block
#define blockDim standin.threads
#define gridDim standin.blocks
#define __syncthreads() standin_barrier(__LINE__)
#define __nanosleep(n) ((void)(n), standin_sleep())
#define __threadfence() __atomic_thread_fence(__ATOMIC_ACQ_REL)
#define __builtin_assume_aligned(at, bytes) standin_aligned(at, bytes)
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define __CUDA_ARCH__ 900

#define STANDIN_ONE(name) \
    static inline float name##f(float x) { return __builtin_##name##f(x); } \
    static inline double name(double x) { return __builtin_##name(x); } \
    static inline float name(float x) { return __builtin_##name##f(x); }
#define STANDIN_TWO(name) \
    static inline float name##f(float x, float y) { return __builtin_##name##f(x, y); } \
    static inline double name(double x, double y) { return __builtin_##name(x, y); } \
    static inline float name(float x, float y) { return __builtin_##name##f(x, y); }
STANDIN_ONE(exp) STANDIN_ONE(exp2) STANDIN_ONE(expm1) STANDIN_ONE(log) STANDIN_ONE(log2) STANDIN_ONE(log10)
STANDIN_ONE(log1p) STANDIN_ONE(sqrt) STANDIN_ONE(cbrt) STANDIN_ONE(sin) STANDIN_ONE(cos) STANDIN_ONE(tan)
STANDIN_ONE(asin) STANDIN_ONE(acos) STANDIN_ONE(atan) STANDIN_ONE(sinh) STANDIN_ONE(cosh) STANDIN_ONE(tanh)
STANDIN_ONE(asinh) STANDIN_ONE(acosh) STANDIN_ONE(atanh) STANDIN_ONE(erf) STANDIN_ONE(erfc) STANDIN_ONE(fabs)
STANDIN_ONE(floor) STANDIN_ONE(ceil) STANDIN_ONE(round) STANDIN_ONE(trunc) STANDIN_ONE(rint) STANDIN_ONE(lgamma)
STANDIN_TWO(pow) STANDIN_TWO(fmod) STANDIN_TWO(fmin) STANDIN_TWO(fmax) STANDIN_TWO(atan2) STANDIN_TWO(hypot)
STANDIN_TWO(copysign) STANDIN_TWO(remainder)
static inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
static inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
static inline bool isnan(float x) { return __builtin_isnan(x); }
static inline bool isnan(double x) { return __builtin_isnan(x); }
static inline bool isinf(float x) { return __builtin_isinf(x); }
static inline bool isinf(double x) { return __builtin_isinf(x); }
static inline bool isfinite(float x) { return __builtin_isfinite(x); }
static inline bool isfinite(double x) { return __builtin_isfinite(x); }
#define STANDIN_ORDER(T) \
    static inline T min(T x, T y) { return y < x ? y : x; } \
    static inline T max(T x, T y) { return x < y ? y : x; }
STANDIN_ORDER(int) STANDIN_ORDER(unsigned) STANDIN_ORDER(long long) STANDIN_ORDER(unsigned long long)

static inline float __int_as_float(int bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }
static inline int __float_as_int(float x) { int bits; __builtin_memcpy(&bits, &x, 4); return bits; }
static inline unsigned atomicAdd(unsigned* at, unsigned n) { return __atomic_fetch_add(at, n, __ATOMIC_RELAXED); }
static inline const void* standin_aligned(const void* at, unsigned long long bytes) {
    if ((unsigned long long)at % bytes) standin_misaligned(at, bytes);
    return at;
}
template <class T> static inline T __ldcg(const T* at) { return *(const volatile T*)at; }
template <class T> static inline void __stcg(T* at, T value) { *(volatile T*)at = value; }
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static inline float4 __ldcg(const float4* at) {
    standin_aligned(at, sizeof *at);
    return {__ldcg(&at->x), __ldcg(&at->y), __ldcg(&at->z), __ldcg(&at->w)};
}
static inline double2 __ldcg(const double2* at) {
    standin_aligned(at, sizeof *at);
    return {__ldcg(&at->x), __ldcg(&at->y)};
}

// -- how Python calls a kernel

#define STANDIN_UNWATCHED __attribute__((no_sanitize("thread")))

template <int... I> struct StandinPlaces {};
template <class T> struct StandinType { static const int code = 0; };                // an integer
template <> struct StandinType<float> { static const int code = 1; };
template <> struct StandinType<double> { static const int code = 1; };
template <class T> struct StandinType<T*> { static const int code = 2; };

struct StandinOrder {  // n positions in order, or in another one that the seed gives
    unsigned long long n, step = 1, start = 0;
    StandinOrder(unsigned long long n, unsigned long long seed) : n(n) {
        if (!seed || n < 2) return;
        start = (seed * 2654435761ull) % n;
        for (step = (seed * 40503ull + 1) % n; divisor(step, n) != 1;) step = (step + 1) % n;
    }
    static unsigned long long divisor(unsigned long long a, unsigned long long b) {
        while (b) { unsigned long long r = a % b; a = b; b = r; }
        return a;
    }
    unsigned long long operator()(unsigned long long k) const { return (start + k * step) % n; }
};

template <auto F> struct StandinKernel;
template <class... P, void (*F)(P...)> struct StandinKernel<F> {
    template <int... I> STANDIN_UNWATCHED static inline void call(void** a, StandinPlaces<I...>) { F(*(P*)a[I]...); }
    static void body(void** a) { call(a, StandinPlaces<__integer_pack(sizeof...(P))...>{}); }
    STANDIN_UNWATCHED static int parameters(int* codes) {
        int k = 0;
        ((codes[k++] = (int)sizeof(P) | StandinType<P>::code << 8), ...);
        return k;
    }
    // every thread after the other: for kernels whose threads do not wait for each other
    static int plain(StandinLaunch* l) {
        const StandinDim b = l->blocks, t = l->threads;
        const unsigned long long n = (unsigned long long)b.x * b.y * b.z;
        const unsigned m = t.x * t.y * t.z;
        standin.blocks = b, standin.threads = t;
        StandinOrder blocks(n, l->seed), threads(m, l->seed);
        for (unsigned long long i = 0; i < n; i++) {
            unsigned long long at = l->seed ? blocks(i) : i;
            standin.block = {(unsigned)(at % b.x), (unsigned)(at / b.x % b.y), (unsigned)(at / b.x / b.y)};
            for (unsigned j = 0; j < m; j++) {
                unsigned k = l->seed ? (unsigned)threads(j) : j;
                standin.thread = {k % t.x, k / t.x % t.y, k / t.x / t.y};
                body(l->arguments);
            }
        }
        return 0;
    }
    STANDIN_UNWATCHED static int fibers(StandinLaunch* l) {
        l->state = &standin, l->body = body;
        return standin_run(l);
    }
};

#define STANDIN_EXPORT(NAME) extern "C" { \
    int standin_plain_##NAME(StandinLaunch* l) { return StandinKernel<NAME>::plain(l); } \
    int standin_fibers_##NAME(StandinLaunch* l) { return StandinKernel<NAME>::fibers(l); } \
    int standin_parameters_##NAME(int* codes) { return StandinKernel<NAME>::parameters(codes); } }
