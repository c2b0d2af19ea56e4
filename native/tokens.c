/* Metadata is nearly always one flat object of short strings and numbers, written without spaces. Such a row becomes its
 * tokens in one pass over its bytes. Everything else (escapes, other alphabets, levels below, numbers whose shortest
 * form is not sure to be the written one) is left to the caller: its count is -1. */
#include "tokens.h"

#include <string.h>

#include "kernels.h"

enum { MOST_KEYS = 64, MOST_DIGITS = 15, MOST_INT_DIGITS = 18 };

typedef struct {
    const uint8_t *at, *end;
} cursor;

static int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* The inside of a plain string that begins at the cursor; NULL where it is not plain. */
static const uint8_t *plain_string(cursor *c, size_t *length, int is_key) {
    if (c->at == c->end || *c->at != '"') return NULL;
    const uint8_t *start = ++c->at;
    for (; c->at < c->end && *c->at != '"'; c->at++)
        if (*c->at < 0x20 || *c->at >= 0x80 || *c->at == '\\' || (is_key && *c->at == '=')) return NULL;
    if (c->at == c->end) return NULL;
    *length = (size_t)(c->at++ - start);
    return start;
}

/* A number whose text is its token: a whole one of up to 18 digits, or a fraction of up to 15 that is neither tiny nor
 * written with zeros at its end; a single zero after the point is left out. */
static const uint8_t *plain_number(cursor *c, size_t *length) {
    const uint8_t *start = c->at, *p = c->at, *end = c->end;
    if (p < end && *p == '-') p++;
    const uint8_t *whole = p;
    while (p < end && is_digit(*p)) p++;
    size_t digits = (size_t)(p - whole);
    if (digits == 0 || (*whole == '0' && digits > 1)) return NULL;
    if (p < end && *p == '.') {
        const uint8_t *part = ++p;
        while (p < end && is_digit(*p)) p++;
        size_t decimals = (size_t)(p - part);
        if (decimals == 1 && *part == '0' && digits <= MOST_DIGITS && (*whole != '0' || whole == start)) {
            *length = (size_t)(part - 1 - start); /* 2.0 is the whole number 2 */
            c->at = p;
            return start;
        }
        if (decimals == 0 || p[-1] == '0' || digits + decimals > MOST_DIGITS) return NULL;
        if (*whole == '0' && decimals > 3 && !memcmp(part, "000", 3)) return NULL;
    } else if (digits > MOST_INT_DIGITS || (*whole == '0' && whole != start)) {
        return NULL;
    }
    *length = (size_t)(p - start);
    c->at = p;
    return start;
}

static int put(token_sink *sink, const uint8_t *key, size_t key_size, const uint8_t *value, size_t value_size) {
    size_t size = key_size + 1 + value_size;
    if (size > sink->room - sink->size || sink->count == sink->most) return 0;
    uint8_t *to = sink->bytes + sink->size;
    memcpy(to, key, key_size);
    to[key_size] = '=';
    memcpy(to + key_size + 1, value, value_size);
    sink->size += size;
    sink->ends[sink->count++] = (int32_t)sink->size;
    return 1;
}

/* The tokens of one object, or -1. */
static int32_t object_tokens(cursor c, size_t longest, token_sink *sink) {
    const uint8_t *keys[MOST_KEYS];
    size_t sizes[MOST_KEYS];
    int32_t count = 0;
    if (c.at == c.end || *c.at++ != '{') return -1;
    if (c.end - c.at == 1 && *c.at == '}') return 0;
    for (;; count++) {
        size_t key_size, size;
        const uint8_t *key = plain_string(&c, &key_size, 1);
        if (key == NULL || count == MOST_KEYS || c.at == c.end || *c.at++ != ':') return -1;
        for (int32_t i = 0; i < count; i++)
            if (sizes[i] == key_size && !memcmp(keys[i], key, key_size)) return -1;
        keys[count] = key;
        sizes[count] = key_size;
        int is_text = c.at < c.end && *c.at == '"';
        const uint8_t *value = is_text ? plain_string(&c, &size, 0) : plain_number(&c, &size);
        if (value == NULL || c.at == c.end) return -1;
        if (is_text && size > longest) size = longest;
        if (!put(sink, key, key_size, value, size)) return -1;
        if (*c.at == '}') return c.at + 1 == c.end ? count + 1 : -1;
        if (*c.at++ != ',') return -1;
    }
}

int flat_tokens(const uint8_t *text, size_t n, const int64_t *offsets, size_t rows, size_t longest, token_sink *sink,
                int32_t *counts) {
    if (n > INT32_MAX) return KERNEL_BAD_SIZE;
    for (size_t i = 0; i < rows; i++) {
        int64_t start = offsets[i], stop = offsets[i + 1];
        if (start < 0 || stop < start || (uint64_t)stop > n) return KERNEL_BAD_SIZE;
        size_t size = sink->size, count = sink->count;
        counts[i] = object_tokens((cursor){text + start, text + stop}, longest, sink);
        if (counts[i] < 0) sink->size = size, sink->count = count;
    }
    return KERNEL_OK;
}
