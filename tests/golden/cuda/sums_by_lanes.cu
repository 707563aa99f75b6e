extern "C" __global__ void __launch_bounds__(512) pass_7bc535aacf8d90bd(
    const long long n0,
    const long long n1,
    const double *__restrict__ p0,
    const long long s0_0,
    double *__restrict__ p1,
    double *partial)
{
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    const unsigned beside = ((unsigned)n1 + blockDim.x - 1u) / blockDim.x;
    const unsigned i1 = blockIdx.x % beside * blockDim.x + threadIdx.x;
    double total0 = 0.0;
    if (i1 < (unsigned)n1) {
        for (unsigned r = blockIdx.y * blockDim.y + threadIdx.y; r < (unsigned)n0; r += 4u * (blockDim.y * gridDim.y)) {
            double next0[4];
            #pragma unroll
            for (unsigned k = 0; k < 4u; k++) {
                const unsigned at = r + k * (blockDim.y * gridDim.y);
                if (at < (unsigned)n0) {
                    unsigned rest = at;
                    const unsigned i0 = rest;
                    next0[k] = p0[i0 * s0_0 + i1];
                }
            }
            #pragma unroll
            for (unsigned k = 0; k < 4u; k++) {
                const unsigned at = r + k * (blockDim.y * gridDim.y);
                if (at < (unsigned)n0) {
                    const double v0 = next0[k];
                    const double v1 = v0;
                    const double v2 = total0 + v1;
                    total0 = v2;
                }
            }
        }
    }
    held[threadIdx.y * blockDim.x + threadIdx.x] = total0;
    __syncthreads();
    for (unsigned far = blockDim.y / 2; far > 0; far /= 2) {
        if (threadIdx.y < far) {
            const double v3 = held[threadIdx.y * blockDim.x + threadIdx.x + far * blockDim.x];
            const double v4 = held[threadIdx.y * blockDim.x + threadIdx.x] + v3;
            held[threadIdx.y * blockDim.x + threadIdx.x] = v4;
        }
        __syncthreads();
    }
    total0 = held[threadIdx.y * blockDim.x + threadIdx.x];
    if (threadIdx.y == 0 && i1 < (unsigned)n1) {
        if (gridDim.y == 1) {
            p1[i1] = total0;
        }
        else {
            partial[(0u * gridDim.y + blockIdx.y) * (unsigned long long)(gridDim.x / beside * (unsigned)n1) + blockIdx.x / beside * (unsigned)n1 + i1] = total0;
        }
    }
}
