import { describe, expect, it } from "vitest";
import { colorOf, type Rgb } from "../src/lib/format";
import type { ClassTable, Legend, MaskInfo, Roi, RoiClass } from "../src/lib/types";
import { readLayers, writeLayers } from "../src/viewer/address";
import { UnderView } from "../src/viewer/classes";
import { MaskLayer } from "../src/viewer/masks";

const info = { id: "seg", kind: "labels" } as MaskInfo;
const entry = (index: number, name: string) => ({
  index,
  value: [index, 0, 0],
  code: null,
  stored_color: [index, 0, 0] as Rgb,
  labels: [name],
  color: [index, 0, 0] as Rgb,
  rois: [],
  roi_ids: [],
  pixels: 0,
});

/** car and truck become 9, sky nothing; the last pixel is explained by no entry. */
const table = (more: Partial<ClassTable> = {}): ClassTable => ({
  view: "v",
  name: "five",
  source: "front",
  mask: "seg",
  void: 255,
  numbered: true,
  rows: [
    { number: 7, name: "road", labels: ["road"], color: [3, 0, 0], entries: [3], pixels: 1 },
    { number: 9, name: "car", labels: ["car", "truck"], color: [1, 0, 0], entries: [1, 2], pixels: 3 },
    { number: 255, name: "void", labels: ["sky"], color: [128, 128, 128], entries: [0, 4], pixels: 2 },
  ],
  entries: [],
  ...more,
});

function layer(found: ClassTable | null = table()): MaskLayer {
  const made = new MaskLayer(info, 0);
  const entries = [entry(1, "car"), entry(2, "truck"), entry(3, "road"), entry(4, "sky")];
  made.legend.value = { entries, width: 6, height: 1 } as unknown as Legend;
  made.data.value = { data: Uint8Array.from([1, 1, 2, 3, 4, 0]), width: 6, height: 1, pts: null };
  made.classes.value = found;
  made.under.shown.value = true;
  return made;
}

const alphas = (made: MaskLayer): boolean[] => [...made.lut.value].map((c) => c >>> 24 > 0);
const reds = (made: MaskLayer): number[] => [...made.lut.value].map((c) => c & 255);

describe("a mask by its classes", () => {
  it("has one row for all entries of a class, with their pixels", () => {
    const rows = layer().rows.value;
    expect(rows.map((r) => [r.number, r.name, r.indices, r.merged, r.pixels])).toEqual([
      [7, "road", [3], ["road"], 1],
      [9, "car", [1, 2], ["car", "truck"], 3],
      [255, "void", [0, 4], ["sky", "unmapped"], 2],
    ]);
  });
  it("paints every entry in the colour of its class, and void not at all until it is asked for", () => {
    const made = layer();
    expect(alphas(made)).toEqual([false, true, true, true, false]);
    expect(reds(made).slice(1, 4)).toEqual([1, 1, 3]);
    made.ofClasses.toggle(made.rowAt(0)!.key);
    expect(alphas(made)).toEqual([true, true, true, true, true]);
  });
  it("hides, singles out and points at whole classes", () => {
    const made = layer();
    made.ofClasses.toggle("9");
    expect(alphas(made)).toEqual([false, false, false, true, false]);
    made.ofClasses.solo.value = "9";
    expect(alphas(made)).toEqual([false, true, true, false, false]);
    made.ofClasses.solo.value = null;
    made.ofClasses.toggle("9");
    made.focus.value = "9";
    const strength = [...made.lut.value].map((c) => c >>> 24);
    expect(strength[1]).toBe(strength[2]);
    expect(strength[1]).toBeGreaterThan(strength[3]!);
  });
  it("leaves the labels as they were", () => {
    const made = layer();
    made.ofClasses.toggle("9");
    made.under.shown.value = false;
    expect(made.rows.value.map((r) => r.name)).toEqual(["car", "truck", "road", "sky"]);
    expect(alphas(made)).toEqual([false, true, true, true, true]);
  });
  it("falls back to labels where the view cannot say its classes", () => {
    const made = layer(null);
    expect(made.isByClass.value).toBe(false);
    expect(made.rows.value).toHaveLength(4);
  });
  it("says the class of a pixel and what is stored there", () => {
    const made = layer();
    expect([made.rowAt(2)?.name, made.storedAt(2).name]).toEqual(["car", "truck"]);
    expect([made.rowAt(0)?.number, made.storedAt(0).name]).toEqual([255, "unmapped"]);
  });
  it("takes a chosen colour by the class's name, and makes one where the legend has none", () => {
    const made = layer(table({ rows: table().rows.map((row) => ({ ...row, color: null })) }));
    expect(made.rows.value[1]!.color).toEqual(colorOf("car"));
    expect(made.choice.value.dress(made.rows.value, new Map([["car", [4, 5, 6]]]))[1]!.color).toEqual([4, 5, 6]);
  });
  it("goes by names where the view gives no numbers", () => {
    const made = layer(table({ numbered: false }));
    expect(made.rows.value.map((r) => [r.key, r.number])).toEqual([
      ["road", null],
      ["car", null],
      ["~", 255],
    ]);
  });
  it("has an address of its own beside that of the labels", () => {
    const made = layer();
    made.ofLabels.toggle("road");
    made.ofClasses.toggle("9");
    made.ofClasses.toggle("~");
    const params = writeLayers([made]);
    expect([params.hide, params.turn]).toEqual(["seg:road", "seg:9|~"]);
    const again = layer();
    readLayers([again], params);
    expect([...again.ofLabels.turned.value]).toEqual(["road"]);
    expect(alphas(again)).toEqual([true, false, false, true, true]);
  });
});

describe("the class of a ROI", () => {
  const found = (more: Partial<RoiClass>): RoiClass => ({ roi: 0, number: 9, name: "car", mapped: ["car"], ...more });
  it("is void by number, or by having no label left", () => {
    const under = new UnderView("v", "f");
    expect(under.isVoid(found({}))).toBe(false);
    expect(under.isVoid(found({ number: 255 }))).toBe(true);
    expect(under.isVoid(found({ number: null }))).toBe(false);
    expect(under.isVoid(found({ number: null, mapped: [] }))).toBe(true);
    expect([found({}), found({ number: 255 })].map((made) => under.textOf(made))).toEqual(["9 car", "void"]);
  });
  it("has the colour of that class in the mask, else of its name", () => {
    const under = new UnderView("v", "f");
    const rows = layer().rows.value;
    expect(under.colorOf(found({}), rows, new Map())).toEqual([1, 0, 0]);
    expect(under.colorOf(found({ number: 5, name: "pole" }), rows, new Map())).toEqual(colorOf("pole"));
    expect(under.colorOf(found({ number: 255, name: "void" }), rows, new Map())).toEqual([128, 128, 128]);
  });
  it("belongs to the ROI as it is stored: an edited one waits for its own", () => {
    const under = new UnderView("v", "f");
    const roi: Roi = { label: ["car"] };
    under.rois.value = new Map([[roi, found({})]]);
    expect(under.rois.value.get({ ...roi })).toBeUndefined();
  });
});
