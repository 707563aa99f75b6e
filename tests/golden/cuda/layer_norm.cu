extern "C" __global__ void __launch_bounds__(1024) chain_693cae8cddb2a143(
    const long long a_n0,
    const long long a_n1,
    const float *a_p0,
    const long long a_s0_0,
    float *a_p1,
    const long long b_n0,
    float *b_p0,
    const long long c_n0,
    const long long c_n1,
    const float *c_p0,
    const long long c_s0_0,
    const float *c_p1,
    float *c_p2,
    const long long c_s2_0,
    float *c_p3,
    const long long c_s3_0,
    const long long d_n0,
    const long long d_n1,
    const float *d_p0,
    const long long d_s0_0,
    float *d_p1,
    const long long e_n0,
    float *e_p0,
    const long long f_n0,
    const long long f_n1,
    const float *f_p0,
    const long long f_s0_0,
    const float *f_p1,
    float *f_p2,
    const long long f_s2_0)
{
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    const unsigned lanes = blockDim.x, lane = threadIdx.x, row = threadIdx.y, rows = blockDim.y;
     {
        const unsigned i1 = blockIdx.x * lanes + lane;
        const bool mine = i1 < (unsigned)a_n1;
        double total0 = 0.0;
        if (mine) {
            for (unsigned r = row; r < (unsigned)a_n0; r += 4u * (rows)) {
                float next0[4];
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)a_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        next0[k] = a_p0[i0 * a_s0_0 + i1];
                    }
                }
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)a_n0) {
                        const float v0 = next0[k];
                        const double v1 = v0;
                        const double v2 = total0 + v1;
                        total0 = v2;
                    }
                }
            }
        }
        held[row * lanes + lane] = total0;
        __syncthreads();
        for (unsigned far = rows / 2; far > 0; far /= 2) {
            if (row < far) {
                const double v3 = held[(row + far) * lanes + lane];
                const double v4 = held[row * lanes + lane] + v3;
                held[row * lanes + lane] = v4;
            }
            __syncthreads();
        }
        total0 = held[row * lanes + lane];
        if (mine && row == 0) {
            a_p1[i1] = total0;
        }
         {
            const unsigned i0 = blockIdx.x * lanes + lane;
            const bool mine = i0 < (unsigned)b_n0;
            if (mine && row == 0) {
                const float v5 = total0;
                const float v6 = v5 * 0.125f;
                b_p0[i0] = v6;
            }
        }
    }
    __syncthreads();
     {
        const unsigned i1 = blockIdx.x * lanes + lane;
        const bool mine = i1 < (unsigned)c_n1;
        if (mine) {
            const float same1 = row < (unsigned)c_n0 ? c_p1[i1] : 0;
            for (unsigned r = row; r < (unsigned)c_n0; r += 4u * (rows)) {
                float next0[4];
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)c_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        next0[k] = c_p0[i0 * c_s0_0 + i1];
                    }
                }
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)c_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        const float v7 = next0[k];
                        const float v8 = same1;
                        const float v9 = v7 - v8;
                        const float v10 = v9 * v9;
                        c_p2[i0 * c_s2_0 + i1] = v9;
                        c_p3[i0 * c_s3_0 + i1] = v10;
                    }
                }
            }
        }
    }
    __syncthreads();
     {
        const unsigned i1 = blockIdx.x * lanes + lane;
        const bool mine = i1 < (unsigned)d_n1;
        double total0 = 0.0;
        if (mine) {
            for (unsigned r = row; r < (unsigned)d_n0; r += 4u * (rows)) {
                float next0[4];
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)d_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        next0[k] = d_p0[i0 * d_s0_0 + i1];
                    }
                }
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)d_n0) {
                        const float v11 = next0[k];
                        const double v12 = v11;
                        const double v13 = total0 + v12;
                        total0 = v13;
                    }
                }
            }
        }
        held[row * lanes + lane] = total0;
        __syncthreads();
        for (unsigned far = rows / 2; far > 0; far /= 2) {
            if (row < far) {
                const double v14 = held[(row + far) * lanes + lane];
                const double v15 = held[row * lanes + lane] + v14;
                held[row * lanes + lane] = v15;
            }
            __syncthreads();
        }
        total0 = held[row * lanes + lane];
        if (mine && row == 0) {
            d_p1[i1] = total0;
        }
         {
            const unsigned i0 = blockIdx.x * lanes + lane;
            const bool mine = i0 < (unsigned)e_n0;
            if (mine && row == 0) {
                const float v16 = total0;
                const float v17 = v16 * 0.125f;
                const float v18 = v17 + 1e-05f;
                const float v19 = sqrtf(v18);
                e_p0[i0] = v19;
            }
        }
    }
    __syncthreads();
     {
        const unsigned i1 = blockIdx.x * lanes + lane;
        const bool mine = i1 < (unsigned)f_n1;
        if (mine) {
            const float same1 = row < (unsigned)f_n0 ? f_p1[i1] : 0;
            for (unsigned r = row; r < (unsigned)f_n0; r += 4u * (rows)) {
                float next0[4];
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)f_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        next0[k] = f_p0[i0 * f_s0_0 + i1];
                    }
                }
                #pragma unroll
                for (unsigned k = 0; k < 4u; k++) {
                    const unsigned at = r + k * (rows);
                    if (at < (unsigned)f_n0) {
                        unsigned rest = at;
                        const unsigned i0 = rest;
                        const float v20 = next0[k];
                        const float v21 = same1;
                        const float v22 = v20 / v21;
                        f_p2[i0 * f_s2_0 + i1] = v22;
                    }
                }
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(512, 1) loop_2a7c5ab09543f579(
    const long long steps,
    const long long a0_n0,
    const long long a0_n1,
    const float *a0_p0,
    const long long a0_s0_0,
    float *a0_p1,
    const long long a0_m0,
    const long long a0_m1,
    const long long a1_n0,
    float *a1_p0,
    const long long a1_m0,
    const long long a2_n0,
    const long long a2_n1,
    const float *a2_p0,
    const long long a2_s0_0,
    const float *a2_p1,
    float *a2_p2,
    const long long a2_s2_0,
    float *a2_p3,
    const long long a2_s3_0,
    const long long a2_m0,
    const long long a2_m1,
    const long long a2_m2,
    const long long a2_m3,
    const long long a3_n0,
    const long long a3_n1,
    const float *a3_p0,
    const long long a3_s0_0,
    float *a3_p1,
    const long long a3_m0,
    const long long a3_m1,
    const long long a4_n0,
    float *a4_p0,
    const long long a4_m0,
    const long long a5_n0,
    const long long a5_n1,
    const float *a5_p0,
    const long long a5_s0_0,
    const float *a5_p1,
    float *a5_p2,
    const long long a5_s2_0,
    const long long a5_m0,
    const long long a5_m1,
    const long long a5_m2)
{
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    for (long long step = 0; step < steps; step++) {
        const unsigned lane = threadIdx.x % 2u;
        const unsigned row = threadIdx.x / 2u, rows = 256u;
        const unsigned lanes = 2u;
         {
            const unsigned i1 = blockIdx.x * 2u + lane;
            const bool mine = i1 < (unsigned)a0_n1;
            double total0 = 0.0;
            if (mine) {
                for (unsigned r = row; r < (unsigned)a0_n0; r += 4u * (rows)) {
                    float next0[4];
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a0_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            next0[k] = __ldcg(&a0_p0[step * a0_m0 + i0 * a0_s0_0 + i1]);
                        }
                    }
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a0_n0) {
                            const float v0 = next0[k];
                            const double v1 = v0;
                            const double v2 = total0 + v1;
                            total0 = v2;
                        }
                    }
                }
            }
            held[row * lanes + lane] = total0;
            __syncthreads();
            for (unsigned far = rows / 2; far > 0; far /= 2) {
                if (row < far) {
                    const double v3 = held[(row + far) * lanes + lane];
                    const double v4 = held[row * lanes + lane] + v3;
                    held[row * lanes + lane] = v4;
                }
                __syncthreads();
            }
            total0 = held[row * lanes + lane];
            if (mine && row == 0) {
                a0_p1[step * a0_m1 + i1] = total0;
            }
             {
                const unsigned i0 = blockIdx.x * 2u + lane;
                const bool mine = i0 < (unsigned)a1_n0;
                if (mine && row == 0) {
                    const float v5 = total0;
                    const float v6 = v5 * 0.125f;
                    a1_p0[step * a1_m0 + i0] = v6;
                }
            }
        }
        __syncthreads();
         {
            const unsigned i1 = blockIdx.x * 2u + lane;
            const bool mine = i1 < (unsigned)a2_n1;
            if (mine) {
                const float same1 = row < (unsigned)a2_n0 ? __ldcg(&a2_p1[step * a2_m1 + i1]) : 0;
                for (unsigned r = row; r < (unsigned)a2_n0; r += 4u * (rows)) {
                    float next0[4];
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a2_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            next0[k] = __ldcg(&a2_p0[step * a2_m0 + i0 * a2_s0_0 + i1]);
                        }
                    }
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a2_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            const float v7 = next0[k];
                            const float v8 = same1;
                            const float v9 = v7 - v8;
                            const float v10 = v9 * v9;
                            a2_p2[step * a2_m2 + i0 * a2_s2_0 + i1] = v9;
                            a2_p3[step * a2_m3 + i0 * a2_s3_0 + i1] = v10;
                        }
                    }
                }
            }
        }
        __syncthreads();
         {
            const unsigned i1 = blockIdx.x * 2u + lane;
            const bool mine = i1 < (unsigned)a3_n1;
            double total0 = 0.0;
            if (mine) {
                for (unsigned r = row; r < (unsigned)a3_n0; r += 4u * (rows)) {
                    float next0[4];
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a3_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            next0[k] = __ldcg(&a3_p0[step * a3_m0 + i0 * a3_s0_0 + i1]);
                        }
                    }
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a3_n0) {
                            const float v11 = next0[k];
                            const double v12 = v11;
                            const double v13 = total0 + v12;
                            total0 = v13;
                        }
                    }
                }
            }
            held[row * lanes + lane] = total0;
            __syncthreads();
            for (unsigned far = rows / 2; far > 0; far /= 2) {
                if (row < far) {
                    const double v14 = held[(row + far) * lanes + lane];
                    const double v15 = held[row * lanes + lane] + v14;
                    held[row * lanes + lane] = v15;
                }
                __syncthreads();
            }
            total0 = held[row * lanes + lane];
            if (mine && row == 0) {
                a3_p1[step * a3_m1 + i1] = total0;
            }
             {
                const unsigned i0 = blockIdx.x * 2u + lane;
                const bool mine = i0 < (unsigned)a4_n0;
                if (mine && row == 0) {
                    const float v16 = total0;
                    const float v17 = v16 * 0.125f;
                    const float v18 = v17 + 1e-05f;
                    const float v19 = sqrtf(v18);
                    a4_p0[step * a4_m0 + i0] = v19;
                }
            }
        }
        __syncthreads();
         {
            const unsigned i1 = blockIdx.x * 2u + lane;
            const bool mine = i1 < (unsigned)a5_n1;
            if (mine) {
                const float same1 = row < (unsigned)a5_n0 ? __ldcg(&a5_p1[step * a5_m1 + i1]) : 0;
                for (unsigned r = row; r < (unsigned)a5_n0; r += 4u * (rows)) {
                    float next0[4];
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a5_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            next0[k] = __ldcg(&a5_p0[step * a5_m0 + i0 * a5_s0_0 + i1]);
                        }
                    }
                    #pragma unroll
                    for (unsigned k = 0; k < 4u; k++) {
                        const unsigned at = r + k * (rows);
                        if (at < (unsigned)a5_n0) {
                            unsigned rest = at;
                            const unsigned i0 = rest;
                            const float v20 = next0[k];
                            const float v21 = same1;
                            const float v22 = v20 / v21;
                            a5_p2[step * a5_m2 + i0 * a5_s2_0 + i1] = v22;
                        }
                    }
                }
            }
        }
        __syncthreads();
    }
}
