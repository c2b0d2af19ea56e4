import { describe, expect, it } from "vitest";
import type { Roi } from "../src/lib/types";
import {
  bounds,
  boxPoly,
  flatten,
  handles,
  kindOf,
  moved,
  RING_SEPARATOR,
  reshaped,
  ringsOf,
  withoutPoint,
  withPoint,
} from "../src/viewer/shapes";

const box: Roi = { label: ["car"], poly: boxPoly(10, 20, 30, 40), meta: { _type: "b2d" } };
const holed: Roi = { poly: [0, 0, 9, 0, 9, 9, RING_SEPARATOR, 2, 2, 4, 2, 4, 4], meta: { _type: "p2d" } };

describe("wire numbers", () => {
  it("reads rings and writes them back", () => {
    expect(ringsOf(holed.poly!).map((r) => r.length)).toEqual([3, 3]);
    expect(flatten(ringsOf(holed.poly!))).toEqual(holed.poly);
  });
  it("tells shapes by their code, else by what they hold", () => {
    expect(kindOf(box)).toBe("box");
    expect(kindOf({ poly: [1, 2, 3, 4, 5, 6] })).toBe("polygon");
    expect(kindOf({ mask: { value: [1] } })).toBe("mask");
    expect(kindOf({ label: ["x"] })).toBe("frame");
    expect(kindOf({ poly: [1, 2, 3], meta: { _type: "p3d" } })).toBe("other");
  });
});

describe("editing", () => {
  it("keeps an upright box upright, also when a corner crosses over", () => {
    expect(reshaped(box, 2, [50, 80]).poly).toEqual(boxPoly(10, 20, 40, 60));
    expect(reshaped(box, 2, [0, 0]).poly).toEqual(boxPoly(0, 0, 10, 20));
  });
  it("keeps the angle of a turned box", () => {
    const turned: Roi = { poly: [0, 0, 3, 4, -1, 7, -4, 3], meta: { _type: "b2d" } };
    const next = reshaped(turned, 2, [2, 11]).poly!;
    expect(Math.atan2(next[3]! - next[1]!, next[2]! - next[0]!)).toBeCloseTo(Math.atan2(4, 3), 2);
    expect([next[4], next[5]]).toEqual([2, 11]);
  });
  it("moves every ring but no separator", () => {
    expect(moved(holed, 1, 2).poly).toEqual([1, 2, 10, 2, 10, 11, RING_SEPARATOR, 3, 4, 5, 4, 5, 6]);
  });
  it("turns an ellipse by its handles", () => {
    const ellipse: Roi = { poly: [10, 10, 5, 3, 0], meta: { _type: "elp" } };
    expect(handles(ellipse)).toEqual([
      [15, 10],
      [10, 13],
    ]);
    expect(reshaped(ellipse, 0, [10, 18]).poly).toEqual([10, 10, 8, 3, Math.PI / 2]);
    expect(bounds({ ...ellipse, poly: [10, 10, 5, 3, Math.PI / 2] })!.map((n) => Math.round(n))).toEqual([7, 5, 6, 10]);
    expect(moved(ellipse, 1, 1).poly).toEqual([11, 11, 5, 3, 0]);
  });
  it("adds a point on the nearest edge and keeps three", () => {
    const added = withPoint(holed, [3, 1.9]).poly!;
    expect(ringsOf(added)[1]).toEqual([
      [2, 2],
      [3, 1.9],
      [4, 2],
      [4, 4],
    ]);
    expect(withoutPoint({ ...holed, poly: added }, 4).poly).toEqual(holed.poly);
    expect(withoutPoint(holed, 0).poly).toEqual(holed.poly);
  });
});
