extern "C" __global__ void __launch_bounds__(512) pass_59535c885706a595(
    const long long n0,
    const long long n1,
    const long long *__restrict__ p0,
    const long long s0_0,
    const long long s0_1,
    const float *__restrict__ p1,
    unsigned char *__restrict__ p2,
    const long long s2_0)
{
    unsigned flat = blockIdx.x * blockDim.x + threadIdx.x;
    if (flat >= (unsigned)n0 * (unsigned)n1) return;
    const unsigned i1 = flat % (unsigned)n1;
    flat /= (unsigned)n1;
    const unsigned i0 = flat;
    const long long v0 = p0[i0 * s0_0 + i1 * s0_1];
    const float v1 = p1[i0];
    const bool v2 = (double)v0 < v1;
    p2[i0 * s2_0 + i1] = v2;
}

extern "C" __global__ void __launch_bounds__(512) pass_1519edec3179868d(
    const long long n0,
    const long long n1,
    const unsigned char *__restrict__ p0,
    const long long s0_0,
    const float *__restrict__ p1,
    const long long s1_0,
    float *__restrict__ p2,
    const long long s2_0)
{
    unsigned flat = blockIdx.x * blockDim.x + threadIdx.x;
    if (flat >= (unsigned)n0 * (unsigned)n1) return;
    const unsigned i1 = flat % (unsigned)n1;
    flat /= (unsigned)n1;
    const unsigned i0 = flat;
    const bool v0 = p0[i0 * s0_0 + i1] != 0;
    const float v1 = p1[i0 * s1_0 + i1];
    const float v2 = p2[i0 * s2_0 + i1];
    const float v3 = v0 ? v1 : v2;
    p2[i0 * s2_0 + i1] = v3;
}
