extern "C" __global__ void __launch_bounds__(128, 4) batched_d1fc27f0a2e575b9(
    const float *__restrict__ a,
    const float *__restrict__ b,
    float *__restrict__ c,
    const long long m,
    const long long n,
    const long long each,
    const long long terms,
    const long long part,
    const long long a_m,
    const long long b_n,
    const long long c_m,
    const long long c_n,
    const long long c_part,
    const long long terms0,
    const long long a_term0,
    const long long b_term0,
    const long long outer0,
    const long long a_outer0,
    const long long b_outer0,
    const long long c_outer0)
{
    extern __shared__ __align__(16) unsigned char shared[];
    float *const held_a = (float *)shared;
    float *const held_b = held_a + 1088;
    const unsigned lane = threadIdx.x % 8u, place = threadIdx.x / 8u;
    const unsigned i = place / 4u, j = place % 4u;
    unsigned block = blockIdx.x;
    const unsigned firsts = ((unsigned)each + 7u) / 8u, first = block % firsts * 8u;
    block /= firsts;
    const unsigned lefts = ((unsigned)n + 15u) / 16u, left = block % lefts * 16u;
    block /= lefts;
    const unsigned tops = ((unsigned)m + 15u) / 16u, top = block % tops * 16u;
    block /= tops;
    const unsigned example = first + lane;
    const bool there = example < (unsigned)each;
    const unsigned begin = blockIdx.y * (unsigned)part, rest = (unsigned)terms - begin;
    const unsigned end = begin + (rest < (unsigned)part ? rest : (unsigned)part);
    a += example, b += example, c += example + blockIdx.y * c_part;
     {
        const unsigned k = block % (unsigned)outer0;
        block /= (unsigned)outer0;
        a += k * a_outer0, b += k * b_outer0, c += k * c_outer0;
    }
    const unsigned a_row = place / 8u, a_term = place % 8u;
    a += (top + a_row) * a_m;
    a += (begin + a_term) * a_term0;
    const unsigned b_row = place / 8u, b_term = place % 8u;
    b += (left + b_row) * b_n;
    b += (begin + b_term) * b_term0;
    float sum[4][4] = {};
    float next_a[8];
    next_a[0] = there && top + a_row + 0u < (unsigned)m && begin + a_term + 0u < end ? a[0 * a_m + 0 * a_term0] : 0;
    next_a[1] = there && top + a_row + 2u < (unsigned)m && begin + a_term + 0u < end ? a[2 * a_m + 0 * a_term0] : 0;
    next_a[2] = there && top + a_row + 4u < (unsigned)m && begin + a_term + 0u < end ? a[4 * a_m + 0 * a_term0] : 0;
    next_a[3] = there && top + a_row + 6u < (unsigned)m && begin + a_term + 0u < end ? a[6 * a_m + 0 * a_term0] : 0;
    next_a[4] = there && top + a_row + 8u < (unsigned)m && begin + a_term + 0u < end ? a[8 * a_m + 0 * a_term0] : 0;
    next_a[5] = there && top + a_row + 10u < (unsigned)m && begin + a_term + 0u < end ? a[10 * a_m + 0 * a_term0] : 0;
    next_a[6] = there && top + a_row + 12u < (unsigned)m && begin + a_term + 0u < end ? a[12 * a_m + 0 * a_term0] : 0;
    next_a[7] = there && top + a_row + 14u < (unsigned)m && begin + a_term + 0u < end ? a[14 * a_m + 0 * a_term0] : 0;
    a += 8 * a_term0;
    float next_b[8];
    next_b[0] = there && left + b_row + 0u < (unsigned)n && begin + b_term + 0u < end ? b[0 * b_n + 0 * b_term0] : 0;
    next_b[1] = there && left + b_row + 2u < (unsigned)n && begin + b_term + 0u < end ? b[2 * b_n + 0 * b_term0] : 0;
    next_b[2] = there && left + b_row + 4u < (unsigned)n && begin + b_term + 0u < end ? b[4 * b_n + 0 * b_term0] : 0;
    next_b[3] = there && left + b_row + 6u < (unsigned)n && begin + b_term + 0u < end ? b[6 * b_n + 0 * b_term0] : 0;
    next_b[4] = there && left + b_row + 8u < (unsigned)n && begin + b_term + 0u < end ? b[8 * b_n + 0 * b_term0] : 0;
    next_b[5] = there && left + b_row + 10u < (unsigned)n && begin + b_term + 0u < end ? b[10 * b_n + 0 * b_term0] : 0;
    next_b[6] = there && left + b_row + 12u < (unsigned)n && begin + b_term + 0u < end ? b[12 * b_n + 0 * b_term0] : 0;
    next_b[7] = there && left + b_row + 14u < (unsigned)n && begin + b_term + 0u < end ? b[14 * b_n + 0 * b_term0] : 0;
    b += 8 * b_term0;
    for (unsigned start = begin; start < end; start += 8u) {
        __syncthreads();
        held_a[(a_term + 0u) * 136u + (a_row + 0u) * 8u + lane] = next_a[0];
        held_a[(a_term + 0u) * 136u + (a_row + 2u) * 8u + lane] = next_a[1];
        held_a[(a_term + 0u) * 136u + (a_row + 4u) * 8u + lane] = next_a[2];
        held_a[(a_term + 0u) * 136u + (a_row + 6u) * 8u + lane] = next_a[3];
        held_a[(a_term + 0u) * 136u + (a_row + 8u) * 8u + lane] = next_a[4];
        held_a[(a_term + 0u) * 136u + (a_row + 10u) * 8u + lane] = next_a[5];
        held_a[(a_term + 0u) * 136u + (a_row + 12u) * 8u + lane] = next_a[6];
        held_a[(a_term + 0u) * 136u + (a_row + 14u) * 8u + lane] = next_a[7];
        held_b[(b_term + 0u) * 136u + (b_row + 0u) * 8u + lane] = next_b[0];
        held_b[(b_term + 0u) * 136u + (b_row + 2u) * 8u + lane] = next_b[1];
        held_b[(b_term + 0u) * 136u + (b_row + 4u) * 8u + lane] = next_b[2];
        held_b[(b_term + 0u) * 136u + (b_row + 6u) * 8u + lane] = next_b[3];
        held_b[(b_term + 0u) * 136u + (b_row + 8u) * 8u + lane] = next_b[4];
        held_b[(b_term + 0u) * 136u + (b_row + 10u) * 8u + lane] = next_b[5];
        held_b[(b_term + 0u) * 136u + (b_row + 12u) * 8u + lane] = next_b[6];
        held_b[(b_term + 0u) * 136u + (b_row + 14u) * 8u + lane] = next_b[7];
        __syncthreads();
        next_a[0] = there && top + a_row + 0u < (unsigned)m && start + 8u + a_term + 0u < end ? a[0 * a_m + 0 * a_term0] : 0;
        next_a[1] = there && top + a_row + 2u < (unsigned)m && start + 8u + a_term + 0u < end ? a[2 * a_m + 0 * a_term0] : 0;
        next_a[2] = there && top + a_row + 4u < (unsigned)m && start + 8u + a_term + 0u < end ? a[4 * a_m + 0 * a_term0] : 0;
        next_a[3] = there && top + a_row + 6u < (unsigned)m && start + 8u + a_term + 0u < end ? a[6 * a_m + 0 * a_term0] : 0;
        next_a[4] = there && top + a_row + 8u < (unsigned)m && start + 8u + a_term + 0u < end ? a[8 * a_m + 0 * a_term0] : 0;
        next_a[5] = there && top + a_row + 10u < (unsigned)m && start + 8u + a_term + 0u < end ? a[10 * a_m + 0 * a_term0] : 0;
        next_a[6] = there && top + a_row + 12u < (unsigned)m && start + 8u + a_term + 0u < end ? a[12 * a_m + 0 * a_term0] : 0;
        next_a[7] = there && top + a_row + 14u < (unsigned)m && start + 8u + a_term + 0u < end ? a[14 * a_m + 0 * a_term0] : 0;
        a += 8 * a_term0;
        next_b[0] = there && left + b_row + 0u < (unsigned)n && start + 8u + b_term + 0u < end ? b[0 * b_n + 0 * b_term0] : 0;
        next_b[1] = there && left + b_row + 2u < (unsigned)n && start + 8u + b_term + 0u < end ? b[2 * b_n + 0 * b_term0] : 0;
        next_b[2] = there && left + b_row + 4u < (unsigned)n && start + 8u + b_term + 0u < end ? b[4 * b_n + 0 * b_term0] : 0;
        next_b[3] = there && left + b_row + 6u < (unsigned)n && start + 8u + b_term + 0u < end ? b[6 * b_n + 0 * b_term0] : 0;
        next_b[4] = there && left + b_row + 8u < (unsigned)n && start + 8u + b_term + 0u < end ? b[8 * b_n + 0 * b_term0] : 0;
        next_b[5] = there && left + b_row + 10u < (unsigned)n && start + 8u + b_term + 0u < end ? b[10 * b_n + 0 * b_term0] : 0;
        next_b[6] = there && left + b_row + 12u < (unsigned)n && start + 8u + b_term + 0u < end ? b[12 * b_n + 0 * b_term0] : 0;
        next_b[7] = there && left + b_row + 14u < (unsigned)n && start + 8u + b_term + 0u < end ? b[14 * b_n + 0 * b_term0] : 0;
        b += 8 * b_term0;
        #pragma unroll 4
        for (unsigned k = 0; k < 8u; k++) {
            float x[4];
            #pragma unroll
            for (unsigned r = 0; r < 4u; r++) x[r] = held_a[k * 136u + (i + r * 4u) * 8u + lane];
            float y[4];
            #pragma unroll
            for (unsigned r = 0; r < 4u; r++) y[r] = held_b[k * 136u + (j + r * 4u) * 8u + lane];
            #pragma unroll
            for (unsigned r = 0; r < 4u; r++) {
                #pragma unroll
                for (unsigned q = 0; q < 4u; q++) sum[r][q] += x[r] * y[q];
            }
        }
    }
    #pragma unroll
    for (unsigned r = 0; r < 4u; r++) {
        #pragma unroll
        for (unsigned q = 0; q < 4u; q++) {
            const unsigned row = top + i + r * 4u, column = left + j + q * 4u;
            if (there && row < (unsigned)m && column < (unsigned)n) c[row * c_m + column * c_n] = sum[r][q];
        }
    }
}
