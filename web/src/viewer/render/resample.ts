/** The inner loops of the CPU renderer: index maps through colour tables into a viewport. No DOM in here. */
import type { Layer, View } from "./renderer";

/** For each output position, the position in the mask, or -1 outside. `size` is the image's, `cells` the mask's. */
export function positions(n: number, offset: number, scale: number, size: number, cells: number): Int32Array {
  const found = new Int32Array(n);
  const step = cells / size;
  for (let i = 0; i < n; i++) {
    const at = (i + 0.5 - offset) / scale;
    found[i] = at >= 0 && at < size ? Math.min(cells - 1, Math.floor(at * step)) : -1;
  }
  return found;
}

/** Source over destination, both RGBA and not premultiplied. */
export function over(below: number, above: number): number {
  const a = above >>> 24;
  if (a === 255) return above;
  if (a === 0) return below;
  const b = below >>> 24;
  if (b === 0) return above;
  const rest = (b * (255 - a)) / 255;
  const alpha = a + rest;
  const mix = (shift: number): number =>
    Math.round((((above >>> shift) & 255) * a + ((below >>> shift) & 255) * rest) / alpha);
  return ((Math.round(alpha) << 24) | (mix(16) << 16) | (mix(8) << 8) | mix(0)) >>> 0;
}

interface Span {
  first: number;
  last: number;
}

function inside(found: Int32Array): Span {
  let first = 0;
  while (first < found.length && found[first]! < 0) first++;
  let last = found.length;
  while (last > first && found[last - 1]! < 0) last--;
  return { first, last };
}

/**
 * Draw one layer into `out` (width × height RGBA words). The first layer overwrites, later ones are blended.
 * Each output pixel takes the index that lies under its middle; indices are never interpolated.
 */
export function drawLayer(
  out: Uint32Array,
  size: { width: number; height: number },
  layer: Layer,
  image: { width: number; height: number },
  view: View,
  first: boolean,
): void {
  const { width, height } = size;
  const xs = positions(width, view.x, view.scale, image.width, layer.width);
  const ys = positions(height, view.y, view.scale, image.height, layer.height);
  const spanX = inside(xs);
  const spanY = inside(ys);
  if (first) out.fill(0);
  if (layer.outline > 0) {
    outlined(out, width, layer, xs, ys, spanX, spanY, first);
    return;
  }
  const { data, lut } = layer;
  const last = lut.length - 1;
  let before = -1;
  for (let y = spanY.first; y < spanY.last; y++) {
    const row = y * width;
    const source = ys[y]! * layer.width;
    if (first && source === before) {
      out.copyWithin(row + spanX.first, row - width + spanX.first, row - width + spanX.last);
      continue;
    }
    before = source;
    if (first) {
      for (let x = spanX.first; x < spanX.last; x++) {
        const index = data[source + xs[x]!]!;
        out[row + x] = lut[index > last ? 0 : index]!;
      }
    } else {
      for (let x = spanX.first; x < spanX.last; x++) {
        const index = data[source + xs[x]!]!;
        const above = lut[index > last ? 0 : index]!;
        if (above >>> 24) out[row + x] = over(out[row + x]!, above);
      }
    }
  }
}

/** As above, with the edge between two indices drawn in the full colour of the pixel's own label. */
function outlined(
  out: Uint32Array,
  width: number,
  layer: Layer,
  xs: Int32Array,
  ys: Int32Array,
  spanX: Span,
  spanY: Span,
  first: boolean,
): void {
  const { data, lut } = layer;
  const last = lut.length - 1;
  const reach = Math.max(1, Math.round(layer.outline / 2));
  const both = layer.outline > 1;
  for (let y = spanY.first; y < spanY.last; y++) {
    const row = y * width;
    const here = ys[y]! * layer.width;
    const below = ys[Math.min(spanY.last - 1, y + reach)]! * layer.width;
    const above = ys[Math.max(spanY.first, y - reach)]! * layer.width;
    for (let x = spanX.first; x < spanX.last; x++) {
      const column = xs[x]!;
      const found = data[here + column]!;
      const index = found > last ? 0 : found;
      let color = lut[index]!;
      if (color >>> 24) {
        const right = xs[x + reach < spanX.last ? x + reach : spanX.last - 1]!;
        let edge = data[here + right] !== found || data[below + column] !== found;
        if (both && !edge) {
          const left = xs[Math.max(spanX.first, x - reach)]!;
          edge = data[here + left] !== found || data[above + column] !== found;
        }
        if (edge) color = (color | 0xff000000) >>> 0;
        out[row + x] = first ? color : over(out[row + x]!, color);
      }
    }
  }
}
