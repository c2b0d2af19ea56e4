/** What was done to a frame, to be undone. A step keeps the frame's lists before and after; unchanged ROIs are shared. */
import { signal } from "@preact/signals";
import type { Roi } from "../lib/types";

export interface Content {
  rois: readonly Roi[];
  meta: Readonly<Record<string, unknown>>;
}

interface Step {
  what: string;
  before: Content;
  after: Content;
}

export class History {
  readonly now = signal<Content>({ rois: [], meta: {} });
  readonly done = signal<readonly Step[]>([]);
  readonly undone = signal<readonly Step[]>([]);

  reset(content: Content): void {
    this.now.value = content;
    this.done.value = [];
    this.undone.value = [];
  }

  /** Do something. Steps of the same name within one gesture become one. */
  push(what: string, after: Content, joined = false): void {
    const last = this.done.value.at(-1);
    if (joined && last && last.what === what) {
      this.done.value = [...this.done.value.slice(0, -1), { ...last, after }];
    } else {
      this.done.value = [...this.done.value, { what, before: this.now.value, after }];
    }
    this.undone.value = [];
    this.now.value = after;
  }

  undo(): string | null {
    const step = this.done.value.at(-1);
    if (!step) return null;
    this.done.value = this.done.value.slice(0, -1);
    this.undone.value = [...this.undone.value, step];
    this.now.value = step.before;
    return step.what;
  }

  redo(): string | null {
    const step = this.undone.value.at(-1);
    if (!step) return null;
    this.undone.value = this.undone.value.slice(0, -1);
    this.done.value = [...this.done.value, step];
    this.now.value = step.after;
    return step.what;
  }
}
