/** Colours that somebody chose for labels of a dataset, instead of the legend's; masks and legends stay as they are. */
import { signal } from "@preact/signals";
import { labelColors } from "../lib/api";
import { fromHex, hex, type Rgb } from "../lib/format";
import { ApiError, say } from "../lib/http";
import { toast } from "../ui/widgets";

export class LabelColors {
  readonly chosen = signal<ReadonlyMap<string, Rgb>>(new Map());
  private etag: string | null = null;
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

  /** Keep what was chosen, for everybody. Where somebody else was quicker, ours are put on top of theirs. */
  async save(tries = 2): Promise<void> {
    if (!this.changed.size) return;
    const table = Object.fromEntries([...this.chosen.value].map(([label, color]) => [label, hex(color)]));
    try {
      this.etag = (await labelColors.put(this.dataset, table, this.etag)).etag;
      this.changed.clear();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 412 && tries > 1) {
        await this.load();
        return this.save(tries - 1);
      }
      toast(
        error.status === 403 ? "The colour is shown here only: your role does not change it for all" : say(error),
        true,
      );
    }
  }
}
