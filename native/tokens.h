/* Flat JSON objects to `key=value` tokens. No Python. */
#ifndef SMALTI_TOKENS_H
#define SMALTI_TOKENS_H

#include <stddef.h>
#include <stdint.h>

/* Where the tokens go: their bytes one after another, and where each ends. */
typedef struct {
    uint8_t *bytes;
    int32_t *ends;
    size_t room, most, size, count;
} token_sink;

int flat_tokens(const uint8_t *text, size_t n, const int64_t *offsets, size_t rows, size_t longest, token_sink *sink,
                int32_t *counts);

#endif
