const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** "5 hours ago"; empty where there is no date. */
export function ago(text: string | null | undefined, now = Date.now()): string {
  const then = text ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(then)) return "";
  const seconds = (then - now) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

export const count = (value: number | null | undefined): string => (value == null ? "–" : whole.format(value));
export const compact = (value: number | null | undefined): string =>
  value == null ? "–" : value < 10_000 ? whole.format(value) : short.format(value);

/** A share 0..1 as per cent; small but present is never "0 %". */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  if (share > 0 && share < 0.0005) return "<0.1 %";
  return `${(share * 100).toFixed(1)} %`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export type Rgb = [number, number, number];

export function hex([r, g, b]: Rgb | number[]): string {
  return `#${[r, g, b].map((c) => (c ?? 0).toString(16).padStart(2, "0")).join("")}`;
}

export function fromHex(text: string): Rgb {
  const value = Number.parseInt(text.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** A word of an ImageData, little-endian: 0xAABBGGRR, not premultiplied. */
export function rgba(r: number, g: number, b: number, alpha: number): number {
  return ((Math.round(alpha * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** A colour for a name that nobody gave one: the same name has the same colour everywhere. */
export function colorOf(name: string): Rgb {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  hash ^= hash >>> 15;
  const hue = (hash >>> 0) % 360;
  const light = 0.46 + (((hash >>> 9) & 3) * 0.12) / 3;
  const span = 0.52 * Math.min(light, 1 - light);
  const channel = (n: number): number => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - span * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** The colour, lighter where it is too dark to be seen as a thin line over a picture. */
export function asLine([r, g, b]: Rgb): Rgb {
  const luma = 0.299 * r + 0.587 * g + 0.114 * b;
  const mix = luma < 90 ? 0.5 * (1 - luma / 90) + 0.1 : 0;
  return [r, g, b].map((c) => Math.round(c + (255 - c) * mix)) as Rgb;
}

/** Milliseconds as a clock: 1:02.500 */
export function clock(ms: number): string {
  const sign = ms < 0 ? "−" : "";
  const all = Math.abs(ms);
  const minutes = Math.floor(all / 60_000);
  const seconds = (all % 60_000) / 1000;
  return `${sign}${minutes}:${seconds.toFixed(3).padStart(6, "0")}`;
}

/** The last part of a URI, for people. */
export function basename(uri: string): string {
  return uri.split(/[?#]/)[0]!.split("/").filter(Boolean).pop() ?? uri;
}

/** A cell of a CSV file; a leading sign would make a spreadsheet calculate. */
export function csvCell(value: unknown): string {
  const text = value == null ? "" : String(value);
  const safe = typeof value === "number" ? text : text.replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(rows: unknown[][]): string {
  return `${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}
