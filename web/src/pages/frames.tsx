import { useEffect, useRef, useState } from "preact/hooks";
import { frames } from "../lib/api";
import { readFilters, toRules, writeFilters } from "../lib/filters";
import { colorOf, count, csv, hex, type Rgb } from "../lib/format";
import { say } from "../lib/http";
import { finished } from "../lib/jobs";
import { useColors } from "../lib/label-colors";
import { useLegend } from "../lib/legend";
import { useTurn } from "../lib/live";
import { recall, remember } from "../lib/theme";
import type { Hit, SearchBody, Version } from "../lib/types";
import { page } from "../lib/url";
import { Icon } from "../ui/icons";
import { Picture } from "../ui/picture";
import { attempt, Button, copyText, Empty, ErrorNote, Menu, saveFile, toast } from "../ui/widgets";
import { FilterDrawer } from "./filter-drawer";
import { FrameSource, useWindow } from "./frame-source";
import { QueryBar } from "./query-bar";
import { SimilarBar, similarOf, useVectorFields } from "./similar";

interface Props {
  version: Version;
  search: SearchBody;
  query: Record<string, string>;
  set: (patch: Record<string, string>) => void;
  open: (frame: string) => void;
}

const GAP = 10;
const CAPTION = 44;
const SIZE_KEY = "smalti.thumb";
const OVERLAYS = ["", "masks", "shapes", "none"];

/** The frames of a version: a query, filters, and a grid that reads only what is in sight. */
export function FrameBrowser({ version, search, query, set, open }: Props) {
  const [drawer, setDrawer] = useState(false);
  const [size, setSize] = useState(() => Number(recall(SIZE_KEY)) || 210);
  const filters = readFilters(query.f);
  const rules = toRules(filters).length;
  const fields = useVectorFields(version);
  const similar = similarOf(query, fields);
  const key = JSON.stringify([version.id, search, similar]);
  const source = useRef<FrameSource | null>(null);
  if (!source.current || source.current.key !== key) {
    source.current?.stop();
    source.current = new FrameSource(key, version.id, search, similar);
  }
  const found = source.current;
  const legend = useLegend(version);
  const chosen = useColors(version.dataset);
  const turn = useTurn((change) => change.version === version.id && change.kind.startsWith("frame"));
  useEffect(() => () => source.current?.stop(), []);
  // What changed is read again in its place: nothing jumps while somebody looks
  const seen = useRef("");
  useEffect(() => {
    const now = `${version.id} ${version.updated} ${turn}`;
    if (seen.current && seen.current !== now) found.refresh();
    seen.current = now;
  }, [version.id, version.updated, turn, found]);
  const overlay = OVERLAYS.includes(query.overlay ?? "") ? (query.overlay ?? "") : "";
  const masks = overlay === "" || overlay === "masks";
  const shapes = overlay === "" || overlay === "shapes";
  const show = (withMasks: boolean, withShapes: boolean) =>
    set({ overlay: withMasks ? (withShapes ? "" : "masks") : withShapes ? "shapes" : "none" });
  const resize = (next: number) => {
    const value = Math.min(420, Math.max(110, next));
    setSize(value);
    remember(SIZE_KEY, String(value));
  };
  const table = query.grid === "table";
  const total = found.total.value;
  return (
    <div class="frames">
      <div class="toolbar frames-bar">
        <Button icon="filter" pressed={drawer || rules > 0} onClick={() => setDrawer(!drawer)} label="Filters">
          {rules ? `Filters ${rules}` : "Filters"}
        </Button>
        <QueryBar version={version} value={query.q ?? ""} apply={(q) => set({ q })} />
        <span class="num total" role="status">
          {total === null ? "…" : `${count(total)} of ${count(version.frames ?? total)}`}
        </span>
        <select aria-label="Order" value={query.sort ?? ""} onChange={(e) => set({ sort: e.currentTarget.value })}>
          <option value="">by context</option>
          <option value="id">by id</option>
          <option value="-id">by id, backwards</option>
          <option value="timestamp">by time</option>
          <option value="-timestamp">by time, backwards</option>
        </select>
        <select aria-label="Group" value={query.group ?? ""} onChange={(e) => set({ group: e.currentTarget.value })}>
          <option value="">every frame</option>
          <option value="context_id">one per context</option>
          <option value="uri">one per file</option>
        </select>
        <span class="rule" />
        <Button
          icon="layers"
          label="Masks on thumbnails"
          kind="ghost"
          pressed={masks}
          onClick={() => show(!masks, shapes)}
        />
        <Button
          icon="box"
          label="Shapes on thumbnails"
          kind="ghost"
          pressed={shapes}
          onClick={() => show(masks, !shapes)}
        />
        {!table && <Button icon="minus" label="Smaller" kind="ghost" onClick={() => resize(size / 1.25)} />}
        {!table && <Button icon="plus" label="Larger" kind="ghost" onClick={() => resize(size * 1.25)} />}
        <Button
          icon={table ? "grid" : "list"}
          label={table ? "As a grid" : "As a table"}
          kind="ghost"
          onClick={() => set({ grid: table ? "" : "table" })}
        />
        <Menu
          label="Export"
          items={[
            { text: "CSV of these frames", icon: "download", run: () => void exportCsv(version, found) },
            { text: "JSON lines of these frames", icon: "download", run: () => exportJson(version, search) },
          ]}
        />
      </div>
      {similar && <SimilarBar similar={similar} fields={fields} set={set} />}
      <div class="frames-body">
        {drawer && (
          <FilterDrawer
            version={version}
            filters={filters}
            apply={(next) => set({ f: writeFilters(next) })}
            close={() => setDrawer(false)}
          />
        )}
        <Grid
          source={found}
          version={version}
          size={size}
          table={table}
          masks={masks}
          shapes={shapes}
          colors={legend.colors}
          chosen={chosen}
          open={open}
          like={fields.length ? (frame) => set({ like: frame }) : undefined}
        />
      </div>
    </div>
  );
}

