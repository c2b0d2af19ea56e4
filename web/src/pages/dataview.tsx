import { useEffect, useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { datasets, dataviews } from "../lib/api";
import { count, type Rgb } from "../lib/format";
import { ApiError, say } from "../lib/http";
import { useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { Dataview, Explained } from "../lib/types";
import { page, query } from "../lib/url";
import { mappingOf, type Spec, snippet, withoutFilter, withQuery } from "../lib/viewspec";
import { useGuard } from "../ui/guard";
import { Picture } from "../ui/picture";
import { canEdit, useTitle } from "../ui/shell";
import { attempt, Button, copyText, Empty, ErrorNote, Spinner, Tabs, toast } from "../ui/widgets";
import { IterationForm, MappingForm } from "./dataview-forms";
import { QueryBar } from "./query-bar";

/** A view spans datasets: its preview shows the colours of the legends, by class. */
const NO_COLORS: ReadonlyMap<string, Rgb> = new Map();

type Tab = "frames" | "classes" | "json" | "code";

/** One view: its parts on the left, what comes of it on the right, before it is saved. */
export default function DataviewPage() {
  const { params } = useRoute();
  const id = params.id ?? "";
  const turn = useTurn((change) => change.view === id);
  const found = useResource(() => dataviews.get(id), [id, turn]);
  useTitle([{ text: "Dataviews", href: page.dataviews() }, { text: found.data?.name ?? "…" }]);
  if (found.error && !found.data) {
    return (
      <main class="page">
        <ErrorNote error={found.error} retry={found.reload} />
      </main>
    );
  }
  if (!found.data) return <Spinner />;
  return <Editor key={id} view={found.data} />;
}

function Editor({ view }: { view: Dataview }) {
  const location = useLocation();
  /** The state that is edited: what the server had when it was read or saved. */
  const [base, setBase] = useState(view);
  const [spec, setSpec] = useState<Spec>(view.spec as Spec);
  const [tab, setTab] = useState<Tab>("frames");
  const [error, setError] = useState("");
  const frozen = view.status === "published" || !canEdit();
  const dirty = JSON.stringify(spec) !== JSON.stringify(base.spec);
  const theirs = dirty && view.etag !== base.etag && view.updated > base.updated;
  const take = (found: Dataview) => {
    setBase(found);
    setSpec(found.spec as Spec);
    setError("");
  };
  useEffect(() => {
    if (!dirty) take(view); // somebody else changed it, and nothing of ours is lost
  }, [view.etag]);
  useGuard(() => dirty);
  const save = async () => {
    try {
      const saved = await dataviews.change(base, { spec });
      setBase(saved);
      setError("");
      toast("Saved");
    } catch (thrown) {
      const conflict = thrown instanceof ApiError && thrown.status === 412;
      setError(conflict ? "It was not saved: somebody else changed this view." : say(thrown));
    }
  };
  const copy = () =>
    void attempt(async () => {
      const made = await dataviews.create({ name: `${base.name} (copy)`, spec });
      setSpec(base.spec as Spec);
      location.route(page.dataview(made.id));
    });
  return (
    <main class="page dataview">
      <div class="toolbar">
        <h1 class="ellipsis">{view.name}</h1>
        <span class={`state ${view.status}`}>{view.status}</span>
        <span class="grow" />
        {!frozen && (
          <Button kind="primary" disabled={!dirty} onClick={() => void save()}>
            Save
          </Button>
        )}
      </div>
      <ErrorNote error={error} />
      {theirs && (
        <div class="banner bad" role="alert">
          <span>Somebody else changed this view. Your changes are not saved yet.</span>
          <Button icon="reload" onClick={() => take(view)}>
            Take theirs
          </Button>
          <Button icon="copy" onClick={copy}>
            Save mine as a copy
          </Button>
        </div>
      )}
      <div class="split">
        <div class="split-left">
          <Inputs spec={spec} set={setSpec} frozen={frozen} />
          <Filters spec={spec} set={setSpec} frozen={frozen} />
          <MappingForm spec={spec} set={setSpec} frozen={frozen} />
          <IterationForm spec={spec} set={setSpec} frozen={frozen} />
        </div>
        <div class="split-right">
          <Tabs
            label="What comes of it"
            tabs={[
              ["frames", "Frames"],
              ["classes", "Classes"],
              ["json", "JSON"],
              ["code", "Code"],
            ]}
            now={tab}
            choose={setTab}
          />
          {tab === "frames" && <PreviewFrames spec={spec} view={dirty ? null : view.id} />}
          {tab === "classes" && <Classes spec={spec} />}
          {tab === "json" && <Code text={JSON.stringify(spec, null, 2)} label="The view as JSON" />}
          {tab === "code" && <Code text={snippet(spec, view.name)} label="The view in Python" />}
        </div>
      </div>
    </main>
  );
}

interface PartProps {
  spec: Spec;
  set: (spec: Spec) => void;
  frozen: boolean;
}

function Inputs({ spec, set, frozen }: PartProps) {
  const [dataset, setDataset] = useState("");
  const list = useResource(() => datasets.list(), []);
  const versions = useResource(() => (dataset ? datasets.versions(dataset) : Promise.resolve([])), [dataset]);
  const chosen = spec.versions ?? [];
  const name = (id: string): string => list.data?.find((d) => d.id === id)?.name ?? id;
  return (
    <fieldset class="part" disabled={frozen}>
      <legend>Versions</legend>
      <ul class="stack">
        {chosen.map((v) => (
          <li key={`${v.dataset} ${v.version}`} class="line">
            <span class="ellipsis">
              {name(v.dataset)} <VersionName dataset={v.dataset} version={v.version} />
            </span>
            <span class="grow" />
            <Button
              icon="close"
              label="Remove version"
              kind="ghost"
              onClick={() => set({ ...spec, versions: chosen.filter((x) => x !== v) })}
            />
          </li>
        ))}
      </ul>
      {!chosen.length && <p class="muted small">Choose what the view reads.</p>}
      <div class="line">
        <select aria-label="Dataset" value={dataset} onChange={(e) => setDataset(e.currentTarget.value)}>
          <option value="">dataset…</option>
          {(list.data ?? []).map((d) => (
            <option key={d.id} value={d.id}>
              {d.name}
            </option>
          ))}
        </select>
        <select
          aria-label="Version"
          value=""
          disabled={!dataset}
          onChange={(e) => {
            const version = e.currentTarget.value;
            if (version && !chosen.some((v) => v.version === version))
              set({ ...spec, versions: [...chosen, { dataset, version }] });
            e.currentTarget.value = "";
          }}
        >
          <option value="">add version…</option>
          {(versions.data ?? []).map((v) => (
            <option key={v.id} value={v.id}>
              {v.name}
            </option>
          ))}
        </select>
      </div>
    </fieldset>
  );
}

function VersionName({ dataset, version }: { dataset: string; version: string }) {
  const found = useResource(() => datasets.versions(dataset), [dataset]);
  return <b>@{found.data?.find((v) => v.id === version)?.name ?? version}</b>;
}

function Filters({ spec, set, frozen }: PartProps) {
  const filters = spec.filters ?? [];
  return (
    <fieldset class="part" disabled={frozen}>
      <legend>Filters</legend>
      {!filters.length && <p class="muted small">Without a filter, every frame comes.</p>}
      {filters.map((filter, i) => (
        <div class="stack" key={i}>
          <div class="line">
            <QueryBar
              version={null}
              label={`Query of filter ${i + 1}`}
              value={spec.smalti?.queries?.[i] ?? ""}
              apply={(q) => set(withQuery(spec, i, q))}
            />
            <label class="inline">
              <span class="muted small">weight</span>
              <input
                class="short"
                type="number"
                min="0"
                step="0.1"
                value={filter.weight ?? 1}
                onChange={(e) => {
                  const weight = Number(e.currentTarget.value);
                  set({ ...spec, filters: filters.map((f, at) => (at === i ? { ...f, weight } : f)) });
                }}
              />
            </label>
            <Button
              icon="close"
              label={`Remove filter ${i + 1}`}
              kind="ghost"
              onClick={() => set(withoutFilter(spec, i))}
            />
          </div>
          <RuleChips
            filter={filter}
            change={(next) => set({ ...spec, filters: filters.map((f, at) => (at === i ? next : f)) })}
          />
        </div>
      ))}
      <Button
        icon="plus"
        kind="ghost"
        onClick={() => set({ ...spec, filters: [...filters, { label_rules: [], filter_by_roi: "label_rules" }] })}
      >
        Filter
      </Button>
    </fieldset>
  );
}

type SpecFilter = NonNullable<Spec["filters"]>[number];

/** What a filter asks beyond its one-string query: rules that a program or another tool wrote. */
function RuleChips({ filter, change }: { filter: SpecFilter; change: (next: SpecFilter) => void }) {
  const rules = filter.label_rules ?? [];
  const texts = [
    filter.filter_by_roi === "no_rois" ? "frames without ROIs" : "",
    filter.frame_query ? `frame: ${filter.frame_query}` : "",
    filter.sources_query ? `source: ${filter.sources_query}` : "",
  ].filter(Boolean);
  if (!rules.length && !texts.length) return null;
  return (
    <div class="chips">
      {rules.map((rule, i) => (
        <span key={`${rule.label} ${i}`} class="chip">
          {rule.must_not ? "without" : "with"} {rule.label}
          {rule.conf_range && ` · confidence ${rule.conf_range.map((c) => (c < 0 ? "any" : c)).join("–")}`}
          {rule.count_range && ` · ${rule.count_range.map((c) => (c < 0 ? "any" : c)).join("–")} of them`}
          <button
            type="button"
            aria-label={`Remove rule ${rule.label}`}
            onClick={() => change({ ...filter, label_rules: rules.filter((_, at) => at !== i) })}
          >
            ×
          </button>
        </span>
      ))}
      {texts.map((text) => (
        <span key={text} class="chip mono">
          {text}
        </span>
      ))}
    </div>
  );
}

/** The spec once it has not changed for a moment, and is worth asking about. */
function useSettled(spec: Spec): Spec | null {
  const [settled, setSettled] = useState<Spec | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(spec.versions?.length ? spec : null), 350);
    return () => clearTimeout(timer);
  }, [spec]);
  return settled;
}

