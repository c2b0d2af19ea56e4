/* An image under coloured labels: (image * (256 - cover) + color * cover + 128) >> 8, run by run. */
#include "kernels.h"
#include "scan.h"

enum { CHUNK = 48 }; /* 16 pixels: the colours repeat after 3 bytes, vectors after 16 */

CLONES static void blend_run(const uint8_t *image, uint8_t *out, size_t bytes, const uint8_t *color, uint32_t cover) {
    uint16_t added[CHUNK];
    uint16_t keep = (uint16_t)(256 - cover);
    for (size_t k = 0; k < CHUNK; k++) added[k] = (uint16_t)(color[k % 3] * cover + 128);
    size_t i = 0;
    for (; i + CHUNK <= bytes; i += CHUNK)
        for (size_t k = 0; k < CHUNK; k++) out[i + k] = (uint8_t)((uint16_t)(image[i + k] * keep + added[k]) >> 8);
    for (size_t k = 0; i < bytes; i++, k++) out[i] = (uint8_t)((uint16_t)(image[i] * keep + added[k]) >> 8);
}

int blend(const uint8_t *image, const void *labels, size_t n, size_t size, const uint8_t *colors,
          const uint16_t *cover, size_t count, uint8_t *out) {
    if (n && largest(labels, n, size) >= count) return KERNEL_BEYOND;
    for (size_t i = 0, j; i < n; i = j) {
        j = run_end(labels, i, n, size);
        size_t v = size == 1   ? ((const uint8_t *)labels)[i]
                   : size == 2 ? ((const uint16_t *)labels)[i]
                               : ((const uint32_t *)labels)[i];
        if (cover[v]) blend_run(image + 3 * i, out + 3 * i, 3 * (j - i), colors + 3 * v, cover[v]);
        else memcpy(out + 3 * i, image + 3 * i, 3 * (j - i));
    }
    return KERNEL_OK;
}
