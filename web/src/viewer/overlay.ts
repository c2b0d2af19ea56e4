import { indexMap, maskUrl, media } from "../lib/api";
import { rgba } from "../lib/format";
import type { ClassTable, LegendRow } from "../lib/types";
import type { LabelRow } from "./masks";
import type { Indices } from "./render/renderer";

/** A mask as numbers with what they mean, small enough for a cell of a page. */
export interface SmallMask {
  data: Indices;
  width: number;
  height: number;
  rows: LegendRow[];
  /** Under the view that was asked for; null where it says none. */
  classes: ClassTable | null;
}

export async function smallMask(
  version: string,
  frame: string,
  source: string,
  mask: string,
  longest: number | undefined,
  stop: AbortSignal,
  dataview = "",
): Promise<SmallMask> {
  const [map, legend, classes] = await Promise.all([
    indexMap(maskUrl(version, frame, source, mask, null, longest), stop),
    media.legend(version, frame, source, mask),
    // Labels are shown where a view cannot say its classes; the panel says why.
    dataview ? media.classes(version, frame, source, mask, dataview).catch(() => null) : null,
  ]);
  return { ...map, rows: legend.entries, classes };
}

/** Draw the rows in their colours, and nothing of others. */
export function paintMask(canvas: HTMLCanvasElement, mask: SmallMask, opacity: number, rows: LabelRow[]): void {
  const table = new Uint32Array(mask.rows.reduce((most, row) => Math.max(most, row.index), 0) + 1);
  for (const row of rows) for (const index of row.indices) table[index] = rgba(...row.color, opacity);
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
