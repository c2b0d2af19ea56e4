/** The right side of the viewer: masks with their labels, objects, frame labels, details. */
import { useState } from "preact/hooks";
import { count, fromHex, hex, percent } from "../lib/format";
import { Icon } from "../ui/icons";
import { Button } from "../ui/widgets";
import type { LabelRow, MaskLayer } from "./masks";
import type { Viewer } from "./state";

export function MasksPanel({ viewer }: { viewer: Viewer }) {
  const layers = viewer.layers.value;
  const set = (visible: boolean) => {
    for (const layer of layers) layer.visible.value = visible;
  };
  return (
    <section class="panel" aria-label="Masks">
      <header>
        <h3>Masks</h3>
        {layers.length > 0 && (
          <span class="panel-tools">
            <label class="inline" title="Outlines around labels (O)">
              <span class="muted">outline</span>
              <select
                value={String(viewer.outline.value)}
                onChange={(e) => {
                  viewer.outline.value = Number(e.currentTarget.value);
                }}
              >
                <option value="0">off</option>
                <option value="1">1 px</option>
                <option value="2">2 px</option>
                <option value="4">4 px</option>
              </select>
            </label>
            <Button kind="ghost" onClick={() => set(true)}>
              Show all
            </Button>
            <Button kind="ghost" onClick={() => set(false)}>
              Hide all
            </Button>
          </span>
        )}
      </header>
      {viewer.under.id.value && <RowsSwitch viewer={viewer} />}
      {viewer.masksError.value && <p class="note error">{viewer.masksError.value}</p>}
      {!layers.length && !viewer.masksError.value && <p class="muted pad">This source has no masks.</p>}
      {layers.map((layer) => (
        <MaskBlock key={layer.info.id} viewer={viewer} layer={layer} />
      ))}
    </section>
  );
}

/** Whether rows are labels or what the data view makes of them. */
function RowsSwitch({ viewer }: { viewer: Viewer }) {
  const { shown, name, error } = viewer.under;
  const classes = `classes of ${name.value || "the view"}`;
  const choose = (byClass: boolean) => {
    shown.value = byClass;
  };
  return (
    <>
      <div class="switch" role="group" aria-label="Rows of masks">
        <Choose text="labels" on={!shown.value} choose={() => choose(false)} />
        <Choose text={classes} on={shown.value} choose={() => choose(true)} />
      </div>
      {error.value && <p class="note error">{error.value}</p>}
    </>
  );
}

function Choose({ text, on, choose }: { text: string; on: boolean; choose: () => void }) {
  return (
    <button type="button" class="ellipsis" aria-pressed={on} title={text} onClick={choose}>
      {text}
    </button>
  );
}

function MaskBlock({ viewer, layer }: { viewer: Viewer; layer: MaskLayer }) {
  const { visible, opacity, mode, status } = layer;
  const alpha = mode.value === "alpha";
  return (
    <div class={visible.value ? "mask-block" : "mask-block off"} data-mask={layer.info.id}>
      <div class="mask-head">
        <Button
          icon={visible.value ? "eye" : "eyeOff"}
          label={`${visible.value ? "Hide" : "Show"} mask ${layer.info.id}`}
          kind="ghost"
          pressed={visible.value}
          onClick={() => {
            visible.value = !visible.value;
          }}
        />
        <b class="mono ellipsis" title={layer.info.id}>
          {layer.info.id}
        </b>
        <select
          aria-label={`Mode of mask ${layer.info.id}`}
          value={mode.value}
          onChange={(e) => void viewer.setMode(layer, e.currentTarget.value as "pixel" | "alpha")}
        >
          <option value="pixel">pixel</option>
          <option value="alpha">alpha</option>
        </select>
        {alpha && (
          <input
            type="color"
            aria-label={`Tint of mask ${layer.info.id}`}
            value={hex(layer.tint.value)}
            onInput={(e) => {
              layer.tint.value = fromHex(e.currentTarget.value);
            }}
          />
        )}
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          aria-label={`Opacity of mask ${layer.info.id}`}
          value={opacity.value}
          onInput={(e) => {
            opacity.value = Number(e.currentTarget.value);
          }}
        />
      </div>
      {status.value === "loading" && <p class="muted pad">reading…</p>}
      {status.value === "error" && <p class="note error">{layer.error.value}</p>}
      {status.value === "ready" && !alpha && viewer.under.shown.value && layer.classesError.value && (
        <p class="note error">{layer.classesError.value} Shown by its labels.</p>
      )}
      {status.value === "ready" && !alpha && visible.value && <Labels viewer={viewer} layer={layer} />}
      {status.value === "ready" && visible.value && <HowRead layer={layer} />}
    </div>
  );
}

