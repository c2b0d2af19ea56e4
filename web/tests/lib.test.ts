import { describe, expect, it } from "vitest";
import { maskQuery, quoteLucene, readFilters, searchOf, toRules, writeFilters } from "../src/lib/filters";
import { ago, clock, csv, fromHex, hex, percent } from "../src/lib/format";
import type { Legend, MaskInfo } from "../src/lib/types";
import { packJson, query, unpackJson } from "../src/lib/url";
import { mappingOf, withoutFilter, withQuery } from "../src/lib/viewspec";
import { readTags, splitTags, tagsFit } from "../src/ui/tags";
import { readLayers, writeLayers } from "../src/viewer/address";
import { History } from "../src/viewer/history";
import { histogram, MaskLayer } from "../src/viewer/masks";
import { nearest } from "../src/viewer/shapes";

describe("addresses", () => {
  it("carries any JSON, whole", () => {
    const value = [{ rois: [{ label: 'ü "x" </script>' }], masks: [] }];
    expect(packJson(value)).toMatch(/^[\w-]+$/);
    expect(unpackJson(packJson(value))).toEqual(value);
  });
  it("is not upset by an address that somebody edited", () => {
    expect(unpackJson("%%%")).toBeUndefined();
    expect(readFilters("bm90IGpzb24")).toEqual([]);
    expect(query({ a: "", b: null, c: 0 })).toBe("?c=0");
  });
});

describe("filters", () => {
  it("become rules: alternatives outside, all inside", () => {
    const filters = [
      {
        rois: [
          { label: "car", low: 0.5 },
          { label: "label:bus", lucene: true, exclude: true },
        ],
        masks: [{ label: "road", low: 5 }],
      },
      { rois: [], masks: [], frame: "meta.city:Bremen" },
      { rois: [{ label: " " }], masks: [] },
    ];
    expect(toRules(filters)).toEqual([
      {
        label_rules: [
          { label: '"car"', conf_range: [0.5, -1] },
          { label: "label:bus", must_not: true },
        ],
        query: '(mask.labels:"road" AND mask.label("road").share:[0.05 TO *])',
      },
      { frame_query: "meta.city:Bremen" },
    ]);
    expect(searchOf({ f: writeFilters(filters), q: " label:car " })).toMatchObject({ query: "label:car" });
  });
  it("cannot be broken out of by a label", () => {
    expect(quoteLucene('a" OR label:*')).toBe('"a\\" OR label:*"');
    expect(maskQuery({ label: "x", exclude: true })).toBe('NOT (mask.labels:"x")');
  });
});

describe("numbers for people", () => {
  it("never rounds what is there to nothing", () => {
    expect(percent(0.00001)).toBe("<0.1 %");
    expect(percent(0)).toBe("0.0 %");
    expect(clock(61_033.5)).toBe("1:01.034");
    expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T05:00:00Z"))).toBe("5 hours ago");
    expect(hex(fromHex("#0a10ff"))).toBe("#0a10ff");
  });
  it("writes CSV that no spreadsheet calculates", () => {
    expect(csv([["=1+1", 'say "x"', -3]])).toBe(`'=1+1,"say ""x""",-3\r\n`);
  });
});

describe("history", () => {
  it("undoes and redoes, and joins the steps of one drag", () => {
    const history = new History();
    const at = (n: number) => ({ rois: [{ poly: [n] }], meta: {} });
    history.reset(at(0));
    history.push("move", at(1));
    history.push("move", at(2), true);
    history.push("labels", at(3));
    expect(history.done.value.length).toBe(2);
    history.undo();
    expect(history.now.value).toEqual(at(2));
    history.undo();
    expect(history.now.value).toEqual(at(0));
    expect(history.undo()).toBeNull();
    history.redo();
    expect(history.now.value).toEqual(at(2));
    history.push("other", at(9));
    expect(history.redo()).toBeNull();
  });
});

const info: MaskInfo = {
  id: "seg",
  kind: "labels",
  content_type: null,
  width: 2,
  height: 2,
  timestamp: 0,
  encoding: null,
  video: false,
  entries: 2,
  labels: [],
};
const row = (index: number, name: string) => ({
  index,
  value: [index, 0, 0],
  labels: [name],
  color: [index, 0, 0] as [number, number, number],
  rois: [],
  roi_ids: [],
  pixels: 0,
});

