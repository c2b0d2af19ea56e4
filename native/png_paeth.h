/* Paeth's predictor for whole pixels: of left, above and corner the one nearest to left + above - corner. */
#ifndef SMALTI_PNG_PAETH_H
#define SMALTI_PNG_PAETH_H

#include "scan.h"

INLINE uint8_t paeth_byte(int left, int above, int corner) {
    int by_left = above - corner, by_above = left - corner, by_corner = by_left + by_above;
    by_left = by_left < 0 ? -by_left : by_left;
    by_above = by_above < 0 ? -by_above : by_above;
    by_corner = by_corner < 0 ? -by_corner : by_corner;
    if (by_left <= by_above && by_left <= by_corner) return (uint8_t)left;
    return (uint8_t)(by_above <= by_corner ? above : corner);
}

INLINE uint16_t paeth_pair(uint16_t left, uint16_t above, uint16_t corner) {
    return (uint16_t)(paeth_byte(left & 255, above & 255, corner & 255) |
                      paeth_byte(left >> 8, above >> 8, corner >> 8) << 8);
}

#ifdef __SSE2__
INLINE __m128i magnitude(__m128i x) { return _mm_max_epi16(x, _mm_sub_epi16(_mm_setzero_si128(), x)); }

INLINE __m128i pick(__m128i mask, __m128i yes, __m128i no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

INLINE uint32_t paeth_pixel(uint32_t left, uint32_t above, uint32_t corner) {
    const __m128i zero = _mm_setzero_si128();
    __m128i a = _mm_unpacklo_epi8(_mm_cvtsi32_si128((int)left), zero);
    __m128i b = _mm_unpacklo_epi8(_mm_cvtsi32_si128((int)above), zero);
    __m128i c = _mm_unpacklo_epi8(_mm_cvtsi32_si128((int)corner), zero);
    __m128i by_a = _mm_sub_epi16(b, c), by_b = _mm_sub_epi16(a, c);
    __m128i by_c = magnitude(_mm_add_epi16(by_a, by_b));
    by_a = magnitude(by_a);
    by_b = magnitude(by_b);
    __m128i least = _mm_min_epi16(by_c, _mm_min_epi16(by_a, by_b));
    __m128i best = pick(_mm_cmpeq_epi16(by_a, least), a, pick(_mm_cmpeq_epi16(by_b, least), b, c));
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(best, best));
}
#else
INLINE uint32_t paeth_pixel(uint32_t left, uint32_t above, uint32_t corner) {
    return (uint32_t)paeth_pair((uint16_t)left, (uint16_t)above, (uint16_t)corner) |
           (uint32_t)paeth_pair((uint16_t)(left >> 16), (uint16_t)(above >> 16), (uint16_t)(corner >> 16)) << 16;
}
#endif

#endif
