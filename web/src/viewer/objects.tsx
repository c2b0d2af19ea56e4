/** ROIs as a list of rows: what a canvas cannot say to a screen reader is said here. */
import { useState } from "preact/hooks";
import { basename, colorOf, hex } from "../lib/format";
import type { Roi } from "../lib/types";
import { Button, copyText } from "../ui/widgets";
import { MetaDialog } from "./meta";
import { bounds, kindOf, labelsOf } from "./shapes";
import type { Viewer } from "./state";

export function ObjectsPanel({ viewer }: { viewer: Viewer }) {
  const rois = viewer.history.now.value.rois;
  const shown = viewer.shown.value.filter(([, roi]) => !["mask", "frame"].includes(kindOf(roi)));
  const least = viewer.minConfidence.value;
  const frozen = viewer.frozen.value;
  return (
    <section class="panel" aria-label="Objects">
      <header>
        <h3>Objects</h3>
        <span class="muted">{shown.length}</span>
        <span class="panel-tools">
          <Button
            icon={viewer.showShapes.value ? "eye" : "eyeOff"}
            label="Show shapes"
            kind="ghost"
            pressed={viewer.showShapes.value}
            onClick={() => {
              viewer.showShapes.value = !viewer.showShapes.value;
            }}
          />
          <Button icon="copy" label="Copy all" kind="ghost" onClick={() => viewer.copy(shown.map(([, roi]) => roi))} />
          <Button kind="ghost" disabled={frozen} onClick={() => viewer.paste()}>
            Paste
          </Button>
        </span>
      </header>
      <label class="inline pad">
        <span class="muted">min. confidence</span>
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          aria-label="Minimum confidence"
          value={least}
          onInput={(e) => {
            viewer.minConfidence.value = Number(e.currentTarget.value);
          }}
        />
        <span class="num">{least.toFixed(2)}</span>
      </label>
      {!shown.length && <p class="muted pad">{rois.length ? "Nothing is shown on this source." : "No shapes yet."}</p>}
      <ul class="objects">
        {shown.map(([index, roi]) => (
          <ObjectRow key={index} viewer={viewer} index={index} roi={roi} />
        ))}
      </ul>
    </section>
  );
}

function toggled(set: ReadonlySet<number>, index: number): ReadonlySet<number> {
  const next = new Set(set);
  if (!next.delete(index)) next.add(index);
  return next;
}

function ObjectRow({ viewer, index, roi }: { viewer: Viewer; index: number; roi: Roi }) {
  const [meta, setMeta] = useState(false);
  const chosen = viewer.selected.value === index;
  const hidden = viewer.hiddenRois.value.has(index);
  const locked = viewer.locked.value.has(index);
  const frozen = viewer.frozen.value || locked;
  const name = labelsOf(roi).join(", ") || "no label";
  const made = viewer.classOf(roi);
  const change = (what: string, next: Roi) => viewer.changeRoi(what, index, next);
  return (
    <li class={`object ${chosen ? "chosen" : ""} ${hidden ? "off" : ""}`} data-object={index}>
      <div class="object-head">
        <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
          <rect width="10" height="10" rx="2" fill={hex(viewer.colorOfRoi(roi))} />
        </svg>
        <button
          type="button"
          class="object-name ellipsis"
          aria-pressed={chosen}
          onClick={() => {
            viewer.selected.value = chosen ? null : index;
          }}
        >
          {name}
        </button>
        {made && (
          <span class="chip" title={`Its class under ${viewer.under.name.value}`}>
            {viewer.under.textOf(made)}
          </span>
        )}
        <span class="muted small">{kindOf(roi)}</span>
        {roi.confidence != null && <span class="num small">{roi.confidence.toFixed(2)}</span>}
        {(roi.sources?.length ?? 0) > 1 && <span class="chip">multi source</span>}
        <Button
          icon={hidden ? "eyeOff" : "eye"}
          label={`${hidden ? "Show" : "Hide"} ${name}`}
          kind="ghost"
          onClick={() => {
            viewer.hiddenRois.value = toggled(viewer.hiddenRois.value, index);
          }}
        />
      </div>
      {chosen && (
        <div class="object-body">
          <LabelEditor
            labels={labelsOf(roi)}
            frozen={frozen}
            change={(labels) => change("labels", { ...roi, label: labels, labels: undefined })}
          />
          <div class="object-tools">
            <label class="inline">
              <span class="muted">confidence</span>
              <input
                class="short"
                type="number"
                min="0"
                max="1"
                step="0.01"
                disabled={frozen}
                value={roi.confidence ?? ""}
                onChange={(e) => {
                  const value = e.currentTarget.value;
                  const confidence = value === "" ? undefined : Math.min(1, Math.max(0, Number(value)));
                  change("confidence", { ...roi, confidence });
                }}
              />
            </label>
            <span class="muted mono small">
              {bounds(roi)
                ?.map((n) => Math.round(n))
                .join(", ")}
            </span>
          </div>
          <div class="object-tools">
            <Button kind="ghost" onClick={() => setMeta(true)}>
              Metadata
            </Button>
            <Button icon="copy" label="Copy" kind="ghost" onClick={() => viewer.copy([roi])} />
            <Button
              icon={locked ? "lock" : "unlock"}
              label={locked ? "Unlock" : "Lock"}
              kind="ghost"
              pressed={locked}
              onClick={() => {
                viewer.locked.value = toggled(viewer.locked.value, index);
              }}
            />
            <Button
              icon="trash"
              label="Delete"
              kind="ghost"
              disabled={frozen}
              onClick={() => viewer.deleteRoi(index)}
            />
          </div>
        </div>
      )}
      {meta && (
        <MetaDialog
          title={`Metadata of ${name}`}
          value={roi.meta ?? {}}
          frozen={frozen}
          save={(value) => change("metadata", { ...roi, meta: value })}
          close={() => setMeta(false)}
        />
      )}
    </li>
  );
}

