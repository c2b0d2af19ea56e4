import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { versions } from "../lib/api";
import { count, percent } from "../lib/format";
import { say } from "../lib/http";
import { SLOWLY_MS, useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { DiffItem, Version } from "../lib/types";
import { page } from "../lib/url";
import { useTitle } from "../ui/shell";
import { Button, Empty, ErrorNote, Spinner } from "../ui/widgets";
import { ChangedPixels } from "./changed-pixels";

/** Two versions side by side: which frames differ, in what, and which pixels of their masks. */
export default function ComparePage() {
  const { query } = useLocation();
  const { a = "", b = "" } = query;
  const sides = useResource(() => Promise.all([versions.get(a), versions.get(b)]), [a, b]);
  const [old, young] = sides.data ?? [];
  const turn = useTurn((change) => [old?.id, young?.id].includes(change.version ?? "-"), SLOWLY_MS);
  const diff = useResource(() => versions.diff(a, b), [a, b, turn]);
  const stats = useResource(
    () => Promise.all([a, b].map((v) => versions.statistics(v, { scope: "roi" }))),
    [a, b, turn],
  );
  const [more, setMore] = useState<DiffItem[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const [error, setError] = useState("");
  useTitle([
    { text: "Datasets", href: page.datasets() },
    ...(old ? [{ text: old.dataset_name, href: page.dataset(old.dataset_name) }] : []),
    { text: old && young ? `${old.name} → ${young.name}` : "Compare" },
  ]);
  const cursor = next === undefined ? diff.data?.next : next;
  const items = [...(diff.data?.items ?? []), ...more];
  const load = async () => {
    try {
      const found = await versions.diff(a, b, cursor);
      setMore([...more, ...found.items]);
      setNext(found.next);
    } catch (thrown) {
      setError(say(thrown));
    }
  };
  const [before, after] = stats.data ?? [];
  return (
    <main class="page">
      <div class="toolbar">
        <h1>{old && young ? `${old.name} → ${young.name}` : "Compare"}</h1>
        <span class="grow" />
        <a class="button" href={page.compare(b, a)}>
          Other way round
        </a>
      </div>
      <ErrorNote error={sides.error || diff.error || error} />
      {diff.loading && !diff.data && <Spinner what="Comparing" />}
      {diff.data && old && young && (
        <>
          <dl class="numbers big">
            {(["added", "removed", "changed"] as const).map((kind) => (
              <div key={kind} class={`kind-${kind}`}>
                <dt>{kind}</dt>
                <dd>{count(diff.data![kind])}</dd>
              </div>
            ))}
          </dl>
          {before && after && <LabelDeltas before={before.rows} after={after.rows} />}
          <h2>Frames that differ</h2>
          {!items.length && <Empty title="Nothing differs" />}
          <ul class="diff-list">
            {items.map((item) => (
              <DiffRow key={item.id} item={item} old={old} young={young} />
            ))}
          </ul>
          {cursor && <Button onClick={() => void load()}>More</Button>}
        </>
      )}
    </main>
  );
}

type Row = { label: unknown; count: number };

function LabelDeltas({ before, after }: { before: Row[]; after: Row[] }) {
  const counts = new Map<string, [number, number]>();
  for (const row of before) counts.set(String(row.label), [row.count, 0]);
  for (const row of after) counts.set(String(row.label), [counts.get(String(row.label))?.[0] ?? 0, row.count]);
  const changed = [...counts]
    .filter(([, [x, y]]) => x !== y)
    .sort((p, q) => Math.abs(q[1][1] - q[1][0]) - Math.abs(p[1][1] - p[1][0]));
  if (!changed.length) return null;
  return (
    <>
      <h2>ROI labels</h2>
      <div class="chips">
        {changed.slice(0, 40).map(([label, [x, y]]) => (
          <span key={label} class={`chip ${y > x ? "kind-added" : "kind-removed"}`}>
            {label} {y > x ? "+" : "−"}
            {count(Math.abs(y - x))}
          </span>
        ))}
      </div>
    </>
  );
}

function DiffRow({ item, old, young }: { item: DiffItem; old: Version; young: Version }) {
  const [open, setOpen] = useState(false);
  const side = item.kind === "removed" ? old : young;
  return (
    <li data-kind={item.kind}>
      <div class="diff-head">
        <span class={`state kind-${item.kind}`}>{item.kind}</span>
        <a class="mono ellipsis" href={page.frame(side.dataset_name, side.name, item.id)}>
          {item.id}
        </a>
        <span class="grow" />
        {item.kind === "changed" && (
          <Button kind="ghost" icon={open ? "up" : "down"} aria-expanded={open} onClick={() => setOpen(!open)}>
            What changed
          </Button>
        )}
      </div>
      {open && <Changes frame={item.id} old={old} young={young} />}
    </li>
  );
}

const short = (value: unknown): string => {
  const text = value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
};

function Changes({ frame, old, young }: { frame: string; old: Version; young: Version }) {
  const found = useResource(() => versions.diffFrame(old.id, young.id, frame), [frame, old.id, young.id]);
  if (found.error) return <ErrorNote error={found.error} />;
  if (!found.data) return <Spinner />;
  const moved = found.data.pixels.reduce((n, move) => n + move.pixels, 0);
  return (
    <div class="diff-body">
      <div class="table-scroll">
        <table class="table blocks">
          <thead>
            <tr>
              <th>change</th>
              <th>where</th>
              <th>before</th>
              <th>after</th>
            </tr>
          </thead>
          <tbody>
            {found.data.changes.map((change) => (
              <tr key={`${change.kind} ${change.path} ${change.what}`}>
                <td>{change.kind}</td>
                <td class="mono">{change.path || change.what}</td>
                <td class="mono">{short(change.before)}</td>
                <td class="mono">{short(change.after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.data.pixels.length > 0 && (
        <>
          <h3>Pixels that changed: {count(moved)}</h3>
          <div class="changed-list">
            {[...new Map(found.data.pixels.map((m) => [`${m.source}/${m.mask}`, m])).values()].map((m) => (
              <ChangedPixels
                key={`${m.source}/${m.mask}`}
                frame={frame}
                source={m.source}
                mask={m.mask}
                old={old}
                young={young}
              />
            ))}
          </div>
          <table class="table">
            <thead>
              <tr>
                <th>mask</th>
                <th>was</th>
                <th>is</th>
                <th class="num">pixels</th>
                <th class="num">share</th>
              </tr>
            </thead>
            <tbody>
              {found.data.pixels.map((move) => (
                <tr key={`${move.source} ${move.mask} ${move.before} ${move.after}`}>
                  <td class="mono">
                    {move.source}/{move.mask}
                  </td>
                  <td>{move.before ?? <i class="muted">void</i>}</td>
                  <td>{move.after ?? <i class="muted">void</i>}</td>
                  <td class="num">{count(move.pixels)}</td>
                  <td class="num">{percent(move.pixels / (moved || 1))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {found.data.failed.map((text) => (
        <p key={text} class="note error">
          {text}
        </p>
      ))}
    </div>
  );
}
