/** One mask of the frame on show: its numbers, what they mean, and how it is drawn. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { alphaUrl, type IndexMap, indexMap, maskUrl, media } from "../lib/api";
import { type Rgb, rgba } from "../lib/format";
import { say } from "../lib/http";
import type { Legend, LegendRow, MaskInfo } from "../lib/types";

const TINTS: Rgb[] = [
  [255, 120, 60],
  [60, 190, 255],
  [190, 110, 255],
];
export const STRANGE: Rgb = [255, 0, 200];

export interface LabelRow {
  index: number;
  name: string;
  labels: string[];
  value: LegendRow["value"];
  color: Rgb;
  pixels: number;
}

/** Pixels per index. Counted here, from what is drawn, so that the numbers and the picture cannot disagree. */
export function histogram(data: IndexMap["data"], size: number): Float64Array {
  const counts = new Float64Array(size);
  for (let i = 0; i < data.length; i++) {
    const index = data[i]!;
    counts[index < size ? index : 0]!++;
  }
  return counts;
}

export class MaskLayer {
  readonly status = signal<"loading" | "ready" | "error">("loading");
  readonly error = signal("");
  readonly data = signal<IndexMap | null>(null);
  readonly legend = signal<Legend | null>(null);
  readonly visible = signal(true);
  readonly opacity = signal(0.55);
  readonly tint = signal<Rgb>(TINTS[0]!);
  /** By name, so that it means the same in the next frame, whose legend may be numbered otherwise. */
  readonly hidden = signal<ReadonlySet<string>>(new Set());
  /** The name of the one label that is shown alone. */
  readonly solo = signal<string | null>(null);
  /** Colours of entries without labels: they have no name to keep them by. */
  readonly colors = signal<ReadonlyMap<number, Rgb>>(new Map());
  readonly showStrange = signal(false);
  readonly focus = signal<number | null>(null);
  /** How the mask is read where nobody chose: as opacity only if it says that it is that. */
  readonly firstMode: "pixel" | "alpha";
  readonly firstTint: Rgb;
  readonly mode;

  constructor(
    readonly info: MaskInfo,
    readonly order: number,
    /** Colours that somebody chose for labels; they win over the legend's. */
    readonly chosen: ReadonlySignal<ReadonlyMap<string, Rgb>> = signal(new Map()),
  ) {
    this.firstMode = info.kind === "alpha" ? "alpha" : "pixel";
    this.mode = signal<"pixel" | "alpha">(this.firstMode);
    this.firstTint = TINTS[order % TINTS.length]!;
    this.tint.value = this.firstTint;
    this.visible.value = order === 0;
  }

  readonly size = computed(() => {
    if (this.mode.value === "alpha") return 256;
    return (this.legend.value?.entries ?? []).reduce((most, entry) => Math.max(most, entry.index), 0) + 1;
  });

  readonly counts = computed(() => {
    const found = this.data.value;
    return found ? histogram(found.data, this.size.value) : new Float64Array(this.size.value);
  });

  readonly rows = computed<LabelRow[]>(() => {
    if (this.mode.value === "alpha") return [];
    const counts = this.counts.value;
    return (this.legend.value?.entries ?? []).map((entry) => ({
      index: entry.index,
      name: entry.labels.join(", ") || String(entry.value),
      labels: entry.labels,
      value: entry.value,
      color: this.colors.value.get(entry.index) ?? this.chosen.value.get(entry.labels[0] ?? "") ?? entry.color,
      pixels: counts[entry.index] ?? 0,
    }));
  });

  /** Pixels that no entry explains: index 0. */
  readonly strange = computed(() => (this.mode.value === "alpha" ? 0 : (this.counts.value[0] ?? 0)));

  /** What is drawn for each index. A toggle, a colour or a hover changes this table and nothing else. */
  readonly lut = computed(() => {
    const opacity = this.opacity.value;
    if (this.mode.value === "alpha") {
      const [r, g, b] = this.tint.value;
      return Uint32Array.from({ length: 256 }, (_, i) => rgba(r, g, b, (i / 255) * opacity));
    }
    const table = new Uint32Array(this.size.value);
    const focus = this.focus.value;
    for (const row of this.rows.value) {
      if (!this.shows(row)) continue;
      const alpha = focus === null ? opacity : row.index === focus ? Math.max(0.85, opacity) : opacity * 0.25;
      table[row.index] = rgba(row.color[0], row.color[1], row.color[2], alpha);
    }
    if (this.showStrange.value) table[0] = rgba(...STRANGE, Math.max(0.8, opacity));
    return table;
  });

  shows(row: LabelRow): boolean {
    return this.solo.value === null ? !this.hidden.value.has(row.name) : this.solo.value === row.name;
  }

  toggle(name: string): void {
    this.solo.value = null;
    const next = new Set(this.hidden.value);
    if (!next.delete(name)) next.add(name);
    this.hidden.value = next;
  }

  paint(index: number, color: Rgb): void {
    this.colors.value = new Map(this.colors.value).set(index, color);
  }

  nameOf(index: number): string {
    if (this.mode.value === "alpha") return `opacity ${index}`;
    if (index === 0) return "unmapped";
    return this.rows.value.find((row) => row.index === index)?.name ?? `index ${index}`;
  }

  async load(v: string, f: string, s: string, t: number | null, signal: AbortSignal): Promise<void> {
    try {
      const alpha = this.mode.value === "alpha";
      const [data, legend] = await Promise.all([
        indexMap((alpha ? alphaUrl : maskUrl)(v, f, s, this.info.id, t), signal),
        alpha ? null : media.legend(v, f, s, this.info.id, t),
      ]);
      if (signal.aborted) return;
      this.legend.value = legend;
      this.data.value = data;
      this.status.value = "ready";
    } catch (error) {
      if (signal.aborted) return;
      this.error.value = say(error);
      this.status.value = "error";
    }
  }
}
