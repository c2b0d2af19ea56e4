/* libdeflate's inflater, compiled a second time around a sliding window (third_party/inflate_window). The vendored file is
 * included unchanged for its tables and helpers. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "third_party/libdeflate/lib/deflate_decompress.c"

#include "inflate.h"

/* Hand on what is there and move the rest, with the history that matches may reach, to the front. */
static bool inflate_flush(struct inflate_window *window, u8 **out_next) {
    u8 *end = *out_next;
    window->sum = libdeflate_adler32(window->sum, window->fresh, (size_t)(end - window->fresh));
    u8 *unused = window->consumer(window->context, window->unused, end);
    if (!unused) return false;
    size_t behind = (size_t)(unused - window->base);
    u8 *keep = unused - MIN(behind, window->keep_behind);
    if ((size_t)(end - window->base) <= INFLATE_HISTORY) keep = window->base;
    else if (keep > end - INFLATE_HISTORY) keep = end - INFLATE_HISTORY;
    size_t shift = (size_t)(keep - window->base);
    memmove(window->base, keep, (size_t)(end - keep));
    window->unused = unused - shift;
    window->fresh = *out_next = end - shift;
    return shift != 0;
}

#define FUNCNAME inflate_default
#include "third_party/inflate_window/inflate_window.h"

#if defined(ARCH_X86_64) && defined(__GNUC__)
#define FUNCNAME inflate_bmi2
#define ATTRIBUTES _target_attribute("bmi2")
#ifndef __clang__
#define EXTRACT_VARBITS(word, count) _bzhi_u64((word), (count))
#define EXTRACT_VARBITS8(word, count) _bzhi_u64((word), (count))
#endif
#include "third_party/inflate_window/inflate_window.h"
#define HAVE_WIDE_INFLATE HAVE_BMI2(get_x86_cpu_features())
#define inflate_wide inflate_bmi2
#else
#define HAVE_WIDE_INFLATE 0
#define inflate_wide inflate_default
#endif
#pragma GCC diagnostic pop

struct libdeflate_decompressor *inflate_alloc(void) { return libdeflate_alloc_decompressor(); }

void inflate_free(struct libdeflate_decompressor *state) { libdeflate_free_decompressor(state); }

int inflate_zlib(struct libdeflate_decompressor *state, const uint8_t *in, size_t n, struct inflate_window *window) {
    if (n < 6) return INFLATE_BAD;
    unsigned header = (unsigned)in[0] << 8 | in[1];
    int deflate = (in[0] & 15) == 8 && (in[0] >> 4) <= 7, dictionary = in[1] >> 5 & 1;
    if (header % 31 || !deflate || dictionary) return INFLATE_BAD;
    size_t used = 0;
    window->sum = 1;
    window->fresh = window->unused = window->base;
    enum libdeflate_result result = HAVE_WIDE_INFLATE ? inflate_wide(state, in + 2, n - 6, window, &used)
                                                      : inflate_default(state, in + 2, n - 6, window, &used);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) return INFLATE_STOPPED;
    if (result != LIBDEFLATE_SUCCESS) return INFLATE_BAD;
    window->sum = libdeflate_adler32(window->sum, window->fresh, (size_t)(window->end - window->fresh));
    u8 *unused = window->consumer(window->context, window->unused, window->end);
    if (!unused) return INFLATE_STOPPED;
    if (unused != window->end) return INFLATE_TOO_MUCH;
    return window->sum == get_unaligned_be32(in + 2 + used) ? INFLATE_OK : INFLATE_BAD_SUM;
}
