/* A sequence as a polynomial in an odd base modulo 2**64, plus its length: kernels/reference/fold.py says the same with
 * prefix sums. Eight terms at a time, from the end, so that the long multiplication waits once for eight elements. */
#include "fold.h"
#include "kernels.h"
#include "scan.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(SMALTI_PLAIN)
#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include <immintrin.h>
#endif

#define BASE 0x9E3779B97F4A7C15u

typedef struct {
    uint64_t of[17]; /* powers of the base */
    uint64_t zero;   /* of numbers: what stands for 0 too, as -0.0 does */
} powers;

typedef int folding(const void *values, size_t n, const void *offsets, size_t sequences, const powers *w, uint64_t *out);

/* The finaliser of splitmix64. */
INLINE uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* All sequences, each by `ONE`. */
#define FOLD_ALL(ONE, T, O, TARGET)                                                                      \
    TARGET static int ONE##_##O(const void *values, size_t n, const void *offsets, size_t sequences,     \
                                const powers *table, uint64_t *out) {                                    \
        for (size_t i = 0; i < sequences; i++) {                                                         \
            int64_t start = ((const O *)offsets)[i], stop = ((const O *)offsets)[i + 1];                 \
            if (start < 0 || stop < start || (uint64_t)stop > n) return KERNEL_BAD_SIZE;                 \
            out[i] = ONE((const T *)values + start, (size_t)(stop - start), table);                      \
        }                                                                                                \
        return KERNEL_OK;                                                                                \
    }
#define FOLD_BOTH(ONE, T, TARGET) FOLD_ALL(ONE, T, int32_t, TARGET) FOLD_ALL(ONE, T, int64_t, TARGET)

#define FOLD(NAME, T, OF)                                                                                \
    INLINE uint64_t NAME(const T *p, size_t n, const powers *table) {                                    \
        const uint64_t *w = table->of;                                                                   \
        uint64_t h = 0;                                                                                  \
        size_t i = n - n % 8;                                                                            \
        for (size_t k = 0; k < n % 8; k++) h += OF(p[i + k]) * w[k];                                     \
        for (; i; i -= 8) {                                                                              \
            const T *q = p + i - 8;                                                                      \
            uint64_t low = OF(q[0]) + OF(q[1]) * w[1] + OF(q[2]) * w[2] + OF(q[3]) * w[3];               \
            uint64_t high = OF(q[4]) * w[4] + OF(q[5]) * w[5] + OF(q[6]) * w[6] + OF(q[7]) * w[7];       \
            h = h * w[8] + low + high;                                                                   \
        }                                                                                                \
        return h + n;                                                                                    \
    }                                                                                                    \
    FOLD_BOTH(NAME, T, )
#define AS_IT_IS(x) (x)
#define NUMBER(x) mixed(mixed(((x) == table->zero ? 0 : (x)) + 1))
FOLD(fold1, uint8_t, AS_IT_IS)
FOLD(fold8, uint64_t, AS_IT_IS)
FOLD(fold_number, uint64_t, NUMBER)

CLONES static void mix_words_plain(uint64_t *words, size_t n) {
    for (size_t i = 0; i < n; i++) words[i] = mixed(words[i]);
}

CLONES static void mix_into_plain(uint64_t *total, const uint64_t *words, size_t n, uint64_t salt) {
    for (size_t i = 0; i < n; i++) total[i] += mixed(words[i] + salt);
}

