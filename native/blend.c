/* An image under coloured labels: (image * (256 - cover) + color * cover + 128) >> 8, run by run. */
#include "kernels.h"
#include "scan.h"

enum { CHUNK = 48 }; /* 16 pixels: the colours repeat after 3 bytes, vectors after 16 */

/* Short runs, and what is left of long ones: pixel by pixel. */
static void blend_few(const uint8_t *image, uint8_t *out, size_t bytes, const uint8_t *color, uint32_t cover) {
    uint32_t keep = 256 - cover;
    uint32_t red = color[0] * cover + 128, green = color[1] * cover + 128, blue = color[2] * cover + 128;
    for (size_t i = 0; i < bytes; i += 3) {
        out[i] = (uint8_t)((image[i] * keep + red) >> 8);
        out[i + 1] = (uint8_t)((image[i + 1] * keep + green) >> 8);
        out[i + 2] = (uint8_t)((image[i + 2] * keep + blue) >> 8);
    }
}

CLONES static void blend_run(const uint8_t *image, uint8_t *out, size_t bytes, const uint8_t *color, uint32_t cover) {
    uint16_t added[CHUNK];
    uint16_t keep = (uint16_t)(256 - cover);
    for (size_t k = 0; k < CHUNK; k++) added[k] = (uint16_t)(color[k % 3] * cover + 128);
    size_t i = 0;
    for (; i + CHUNK <= bytes; i += CHUNK)
        for (size_t k = 0; k < CHUNK; k++) out[i + k] = (uint8_t)((uint16_t)(image[i + k] * keep + added[k]) >> 8);
    blend_few(image + i, out + i, bytes - i, color, cover);
}

int blend(const uint8_t *image, const void *labels, size_t n, size_t size, const uint8_t *colors,
          const uint16_t *cover, size_t count, uint8_t *out) {
    if (n && largest(labels, n, size) >= count) return KERNEL_BEYOND;
    for (size_t i = 0, j; i < n; i = j) {
        j = run_end(labels, i, n, size);
        size_t v = size == 1   ? ((const uint8_t *)labels)[i]
                   : size == 2 ? ((const uint16_t *)labels)[i]
                               : ((const uint32_t *)labels)[i];
        size_t at = 3 * i, bytes = 3 * (j - i);
        if (bytes < 2 * CHUNK) blend_few(image + at, out + at, bytes, colors + 3 * v, cover[v]);
        else if (cover[v]) blend_run(image + at, out + at, bytes, colors + 3 * v, cover[v]);
        else memcpy(out + at, image + at, bytes);
    }
    return KERNEL_OK;
}
