/* Content hashes of rows: sequences folded into one word each, words mixed. No Python. */
#ifndef SMALTI_FOLD_H
#define SMALTI_FOLD_H

#include <stddef.h>
#include <stdint.h>

/* Elements of 1 or 8 bytes, offsets of 4 or 8. */
int fold(const void *values, size_t n, size_t size, const void *offsets, size_t offset_size, size_t sequences,
         uint64_t *out);
/* Each number is mixed twice on the way; `zero` stands for 0 too. */
int fold_numbers(const uint64_t *numbers, size_t n, const void *offsets, size_t offset_size, size_t sequences,
                 uint64_t zero, uint64_t *out);
void mix_words(uint64_t *words, size_t n);
void mix_into(uint64_t *total, const uint64_t *words, size_t n, uint64_t salt);

#endif
