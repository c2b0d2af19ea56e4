import { signal } from "@preact/signals";
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { frames } from "../lib/api";
import { say } from "../lib/http";
import type { Hit, NearestBody, SearchBody } from "../lib/types";

const PAGE = 100;
const AT_ONCE = 3;
const NEAREST = 200;
/** A jump over more pages than this may be followed by another: what lies ahead is not asked for at once. */
const FAR = 3;
const SETTLED_MS = 150;

/** The frames that lie nearest to one of them, by a vector that they carry. */
export interface Similar {
  frame: string;
  field: string;
  metric?: NearestBody["metric"];
}

/** The hits of one search, a page at a time, those in sight first. */
export class FrameSource {
  readonly total = signal<number | null>(null);
  readonly error = signal("");
  /** Grows whenever a page has come: what reads it is drawn again. */
  readonly turn = signal(0);
  private pages = new Map<number, Hit[]>();
  /** Pages on show that may have changed since they were read. */
  private stale = new Set<number>();
  private asked = new Set<number>();
  private wanted: number[] = [0];
  private sight: number[] = [0];
  /** What comes next in the direction of the scrolling: asked for once everything in sight is here. */
  private onward: number[] = [];
  private busy = 0;
  private last = 0;
  private settling = 0;
  private control = new AbortController();

  constructor(
    readonly key: string,
    private version: string,
    private search: SearchBody,
    private similar: Similar | null = null,
  ) {
    this.pump();
  }

  at(index: number): Hit | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** What is in sight now; pages that scrolled away before they were asked for are forgotten. */
  want(first: number, last: number): void {
    const total = this.total.peek();
    if (total === null) return;
    const from = Math.floor(Math.max(0, first) / PAGE);
    const to = Math.floor(Math.min(total - 1, last) / PAGE);
    const onward = from >= this.last ? [to + 1, to + 2] : [from - 1, from - 2];
    if (Math.abs(from - this.last) > FAR) this.settle();
    this.last = from;
    this.sight = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    this.onward = onward.filter((page) => page >= 0 && page * PAGE < total);
    this.wanted = this.sight.filter(this.lacks);
    this.pump();
  }

  /** Read again what is in sight, in its place; the rest when somebody scrolls there. */
  refresh(): void {
    this.stale = new Set(this.pages.keys());
    this.wanted = [...this.sight];
    this.pump();
  }

  stop(): void {
    window.clearTimeout(this.settling);
    this.control.abort();
  }

  /** Every hit in order, for an export. */
  async *each(): AsyncGenerator<Hit> {
    for (let offset = 0; offset < (this.total.peek() ?? 0); offset += 1000) yield* (await this.find(offset, 1000)).hits;
  }

  private lacks = (page: number): boolean => !this.pages.has(page) || this.stale.has(page);

  private settle(): void {
    window.clearTimeout(this.settling);
    this.settling = window.setTimeout(() => {
      this.settling = 0;
      this.pump();
    }, SETTLED_MS);
  }

  private pump(): void {
    const isStill = !this.settling && !this.sight.some(this.lacks);
    if (!this.wanted.length && isStill) this.wanted = this.onward.filter(this.lacks);
    while (this.busy < AT_ONCE && this.wanted.length) {
      const page = this.wanted.shift()!;
      if (this.asked.has(page) || !this.lacks(page)) continue;
      this.asked.add(page);
      this.stale.delete(page);
      this.busy++;
      void this.read(page).finally(() => {
        this.busy--;
        this.asked.delete(page);
        if (!this.control.signal.aborted) this.pump();
      });
    }
  }

  private async find(offset: number, limit: number): Promise<{ hits: Hit[]; total: number }> {
    const { signal: stop } = this.control;
    if (!this.similar) return frames.search(this.version, { ...this.search, offset, limit }, stop);
    const { query, filters } = this.search;
    const body = { ...this.similar, k: NEAREST, query, filters };
    const { hits } = await frames.nearest(this.version, body, stop);
    return { hits: hits.slice(offset, offset + limit), total: hits.length };
  }

  private async read(page: number): Promise<void> {
    try {
      const found = await this.find(page * PAGE, PAGE);
      this.pages.set(page, found.hits);
      this.total.value = found.total;
      this.error.value = "";
    } catch (error) {
      if (this.control.signal.aborted) return;
      this.total.value ??= 0;
      this.error.value = say(error);
    }
    this.turn.value++;
  }
}

/** Which rows of a long list are in sight. */
export function useWindow(host: RefObject<HTMLElement | null>, rows: number, rowHeight: number): VirtualItem[] {
  const [, render] = useState(0);
  const [virtualizer] = useState(
    () =>
      new Virtualizer<HTMLElement, Element>({
        count: 0,
        getScrollElement: () => host.current,
        estimateSize: () => rowHeight,
        scrollToFn: elementScroll,
        observeElementRect,
        observeElementOffset,
      }),
  );
  virtualizer.setOptions({
    ...virtualizer.options,
    count: rows,
    estimateSize: () => rowHeight,
    overscan: 2,
    onChange: () => render((n) => n + 1),
  });
  useEffect(() => virtualizer._didMount(), [virtualizer]);
  useLayoutEffect(() => virtualizer._willUpdate());
  // Other heights mean other places
  useLayoutEffect(() => virtualizer.measure(), [rowHeight, virtualizer]);
  return virtualizer.getVirtualItems();
}