export function LabelEditor(props: { labels: string[]; frozen: boolean; change: (labels: string[]) => void }) {
  const [text, setText] = useState("");
  const { labels, frozen, change } = props;
  const add = () => {
    const name = text.trim();
    if (name && !labels.includes(name)) change([...labels, name]);
    setText("");
  };
  return (
    <div class="chips">
      {labels.map((label) => (
        <span key={label} class="chip">
          <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
            <rect width="10" height="10" rx="2" fill={hex(colorOf(label))} />
          </svg>
          {label}
          {!frozen && (
            <button
              type="button"
              aria-label={`Remove label ${label}`}
              onClick={() => change(labels.filter((l) => l !== label))}
            >
              ×
            </button>
          )}
        </span>
      ))}
      {!frozen && (
        <input
          class="chip-input"
          placeholder="+ label"
          aria-label="Add label"
          list="known-labels"
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter") {
              e.preventDefault();
              add();
            }
          }}
          onBlur={add}
        />
      )}
    </div>
  );
}

/** Labels of the frame as a whole: ROIs without a shape. */
export function FrameLabels({ viewer }: { viewer: Viewer }) {
  const rois = viewer.history.now.value.rois;
  const whole = rois.map((roi, i): [Roi, number] => [roi, i]).filter(([roi]) => kindOf(roi) === "frame");
  const labels = whole.flatMap(([roi]) => labelsOf(roi));
  const change = (next: string[]) => {
    const kept = rois.filter((roi) => kindOf(roi) !== "frame");
    const before = new Map(whole.flatMap(([roi]) => labelsOf(roi).map((l): [string, Roi] => [l, roi])));
    const made = next.map((label): Roi => {
      const old = before.get(label);
      return old && labelsOf(old).length === 1 ? old : { label: [label], meta: { _type: "im" } };
    });
    viewer.change("frame labels", { rois: [...kept, ...made] });
  };
  return (
    <section class="panel" aria-label="Frame labels">
      <header>
        <h3>Frame labels</h3>
      </header>
      <div class="pad">
        <LabelEditor labels={labels} frozen={viewer.frozen.value} change={change} />
        {!labels.length && viewer.frozen.value && <span class="muted">None.</span>}
      </div>
    </section>
  );
}

/** What is known of the file and the frame. */
export function DetailsPanel({ viewer }: { viewer: Viewer }) {
  const [json, setJson] = useState(false);
  const [meta, setMeta] = useState(false);
  const frame = viewer.frame.value;
  const source = viewer.source.value;
  if (!frame || !source) return null;
  const { width, height } = viewer.camera.image.value;
  const metadata = viewer.history.now.value.meta;
  return (
    <section class="panel" aria-label="Frame">
      <header>
        <h3 class="ellipsis" title={source.uri}>
          {basename(source.uri)}
        </h3>
        <span class="panel-tools">
          <Button icon="copy" label="Copy URI" kind="ghost" onClick={() => void copyText(source.uri, "URI copied")} />
          <Button kind="ghost" onClick={() => setJson(true)}>
            JSON
          </Button>
        </span>
      </header>
      <dl class="facts">
        <dt>size</dt>
        <dd>
          {width} × {height}
        </dd>
        <dt>type</dt>
        <dd>{source.content_type ?? "–"}</dd>
        <dt>context</dt>
        <dd class="ellipsis" title={frame.context_id ?? undefined}>
          {frame.context_id ?? "–"}
        </dd>
      </dl>
      <div class="meta-line">
        <h4>Metadata</h4>
        <Button kind="ghost" onClick={() => setMeta(true)}>
          {viewer.frozen.value ? "Show" : "Edit"}
        </Button>
      </div>
      <dl class="facts">
        {Object.entries(metadata)
          .slice(0, 12)
          .map(([key, value]) => (
            <>
              <dt>{key}</dt>
              <dd class="ellipsis">{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
            </>
          ))}
      </dl>
      {viewer.info.value?.problems.map((text) => (
        <p key={text} class="note error">
          {text}
        </p>
      ))}
      {json && (
        <MetaDialog
          title={`Frame ${frame.id}`}
          value={{ ...frame, rois: viewer.history.now.value.rois, meta: metadata }}
          frozen
          close={() => setJson(false)}
        />
      )}
      {meta && (
        <MetaDialog
          title="Frame metadata"
          value={metadata}
          frozen={viewer.frozen.value}
          save={(value) => viewer.change("metadata", { meta: value })}
          close={() => setMeta(false)}
        />
      )}
    </section>
  );
}