function Labels({ viewer, layer }: { viewer: Viewer; layer: MaskLayer }) {
  const [every, setEvery] = useState(false);
  const rows = layer.rows.value;
  const byClass = layer.isByClass.value;
  const what = byClass ? "classes" : "labels";
  const total = layer.data.value ? layer.data.value.data.length : 1;
  // Void last: it is what is left over
  const present = rows
    .filter((row) => row.pixels > 0)
    .sort((a, b) => Number(b.starts) - Number(a.starts) || b.pixels - a.pixels);
  const absent = rows.filter((row) => row.pixels === 0);
  const shown = every ? [...present, ...absent] : present;
  return (
    <>
      <ul class="labels" aria-label={`${byClass ? "Classes" : "Labels"} of mask ${layer.info.id}`}>
        {shown.slice(0, 400).map((row) => (
          <LabelChip
            key={row.indices[0] ?? row.key}
            viewer={viewer}
            layer={layer}
            row={row}
            share={row.pixels / total}
          />
        ))}
      </ul>
      {absent.length > 0 && (
        <button type="button" class="link small" onClick={() => setEvery(!every)}>
          {every ? `Only ${what} in this mask` : `${absent.length} more ${byClass ? "classes" : "in the legend"}`}
        </button>
      )}
    </>
  );
}

function LabelChip({ viewer, layer, row, share }: { viewer: Viewer; layer: MaskLayer; row: LabelRow; share: number }) {
  const choice = layer.choice.value;
  const on = choice.shows(row);
  const solo = choice.solo.value === row.key;
  const byClass = layer.isByClass.value;
  const alone = () => {
    choice.solo.value = solo ? null : row.key;
  };
  return (
    <li
      class={on ? "label-row" : "label-row off"}
      data-index={byClass ? undefined : row.indices[0]}
      data-class={byClass ? (row.number ?? row.name) : undefined}
    >
      <input
        type="color"
        value={hex(row.color)}
        aria-label={`Colour of ${row.name}`}
        onInput={(e) => {
          const color = fromHex(e.currentTarget.value);
          if (row.named.length) viewer.colors.choose(row.named, color);
          else choice.paint(row.key, color);
        }}
        onChange={() => void viewer.colors.save()}
      />
      <button
        type="button"
        class="label-name"
        aria-pressed={on}
        title="Click hides, Alt+click shows this one alone"
        onClick={(e) => {
          if (e.altKey) alone();
          else choice.toggle(row.key);
        }}
        onPointerEnter={() => {
          layer.focus.value = row.key;
        }}
        onPointerLeave={() => {
          layer.focus.value = null;
        }}
      >
        {row.number !== null && <span class="num class-number">{row.number}</span>}
        <span class="row-text">
          <span class="ellipsis">{row.name}</span>
          {row.merged.some((name) => name !== row.name) && <Merged names={row.merged} />}
        </span>
        <span class="muted num" title={`${count(row.pixels)} px`}>
          {percent(share)}
        </span>
      </button>
      <Button
        icon="select"
        label={solo ? `Show all ${byClass ? "classes" : "labels"} again` : `Show only ${row.name}`}
        kind="ghost"
        class="solo"
        pressed={solo}
        onClick={alone}
      />
    </li>
  );
}

const MOST_NAMES = 40;

/** The labels that became a class, where they are many only the first. */
function Merged({ names }: { names: string[] }) {
  const text =
    names.slice(0, MOST_NAMES).join(" · ") + (names.length > MOST_NAMES ? ` · +${names.length - MOST_NAMES}` : "");
  return (
    <small class="merged muted" title={text}>
      {text}
    </small>
  );
}

/** How stored values became labels, and what could not. */
function HowRead({ layer }: { layer: MaskLayer }) {
  const legend = layer.legend.value;
  if (!legend) return null;
  const total = legend.width * legend.height || 1;
  const settled = Object.entries(legend.settled).filter(([, n]) => n > 0);
  return (
    <div class="how">
      <div class="chips">
        <span class="chip" title="How pixel values became labels">
          {legend.policy}
        </span>
        {legend.kind !== "colors" && <span class="chip">{legend.kind}</span>}
        {legend.codec && <span class="chip">{legend.codec}</span>}
        {legend.policy !== "exact" &&
          settled.map(([step, n]) => (
            <span key={step} class="chip" title={`${count(n)} px`}>
              {step} {percent(n / total)}
            </span>
          ))}
      </div>
      {layer.strange.value > 0 && (
        <div class="strange">
          <label class="inline">
            <input
              type="checkbox"
              checked={layer.showStrange.value}
              onChange={(e) => {
                layer.showStrange.value = e.currentTarget.checked;
              }}
            />
            <Icon name="warn" />
            {count(layer.strange.value)} px unmapped ({percent(layer.strange.value / total)})
          </label>
          <ul class="strangers">
            {legend.unmapped.slice(0, 8).map((u) => (
              <li key={u.value.join()}>
                <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
                  <rect width="10" height="10" rx="2" fill={hex(u.value)} stroke="currentColor" />
                </svg>
                <code>{u.value.join(",")}</code> <span class="muted">(unmapped) {count(u.pixels)} px</span>
                {u.nearest && (
                  <span class="muted">
                    {" "}
                    · nearest {u.nearest.join(",")}, {u.apart} apart
                  </span>
                )}
              </li>
            ))}
          </ul>
        </div>
      )}
      {legend.notes.map((note) => (
        <p key={note} class="muted small">
          {note}
        </p>
      ))}
    </div>
  );
}
