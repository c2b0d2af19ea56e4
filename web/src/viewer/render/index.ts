import { CpuRenderer } from "./cpu";
import type { Renderer } from "./renderer";

/** The renderer for a pair of canvases. The CPU one is always there and has no size limit. */
export function makeRenderer(imageCanvas: HTMLCanvasElement, maskCanvas: HTMLCanvasElement): Renderer {
  return new CpuRenderer(imageCanvas, maskCanvas);
}
