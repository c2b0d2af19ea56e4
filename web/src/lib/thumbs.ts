/**
 * Small pictures and small index maps, many to a request. They come without colours: those are put on here, so that
 * hiding, choosing colours and drawing shapes ask the server for nothing.
 */
import { send } from "./http";
import { at } from "./url";

/** Which thumbnail; `etag` is the frame's, so that an edited frame is another one. */
export interface Wanted {
  version: string;
  frame: string;
  etag: string;
  source: string;
  /** null = the picture alone, undefined = the first mask that has labels. */
  mask?: string | null;
  size: number;
  /** A data view's JSON: numbers and shapes then come with their classes. */
  spec?: object;
}

export interface ThumbClass {
  name: string;
  void: boolean;
  color: [number, number, number] | null;
}

export interface ThumbShape {
  shape: "polygon" | "box" | "ellipse" | "point";
  points: number[];
  labels: string[];
  class: ThumbClass | null;
}

export interface ThumbLegend {
  entries: { index: number; labels: string[]; color: [number, number, number]; class: ThumbClass | null }[];
}

export interface Thumb {
  picture: ImageBitmap | null;
  /** Of the picture in full: shapes count in its pixels. */
  width: number;
  height: number;
  labels: Uint8Array | Uint16Array | Uint32Array | null;
  legend: ThumbLegend | null;
  rois: ThumbShape[];
  error: string | null;
}

interface Part {
  offset: number;
  length: number;
  width: number;
  height: number;
}

interface Batch {
  items: {
    width: number | null;
    height: number | null;
    picture: (Part & { type: string }) | null;
    labels: (Part & { dtype: string; legend: number }) | null;
    rois: ThumbShape[];
    error: string | null;
  }[];
  legends: ThumbLegend[];
}

/** Few to a request: what scrolled away meanwhile is still made, and the next page of frames waits behind it. */
const AT_ONCE = 4;
const BUSY = 2;
const WAIT_MS = 50;
const KEPT = 400;

const keyOf = (w: Wanted): string => JSON.stringify([w.version, w.frame, w.etag, w.source, w.mask, w.size, w.spec]);

/** What thumbnails of one request have in common. */
const batchOf = (w: Wanted): string => JSON.stringify([w.version, w.size, w.spec]);

interface Waiting {
  wanted: Wanted;
  tells: Set<(thumb: Thumb) => void>;
}

const kept = new Map<string, Thumb>();
const waiting = new Map<string, Waiting>();
const asked = new Map<string, Waiting>();
let busy = 0;
let timer = 0;

/** What is here already, without asking. */
export function known(wanted: Wanted): Thumb | undefined {
  const key = keyOf(wanted);
  const found = kept.get(key);
  if (found) {
    kept.delete(key); // to the end: the oldest of those that nobody looked at go first
    kept.set(key, found);
  }
  return found;
}

/** Ask for one; what is no longer wanted when its turn comes is never sent. */
export function ask(wanted: Wanted, tell: (thumb: Thumb) => void): () => void {
  const key = keyOf(wanted);
  const one = asked.get(key) ?? waiting.get(key) ?? { wanted, tells: new Set() };
  one.tells.add(tell);
  if (!asked.has(key)) waiting.set(key, one);
  if (!timer) timer = window.setTimeout(pump, WAIT_MS);
  return () => {
    one.tells.delete(tell);
    if (!one.tells.size) waiting.delete(key);
  };
}

function pump(): void {
  timer = 0;
  while (busy < BUSY && waiting.size) {
    const first = waiting.values().next().value!.wanted;
    const batch = [...waiting].filter(([, { wanted }]) => batchOf(wanted) === batchOf(first)).slice(0, AT_ONCE);
    for (const [key, one] of batch) {
      waiting.delete(key);
      asked.set(key, one);
    }
    busy++;
    void read(first, batch).finally(() => {
      busy--;
      pump();
    });
  }
}

async function read({ version, size, spec }: Wanted, batch: [string, Waiting][]): Promise<void> {
  const items = batch.map(([, { wanted }]) => ({
    frame: wanted.frame,
    source: wanted.source,
    ...(wanted.mask === undefined ? {} : { mask: wanted.mask }),
  }));
  let found: Thumb[];
  try {
    const body = { size, pictures: true, labels: true, shapes: true, items, spec };
    const response = await send(`${at.version(version)}/masks/thumbs`, { body });
    found = await Promise.all(unpack(await response.arrayBuffer()));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    found = batch.map(() => ({ ...NOTHING, error: text }));
  }
  batch.forEach(([key, one], i) => {
    asked.delete(key);
    const thumb = found[i] ?? NOTHING;
    // A failure is shown, and asked for again the next time somebody looks.
    if (!thumb.error) keep(key, thumb);
    for (const tell of one.tells) tell(thumb);
  });
}

const NOTHING: Thumb = { picture: null, width: 1, height: 1, labels: null, legend: null, rois: [], error: "no answer" };

function keep(key: string, thumb: Thumb): void {
  kept.set(key, thumb);
  while (kept.size > KEPT) kept.delete(kept.keys().next().value!);
}

/** A length, JSON of that length, then the bytes that it speaks of. */
export function unpack(body: ArrayBuffer): Promise<Thumb>[] {
  const length = new DataView(body).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length))) as Batch;
  const bytes = ({ offset, length: n }: Part): ArrayBuffer => body.slice(4 + length + offset, 4 + length + offset + n);
  return head.items.map(async (item): Promise<Thumb> => {
    let picture: ImageBitmap | null = null;
    let error = item.error;
    if (item.picture) {
      const { type } = item.picture;
      picture = await createImageBitmap(new Blob([bytes(item.picture)], { type })).catch(() => null);
      if (!picture) error ??= "the browser cannot show this picture";
    }
    return {
      picture,
      width: item.width ?? item.labels?.width ?? 1,
      height: item.height ?? item.labels?.height ?? 1,
      labels: item.labels && numbers(item.labels.dtype, bytes(item.labels)),
      legend: (item.labels && head.legends[item.labels.legend]) ?? null,
      rois: item.rois ?? [],
      error,
    };
  });
}

function numbers(dtype: string, bytes: ArrayBuffer): Uint8Array | Uint16Array | Uint32Array {
  if (/16/.test(dtype)) return new Uint16Array(bytes);
  return /32/.test(dtype) ? new Uint32Array(bytes) : new Uint8Array(bytes);
}
