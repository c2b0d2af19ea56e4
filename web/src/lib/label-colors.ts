/** Colours that somebody chose for labels of a dataset, instead of the legend's; masks and legends stay as they are. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { toast } from "../ui/widgets";
import { labelColors } from "./api";
import { fromHex, hex, type Rgb } from "./format";
import { ApiError, say } from "./http";
import { listen } from "./live";

export class LabelColors {
  readonly chosen = signal<ReadonlyMap<string, Rgb>>(new Map());
  private etag: string | null = null;
  private last: Promise<void> = Promise.resolve();
  private changed = new Map<string, Rgb>();

  constructor(private dataset: string) {}

  async load(): Promise<void> {
    try {
      const { data, etag } = await labelColors.get(this.dataset);
      this.etag = etag;
      this.chosen.value = new Map([
        ...Object.entries(data).map(([label, text]): [string, Rgb] => [label, fromHex(text)]),
        ...this.changed,
      ]);
    } catch {
      // The legend's colours are there in any case.
    }
  }

  choose(labels: string[], color: Rgb): void {
    const next = new Map(this.chosen.value);
    for (const label of labels) {
      next.set(label, color);
      this.changed.set(label, color);
    }
    this.chosen.value = next;
  }

  /** Keep what was chosen, for everybody. One write after the other: each needs the ETag that the last one brought. */
  save(): Promise<void> {
    this.last = this.last.then(() => this.write(2));
    return this.last;
  }

  /** Where somebody else was quicker, ours are put on top of theirs. */
  private async write(tries: number): Promise<void> {
    if (!this.changed.size) return;
    const table = Object.fromEntries([...this.chosen.value].map(([label, color]) => [label, hex(color)]));
    const written = new Map(this.changed);
    try {
      this.etag = (await labelColors.put(this.dataset, table, this.etag)).etag;
      for (const [label, color] of written) if (this.changed.get(label) === color) this.changed.delete(label);
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      if (status === 412 && tries > 1) {
        await this.load();
        return this.write(tries - 1);
      }
      toast(status === 403 ? "Shown here only: your role cannot change colours for all" : say(error), true);
    }
  }
}

const known = new Map<string, LabelColors>();

/** One table for each dataset: what is chosen in the viewer is seen in the grid behind it. */
export function colorsOf(dataset: string): LabelColors {
  const found = known.get(dataset) ?? new LabelColors(dataset);
  known.set(dataset, found);
  return found;
}

/** The chosen colours of a dataset, as they are now: also when somebody else chooses. */
export function useColors(dataset: string): ReadonlyMap<string, Rgb> {
  const table = colorsOf(dataset);
  useEffect(() => {
    void table.load();
    return listen(({ kind, dataset: id }) => {
      if (kind === "reset" || (kind === "dataset.updated" && id === dataset)) void table.load();
    });
  }, [table, dataset]);
  return table.chosen.value;
}
