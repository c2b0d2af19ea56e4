import { effect } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { frames as framesApi, versions } from "../lib/api";
import { compact } from "../lib/format";
import type { SearchBody, Version } from "../lib/types";
import { page } from "../lib/url";
import { AskDialog, Button, copyText, Dialog, ErrorNote, Spinner } from "../ui/widgets";
import { Drawing } from "./drawing";
import { HELP, listenKeys } from "./keys";
import { writeHidden, writeMasks } from "./masks";
import { DetailsPanel, FrameLabels, ObjectsPanel } from "./objects";
import { MasksPanel } from "./panels";
import { SourceGrid } from "./source-grid";
import { Stage } from "./stage";
import { type Tool, Viewer } from "./state";
import { type Neighbours, Timeline } from "./timeline";
import "./viewer.css";
import "./shapes.css";

export interface FrameViewerProps {
  dataset: string;
  version: Version;
  frameId: string;
  params: Record<string, string>;
  /** Which frames are gone through, in which order. */
  search: SearchBody;
  open: (frameId: string) => void;
  close: () => void;
}

/** The frame viewer: a dialog over the version browser, which keeps its place behind it. */
export default function FrameViewer(props: FrameViewerProps) {
  const { dataset, version, frameId, params, close } = props;
  const [help, setHelp] = useState(false);
  const [child, setChild] = useState(false);
  const viewer = useMemo(() => new Viewer(dataset, version.id, frameId), [dataset, version.id, frameId]);
  const tools = useMemo(() => new Drawing(viewer), [viewer]);
  const neighbours = useNeighbours(props, viewer);

  // The address is read once for each frame, then written
  useEffect(() => {
    void viewer.open(params);
    const wanted = params.view;
    const placed = effect(() => {
      if (wanted && viewer.camera.stage.value.width && viewer.image.value) {
        viewer.camera.read(wanted);
        queueMicrotask(() => placed());
      }
    });
    return () => {
      placed();
      viewer.dispose();
    };
  }, [viewer]);
  useEffect(
    () => writeAddress(viewer, page.frame(dataset, version.name, frameId), wantsKept(params)),
    [viewer, dataset, version, frameId, params],
  );

  useEffect(() => coverOthers(), []);
  const leave = () => {
    if (!viewer.isDirty) return close();
    void viewer.store().then((ok) => {
      if (ok || confirm("The last changes are not saved. Close and lose them?")) close();
    });
  };
  const sources = viewer.frame.value?.sources ?? [];
  const nextSource = () => {
    const at = sources.findIndex((s) => s.id === viewer.source.value?.id);
    chooseSource(viewer, sources[(at + 1) % sources.length]?.id ?? "");
  };
  const step = (by: number) => {
    const pts = viewer.video.value?.pts_ms;
    if (!pts?.length) return;
    const now = viewer.imagePts.value ?? 0;
    const at = pts.findIndex((p) => Math.abs(p - now) < 0.01);
    const next = pts[Math.min(pts.length - 1, Math.max(0, at + by))];
    if (next !== undefined) void viewer.seek(next);
  };
  useEffect(() =>
    listenKeys(viewer, tools, {
      go: neighbours.go,
      goAnnotated: (direction) => void goAnnotated(props, frameId, direction),
      nextSource,
      close: leave,
      help: () => setHelp(true),
      step,
    }),
  );
  return (
    <div class="viewer" role="dialog" aria-modal="true" aria-label={`Frame ${frameId}`}>
      <Top viewer={viewer} title={frameId} close={leave} help={() => setHelp(true)} />
      {viewer.frozen.value && viewer.info.value && (
        <ReadOnly version={version} viewer={viewer} makeChild={() => setChild(true)} />
      )}
      {viewer.save.value === "conflict" && <Conflict viewer={viewer} />}
      {viewer.error.value ? (
        <div class="viewer-error">
          <ErrorNote error={viewer.error.value} retry={() => void viewer.open(params)} />
        </div>
      ) : (
        <div class="viewer-body">
          <Tools viewer={viewer} tools={tools} />
          {viewer.all.value ? <SourceGrid viewer={viewer} /> : <Stage viewer={viewer} tools={tools} />}
          <aside class="side" aria-label="What is in the frame">
            {viewer.frame.value ? (
              <>
                <MasksPanel viewer={viewer} />
                <ObjectsPanel viewer={viewer} />
                <FrameLabels viewer={viewer} />
                <DetailsPanel viewer={viewer} />
              </>
            ) : (
              <Spinner />
            )}
          </aside>
        </div>
      )}
      <Timeline viewer={viewer} frames={neighbours} />
      <KnownLabels viewer={viewer} />
      {help && <Help close={() => setHelp(false)} />}
      {child && (
        <AskDialog
          title="New draft"
          label="Name of the draft"
          initial={`${version.name}-edit`}
          action="Create and open"
          note={`A draft that starts as ${version.name} is. ${version.name} stays as it is.`}
          run={async (name) => {
            const made = await versions.child(version.id, name);
            location.assign(page.frame(dataset, made.name, frameId));
          }}
          close={() => setChild(false)}
        />
      )}
    </div>
  );
}

