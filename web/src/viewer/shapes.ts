/** ROIs as shapes: the wire's flat numbers (src/smalti/geometry.py) and what the editor does to them. Pixels. */
import type { Roi } from "../lib/types";

export const RING_SEPARATOR = -999999999;

export type Point = [number, number];
export type Kind = "box" | "polygon" | "ellipse" | "points" | "mask" | "frame" | "other";

const KINDS: Record<string, Kind> = { b2d: "box", p2d: "polygon", k2d: "points", elp: "ellipse", mask: "mask" };
export const CODES: Partial<Record<Kind, string>> = { box: "b2d", polygon: "p2d", points: "k2d", ellipse: "elp" };

export function kindOf(roi: Roi): Kind {
  const code = roi.meta?._type;
  if (typeof code === "string" && KINDS[code]) return KINDS[code];
  if (roi.mask) return "mask";
  if (!roi.poly?.length) return "frame";
  return typeof code === "string" && code ? "other" : "polygon";
}

export const labelsOf = (roi: Roi): string[] => roi.label ?? (roi.labels as string[] | undefined) ?? [];

export function ringsOf(poly: number[]): Point[][] {
  const rings: Point[][] = [[]];
  let pending: number | null = null;
  for (const number of poly) {
    if (number === RING_SEPARATOR) {
      rings.push([]);
      pending = null;
    } else if (pending === null) pending = number;
    else {
      rings[rings.length - 1]!.push([pending, number]);
      pending = null;
    }
  }
  return rings.filter((ring) => ring.length > 0);
}

export function flatten(rings: Point[][]): number[] {
  return rings.flatMap((ring, i) => [...(i ? [RING_SEPARATOR] : []), ...ring.flat()]);
}

export function boxPoly(x: number, y: number, w: number, h: number): number[] {
  return [x, y, x + w, y, x + w, y + h, x, y + h];
}

/** x, y, w, h around all points of a shape. */
export function bounds(roi: Roi): [number, number, number, number] | null {
  const poly = roi.poly ?? [];
  if (kindOf(roi) === "ellipse" && poly.length >= 5) {
    const [cx, cy, rx, ry, theta] = poly as [number, number, number, number, number];
    const dx = Math.hypot(rx * Math.cos(theta), ry * Math.sin(theta));
    const dy = Math.hypot(rx * Math.sin(theta), ry * Math.cos(theta));
    return [cx - dx, cy - dy, 2 * dx, 2 * dy];
  }
  const points = ringsOf(poly).flat();
  if (!points.length) return null;
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return [x, y, Math.max(...xs) - x, Math.max(...ys) - y];
}

export function moved(roi: Roi, dx: number, dy: number): Roi {
  const poly = roi.poly ?? [];
  if (kindOf(roi) === "ellipse") return { ...roi, poly: [poly[0]! + dx, poly[1]! + dy, ...poly.slice(2)] };
  return { ...roi, poly: flatten(ringsOf(poly).map((ring) => ring.map(([x, y]): Point => [x + dx, y + dy]))) };
}

/** The handles of a shape: what dragging takes hold of. Boxes that stand upright have eight, turned ones four. */
export function handles(roi: Roi): Point[] {
  const poly = roi.poly ?? [];
  switch (kindOf(roi)) {
    case "ellipse": {
      const [cx, cy, rx, ry, theta] = poly as [number, number, number, number, number];
      const along: Point = [Math.cos(theta), Math.sin(theta)];
      return [
        [cx + rx * along[0], cy + rx * along[1]],
        [cx - ry * along[1], cy + ry * along[0]],
      ];
    }
    case "box":
    case "polygon":
    case "points":
      return ringsOf(poly).flat();
    default:
      return [];
  }
}

const tidy = (n: number): number => Math.round(n * 100) / 100;

