import { indexMap, maskUrl, media } from "../lib/api";
import { type Rgb, rgba } from "../lib/format";
import type { LegendRow } from "../lib/types";
import type { Indices } from "./render/renderer";

/** A mask as numbers with what they mean, small enough for a cell of a page. */
export interface SmallMask {
  data: Indices;
  width: number;
  height: number;
  rows: LegendRow[];
}

export async function smallMask(
  version: string,
  frame: string,
  source: string,
  mask: string,
  longest: number | undefined,
  stop: AbortSignal,
): Promise<SmallMask> {
  const [map, legend] = await Promise.all([
    indexMap(maskUrl(version, frame, source, mask, null, longest), stop),
    media.legend(version, frame, source, mask),
  ]);
  return { ...map, rows: legend.entries };
}

/** Draw it in the colours that `color` gives each entry; null = not at all. */
export function paintMask(
  canvas: HTMLCanvasElement,
  mask: SmallMask,
  opacity: number,
  color: (row: LegendRow) => Rgb | null,
): void {
  const table = new Uint32Array(mask.rows.reduce((most, row) => Math.max(most, row.index), 0) + 1);
  for (const row of mask.rows) {
    const found = color(row);
    if (found) table[row.index] = rgba(...found, opacity);
  }
  paintNumbers(canvas, mask.width, mask.height, (i) => table[mask.data[i]!] ?? 0);
}

export function paintNumbers(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  colorAt: (i: number) => number,
): void {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  const pixels = context.createImageData(width, height);
  const out = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < out.length; i++) out[i] = colorAt(i);
  context.putImageData(pixels, 0, 0);
}
