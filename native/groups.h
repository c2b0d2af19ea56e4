/* Groups of numbers, such as the labels of each ROI: as sets, and which of them are the same. No Python. */
#ifndef SMALTI_GROUPS_H
#define SMALTI_GROUPS_H

#include <stddef.h>
#include <stdint.h>

int group_sets(const uint32_t *codes, size_t n, const int64_t *offsets, size_t groups, uint32_t *out,
               int64_t *out_offsets);
int number_groups(const uint32_t *codes, size_t n, const int64_t *offsets, size_t groups, uint32_t *numbers,
                  int64_t *firsts, size_t *distinct);

#endif