/** What lies behind the viewer can be neither reached nor read while it is open. */
function coverOthers(): () => void {
  const behind = document.querySelectorAll<HTMLElement>(".rail, .top, .tree, .pane > :not(.viewer)");
  for (const element of behind) element.inert = true;
  return () => {
    for (const element of behind) element.inert = false;
  };
}

function chooseSource(viewer: Viewer, id: string): void {
  viewer.all.value = id === "*";
  if (id === "*") return;
  viewer.sourceId.value = id;
  viewer.at.value = null;
  void viewer.openSource();
}

const wantsKept = (params: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(params).filter(([key]) => !["src", "t", "roi", "masks", "hide", "view"].includes(key)),
  );

/** Every state has an address: written while it changes, without steps in the browser's history. */
function writeAddress(viewer: Viewer, path: string, kept: Record<string, string>): () => void {
  let timer = 0;
  const stop = effect(() => {
    const values: Record<string, string> = { ...kept };
    const first = viewer.frame.value?.sources[0]?.id;
    if (!viewer.frame.value) return;
    if (viewer.all.value) values.src = "*";
    else if (viewer.sourceId.value !== first) values.src = viewer.sourceId.value;
    if (viewer.at.value !== null) values.t = String(viewer.at.value);
    if (viewer.selected.value !== null) values.roi = String(viewer.selected.value);
    const layers = viewer.layers.value;
    if (layers.length) values.masks = writeMasks(layers);
    const hidden = writeHidden(layers);
    if (hidden) values.hide = hidden;
    viewer.camera.view.value;
    const view = viewer.camera.write();
    if (view) values.view = view;
    const text = new URLSearchParams(values)
      .toString()
      .replaceAll("%2C", ",")
      .replaceAll("%3A", ":")
      .replaceAll("%2A", "*");
    clearTimeout(timer);
    timer = window.setTimeout(() => history.replaceState(history.state, "", `${path}${text ? `?${text}` : ""}`), 150);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

/** Where the frame stands among those that were searched for; ids are read a window at a time. */
function useNeighbours(props: FrameViewerProps, viewer: Viewer): Neighbours {
  const { version, frameId, search, open } = props;
  const [found, setFound] = useState<{ ids: string[]; offset: number; total: number }>({
    ids: [],
    offset: 0,
    total: 0,
  });
  const key = JSON.stringify(search);
  // The search is compared by what it says
  useEffect(() => {
    if (found.ids.length && found.ids.indexOf(frameId) >= 12 && found.ids.indexOf(frameId) < found.ids.length - 12)
      return;
    const stop = new AbortController();
    framesApi
      .ids(version.id, { ...search, around: frameId, limit: 201 }, stop.signal)
      .then((page) => setFound({ ids: page.ids, offset: page.offset, total: page.total }))
      .catch(() => undefined); // navigation is a convenience; the frame itself says what is wrong
    return () => stop.abort();
  }, [version.id, frameId, key]);
  const here = found.ids.indexOf(frameId);
  const go = (by: number) => {
    const next = found.ids[Math.min(found.ids.length - 1, Math.max(0, here + by))];
    if (here < 0 || !next || next === frameId) return;
    if (viewer.isDirty) void viewer.store().then((ok) => ok && open(next));
    else open(next);
  };
  return { ids: found.ids, at: here < 0 ? -1 : found.offset + here, total: found.total, go };
}

async function goAnnotated(props: FrameViewerProps, frameId: string, direction: 1 | -1): Promise<void> {
  const { version, search } = props;
  const page = await framesApi.search(version.id, { ...search, around: frameId, limit: 200 });
  const here = page.hits.findIndex((hit) => hit.id === frameId);
  const rest = direction > 0 ? page.hits.slice(here + 1) : page.hits.slice(0, here).reverse();
  const next = rest.find((hit) => hit.rois > 0);
  if (next) props.open(next.id);
}

function Top(props: { viewer: Viewer; title: string; close: () => void; help: () => void }) {
  const { viewer, title, close, help } = props;
  const sources = viewer.frame.value?.sources ?? [];
  const { camera, history: steps } = viewer;
  return (
    <header class="viewer-top">
      <h1 class="ellipsis" title={title}>
        {title}
      </h1>
      {!viewer.frozen.value && (
        <label class="inline default-label">
          <span class="muted">label</span>
          <input
            list="known-labels"
            placeholder="for new shapes"
            aria-label="Label of new shapes"
            value={viewer.label.value}
            onInput={(e) => {
              viewer.label.value = e.currentTarget.value;
            }}
          />
        </label>
      )}
      {sources.length > 1 && (
        <label class="inline">
          <span class="muted">source</span>
          <select
            aria-label="Source"
            value={viewer.all.value ? "*" : viewer.source.value?.id}
            onChange={(e) => chooseSource(viewer, e.currentTarget.value)}
          >
            <option value="*">all sources</option>
            {sources.map((s) => (
              <option key={s.id} value={s.id}>
                {s.id}
              </option>
            ))}
          </select>
        </label>
      )}
      <span class="grow" />
      <Button
        icon="undo"
        label="Undo (Ctrl+Z)"
        kind="ghost"
        disabled={!steps.done.value.length}
        onClick={() => viewer.undo()}
      />
      <Button
        icon="redo"
        label="Redo (Ctrl+Y)"
        kind="ghost"
        disabled={!steps.undone.value.length}
        onClick={() => viewer.redo()}
      />
      <span class="rule" />
      <Button icon="minus" label="Zoom out (−)" kind="ghost" onClick={() => camera.zoom(0.8)} />
      <button type="button" class="zoom num" onClick={() => camera.actual()} title="Actual size (1)">
        {compact(Math.round(camera.view.value.scale * 100))} %
      </button>
      <Button icon="plus" label="Zoom in (+)" kind="ghost" onClick={() => camera.zoom(1.25)} />
      <Button icon="fit" label="Fit (0)" kind="ghost" onClick={() => camera.fit()} />
      <span class="rule" />
      <Button
        icon="reload"
        label="Reload"
        kind="ghost"
        onClick={() => void viewer.open(Object.fromEntries(new URLSearchParams(location.search)))}
      />
      <Button
        icon="link"
        label="Copy address"
        kind="ghost"
        onClick={() => void copyText(location.href, "Address copied")}
      />
      <Button icon="help" label="Keys (?)" kind="ghost" onClick={help} />
      <Button icon="close" label="Close (Esc)" kind="ghost" onClick={close} />
    </header>
  );
}

const TOOLS: [Tool, "select" | "box" | "ellipse" | "polygon" | "points" | "measure", string, boolean][] = [
  ["select", "select", "Select and move (V)", false],
  ["box", "box", "Box (R)", true],
  ["ellipse", "ellipse", "Ellipse (E)", true],
  ["polygon", "polygon", "Polygon (P)", true],
  ["points", "points", "Key points (K)", true],
  ["measure", "measure", "Measure (M)", false],
];

function Tools({ viewer, tools }: { viewer: Viewer; tools: Drawing }) {
  return (
    <div class="tools" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOLS.map(([tool, icon, label, edits]) => (
        <Button
          key={tool}
          icon={icon}
          label={label}
          kind="ghost"
          pressed={viewer.tool.value === tool}
          disabled={edits && viewer.frozen.value}
          onClick={() => {
            tools.cancel();
            viewer.tool.value = tool;
          }}
        />
      ))}
    </div>
  );
}

function ReadOnly({ version, viewer, makeChild }: { version: Version; viewer: Viewer; makeChild: () => void }) {
  const published = viewer.info.value?.state === "published";
  return (
    <div class="banner" role="note">
      <span>
        {published
          ? `${version.name} is published and stays as it is.`
          : "You may look at this version, not change it."}
      </span>
      {published && (
        <Button icon="branch" onClick={makeChild}>
          Create draft child to edit
        </Button>
      )}
    </div>
  );
}

function Conflict({ viewer }: { viewer: Viewer }) {
  return (
    <div class="banner bad" role="alert">
      <span>Somebody else changed this frame. Your changes are not saved yet.</span>
      <Button icon="reload" onClick={() => void viewer.open({})}>
        Reload theirs
      </Button>
      <Button kind="danger" onClick={() => void viewer.store(true)}>
        Save mine over it
      </Button>
    </div>
  );
}

function KnownLabels({ viewer }: { viewer: Viewer }) {
  const names = new Set(viewer.history.now.value.rois.flatMap((roi) => roi.label ?? []));
  for (const layer of viewer.layers.value)
    for (const row of layer.rows.value) for (const label of row.labels) names.add(label);
  return (
    <datalist id="known-labels">
      {[...names].sort().map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {HELP.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
