/**
 * What others change while we look: one stream of server-sent events for the whole page.
 *
 * A browser opens six connections to a server at most, over all its tabs, and each stream holds one of them. A tab
 * that nobody sees gives its stream back, and catches up when it is looked at again.
 */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { at, query } from "./url";

const KINDS = [
  "frame.updated",
  "frame.deleted",
  "frames.added",
  "frames.changed",
  "version.created",
  "version.updated",
  "version.published",
  "version.deleted",
  "dataset.created",
  "dataset.updated",
  "dataset.deleted",
  "view.created",
  "view.updated",
  "view.deleted",
  "job.progress",
] as const;

/** `reset`: too much was missed, so read again whatever is shown. */
export type Kind = (typeof KINDS)[number] | "reset";

export interface Change {
  kind: Kind;
  dataset?: string;
  version?: string | null;
  frame?: string;
  etag?: string;
  who?: string | null;
  view?: string;
  job?: string;
  state?: string;
  progress?: number;
  message?: string;
}

const RETRY_MS = 3000;
const QUIET_MS = 250;

/** False once the stream has been away for a moment: what is shown may be old. */
export const connected = signal(true);

const listeners = new Set<(change: Change) => void>();
let stream: EventSource | null = null;
let last = "";
let retry = 0;
let alarm = 0;

function hear(kind: Kind, event: MessageEvent<string>): void {
  if (event.lastEventId) last = event.lastEventId;
  let data: Partial<Change> = {};
  try {
    data = JSON.parse(event.data) as Partial<Change>;
  } catch {
    // A kind without data is still worth telling.
  }
  for (const tell of [...listeners]) tell({ ...data, kind });
}

function open(): void {
  clearTimeout(retry);
  if (stream || document.hidden || !listeners.size) return;
  const made = new EventSource(at.of(`/events${query({ after: last })}`));
  stream = made;
  made.onopen = () => {
    clearTimeout(alarm);
    alarm = 0;
    connected.value = true;
  };
  made.onerror = () => {
    alarm ||= window.setTimeout(() => {
      connected.value = false;
    }, RETRY_MS / 2);
    // The browser tries again by itself, unless the answer was no stream at all (a proxy's error page).
    if (made.readyState !== EventSource.CLOSED) return;
    close();
    retry = window.setTimeout(open, RETRY_MS);
  };
  for (const kind of [...KINDS, "reset"] as const)
    made.addEventListener(kind, (event) => hear(kind, event as MessageEvent<string>));
}

function close(): void {
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else open();
});

export function listen(tell: (change: Change) => void): () => void {
  listeners.add(tell);
  open();
  return () => {
    listeners.delete(tell);
    if (!listeners.size) close();
  };
}

/** For what costs the server something to count: a program that writes frame after frame changes it all the time. */
export const SLOWLY_MS = 1500;

/**
 * Grows a moment after something that fits has changed, at most once in that time: a dependency of what is read from
 * the server.
 */
export function useTurn(fits: (change: Change) => boolean, every_ms = QUIET_MS): number {
  const [turn, setTurn] = useState(0);
  const state = useState({ fits })[0];
  state.fits = fits;
  useEffect(() => {
    let timer = 0;
    const stop = listen((change) => {
      if (change.kind !== "reset" && !state.fits(change)) return;
      timer ||= window.setTimeout(() => {
        timer = 0;
        setTurn((n) => n + 1);
      }, every_ms);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [state]);
  return turn;
}