async function exportCsv(version: Version, source: FrameSource): Promise<void> {
  try {
    const rows: unknown[][] = [["id", "context", "timestamp", "sources", "labels", "rois"]];
    for await (const hit of source.each()) {
      rows.push([hit.id, hit.context_id, hit.timestamp, hit.sources.length, hit.labels.join("; "), hit.rois]);
    }
    saveFile(`${version.name}.csv`, csv(rows));
  } catch (error) {
    toast(say(error), true);
  }
}

/** The frames as they are, one to a line, in the order of the search: written by the server in the background. */
function exportJson(version: Version, search: SearchBody): void {
  toast("Writing the frames…");
  void attempt(async () => {
    const { fmt, query, filters, sort } = { fmt: "jsonl" as const, ...search };
    const done = await finished(await frames.export(version.id, { fmt, query, filters, sort }));
    location.assign((done.result as { file: string }).file);
  });
}

/** What the grid hands to each of its thumbnails. */
interface Look {
  version: Version;
  size: number;
  table: boolean;
  masks: boolean;
  shapes: boolean;
  colors: ReadonlyMap<string, Rgb>;
  chosen: ReadonlyMap<string, Rgb>;
  open: (frame: string) => void;
  like?: (frame: string) => void;
}

function Grid({ source, ...look }: Look & { source: FrameSource }) {
  const { size, table } = look;
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(host.current?.clientWidth ?? 0));
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const columns = table ? 1 : Math.max(1, Math.floor((width - GAP) / (size + GAP)));
  const cell = table ? width - 2 * GAP : (width - GAP * (columns + 1)) / columns;
  const rowHeight = table ? 48 : Math.ceil((cell - 2) * aspectOf(source)) + CAPTION + 2 + GAP;
  const total = source.total.value ?? 0;
  source.turn.value; // a page that comes in is drawn
  const rows = Math.ceil(total / columns);
  const items = useWindow(host, rows, rowHeight);
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    source.want(first * columns, (last + 1) * columns);
  }, [source, first, last, columns, total]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="grid-scroll" ref={host} tabIndex={0} aria-label="Frames">
      <ErrorNote error={source.error.value} />
      {source.total.value === 0 && !source.error.value && (
        <Empty title="No frames fit">Change the query or the filters.</Empty>
      )}
      <div class={table ? "grid-rows table" : "grid-rows"} style={{ height: `${rows * rowHeight + GAP}px` }}>
        {items.map((item) => (
          <div
            key={item.index}
            class="grid-row"
            style={{ transform: `translateY(${item.start + GAP}px)`, height: `${rowHeight - GAP}px` }}
          >
            {Array.from({ length: Math.min(columns, total - item.index * columns) }, (_, i) => {
              const at = item.index * columns + i;
              const hit = source.at(at);
              const style = { width: `${cell}px` };
              if (!hit) return <div key={at} class="thumb waiting" style={style} />;
              return <Thumb key={hit.id} hit={hit} style={style} {...look} />;
            })}
          </div>
        ))}
      </div>
    </section>
  );
}

