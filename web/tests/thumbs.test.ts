import { describe, expect, it } from "vitest";
import { unpack } from "../src/lib/thumbs";

/** A body as the server writes it: length, JSON, then the bytes that the JSON speaks of. */
function body(head: object, blobs: Uint8Array): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const whole = new Uint8Array(4 + text.length + blobs.length);
  new DataView(whole.buffer).setUint32(0, text.length, true);
  whole.set(text, 4);
  whole.set(blobs, 4 + text.length);
  return whole.buffer;
}

const shape = { shape: "box", points: [0, 0, 2, 0, 2, 1, 0, 1], labels: ["car"], confidence: null, roi: 0 };
const nothing = { width: null, height: null, picture: null, labels: null, rois: [], error: null };

describe("a batch of thumbnails", () => {
  it("holds numbers of every width, wherever they lie", async () => {
    const legends = [{ entries: [{ index: 1, labels: ["car"], color: [1, 2, 3] }] }];
    const items = [
      {
        ...nothing,
        labels: { offset: 0, length: 3, width: 3, height: 1, dtype: "uint8", legend: 0 },
        rois: [shape],
      },
      { ...nothing, labels: { offset: 3, length: 4, width: 2, height: 1, dtype: "uint16", legend: 0 } },
      { ...nothing, error: "no such file" },
    ];
    const [bytes, words, broken] = await Promise.all(
      unpack(body({ items, legends }, Uint8Array.from([0, 1, 2, 1, 0, 44, 1]))),
    );
    expect([...bytes!.labels!]).toEqual([0, 1, 2]);
    expect(bytes!.legend!.entries[0]!.labels).toEqual(["car"]);
    expect(bytes!.rois[0]!.points).toHaveLength(8);
    expect([...words!.labels!]).toEqual([1, 300]);
    expect([broken!.error, broken!.picture, broken!.labels]).toEqual(["no such file", null, null]);
  });
});
