import { useEffect, useRef, useState } from "preact/hooks";
import { media } from "../lib/api";
import { readFilters, toRules, writeFilters } from "../lib/filters";
import { colorOf, count, csv, hex, type Rgb } from "../lib/format";
import { say } from "../lib/http";
import { useLegend } from "../lib/legend";
import { recall, remember } from "../lib/theme";
import type { Hit, SearchBody, Version } from "../lib/types";
import { Icon } from "../ui/icons";
import { Button, Empty, ErrorNote, Menu, saveFile, toast } from "../ui/widgets";
import { FilterDrawer } from "./filter-drawer";
import { FrameSource, useWindow } from "./frame-source";
import { QueryBar } from "./query-bar";

interface Props {
  version: Version;
  search: SearchBody;
  query: Record<string, string>;
  set: (patch: Record<string, string>) => void;
  open: (frame: string) => void;
}

const GAP = 10;
const CAPTION = 44;
const STAY_MS = 80;
const SIZE_KEY = "smalti.thumb";

/** The frames of a version: a query, filters, and a grid that reads only what is in sight. */
export function FrameBrowser({ version, search, query, set, open }: Props) {
  const [drawer, setDrawer] = useState(false);
  const [size, setSize] = useState(() => Number(recall(SIZE_KEY)) || 210);
  const [masks, setMasks] = useState(true);
  const filters = readFilters(query.f);
  const rules = toRules(filters).length;
  const key = `${version.id} ${version.updated} ${JSON.stringify(search)}`;
  const source = useRef<FrameSource | null>(null);
  if (!source.current || source.current.key !== key) {
    source.current?.stop();
    source.current = new FrameSource(key, version.id, search);
  }
  const found = source.current;
  const legend = useLegend(version);
  useEffect(() => () => source.current?.stop(), []);
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
          <option value="">by context and time</option>
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
          onClick={() => setMasks(!masks)}
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
          items={[{ text: "CSV of these frames", icon: "download", run: () => void exportCsv(version, found) }]}
        />
      </div>
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
          colors={legend.colors}
          open={open}
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

interface GridProps {
  source: FrameSource;
  version: Version;
  size: number;
  table: boolean;
  masks: boolean;
  colors: ReadonlyMap<string, Rgb>;
  open: (frame: string) => void;
}

function Grid({ source, version, size, table, masks, colors, open }: GridProps) {
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
              return (
                <Thumb
                  key={hit.id}
                  hit={hit}
                  version={version}
                  table={table}
                  masks={masks}
                  colors={colors}
                  size={size}
                  style={style}
                  open={open}
                />
              );
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

interface ThumbProps {
  hit: Hit;
  version: Version;
  table: boolean;
  masks: boolean;
  colors: ReadonlyMap<string, Rgb>;
  size: number;
  style: { width: string };
  open: (frame: string) => void;
}

function Thumb({ hit, version, table, masks, colors, size, style, open }: ThumbProps) {
  const source = hit.sources[0];
  const [broken, setBroken] = useState(false);
  const [stays, setStays] = useState(false);
  // What flies past is not asked for: its requests would stand before those of the rows that stay.
  useEffect(() => {
    const timer = setTimeout(() => setStays(true), STAY_MS);
    return () => clearTimeout(timer);
  }, []);
  const pixels = table ? 96 : size > 280 ? 512 : 256;
  const src =
    source && media.thumb(version.id, hit.id, source.id, pixels, masks && source.masks.length ? "masks" : undefined);
  return (
    <button type="button" class={table ? "thumb row" : "thumb"} style={style} onClick={() => open(hit.id)}>
      <span class="thumb-picture">
        {src && !broken && !stays ? null : src && !broken ? (
          <img src={src} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />
        ) : (
          <span class="thumb-broken muted small">{broken ? "cannot be shown" : "no source"}</span>
        )}
        <span class="badges">
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
      <span class="thumb-text">
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
          {hit.labels.slice(0, table ? 12 : 3).join(", ")}
          {hit.labels.length > (table ? 12 : 3) && ` +${hit.labels.length - (table ? 12 : 3)}`}
        </span>
      </span>
    </button>
  );
}