/** The first frames; they open under the view where it is saved as it stands here. */
function PreviewFrames({ spec, view }: { spec: Spec; view: string | null }) {
  const settled = useSettled(spec);
  const found = useResource((stop) => (settled ? dataviews.preview(settled, stop) : Promise.resolve(null)), [settled]);
  // Thumbnails fall back to labels where classes contradict each other; this says so
  const told = useResource(
    (stop) => (settled && mappingOf(settled) ? dataviews.explain(settled, stop) : Promise.resolve(null)),
    [settled],
  );
  if (!spec.versions?.length) return <Empty title="No version chosen">Add one on the left.</Empty>;
  if (found.error) return <ErrorNote error={found.error} />;
  if (!found.data) return <Spinner />;
  const mapping = mappingOf(settled ?? spec);
  const under = view === null ? "" : query({ dataview: view, rows: "classes" });
  return (
    <>
      <p class="muted">
        {count(found.data.total)} frames
        {found.data.per_filter.length > 1 && ` (by filter: ${found.data.per_filter.map((n) => count(n)).join(", ")})`},
        the first {found.data.frames.length} in the order of the view.{" "}
        {view === null && "They open with their stored labels until the view is saved."}
      </p>
      <ErrorNote error={told.error && `${told.error} Frames are shown by their labels.`} />
      <div class="preview-grid">
        {found.data.frames.map(({ dataset, version, hit }, i) => {
          const source = hit.sources[0];
          return (
            <a key={i} class="thumb" href={page.frame(dataset, version, hit.id) + under}>
              <span class="thumb-picture">
                {source && (
                  <Picture
                    wanted={{ version, frame: hit.id, etag: hit.etag, source: source.id, size: 256, spec: mapping }}
                    colors={NO_COLORS}
                  />
                )}
              </span>
              <span class="thumb-text">
                <span class="ellipsis mono">{hit.id}</span>
              </span>
            </a>
          );
        })}
      </div>
    </>
  );
}