/** Height by width of the pictures, as the first one has it: most data sets have one shape. */
function aspectOf(source: FrameSource): number {
  const first = source.at(0)?.sources[0];
  return first?.width && first.height ? Math.min(1.1, Math.max(0.4, first.height / first.width)) : 0.66;
}

function Thumb({ hit, style, ...look }: Look & { hit: Hit; style: { width: string } }) {
  const { version, table, masks, shapes, colors, chosen, size, open, like } = look;
  const source = hit.sources[0];
  const wanted = source && {
    version: version.id,
    frame: hit.id,
    etag: hit.etag,
    source: source.id,
    size: table ? 96 : size > 280 ? 512 : 256,
  };
  const most = table ? 12 : 3;
  return (
    <div class={table ? "thumb row" : "thumb"} style={style}>
      <span class="thumb-picture">
        {wanted ? (
          <Picture wanted={wanted} colors={chosen} masks={masks} shapes={shapes} />
        ) : (
          <span class="thumb-broken muted small">no source</span>
        )}
        <span class="badges">
          {hit.score != null && <span class="badge num">{hit.score.toFixed(4)}</span>}
          {hit.group != null && hit.group > 1 && <span class="badge">×{hit.group}</span>}
          {hit.sources.length > 1 && <span class="badge">{hit.sources.length} sources</span>}
          {source?.video && (
            <span class="badge">
              <Icon name="video" size={11} />
            </span>
          )}
          {source && source.masks.length > 0 && (
            <span class="badge" title={source.masks.join(", ")}>
              <Icon name="layers" size={11} /> {source.masks.length}
            </span>
          )}
        </span>
      </span>
      <button type="button" class="thumb-text" onClick={() => open(hit.id)}>
        <span class="ellipsis mono">
          <span class="offscreen">Open frame </span>
          {hit.id}
        </span>
        <span class="ellipsis muted small thumb-labels">
          {hit.labels.slice(0, 5).map((label) => (
            <svg key={label} class="swatch" viewBox="0 0 10 10" aria-hidden="true">
              <rect width="10" height="10" rx="2" fill={hex(colors.get(label) ?? colorOf(label))} />
            </svg>
          ))}
          {hit.labels.slice(0, most).join(", ")}
          {hit.labels.length > most && ` +${hit.labels.length - most}`}
        </span>
      </button>
      <span class="thumb-actions">
        {like && <Button icon="similar" label={`Find frames like ${hit.id}`} onClick={() => like(hit.id)} />}
        <Button
          icon="link"
          label={`Copy the address of ${hit.id}`}
          onClick={() =>
            void copyText(location.origin + page.frame(version.dataset_name, version.name, hit.id), "Address copied")
          }
        />
      </span>
    </div>
  );
}
