import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { lazy, useLocation, useRoute } from "preact-iso";
import { datasets } from "../lib/api";
import { searchOf } from "../lib/filters";
import { ago, plural } from "../lib/format";
import { SLOWLY_MS, useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { Version } from "../lib/types";
import { page, query as queryText } from "../lib/url";
import { canAdmin, canEdit, useTitle } from "../ui/shell";
import { Button, copyText, Empty, ErrorNote, Spinner, Tabs } from "../ui/widgets";
import { othersIn } from "../viewer/address";
import { InfoTab, MetadataTab } from "./about";
import { FrameBrowser } from "./frames";
import { ReportTab } from "./report";
import { useVectorFields } from "./similar";
import { StatisticsTab } from "./statistics";
import { ChildDialog, PublishDialog, VersionTree } from "./tree";

const FrameViewer = lazy(() => import("../viewer/viewer"));

type Tab = "frames" | "statistics" | "metadata" | "info" | "report";
const TABS: [Tab, string][] = [
  ["frames", "Frames"],
  ["statistics", "Statistics"],
  ["metadata", "Metadata"],
  ["info", "Info"],
  ["report", "Check report"],
];

/** A dataset with its versions, one of them open; the frame viewer lies on top of it. */
export default function VersionPage() {
  const { params } = useRoute();
  const location = useLocation();
  const name = params.dataset ?? "";
  const known = useRef("");
  const turn = useTurn((change) => change.dataset === known.current && change.kind !== "frame.updated", SLOWLY_MS);
  const dataset = useResource(() => datasets.get(name), [name, turn]);
  const versions = useResource(() => datasets.versions(name), [name, turn]);
  known.current = dataset.data?.id ?? "";
  const wanted = params.version;
  const list = versions.data ?? [];
  const version = useMemo(
    () =>
      wanted
        ? list.find((v) => v.name === wanted || v.id === wanted)
        : (list.find((v) => v.id === dataset.data?.head) ?? list.at(-1)),
    [list, wanted, dataset.data],
  );
  useTitle([
    { text: "Datasets", href: page.datasets() },
    { text: dataset.data?.name ?? name, href: page.dataset(name) },
    ...(version ? [{ text: version.name, href: page.version(name, version.name) }] : []),
    ...(params.frame ? [{ text: params.frame }] : []),
  ]);
  const reload = useCallback(() => {
    dataset.reload();
    versions.reload();
  }, [dataset.reload, versions.reload]);
  const error = dataset.error || versions.error;
  if (error && !(dataset.data && versions.data)) {
    return (
      <main class="page">
        <ErrorNote error={error} retry={reload} />
      </main>
    );
  }
  if (!dataset.data || !versions.data) return <Spinner what="Reading versions" />;
  const go = (v: Version) => location.route(page.version(name, v.name));
  return (
    <main class="browser">
      <VersionTree dataset={dataset.data} versions={list} now={version} open={go} reload={reload} />
      {version ? (
        <VersionPane dataset={name} version={version} reload={reload} />
      ) : (
        <Empty title={wanted ? `There is no version ${wanted}` : "No versions yet"} />
      )}
    </main>
  );
}

function VersionPane({ dataset, version, reload }: { dataset: string; version: Version; reload: () => void }) {
  const { params } = useRoute();
  const location = useLocation();
  const { query } = location;
  const [asking, setAsking] = useState<"publish" | "child" | null>(null);
  const tab: Tab = TABS.some(([key]) => key === query.tab) ? (query.tab as Tab) : "frames";
  const base = page.version(dataset, version.name);
  const search = useMemo(() => searchOf(query), [query.q, query.f, query.sort, query.group]);
  const set = (patch: Record<string, string>) => location.route(base + queryText({ ...query, ...patch }), true);
  const kept = othersIn(query);
  const fields = useVectorFields(version);
  const open = (frame: string) => {
    // The viewer writes its own state into the address; what belongs to the frame before is not carried on.
    const now = Object.fromEntries(new URLSearchParams(window.location.search));
    for (const name of ["t", "roi", "view", "off", "data"]) delete now[name];
    location.route(page.frame(dataset, version.name, frame) + queryText(now), Boolean(params.frame));
  };
  useEffect(() => {
    if (!params.frame) document.getElementById("content")?.focus();
  }, [params.frame]);
  const draft = version.state === "draft";
  return (
    <section class="pane" aria-label={`Version ${version.name}`}>
      <header class="pane-head">
        <h1 class="ellipsis">{version.name}</h1>
        <span class={`state ${version.state}`}>{version.state}</span>
        <button
          type="button"
          class="link mono small id"
          onClick={() => void copyText(version.id, "Id copied")}
          title="Copy id"
        >
          {version.id.slice(0, 8)}
        </button>
        <span class="muted small">
          {plural(version.frames ?? 0, "frame")} · changed {ago(version.updated)}
        </span>
        <span class="grow" />
        {draft ? (
          <Button kind="primary" icon="check" disabled={!canAdmin()} onClick={() => setAsking("publish")}>
            Publish
          </Button>
        ) : (
          <Button kind="primary" icon="branch" disabled={!canEdit()} onClick={() => setAsking("child")}>
            New version
          </Button>
        )}
      </header>
      <Tabs label="About the version" tabs={TABS} now={tab} choose={(t) => set({ tab: t === "frames" ? "" : t })} />
      {tab === "frames" && <FrameBrowser version={version} search={search} query={query} set={set} open={open} />}
      {tab === "statistics" && <StatisticsTab version={version} search={search} query={query} set={set} />}
      {tab === "metadata" && <MetadataTab version={version} />}
      {tab === "info" && <InfoTab version={version} reload={reload} />}
      {tab === "report" && <ReportTab version={version} dataset={dataset} />}
      {asking === "publish" && (
        <PublishDialog
          version={version}
          close={() => {
            setAsking(null);
            reload();
          }}
        />
      )}
      {asking === "child" && (
        <ChildDialog
          version={version}
          open={(made) => {
            reload();
            location.route(page.version(dataset, made.name));
          }}
          close={() => setAsking(null)}
        />
      )}
      {params.frame && (
        <FrameViewer
          dataset={dataset}
          version={version}
          frameId={params.frame}
          params={query}
          search={search}
          open={open}
          close={() => location.route(base + queryText(kept))}
          like={
            fields.length ? (frame) => location.route(base + queryText({ ...kept, tab: "", like: frame })) : undefined
          }
        />
      )}
    </section>
  );
}
