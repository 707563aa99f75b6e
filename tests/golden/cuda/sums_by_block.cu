extern "C" __global__ void __launch_bounds__(512) pass_5936720749357e1b(
    const long long n0,
    const long long n1,
    const float *__restrict__ p0,
    const long long s0_0,
    float *__restrict__ p1,
    float *__restrict__ p2,
    double *partial)
{
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    unsigned sum = blockIdx.x;
    const unsigned i0 = sum;
    double total0 = 0.0;
    double total1 = -INFINITY;
    for (unsigned r = blockIdx.y * blockDim.x + threadIdx.x; r < (unsigned)n1; r += 4u * (blockDim.x * gridDim.y)) {
        float next0[4];
        #pragma unroll
        for (unsigned k = 0; k < 4u; k++) {
            const unsigned at = r + k * (blockDim.x * gridDim.y);
            if (at < (unsigned)n1) {
                unsigned rest = at;
                const unsigned i1 = rest;
                next0[k] = p0[i0 * s0_0 + i1];
            }
        }
        #pragma unroll
        for (unsigned k = 0; k < 4u; k++) {
            const unsigned at = r + k * (blockDim.x * gridDim.y);
            if (at < (unsigned)n1) {
                const float v0 = next0[k];
                const float v1 = v0 * 0.5f;
                const double v2 = v1;
                const double v3 = total0 + v2;
                total0 = v3;
                const double v4 = v1;
                const bool v5 = total1 != total1;
                const bool v6 = total1 > v4;
                const bool v7 = v5 || v6;
                const double v8 = v7 ? total1 : v4;
                total1 = v8;
            }
        }
    }
    held[threadIdx.x] = total0;
    __syncthreads();
    for (unsigned far = blockDim.x / 2; far > 0; far /= 2) {
        if (threadIdx.x < far) {
            const double v9 = held[threadIdx.x + far];
            const double v10 = held[threadIdx.x] + v9;
            held[threadIdx.x] = v10;
        }
        __syncthreads();
    }
    total0 = held[threadIdx.x];
    held[threadIdx.x] = total1;
    __syncthreads();
    for (unsigned far = blockDim.x / 2; far > 0; far /= 2) {
        if (threadIdx.x < far) {
            const double v11 = held[threadIdx.x + far];
            const bool v12 = held[threadIdx.x] != held[threadIdx.x];
            const bool v13 = held[threadIdx.x] > v11;
            const bool v14 = v12 || v13;
            const double v15 = v14 ? held[threadIdx.x] : v11;
            held[threadIdx.x] = v15;
        }
        __syncthreads();
    }
    total1 = held[threadIdx.x];
    if (threadIdx.x == 0) {
        if (gridDim.y == 1) {
            p1[i0] = total0;
            p2[i0] = total1;
        }
        else {
            partial[(0u * gridDim.y + blockIdx.y) * (unsigned long long)(gridDim.x) + blockIdx.x] = total0;
            partial[(1u * gridDim.y + blockIdx.y) * (unsigned long long)(gridDim.x) + blockIdx.x] = total1;
        }
    }
}
