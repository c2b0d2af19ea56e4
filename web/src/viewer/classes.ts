/** A frame under a data view: which class its entries and ROIs become. The numbers are the server's; here they are looked up. */
import { signal } from "@preact/signals";
import { dataviews, roiClasses } from "../lib/api";
import { colorOf, type Rgb } from "../lib/format";
import { say } from "../lib/http";
import type { ClassRow, ClassTable, Roi, RoiClass } from "../lib/types";
import { mappingOf, type Spec } from "../lib/viewspec";
import type { LabelRow } from "./masks";

/** A key that no class has: the number of one, or its name where the view gives no numbers. */
const VOID = "~";
const GREY: Rgb = [128, 128, 128];

/** The data view that stands in the address, and whether masks are shown by its classes or by their labels. */
export class UnderView {
  /** "" = the frame is looked at without one. */
  readonly id = signal("");
  readonly shown = signal(false);
  readonly name = signal("");
  readonly error = signal("");
  /** What the view makes of labels, for small pictures of other frames. */
  readonly mapping = signal<Spec | undefined>(undefined);
  /** By the ROI itself: one that was edited is another one, whose class is known once it is saved. */
  readonly rois = signal<ReadonlyMap<Roi, RoiClass>>(new Map());
  private void = 255;
  private numbered = true;

  constructor(
    private version: string,
    private frameId: string,
  ) {}

  /** The classes of ROIs as the server has them stored, in that order. */
  async load(rois: readonly Roi[]): Promise<void> {
    const id = this.id.value;
    if (!id) return;
    const [view, found] = await Promise.allSettled([
      dataviews.get(id),
      roiClasses(this.version, this.frameId, id),
    ] as const);
    this.name.value = view.status === "fulfilled" ? view.value.name : id;
    this.mapping.value = view.status === "fulfilled" ? mappingOf(view.value.spec as Spec) : undefined;
    if (found.status === "rejected") {
      this.rois.value = new Map();
      this.error.value = say(found.reason);
      return;
    }
    this.void = found.value.void;
    this.numbered = found.value.numbered;
    this.error.value = "";
    this.rois.value = new Map(
      found.value.rois.flatMap((row): [Roi, RoiClass][] => (rois[row.roi] ? [[rois[row.roi]!, row]] : [])),
    );
  }

  isVoid(found: RoiClass): boolean {
    return found.number === null ? !found.mapped.length : found.number === this.void;
  }

  textOf(found: RoiClass): string {
    return this.isVoid(found) ? "void" : classText(this.numbered ? found.number : null, found.name);
  }

  /** The colour of a ROI's class: that of the class in the masks on show, else what its name has. */
  colorOf(found: RoiClass, rows: LabelRow[], chosen: ReadonlyMap<string, Rgb>): Rgb {
    if (this.isVoid(found)) return GREY;
    return rows.find((row) => row.name === found.name)?.color ?? chosen.get(found.name) ?? colorOf(found.name);
  }
}

/** "9 car": the class with the number that training sees, where the view gives numbers. */
export const classText = (number: number | null, name: string): string =>
  number === null ? name : `${number} ${name}`;

/** The classes of a mask as rows. `entries` are the rows of its legend by index: values, and pixels of what is drawn. */
export function classRows(table: ClassTable, entries: ReadonlyMap<number, LabelRow>, unmapped: number): LabelRow[] {
  return table.rows.map((row) => {
    const isVoid = row.number === table.void;
    const members = row.entries.flatMap((index) => entries.get(index) ?? []);
    const strange = row.entries.includes(0) ? unmapped : 0;
    const pixels = members.reduce((sum, { pixels }) => sum + pixels, strange);
    return {
      key: keyOf(table, row),
      number: table.numbered || isVoid ? row.number : null,
      name: row.name,
      indices: row.entries,
      merged: [...members.map(({ name }) => name), ...(strange ? ["unmapped"] : [])],
      value: null,
      color: row.color ?? colorOf(row.name),
      named: isVoid || row.name === String(row.number) ? [] : [row.name],
      pixels,
      starts: !isVoid,
    };
  });
}

function keyOf(table: ClassTable, row: ClassRow): string {
  if (row.number === table.void) return VOID;
  return table.numbered ? String(row.number) : row.name;
}
