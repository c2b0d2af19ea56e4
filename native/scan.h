/* How far bytes stay the same: the inner loop of everything that remembers runs. Reads never pass the given end. */
#ifndef SMALTI_SCAN_H
#define SMALTI_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

INLINE uint64_t load_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* Position in memory of the first byte of `word` that is not zero. */
INLINE size_t first_byte(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (size_t)__builtin_clzll(word) >> 3;
#else
    return (size_t)__builtin_ctzll(word) >> 3;
#endif
}

/* How many leading bytes of a and b are equal, at most n. The two may overlap. */
INLINE size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t n) {
    size_t i = 0;
#ifdef __SSE2__
    for (; i + 32 <= n; i += 32) {
        __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i)), _mm_loadu_si128((const __m128i *)(b + i)));
        __m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i + 16)),
                                   _mm_loadu_si128((const __m128i *)(b + i + 16)));
        uint32_t differ = ~((uint32_t)_mm_movemask_epi8(x) | (uint32_t)_mm_movemask_epi8(y) << 16);
        if (differ) return i + (size_t)__builtin_ctz(differ);
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t differ = load_word(a + i) ^ load_word(b + i);
        if (differ) return i + first_byte(differ);
    }
    while (i < n && a[i] == b[i]) i++;
    return i;
}

/* How many leading bytes of a are zero, at most n. */
INLINE size_t zero_bytes(const uint8_t *a, size_t n) {
    size_t i = 0;
#ifdef __SSE2__
    const __m128i zero = _mm_setzero_si128();
    for (; i + 32 <= n; i += 32) {
        __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i)), zero);
        __m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i + 16)), zero);
        uint32_t other = ~((uint32_t)_mm_movemask_epi8(x) | (uint32_t)_mm_movemask_epi8(y) << 16);
        if (other) return i + (size_t)__builtin_ctz(other);
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t word = load_word(a + i);
        if (word) return i + first_byte(word);
    }
    while (i < n && a[i] == 0) i++;
    return i;
}

/* Where the run of equal elements that starts at i ends; size in bytes, 1 <= i < n. */
INLINE size_t run_end(const uint8_t *base, size_t i, size_t n, size_t size) {
    const uint8_t *p = base + i * size;
    return i + 1 + same_bytes(p + size, p, (n - i - 1) * size) / size;
}

/* Whether the 32 bytes at p repeat their first element. */
#define FLAT32(T, p) flat32((const uint8_t *)(p), (uint64_t)(p)[0] * (UINT64_MAX / (T)UINT64_MAX))
INLINE int flat32(const uint8_t *p, uint64_t wanted) {
    uint64_t differ = (load_word(p) ^ wanted) | (load_word(p + 8) ^ wanted) | (load_word(p + 16) ^ wanted) |
                      (load_word(p + 24) ^ wanted);
    return differ == 0;
}

/* One function body for plain and wide vectors, chosen once by the loader. Sanitizers run before ifunc resolvers work. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(SMALTI_PLAIN)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

#endif
