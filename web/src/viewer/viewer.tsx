import { effect } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { frames as framesApi, versions } from "../lib/api";
import { compact } from "../lib/format";
import { listen } from "../lib/live";
import type { SearchBody, Version } from "../lib/types";
import { page } from "../lib/url";
import { useGuard } from "../ui/guard";
import { AskDialog, attempt, Button, ConfirmDialog, copyText, Dialog, ErrorNote, Spinner, toast } from "../ui/widgets";
import { othersIn, paramsNow, writeAddress } from "./address";
import { Drawing } from "./drawing";
import { HELP, listenKeys } from "./keys";
import { DetailsPanel, FrameLabels, ObjectsPanel } from "./objects";
import { MasksPanel } from "./panels";
import { Playback } from "./playback";
import { SourceGrid } from "./source-grid";
import { Stage } from "./stage";
import { type Tool, Viewer } from "./state";
import { type Neighbours, Timeline } from "./timeline";
import "./viewer.css";
import "./classes.css";
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
  /** Show the frames that are like one; absent where frames carry no vectors. */
  like?: (frameId: string) => void;
}

/** The frame viewer: a dialog over the version browser, which keeps its place behind it. */
export default function FrameViewer(props: FrameViewerProps) {
  const { dataset, version, frameId, params, close } = props;
  const [help, setHelp] = useState(false);
  const [child, setChild] = useState(false);
  const [losing, setLosing] = useState<(() => void) | null>(null);
  const viewer = useMemo(
    () => new Viewer(version.dataset, version.id, frameId),
    [version.dataset, version.id, frameId],
  );
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
    () => writeAddress(viewer, page.frame(dataset, version.name, frameId), othersIn(params)),
    [viewer, dataset, version, frameId, params],
  );

  useEffect(() => coverOthers(), []);
  useEffect(() => listen((change) => void viewer.follow(change)), [viewer]);
  useGuard(() => viewer.isDirty);
  /** Do it once everything is saved; ask where that cannot be. */
  const saved = (what: () => void) => {
    if (!viewer.isDirty) return what();
    void viewer.store().then((ok) => (ok ? what() : setLosing(() => what)));
  };
  const leave = () => saved(close);
  const reload = () => saved(() => void viewer.open(paramsNow()));
  const sources = viewer.frame.value?.sources ?? [];
  const nextSource = () => {
    const at = sources.findIndex((s) => s.id === viewer.source.value?.id);
    chooseSource(viewer, sources[(at + 1) % sources.length]?.id ?? "");
  };
  const step = (by: number) => {
    const pts = viewer.video.value?.pts_ms;
    if (!pts?.length) return;
    viewer.played.value = null;
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
      <Top
        viewer={viewer}
        title={frameId}
        close={leave}
        reload={reload}
        help={() => setHelp(true)}
        like={props.like && (() => saved(() => props.like?.(frameId)))}
      />
      {viewer.frozen.value && viewer.info.value && (
        <ReadOnly version={version} viewer={viewer} makeChild={() => setChild(true)} />
      )}
      {viewer.save.value === "conflict" && <Conflict viewer={viewer} open={props.open} />}
      {viewer.gone.value && (
        <div class="banner bad" role="alert">
          Somebody else deleted this frame. What you see is what it was.
        </div>
      )}
      {viewer.error.value ? (
        <div class="viewer-error">
          <ErrorNote error={viewer.error.value} retry={() => void viewer.open(params)} />
        </div>
      ) : (
        <div class="viewer-body">
          <Tools viewer={viewer} tools={tools} />
          {viewer.all.value ? <SourceGrid viewer={viewer} /> : <Stage viewer={viewer} tools={tools} />}
          {viewer.played.value !== null && <Playback viewer={viewer} />}
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
      <Timeline viewer={viewer} frames={neighbours} open={(id) => saved(() => props.open(id))} />
      <KnownLabels viewer={viewer} />
      {help && <Help close={() => setHelp(false)} />}
      {losing && (
        <ConfirmDialog
          title="Lose the last changes?"
          action="Lose them"
          danger
          run={async () => {
            viewer.discard();
            losing();
          }}
          close={() => setLosing(null)}
        >
          <p>They could not be saved: {viewer.saveError.value}</p>
        </ConfirmDialog>
      )}
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

interface TopProps {
  viewer: Viewer;
  title: string;
  close: () => void;
  reload: () => void;
  help: () => void;
  like?: () => void;
}

function Top({ viewer, title, close, reload, help, like }: TopProps) {
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
      {viewer.source.value?.preview && (
        <label class="inline" title="The picture of the source itself, or the stand-in that the frame names for it">
          <input
            type="checkbox"
            checked={!viewer.preview.value}
            onChange={(e) => {
              viewer.preview.value = !e.currentTarget.checked;
              void viewer.seek(viewer.at.value);
            }}
          />
          source data
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
      <button type="button" class="zoom num" onClick={() => camera.actual()} title="Actual size (Z)">
        {compact(Math.round(camera.view.value.scale * 100))} %
      </button>
      <Button icon="plus" label="Zoom in (+)" kind="ghost" onClick={() => camera.zoom(1.25)} />
      <Button icon="fit" label="Fit (0)" kind="ghost" onClick={() => camera.fit()} />
      <span class="rule" />
      {like && <Button icon="similar" label="Find similar frames" kind="ghost" onClick={like} />}
      <Button icon="reload" label="Reload" kind="ghost" onClick={reload} />
      <Button
        icon="link"
        label="Copy address"
        kind="ghost"
        onClick={() => void copyText(location.href, "Address copied")}
      />
      <Button icon="help" label="Keys (?)" kind="ghost" class="viewer-keys" onClick={help} />
      <Button icon="close" label="Close (Esc)" kind="ghost" class="viewer-close" onClick={close} />
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

function Conflict({ viewer, open }: { viewer: Viewer; open: (frameId: string) => void }) {
  const copy = async () => {
    const made = await viewer.storeCopy();
    toast(`Saved as ${made}`);
    open(made);
  };
  return (
    <div class="banner bad" role="alert">
      <span>Somebody else changed this frame. Your changes are not saved yet.</span>
      <Button icon="reload" onClick={() => void viewer.open(paramsNow())}>
        Reload theirs
      </Button>
      <Button icon="copy" onClick={() => void attempt(copy)}>
        Save mine as a copy
      </Button>
      <Button kind="danger" onClick={() => void viewer.store(true)}>
        Save mine over it
      </Button>
    </div>
  );
}

function KnownLabels({ viewer }: { viewer: Viewer }) {
  return (
    <datalist id="known-labels">
      {[...viewer.known.value].sort().map((name) => (
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
