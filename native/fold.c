/* A sequence as a polynomial in an odd base modulo 2**64, plus its length: kernels/reference/fold.py says the same with
 * prefix sums. Eight terms at a time, from the end, so that the long multiplication waits once for eight elements. */
#include "fold.h"
#include "kernels.h"
#include "scan.h"

#define BASE 0x9E3779B97F4A7C15u

static uint64_t power(unsigned n) {
    uint64_t p = 1;
    while (n--) p *= BASE;
    return p;
}

#define FOLD(NAME, T)                                                                                    \
    static uint64_t NAME(const T *p, size_t n, const uint64_t *w) {                                      \
        uint64_t h = 0;                                                                                  \
        size_t i = n - n % 8;                                                                            \
        for (size_t k = 0; k < n % 8; k++) h += p[i + k] * w[k];                                         \
        for (; i; i -= 8) {                                                                              \
            const T *q = p + i - 8;                                                                      \
            uint64_t low = q[0] + q[1] * w[1] + q[2] * w[2] + q[3] * w[3];                               \
            uint64_t high = q[4] * w[4] + q[5] * w[5] + q[6] * w[6] + q[7] * w[7];                       \
            h = h * w[8] + low + high;                                                                   \
        }                                                                                                \
        return h + n;                                                                                    \
    }
FOLD(fold1, uint8_t)
FOLD(fold8, uint64_t)

int fold(const void *values, size_t n, size_t size, const int64_t *offsets, size_t sequences, uint64_t *out) {
    uint64_t powers[9];
    for (unsigned i = 0; i < 9; i++) powers[i] = power(i);
    if (size != 1 && size != 8) return KERNEL_BAD_SIZE;
    for (size_t i = 0; i < sequences; i++) {
        int64_t start = offsets[i], stop = offsets[i + 1];
        if (start < 0 || stop < start || (uint64_t)stop > n) return KERNEL_BAD_SIZE;
        size_t length = (size_t)(stop - start);
        out[i] = size == 1 ? fold1((const uint8_t *)values + start, length, powers)
                           : fold8((const uint64_t *)values + start, length, powers);
    }
    return KERNEL_OK;
}

/* The finaliser of splitmix64. */
static inline uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

CLONES void mix_words(uint64_t *words, size_t n) {
    for (size_t i = 0; i < n; i++) words[i] = mixed(words[i]);
}

CLONES void mix_into(uint64_t *total, const uint64_t *words, size_t n, uint64_t salt) {
    for (size_t i = 0; i < n; i++) total[i] += mixed(words[i] + salt);
}