#define KINDS(WAY)                                                                          \
    {{fold1##WAY##_int32_t, fold1##WAY##_int64_t}, {fold8##WAY##_int32_t, fold8##WAY##_int64_t}, \
     {fold_number##WAY##_int32_t, fold_number##WAY##_int64_t}}

/* Processors that multiply eight words at once. Each lane is a polynomial in the eighth power; two of them run at a time,
 * as each waits for its own multiplication only. */
#ifdef WIDE
#define WIDE_FOLD(NAME, T, LOAD, LOAD_SOME)                                                              \
    WIDE INLINE uint64_t NAME(const T *p, size_t n, const powers *table) {                               \
        const __m512i step = _mm512_set1_epi64((long long)table->of[16]);                                \
        const __m512i half = _mm512_set1_epi64((long long)table->of[8]);                                 \
        __m512i even = _mm512_setzero_si512(), odd = even;                                               \
        size_t i = n - n % 16, left = n % 16;                                                            \
        if (left > 8) even = LOAD(p + i), odd = LOAD_SOME(p + i + 8, (1u << (left - 8)) - 1);            \
        else if (left) even = LOAD_SOME(p + i, (1u << left) - 1);                                        \
        for (; i; i -= 16) {                                                                             \
            even = _mm512_add_epi64(_mm512_mullo_epi64(even, step), LOAD(p + i - 16));                   \
            odd = _mm512_add_epi64(_mm512_mullo_epi64(odd, step), LOAD(p + i - 8));                      \
        }                                                                                                \
        if (n > 8) even = _mm512_add_epi64(even, _mm512_mullo_epi64(odd, half));                         \
        even = _mm512_mullo_epi64(even, _mm512_loadu_si512(table->of));                                  \
        return (uint64_t)_mm512_reduce_add_epi64(even) + n;                                              \
    }                                                                                                    \
    FOLD_BOTH(NAME, T, WIDE)
#define LOAD_BYTES(p) _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(p)))
#define LOAD_SOME_BYTES(p, mask) _mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8((__mmask16)(mask), p))
#define LOAD_WORDS(p) _mm512_loadu_si512(p)
#define LOAD_SOME_WORDS(p, mask) _mm512_maskz_loadu_epi64((__mmask8)(mask), p)
WIDE_FOLD(fold1_wide, uint8_t, LOAD_BYTES, LOAD_SOME_BYTES)
WIDE_FOLD(fold8_wide, uint64_t, LOAD_WORDS, LOAD_SOME_WORDS)

WIDE INLINE __m512i eight_mixed(__m512i x) {
    x = _mm512_xor_si512(x, _mm512_srli_epi64(x, 30));
    x = _mm512_mullo_epi64(x, _mm512_set1_epi64((long long)0xBF58476D1CE4E5B9u));
    x = _mm512_xor_si512(x, _mm512_srli_epi64(x, 27));
    x = _mm512_mullo_epi64(x, _mm512_set1_epi64((long long)0x94D049BB133111EBu));
    return _mm512_xor_si512(x, _mm512_srli_epi64(x, 31));
}

WIDE INLINE __m512i eight_numbers(__m512i x, uint64_t zero) {
    x = _mm512_maskz_mov_epi64(_mm512_cmpneq_epi64_mask(x, _mm512_set1_epi64((long long)zero)), x);
    return eight_mixed(eight_mixed(_mm512_add_epi64(x, _mm512_set1_epi64(1))));
}
#define LOAD_NUMBERS(p) eight_numbers(LOAD_WORDS(p), table->zero)
#define LOAD_SOME_NUMBERS(p, mask) \
    _mm512_maskz_mov_epi64((__mmask8)(mask), eight_numbers(LOAD_SOME_WORDS(p, mask), table->zero))
WIDE_FOLD(fold_number_wide, uint64_t, LOAD_NUMBERS, LOAD_SOME_NUMBERS)

WIDE static void mix_words_wide(uint64_t *words, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm512_storeu_si512(words + i, eight_mixed(LOAD_WORDS(words + i)));
    for (; i < n; i++) words[i] = mixed(words[i]);
}

WIDE static void mix_into_wide(uint64_t *total, const uint64_t *words, size_t n, uint64_t salt) {
    const __m512i more = _mm512_set1_epi64((long long)salt);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512i found = eight_mixed(_mm512_add_epi64(LOAD_WORDS(words + i), more));
        _mm512_storeu_si512(total + i, _mm512_add_epi64(LOAD_WORDS(total + i), found));
    }
    for (; i < n; i++) total[i] += mixed(words[i] + salt);
}

static int is_wide(void) {
    return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static folding *const kinds[][3][2] = {KINDS(), KINDS(_wide)};
#else
#define mix_words_wide mix_words_plain
#define mix_into_wide mix_into_plain
static int is_wide(void) { return 0; }
static folding *const kinds[][3][2] = {KINDS()};
#endif

static int fold_as(int kind, const void *values, size_t n, const void *offsets, size_t offset_size, size_t sequences,
                   uint64_t zero, uint64_t *out) {
    powers table = {{1}, zero};
    for (unsigned i = 1; i < 17; i++) table.of[i] = table.of[i - 1] * BASE;
    if (offset_size != 4 && offset_size != 8) return KERNEL_BAD_SIZE;
    return kinds[is_wide()][kind][offset_size == 8](values, n, offsets, sequences, &table, out);
}

int fold(const void *values, size_t n, size_t size, const void *offsets, size_t offset_size, size_t sequences,
         uint64_t *out) {
    if (size != 1 && size != 8) return KERNEL_BAD_SIZE;
    return fold_as(size == 8, values, n, offsets, offset_size, sequences, 0, out);
}

int fold_numbers(const uint64_t *numbers, size_t n, const void *offsets, size_t offset_size, size_t sequences,
                 uint64_t zero, uint64_t *out) {
    return fold_as(2, numbers, n, offsets, offset_size, sequences, zero, out);
}

void mix_words(uint64_t *words, size_t n) { (is_wide() ? mix_words_wide : mix_words_plain)(words, n); }

void mix_into(uint64_t *total, const uint64_t *words, size_t n, uint64_t salt) {
    (is_wide() ? mix_into_wide : mix_into_plain)(total, words, n, salt);
}
