import { indexMap, maskUrl, media } from "../lib/api";
import { rgba } from "./render/renderer";

const OPACITY = 0.5;

/** A mask as a small transparent picture, in the colours of its legend; what cannot be read stays empty. */
export async function paintOverlay(
  canvas: HTMLCanvasElement,
  version: string,
  frame: string,
  source: string,
  mask: string,
  longest: number,
  stop: AbortSignal,
): Promise<void> {
  try {
    const [map, legend] = await Promise.all([
      indexMap(maskUrl(version, frame, source, mask, null, longest), stop),
      media.legend(version, frame, source, mask),
    ]);
    if (stop.aborted) return;
    const lut = new Uint32Array(legend.entries.reduce((most, row) => Math.max(most, row.index), 0) + 1);
    for (const row of legend.entries) lut[row.index] = rgba(...row.color, OPACITY);
    canvas.width = map.width;
    canvas.height = map.height;
    const context = canvas.getContext("2d")!;
    const pixels = context.createImageData(map.width, map.height);
    const out = new Uint32Array(pixels.data.buffer);
    for (let i = 0; i < out.length; i++) out[i] = lut[map.data[i]!] ?? 0;
    context.putImageData(pixels, 0, 0);
  } catch {
    canvas.width = 1; // an alpha mask or a broken file: the picture is still worth seeing
  }
}
