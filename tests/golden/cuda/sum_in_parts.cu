extern "C" __global__ void __launch_bounds__(512) pass_770074e5a7f97cc4(
    const long long n0,
    const float *__restrict__ p0,
    float *__restrict__ p1,
    double *partial)
{
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    double total0 = 0.0;
    for (unsigned r = blockIdx.y * blockDim.x + threadIdx.x; r < (unsigned)n0; r += 4u * (blockDim.x * gridDim.y)) {
        float next0[4];
        #pragma unroll
        for (unsigned k = 0; k < 4u; k++) {
            const unsigned at = r + k * (blockDim.x * gridDim.y);
            if (at < (unsigned)n0) {
                unsigned rest = at;
                const unsigned i0 = rest;
                next0[k] = p0[i0];
            }
        }
        #pragma unroll
        for (unsigned k = 0; k < 4u; k++) {
            const unsigned at = r + k * (blockDim.x * gridDim.y);
            if (at < (unsigned)n0) {
                const float v0 = next0[k];
                const double v1 = v0;
                const double v2 = total0 + v1;
                total0 = v2;
            }
        }
    }
    held[threadIdx.x] = total0;
    __syncthreads();
    for (unsigned far = blockDim.x / 2; far > 0; far /= 2) {
        if (threadIdx.x < far) {
            const double v3 = held[threadIdx.x + far];
            const double v4 = held[threadIdx.x] + v3;
            held[threadIdx.x] = v4;
        }
        __syncthreads();
    }
    total0 = held[threadIdx.x];
    if (threadIdx.x == 0) {
        if (gridDim.y == 1) {
            p1[0] = total0;
        }
        else {
            partial[(0u * gridDim.y + blockIdx.y) * (unsigned long long)(gridDim.x) + blockIdx.x] = total0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(512) finish_770074e5a7f97cc4(
    const long long n0,
    const float *__restrict__ p0,
    float *__restrict__ p1,
    const double *partial,
    const long long parts)
{
    unsigned flat = blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned sums = 1u;
    if (flat >= sums) return;
    const unsigned mine = flat;
    double total0 = 0.0;
    #pragma unroll 16
    for (long long k = 0; k < parts; k++) {
        const double v0 = partial[(0 * parts + k) * sums + mine];
        const double v1 = total0 + v0;
        total0 = v1;
    }
    p1[0] = total0;
}
