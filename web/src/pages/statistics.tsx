import { useState } from "preact/hooks";
import { versions } from "../lib/api";
import { asLine, colorOf, compact, count, csv, fromHex, percent, type Rgb } from "../lib/format";
import { finished } from "../lib/jobs";
import { useLegend } from "../lib/legend";
import { SLOWLY_MS, useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { SearchBody, StatisticsRow, Version } from "../lib/types";
import { Bar, Donut, type Slice } from "../ui/charts";
import { canEdit } from "../ui/shell";
import { attempt, Button, Empty, ErrorNote, Spinner, saveFile } from "../ui/widgets";
import { QueryBar } from "./query-bar";

type Scope = "roi" | "frame" | "mask";
type By = "pixels" | "frames";

interface Props {
  version: Version;
  search: SearchBody;
  query: Record<string, string>;
  set: (patch: Record<string, string>) => void;
}

const IN_DONUT = 12;
const REST: Rgb = fromHex("#8a9692");

/** What there is how often: pixels of masks, ROIs or frames, for the frames that fit the query. */
export function StatisticsTab({ version, search, query, set }: Props) {
  const scope: Scope = query.scope === "roi" || query.scope === "frame" ? query.scope : "mask";
  const by: By = query.by === "frames" ? "frames" : "pixels";
  const property = query.property ?? "";
  const legend = useLegend(version);
  const labelled = legend.masks.find((m) => m.kind === "labels")?.id;
  const mask = query.mask === "*" ? null : (query.mask ?? labelled ?? null);
  const color = (row: StatisticsRow): Rgb => legend.colors.get(String(row.label)) ?? colorOf(String(row.label));
  const body = {
    scope,
    query: search.query,
    filters: search.filters,
    property: scope === "frame" && property ? property : null,
    mask: scope === "mask" ? mask : null,
  };
  const key = JSON.stringify(body);
  const turn = useTurn((change) => change.version === version.id && change.kind !== "job.progress", SLOWLY_MS);
  const found = useResource(
    (signal) => versions.statistics(version.id, body, signal),
    [version.id, version.updated, key, turn],
  );
  const [counting, setCounting] = useState(false);
  const countNow = async () => {
    setCounting(true);
    if (await attempt(async () => finished(await versions.countPixels(version.id)), "Counted")) found.reload();
    setCounting(false);
  };
  const [typed, setTyped] = useState(property);
  const data = found.data;
  const value = (row: StatisticsRow): number =>
    scope === "mask" ? (by === "frames" ? row.frames : (row.pixels ?? row.count)) : row.count;
  const rows = [...(data?.rows ?? [])].sort((a, b) => value(b) - value(a));
  // An entry with two labels counts for both: pixels are compared with all there are, not with their own sum.
  const sum = rows.reduce((n, row) => n + value(row), 0);
  const all = scope === "mask" && by === "pixels" ? (data?.of ?? sum) : scope === "roi" ? sum : (data?.frames ?? sum);
  const most = rows.reduce((n, row) => Math.max(n, value(row)), 0) || 1;
  const head = rows.slice(0, IN_DONUT);
  const rest = rows.slice(IN_DONUT).reduce((n, row) => n + value(row), 0);
  const slices: Slice[] = head.map((row) => ({
    name: String(row.label),
    value: value(row),
    color: asLine(color(row)),
  }));
  if (rest) slices.push({ name: "others", value: rest, color: REST });
  const what = scope === "mask" ? by : scope === "roi" ? "ROIs" : "frames";
  return (
    <div class="statistics">
      <div class="toolbar">
        <select
          aria-label="What to count"
          value={scope}
          onChange={(e) => set({ scope: e.currentTarget.value === "mask" ? "" : e.currentTarget.value })}
        >
          <option value="mask">Mask labels</option>
          <option value="roi">ROI labels</option>
          <option value="frame">Frames</option>
        </select>
        {scope === "mask" && (
          <select
            aria-label="Counted in"
            value={by}
            onChange={(e) => set({ by: e.currentTarget.value === "pixels" ? "" : e.currentTarget.value })}
          >
            <option value="pixels">pixels</option>
            <option value="frames">frames that show it</option>
          </select>
        )}
        {scope === "mask" && legend.masks.length > 1 && (
          <select aria-label="Mask" value={mask ?? "*"} onChange={(e) => set({ mask: e.currentTarget.value })}>
            <option value="*">every mask</option>
            {legend.masks
              .filter((m) => m.kind !== "alpha")
              .map((m) => (
                <option key={m.id} value={m.id}>
                  mask {m.id}
                </option>
              ))}
          </select>
        )}
        {scope === "frame" && (
          <form
            class="inline"
            onSubmit={(e) => {
              e.preventDefault();
              set({ property: typed.trim() });
            }}
          >
            <input
              aria-label="Property"
              placeholder="by label, or meta.city"
              value={typed}
              onInput={(e) => setTyped(e.currentTarget.value)}
            />
          </form>
        )}
        <QueryBar version={version} value={query.q ?? ""} apply={(q) => set({ q })} />
        <Button
          icon="download"
          disabled={!rows.length}
          onClick={() =>
            saveFile(
              `${version.name}-${scope}.csv`,
              csv([
                ["label", "count", "share", "frames", "pixels"],
                ...rows.map((r) => [r.label, r.count, r.share, r.frames, r.pixels ?? ""]),
              ]),
            )
          }
        >
          CSV
        </Button>
      </div>
      <ErrorNote error={found.error} retry={found.reload} />
      {found.loading && !data && <Spinner what="Counting" />}
      {data && (
        <>
          <dl class="numbers big">
            <Counter name="frames" value={data.frames} />
            {scope === "roi" && <Counter name="ROIs" value={data.rois} />}
            {scope === "mask" && <Counter name="masks" value={data.masks} />}
            {scope === "mask" && <Counter name="unmapped px" value={data.void} />}
          </dl>
          {data.without_facts > 0 && (
            <div class="note">
              <span>
                {count(data.without_facts)} frames have masks whose pixels were never counted; they are not in these
                numbers. {version.state === "draft" ? "" : "They are counted in a draft, and when one is published."}
              </span>
              {version.state === "draft" && (
                <Button disabled={!canEdit() || counting} onClick={() => void countNow()}>
                  {counting ? "Counting…" : "Count them now"}
                </Button>
              )}
            </div>
          )}
          {!rows.length && (
            <Empty title="Nothing to count">
              No frame that fits has {scope === "mask" ? "counted masks" : "labels"}.
            </Empty>
          )}
          {rows.length > 0 && (
            <div class="stat-body">
              <Donut slices={slices} middle={compact(all)} under={what} />
              <div class="table-scroll">
                <table class="table">
                  <thead>
                    <tr>
                      <th>{property && scope === "frame" ? property : "label"}</th>
                      <th class="num">{what}</th>
                      <th class="num">share</th>
                      <th class="wide">
                        <span class="offscreen">bar</span>
                      </th>
                      {scope !== "frame" && <th class="num">frames</th>}
                    </tr>
                  </thead>
                  <tbody>
                    {rows.slice(0, 500).map((row) => {
                      const name = String(row.label);
                      return (
                        <tr key={name}>
                          <td>{name}</td>
                          <td class="num">{count(value(row))}</td>
                          <td class="num">{percent(value(row) / (all || 1))}</td>
                          <td>
                            <Bar share={value(row) / most} color={asLine(color(row))} />
                          </td>
                          {scope !== "frame" && <td class="num">{count(row.frames)}</td>}
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
            </div>
          )}
        </>
      )}
    </div>
  );
}

function Counter({ name, value }: { name: string; value: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={count(value)}>{compact(value)}</dd>
    </div>
  );
}