/** The shape with one handle dragged to a point; an upright box stays upright. */
export function reshaped(roi: Roi, handle: number, to: Point): Roi {
  const poly = [...(roi.poly ?? [])];
  const [x, y] = [tidy(to[0]), tidy(to[1])];
  const kind = kindOf(roi);
  if (kind === "ellipse") {
    const [cx, cy] = poly as [number, number];
    const distance = Math.max(0.5, tidy(Math.hypot(x - cx, y - cy)));
    const angle = Math.atan2(y - cy, x - cx);
    if (handle === 0) [poly[2], poly[4]] = [distance, angle];
    else [poly[3], poly[4]] = [distance, angle - Math.PI / 2];
    return { ...roi, poly };
  }
  if (kind === "box" && isUpright(poly)) {
    const opposite = ((handle + 2) % 4) * 2;
    const [ox, oy] = [poly[opposite]!, poly[opposite + 1]!];
    return { ...roi, poly: boxPoly(Math.min(x, ox), Math.min(y, oy), Math.abs(x - ox), Math.abs(y - oy)) };
  }
  if (kind === "box") return { ...roi, poly: turnedBox(poly, handle, [x, y]) };
  const rings = ringsOf(poly);
  let left = handle;
  for (const ring of rings) {
    if (left < ring.length) {
      ring[left] = [x, y];
      break;
    }
    left -= ring.length;
  }
  return { ...roi, poly: flatten(rings) };
}

export function isUpright(poly: number[]): boolean {
  return poly.length === 8 && poly[1] === poly[3] && poly[0] === poly[6] && poly[2] === poly[4] && poly[5] === poly[7];
}

function turnedBox(poly: number[], handle: number, to: Point): number[] {
  const angle = Math.atan2(poly[3]! - poly[1]!, poly[2]! - poly[0]!);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const opposite = ((handle + 2) % 4) * 2;
  const [ox, oy] = [poly[opposite]!, poly[opposite + 1]!];
  const u = (to[0] - ox) * cos + (to[1] - oy) * sin;
  const v = -(to[0] - ox) * sin + (to[1] - oy) * cos;
  const corner = (a: number, b: number): Point => [tidy(ox + a * cos - b * sin), tidy(oy + a * sin + b * cos)];
  const [u0, u1, v0, v1] = [Math.min(0, u), Math.max(0, u), Math.min(0, v), Math.max(0, v)];
  return [corner(u0, v0), corner(u1, v0), corner(u1, v1), corner(u0, v1)].flat();
}

/** A polygon with a point more on its nearest edge. */
export function withPoint(roi: Roi, to: Point): Roi {
  const rings = ringsOf(roi.poly ?? []);
  let best = { ring: 0, at: 0, distance: Number.POSITIVE_INFINITY };
  rings.forEach((ring, r) => {
    ring.forEach((a, i) => {
      const distance = toSegment(to, a, ring[(i + 1) % ring.length]!);
      if (distance < best.distance) best = { ring: r, at: i + 1, distance };
    });
  });
  rings[best.ring]?.splice(best.at, 0, [tidy(to[0]), tidy(to[1])]);
  return { ...roi, poly: flatten(rings) };
}

/** A polygon or points without one of them; a polygon keeps at least three. */
export function withoutPoint(roi: Roi, handle: number): Roi {
  const rings = ringsOf(roi.poly ?? []);
  const least = kindOf(roi) === "polygon" ? 3 : 1;
  let left = handle;
  for (const ring of rings) {
    if (left < ring.length) {
      if (ring.length > least) ring.splice(left, 1);
      break;
    }
    left -= ring.length;
  }
  return { ...roi, poly: flatten(rings) };
}

function toSegment([px, py]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? Math.min(1, Math.max(0, ((px - ax) * dx + (py - ay) * dy) / length)) : 0;
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

/** The path of a polygon with all its rings, for an SVG `d`. */
export function pathOf(poly: number[]): string {
  return ringsOf(poly)
    .map((ring) => `M${ring.map((p) => p.join(" ")).join("L")}Z`)
    .join("");
}

/** The position of the number that lies nearest, in a list that grows. */
export function nearest(list: readonly number[], to: number): number {
  let low = 0;
  let high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < to) low = middle + 1;
    else high = middle;
  }
  return low > 0 && to - list[low - 1]! <= list[low]! - to ? low - 1 : low;
}
