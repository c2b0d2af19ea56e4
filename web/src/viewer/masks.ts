/** One mask of the frame on show: its numbers, what they mean, and how it is drawn. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { alphaUrl, type IndexMap, indexMap, maskUrl, media } from "../lib/api";
import { type Rgb, rgba } from "../lib/format";
import { say } from "../lib/http";
import type { ClassTable, Legend, LegendRow, MaskInfo } from "../lib/types";
import { classRows, UnderView } from "./classes";

const TINTS: Rgb[] = [
  [255, 120, 60],
  [60, 190, 255],
  [190, 110, 255],
];
export const STRANGE: Rgb = [255, 0, 200];

/** A row of the panel: an entry of the legend, or a class with all entries that become it. */
export interface LabelRow {
  /** What it is remembered by: it means the same in the next frame, whose legend may be numbered otherwise. */
  key: string;
  /** The class number; null for an entry, and where a view gives no numbers. */
  number: number | null;
  name: string;
  /** Its numbers in the index map. */
  indices: number[];
  /** Names of the entries that became a class. */
  merged: string[];
  value: LegendRow["value"];
  color: Rgb;
  /** The names that a colour chosen for it is kept by, for everybody; none where it has no name. */
  named: string[];
  pixels: number;
  /** Whether it is shown where nobody chose. */
  starts: boolean;
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

/** The entries of a legend as rows. */
export function labelRows(legend: Pick<Legend, "entries"> | null, counts: ArrayLike<number>): LabelRow[] {
  return (legend?.entries ?? []).map((entry) => {
    const name = entry.labels.join(", ") || String(entry.value);
    return {
      key: name,
      number: null,
      name,
      indices: [entry.index],
      merged: [],
      value: entry.value,
      color: entry.color,
      named: entry.labels,
      pixels: counts[entry.index] ?? 0,
      starts: true,
    };
  });
}

export function byIndex(rows: LabelRow[]): ReadonlyMap<number, LabelRow> {
  return new Map(rows.flatMap((row) => row.indices.map((index): [number, LabelRow] => [index, row])));
}

/** What somebody chose for the rows of a mask: one such choice for its labels, another for its classes. */
export class Choice {
  /** Keys of the rows that are hidden, or of those that start hidden and are shown. */
  readonly turned = signal<ReadonlySet<string>>(new Set());
  /** The key of the one row that is shown alone. */
  readonly solo = signal<string | null>(null);
  /** Colours of rows without names that they could be kept by for everybody. */
  readonly colors = signal<ReadonlyMap<string, Rgb>>(new Map());

  shows({ key, starts }: LabelRow): boolean {
    return this.solo.value === null ? starts !== this.turned.value.has(key) : this.solo.value === key;
  }

  toggle(key: string): void {
    this.solo.value = null;
    const next = new Set(this.turned.value);
    if (!next.delete(key)) next.add(key);
    this.turned.value = next;
  }

  paint(key: string, color: Rgb): void {
    this.colors.value = new Map(this.colors.value).set(key, color);
  }

  /** The rows in the colours that somebody chose; those of `named` hold for all masks. */
  dress(rows: LabelRow[], named: ReadonlyMap<string, Rgb>): LabelRow[] {
    const own = this.colors.value;
    return rows.map((row) => ({ ...row, color: own.get(row.key) ?? named.get(row.named[0] ?? "") ?? row.color }));
  }
}

export class MaskLayer {
  readonly status = signal<"loading" | "ready" | "error">("loading");
  readonly error = signal("");
  readonly data = signal<IndexMap | null>(null);
  readonly legend = signal<Legend | null>(null);
  /** The class of every entry, under the view that the frame is looked at. */
  readonly classes = signal<ClassTable | null>(null);
  /** Why there are no classes; the labels are there all the same. */
  readonly classesError = signal("");
  readonly visible = signal(true);
  readonly opacity = signal(0.55);
  readonly tint = signal<Rgb>(TINTS[0]!);
  readonly ofLabels = new Choice();
  readonly ofClasses = new Choice();
  readonly showStrange = signal(false);
  /** The key of the row that is pointed at. */
  readonly focus = signal<string | null>(null);
  /** How the mask is read where nobody chose: as opacity only if it says that it is that. */
  readonly firstMode: "pixel" | "alpha";
  readonly firstTint: Rgb;
  readonly mode;

  constructor(
    readonly info: MaskInfo,
    readonly order: number,
    /** Colours that somebody chose for labels; they win over the legend's. */
    readonly chosen: ReadonlySignal<ReadonlyMap<string, Rgb>> = signal(new Map()),
    readonly under = new UnderView("", ""),
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

  /** Whether its rows are classes. */
  readonly isByClass = computed(() => this.under.shown.value && this.classes.value !== null);

  readonly choice = computed(() => (this.isByClass.value ? this.ofClasses : this.ofLabels));

  /** The entries of the legend, also while classes are shown. */
  readonly labels = computed<LabelRow[]>(() => {
    if (this.mode.value === "alpha") return [];
    return this.ofLabels.dress(labelRows(this.legend.value, this.counts.value), this.chosen.value);
  });

  private readonly labelAt = computed(() => byIndex(this.labels.value));

  readonly rows = computed<LabelRow[]>(() => {
    const table = this.classes.value;
    if (this.mode.value === "alpha" || !this.isByClass.value || !table) return this.labels.value;
    return this.ofClasses.dress(classRows(table, this.labelAt.value, this.counts.value[0] ?? 0), this.chosen.value);
  });

  private readonly rowOf = computed(() => byIndex(this.rows.value));

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
      if (!this.choice.value.shows(row)) continue;
      const alpha = focus === null ? opacity : row.key === focus ? Math.max(0.85, opacity) : opacity * 0.25;
      for (const index of row.indices) table[index] = rgba(...row.color, alpha);
    }
    if (this.showStrange.value) table[0] = rgba(...STRANGE, Math.max(0.8, opacity));
    return table;
  });

  /** The row that an index of the mask belongs to; none for what no entry explains, unless a class has it. */
  rowAt(index: number): LabelRow | undefined {
    return this.rowOf.value.get(index);
  }

  /** What an index stands for in the mask itself. */
  storedAt(index: number): { name: string; value: LegendRow["value"] } {
    if (this.mode.value === "alpha") return { name: `opacity ${index}`, value: null };
    if (index === 0) return { name: "unmapped", value: null };
    return this.labelAt.value.get(index) ?? { name: `index ${index}`, value: null };
  }

  async load(v: string, f: string, s: string, t: number | null, signal: AbortSignal): Promise<void> {
    try {
      const alpha = this.mode.value === "alpha";
      const [data, legend] = await Promise.all([
        indexMap((alpha ? alphaUrl : maskUrl)(v, f, s, this.info.id, t), signal),
        alpha ? null : media.legend(v, f, s, this.info.id, t),
        alpha ? null : this.loadClasses(v, f, s, t, signal),
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

  /** The classes under the view, where there is one. A view that cannot say them leaves the labels as they are. */
  async loadClasses(v: string, f: string, s: string, t: number | null, signal: AbortSignal): Promise<void> {
    const view = this.under.id.value;
    if (!view) return;
    try {
      const found = await media.classes(v, f, s, this.info.id, view, t);
      if (signal.aborted) return;
      this.classes.value = found;
      this.classesError.value = "";
    } catch (error) {
      if (signal.aborted) return;
      this.classes.value = null;
      this.classesError.value = say(error);
    }
  }
}
