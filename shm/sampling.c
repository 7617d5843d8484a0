/* Logarithm and exponential are our own: who links the library needs no libm for them. Both are
 * exact to about 1e-12, far beyond what chance leaves of an estimate. */
#include "shm/sampling.h"

#include <string.h>

#define LN_2 0.693147180559945309417

uint64_t ga_random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* -ln(u), for 0 < u <= 1: of its exponent, and of the rest, between 0.75 and 1.5, by the series of
 * the area tangent. */
static double minus_log(double u)
{
    uint64_t bits;
    memcpy(&bits, &u, sizeof(bits));
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double m;
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.5) {
        m /= 2;
        exponent++;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double sum = 0;
#pragma GCC unroll 9 /* the quotients are constants then */
    for (int i = 17; i >= 1; i -= 2)
        sum = sum * square + 1.0 / i;
    return -(2 * s * sum + exponent * LN_2);
}

/* exp(-x), for 0 <= x <= 40: the series of a 64th of it, and six squares. */
static double exp_minus(double x)
{
    double y = -x / 64;
    double term = 1;
    double sum = 1;
#pragma GCC unroll 13
    for (int i = 1; i <= 13; i++) {
        term *= y * (1.0 / i);
        sum += term;
    }
    for (int i = 0; i < 6; i++)
        sum *= sum;
    return sum;
}

double ga_sampling_distance(uint64_t random, uint64_t rate_bytes)
{
    if (rate_bytes <= 1)
        return 0;
    double u = ((double)(random >> 11) + 1) / (double)(UINT64_C(1) << 53);
    return minus_log(u) * (double)rate_bytes;
}

double ga_sampling_scale(uint64_t size_bytes, uint64_t rate_bytes)
{
    if (rate_bytes <= 1 || size_bytes == 0)
        return 1;
    double x = (double)size_bytes / (double)rate_bytes;
    if (x < 1e-3) /* where the difference to 1 would be rounded away */
        return 1 / (x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4))));
    return x > 40 ? 1 : 1 / (1 - exp_minus(x));
}

uint64_t ga_sampling_round(double x, uint64_t *state)
{
    return (uint64_t)(x + (double)(ga_random_next(state) >> 11) / (double)(UINT64_C(1) << 53));
}
