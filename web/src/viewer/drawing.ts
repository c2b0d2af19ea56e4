/** What the pointer does with shapes: choose, move, reshape, draw. Coordinates are image pixels. */
import { computed, signal } from "@preact/signals";
import type { Roi } from "../lib/types";
import {
  bounds,
  boxPoly,
  CODES,
  flatten,
  handles,
  kindOf,
  moved,
  type Point,
  reshaped,
  ringsOf,
  withoutPoint,
  withPoint,
} from "./shapes";
import { editable, type Viewer } from "./state";

const GRIP_PX = 9;
const LEAST_PX = 3;
const tidy = (n: number): number => Math.round(n * 100) / 100;

type Gesture =
  | { kind: "move"; index: number; roi: Roi; from: Point; moved: boolean }
  | { kind: "handle"; index: number; handle: number; moved: boolean }
  | { kind: "draw"; from: Point };

export class Drawing {
  /** The shape in the making: a rectangle, an ellipse, or the points so far. */
  readonly draft = signal<Roi | null>(null);
  readonly ruler = signal<[Point, Point] | null>(null);
  space = false;
  private gesture: Gesture | null = null;

  constructor(private viewer: Viewer) {}

  readonly cursor = computed(() =>
    this.viewer.tool.value === "select"
      ? "grab"
      : this.viewer.frozen.value && this.viewer.tool.value !== "measure"
        ? "no"
        : "cross",
  );

  private get label(): string[] {
    const label = this.viewer.label.value.trim();
    return label ? [label] : [];
  }

  private fresh(kind: "box" | "polygon" | "ellipse" | "points", poly: number[]): Roi {
    const all = this.viewer.frame.value?.sources.length ?? 1;
    const roi: Roi = { label: this.label, poly, meta: { _type: CODES[kind] } };
    return all > 1 ? { ...roi, sources: [this.viewer.source.value!.id] } : roi;
  }

  /** True where the press belongs to a tool; the stage pans otherwise. */
  down(event: PointerEvent, at: Point): boolean {
    if (event.button !== 0) return false;
    const { viewer } = this;
    if (viewer.tool.value === "measure") {
      this.ruler.value = [at, at];
      this.gesture = { kind: "draw", from: at };
      return true;
    }
    if (viewer.tool.value === "select") return this.grab(event, at);
    if (viewer.frozen.value) return false;
    if (viewer.tool.value === "box" || viewer.tool.value === "ellipse") {
      this.gesture = { kind: "draw", from: at };
    } else this.addPoint(at);
    return true;
  }

  private grab(event: PointerEvent, at: Point): boolean {
    const { viewer } = this;
    const chosen = viewer.selected.value;
    const roi = chosen === null ? undefined : viewer.history.now.value.rois[chosen];
    if (roi && chosen !== null && this.canEdit(chosen)) {
      const handle = this.handleAt(roi, at);
      if (handle >= 0) {
        if (event.altKey) viewer.changeRoi("remove point", chosen, withoutPoint(roi, handle));
        else this.gesture = { kind: "handle", index: chosen, handle, moved: false };
        return true;
      }
    }
    if (roi && chosen !== null && event.shiftKey && kindOf(roi) === "points" && this.canEdit(chosen)) {
      viewer.changeRoi("add point", chosen, { ...roi, poly: [...(roi.poly ?? []), tidy(at[0]), tidy(at[1])] });
      return true;
    }
    const target = (event.target as Element).closest?.("[data-roi]");
    const index = target ? Number(target.getAttribute("data-roi")) : -1;
    const hit = index >= 0 ? viewer.history.now.value.rois[index] : undefined;
    if (!hit) {
      viewer.selected.value = null;
      return false;
    }
    viewer.selected.value = index;
    if (!this.canEdit(index)) return false;
    this.gesture = { kind: "move", index, roi: hit, from: at, moved: false };
    return true;
  }

  private canEdit(index: number): boolean {
    const { viewer } = this;
    const roi = viewer.history.now.value.rois[index];
    return Boolean(roi && editable(roi)) && !viewer.frozen.value && !viewer.locked.value.has(index);
  }

  private handleAt(roi: Roi, [x, y]: Point): number {
    const reach = GRIP_PX / this.viewer.camera.view.value.scale;
    return handles(roi).findIndex(([hx, hy]) => Math.abs(hx - x) <= reach && Math.abs(hy - y) <= reach);
  }

