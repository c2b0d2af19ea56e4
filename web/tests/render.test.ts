import { describe, expect, it } from "vitest";
import { rgba } from "../src/lib/format";
import type { Layer } from "../src/viewer/render/renderer";
import { drawLayer, over, positions } from "../src/viewer/render/resample";

const lut = Uint32Array.from([0, rgba(255, 0, 0, 1), rgba(0, 255, 0, 0.5)]);
const layer = (data: number[], width: number, more: Partial<Layer> = {}): Layer => ({
  data: Uint8Array.from(data),
  width,
  height: data.length / width,
  lut,
  outline: 0,
  visible: true,
  ...more,
});

describe("positions", () => {
  it("takes what lies under the middle of each output pixel", () => {
    expect([...positions(4, 0, 2, 2, 2)]).toEqual([0, 0, 1, 1]);
    expect([...positions(5, 1, 1, 3, 3)]).toEqual([-1, 0, 1, 2, -1]);
  });
  it("maps a mask that is smaller than the image", () => {
    expect([...positions(4, 0, 1, 4, 2)]).toEqual([0, 0, 1, 1]);
  });
});

describe("drawLayer", () => {
  const view = { scale: 1, x: 0, y: 0 };
  it("writes the colour of each index, and nothing for index 0", () => {
    const out = new Uint32Array(4).fill(7);
    drawLayer(out, { width: 2, height: 2 }, layer([0, 1, 2, 1], 2), { width: 2, height: 2 }, view, true);
    expect([...out]).toEqual([0, lut[1], lut[2], lut[1]]);
  });
  it("draws an index beyond the table as index 0", () => {
    const out = new Uint32Array(2);
    const strange = Uint32Array.from([rgba(1, 2, 3, 1), 0, 0]);
    drawLayer(out, { width: 2, height: 1 }, layer([200, 1], 2, { lut: strange }), { width: 2, height: 1 }, view, true);
    expect([...out]).toEqual([strange[0], 0]);
  });
  it("agrees with a plain loop at any zoom and offset", () => {
    const random = Uint8Array.from({ length: 35 }, (_, i) => (i * 7919) % 3);
    const big = layer([...random], 7);
    const image = { width: 14, height: 10 };
    for (const [scale, x, y] of [
      [0.7, -2.3, 1.1],
      [1, 0, 0],
      [3.3, 4.5, -6.2],
    ] as const) {
      const size = { width: 23, height: 19 };
      const out = new Uint32Array(size.width * size.height);
      drawLayer(out, size, big, image, { scale, x, y }, true);
      for (let row = 0; row < size.height; row++) {
        for (let column = 0; column < size.width; column++) {
          const ix = (column + 0.5 - x) / scale;
          const iy = (row + 0.5 - y) / scale;
          const inside = ix >= 0 && iy >= 0 && ix < image.width && iy < image.height;
          const index = inside ? random[Math.floor(iy / 2) * 7 + Math.floor(ix / 2)]! : 0;
          expect(out[row * size.width + column]).toBe(inside ? lut[index] : 0);
        }
      }
    }
  });
  it("draws edges opaque where labels meet", () => {
    const out = new Uint32Array(4);
    drawLayer(
      out,
      { width: 4, height: 1 },
      layer([2, 2, 1, 1], 4, { outline: 1 }),
      { width: 4, height: 1 },
      view,
      true,
    );
    expect([...out].map((c) => c >>> 24)).toEqual([128, 255, 255, 255]);
  });
  it("blends a second layer over the first", () => {
    const out = new Uint32Array(1);
    const size = { width: 1, height: 1 };
    drawLayer(out, size, layer([1], 1), size, view, true);
    drawLayer(out, size, layer([2], 1), size, view, false);
    expect(out[0]).toBe(over(lut[1]!, lut[2]!));
  });
});

describe("over", () => {
  it("is source over destination", () => {
    expect(over(rgba(255, 0, 0, 1), rgba(0, 0, 255, 1))).toBe(rgba(0, 0, 255, 1));
    expect(over(rgba(255, 0, 0, 1), 0)).toBe(rgba(255, 0, 0, 1));
    const half = over(rgba(200, 0, 0, 1), rgba(0, 0, 200, 128 / 255));
    expect([half & 255, (half >>> 16) & 255, half >>> 24]).toEqual([100, 100, 255]);
  });
});
