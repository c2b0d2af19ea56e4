/* Groups of numbers or letters, such as the labels of each ROI: as sets, and which of them are the same. No Python. */
#ifndef SMALTI_GROUPS_H
#define SMALTI_GROUPS_H

#include <stddef.h>
#include <stdint.h>

/* Values one after another, and where each group of them begins, with the end of the last. */
typedef struct {
    const uint8_t *values;
    size_t n, size; /* how many, and the bytes of each: 1 or 4 */
    const void *offsets;
    size_t offset_size, groups; /* an offset has 4 or 8 bytes */
} groups_of;

/* Of values of 4 bytes. */
int group_sets(const groups_of *all, uint32_t *out, int64_t *out_offsets);
int number_groups(const groups_of *all, uint32_t *numbers, int64_t *firsts, size_t *distinct);
int take_texts(const groups_of *all, const uint32_t *codes, size_t n, uint8_t *out, size_t room);

#endif