  move(event: PointerEvent, at: Point): void {
    const { gesture, viewer } = this;
    if (!gesture) {
      const draft = this.draft.value;
      if (draft && viewer.tool.value === "polygon")
        this.draft.value = { ...draft, poly: [...draft.poly!.slice(0, -2), ...at.map(tidy)] };
      return;
    }
    if (gesture.kind === "draw") {
      if (viewer.tool.value === "measure") this.ruler.value = [gesture.from, at];
      else this.draft.value = this.spanned(gesture.from, at, event.shiftKey);
    } else if (gesture.kind === "handle") {
      const roi = viewer.history.now.value.rois[gesture.index]!;
      viewer.changeRoi("reshape", gesture.index, reshaped(roi, gesture.handle, at), gesture.moved);
      gesture.moved = true;
    } else {
      const [dx, dy] = [tidy(at[0] - gesture.from[0]), tidy(at[1] - gesture.from[1])];
      if (!gesture.moved && Math.hypot(dx, dy) * viewer.camera.view.value.scale < LEAST_PX) return;
      viewer.changeRoi("move", gesture.index, moved(gesture.roi, dx, dy), gesture.moved);
      gesture.moved = true;
    }
  }

  private spanned(from: Point, to: Point, square: boolean): Roi {
    let [w, h] = [to[0] - from[0], to[1] - from[1]];
    if (square)
      [w, h] = [
        Math.max(Math.abs(w), Math.abs(h)) * Math.sign(w || 1),
        Math.max(Math.abs(w), Math.abs(h)) * Math.sign(h || 1),
      ];
    const { width, height } = this.viewer.camera.image.value;
    const clamp = (v: number, most: number): number => tidy(Math.min(most, Math.max(0, v)));
    const [x0, x1] = [clamp(Math.min(from[0], from[0] + w), width), clamp(Math.max(from[0], from[0] + w), width)];
    const [y0, y1] = [clamp(Math.min(from[1], from[1] + h), height), clamp(Math.max(from[1], from[1] + h), height)];
    if (this.viewer.tool.value === "ellipse") {
      return this.fresh("ellipse", [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0]);
    }
    return this.fresh("box", boxPoly(x0, y0, tidy(x1 - x0), tidy(y1 - y0)));
  }

  up(_event: PointerEvent, _at: Point): void {
    const { gesture } = this;
    this.gesture = null;
    if (gesture?.kind !== "draw" || this.viewer.tool.value === "measure") return;
    const draft = this.draft.value;
    this.draft.value = null;
    const [, , w, h] = (draft && bounds(draft)) ?? [0, 0, 0, 0];
    const least = LEAST_PX / this.viewer.camera.view.value.scale;
    if (draft && w >= least && h >= least) this.viewer.addRoi(draft, `add ${this.viewer.tool.value}`);
  }

  private addPoint(at: Point): void {
    const kind = this.viewer.tool.value as "polygon" | "points";
    const [x, y] = [tidy(at[0]), tidy(at[1])];
    const draft = this.draft.value;
    if (!draft) {
      this.draft.value = this.fresh(kind, kind === "polygon" ? [x, y, x, y] : [x, y]);
      return;
    }
    const poly = draft.poly!;
    if (kind === "polygon" && poly.length >= 8) {
      const reach = GRIP_PX / this.viewer.camera.view.value.scale;
      if (Math.hypot(poly[0]! - x, poly[1]! - y) <= reach) {
        this.finish();
        return;
      }
    }
    this.draft.value = { ...draft, poly: kind === "polygon" ? [...poly.slice(0, -2), x, y, x, y] : [...poly, x, y] };
  }

  /** Enter, or a click on the first point: the shape is complete. */
  finish(): void {
    const draft = this.draft.value;
    if (!draft) return;
    this.draft.value = null;
    let poly = draft.poly!;
    if (kindOf(draft) === "polygon") {
      // The last point follows the pointer; a double click has put one down twice.
      const ring = ringsOf(poly.slice(0, -2))[0] ?? [];
      poly = flatten([ring.filter((p, i) => i === 0 || p[0] !== ring[i - 1]![0] || p[1] !== ring[i - 1]![1])]);
      if (poly.length < 6) return;
    }
    this.viewer.addRoi({ ...draft, poly }, `add ${this.viewer.tool.value}`);
  }

  cancel(): boolean {
    const busy = Boolean(this.draft.value || this.ruler.value);
    this.draft.value = null;
    this.ruler.value = null;
    this.gesture = null;
    return busy;
  }

  twice(_event: MouseEvent, at: Point): void {
    if (this.viewer.tool.value === "polygon" && this.draft.value) {
      this.finish();
      return;
    }
    const index = this.viewer.selected.value;
    const roi = index === null ? undefined : this.viewer.history.now.value.rois[index];
    if (index !== null && roi && kindOf(roi) === "polygon" && this.canEdit(index)) {
      this.viewer.changeRoi("add point", index, withPoint(roi, at));
    }
  }
}