function Classes({ spec }: { spec: Spec }) {
  const settled = useSettled(spec);
  const found = useResource<Explained | null>(
    (stop) => (settled ? dataviews.explain(settled, stop) : Promise.resolve(null)),
    [settled],
  );
  if (!spec.versions?.length) return <Empty title="No version chosen">Add one on the left.</Empty>;
  if (found.error) return <ErrorNote error={found.error} />;
  if (!found.data) return <Spinner />;
  return (
    <>
      {found.data.notes.map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      {found.data.tables.map((table) => (
        <section key={`${table.version} ${table.mask}`}>
          <h3>
            {table.dataset}@{table.version} · mask {table.mask}{" "}
            <span class="muted">({count(table.frames)} frames)</span>
          </h3>
          <div class="table-scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>value</th>
                  <th>labels</th>
                  <th>mapped to</th>
                  <th class="num">class</th>
                </tr>
              </thead>
              <tbody>
                {table.rows.map((row) => (
                  <tr key={String(row.value)}>
                    <td class="mono">{String(row.value)}</td>
                    <td>{row.labels.join(", ")}</td>
                    <td>{row.mapped.join(", ")}</td>
                    <td class="num">
                      {row.number}
                      {row.number === found.data!.void && <span class="muted"> void</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ))}
      {!found.data.tables.length && <pre class="code">{found.data.text}</pre>}
    </>
  );
}

function Code({ text, label }: { text: string; label: string }) {
  return (
    <>
      <Button icon="copy" onClick={() => void copyText(text)}>
        Copy
      </Button>
      <textarea class="code" readOnly rows={26} aria-label={label} value={text} spellcheck={false} />
    </>
  );
}