describe("a mask layer", () => {
  const layer = () => {
    const made = new MaskLayer(info, 0);
    made.legend.value = { entries: [row(1, "car"), row(2, "a|b, c")], width: 2, height: 2 } as unknown as Legend;
    made.data.value = { data: Uint8Array.from([0, 1, 2, 2]), width: 2, height: 2, pts: null };
    return made;
  };
  it("counts what it draws", () => {
    expect([...histogram(Uint8Array.from([0, 1, 2, 2, 9]), 3)]).toEqual([2, 1, 2]);
    expect(layer().rows.value.map((r) => r.pixels)).toEqual([1, 2]);
    expect(layer().strange.value).toBe(1);
  });
  it("shows, hides and singles out labels through its table alone", () => {
    const made = layer();
    expect([...made.lut.value].map((c) => c >>> 24 > 0)).toEqual([false, true, true]);
    made.ofLabels.toggle("car");
    expect([...made.lut.value].map((c) => c >>> 24 > 0)).toEqual([false, false, true]);
    made.ofLabels.solo.value = "car";
    expect([...made.lut.value].map((c) => c >>> 24 > 0)).toEqual([false, true, false]);
    made.showStrange.value = true;
    expect(made.lut.value[0]! >>> 24).toBeGreaterThan(200);
  });
  it("keeps its state in an address, whatever labels are called", () => {
    const made = layer();
    made.ofLabels.toggle("a|b, c");
    made.opacity.value = 0.3;
    const again = layer();
    made.showStrange.value = true;
    made.mode.value = "alpha";
    made.tint.value = [1, 2, 255];
    readLayers([again], writeLayers([made]));
    expect(again.opacity.value).toBe(0.3);
    expect(again.showStrange.value).toBe(true);
    expect([again.mode.value, again.tint.value]).toEqual(["alpha", [1, 2, 255]]);
    expect([...again.ofLabels.turned.value]).toEqual(["a|b, c"]);
    made.visible.value = false;
    made.ofLabels.solo.value = "x:y,z";
    readLayers([again], writeLayers([made]));
    expect(again.ofLabels.solo.value).toBe("x:y,z");
    expect(again.visible.value).toBe(false);
  });
});

describe("a view's mapping", () => {
  it("is what its thumbnails hang on, and nothing else of it", () => {
    const spec = { versions: [], labels_enumeration: { car: 1 }, smalti: { void: 9, queries: ["label:car"] } };
    expect(mappingOf(spec)).toEqual({ labels_enumeration: { car: 1 }, smalti: { void: 9 } });
    expect(mappingOf({ versions: [], smalti: { queries: ["x"] }, mapping: { rules: [] } })).toBeUndefined();
  });
});

describe("a view's queries", () => {
  it("lie beside its filters", () => {
    const spec = { filters: [{ label_rules: [] }, { label_rules: [] }] };
    const asked = withQuery(spec, 1, "label:car");
    expect(asked.smalti?.queries).toEqual([null, "label:car"]);
    expect(withQuery(asked, 1, "")).toEqual(spec);
    expect(withoutFilter(asked, 0).smalti?.queries).toEqual(["label:car"]);
  });
});

describe("tags", () => {
  it("fit by any, all or none", () => {
    const has = ["demo", "masks"];
    expect(tagsFit(has, { tags: [], match: "not" })).toBe(true);
    expect(tagsFit(has, { tags: ["demo", "x"], match: "any" })).toBe(true);
    expect(tagsFit(has, { tags: ["demo", "x"], match: "all" })).toBe(false);
    expect(tagsFit(has, { tags: ["demo", "x"], match: "not" })).toBe(false);
    expect(tagsFit(has, { tags: ["x"], match: "not" })).toBe(true);
    expect(readTags({ tags: "a,b", match: "odd" })).toEqual({ tags: ["a", "b"], match: "any" });
    expect(splitTags(" a, ,b ")).toEqual(["a", "b"]);
  });
});

describe("the nearest of a growing list", () => {
  it("is what a look at all of them finds", () => {
    const list = [0, 10, 10.5, 40, 41];
    for (const to of [-5, 0, 4.9, 5.1, 10.2, 10.3, 25, 26, 40.6, 99]) {
      const distances = list.map((value) => Math.abs(value - to));
      expect(nearest(list, to)).toBe(distances.indexOf(Math.min(...distances)));
    }
  });
});
