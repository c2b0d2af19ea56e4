import { useEffect, useState } from "preact/hooks";
import { emptyFilter, type Filter, type MaskRule, type RoiRule } from "../lib/filters";
import type { Version } from "../lib/types";
import { Button } from "../ui/widgets";
import { QueryBar } from "./query-bar";

interface Props {
  version: Version | null;
  filters: Filter[];
  apply: (filters: Filter[]) => void;
  close: () => void;
}

/** Filters as forms. A frame is shown where any of them fits; inside one, everything must hold. */
export function FilterDrawer({ version, filters, apply, close }: Props) {
  const [list, setList] = useState<Filter[]>(() => (filters.length ? filters : [emptyFilter()]));
  const key = JSON.stringify(filters);
  // Compared by what they say
  useEffect(() => {
    if (filters.length) setList(filters);
  }, [key]);
  const change = (i: number, next: Filter) => setList(list.map((f, at) => (at === i ? next : f)));
  return (
    <aside class="drawer" aria-label="Filters">
      <header>
        <h2>Filters</h2>
        <span class="grow" />
        <Button icon="close" label="Close filters" kind="ghost" onClick={close} />
      </header>
      {list.map((filter, i) => (
        <div key={i}>
          {i > 0 && <div class="or">or</div>}
          <OneFilter
            number={i + 1}
            filter={filter}
            version={version}
            change={(next) => change(i, next)}
            remove={list.length > 1 ? () => setList(list.filter((_, at) => at !== i)) : undefined}
          />
        </div>
      ))}
      <footer>
        <Button icon="plus" kind="ghost" onClick={() => setList([...list, emptyFilter()])}>
          Or…
        </Button>
        <span class="grow" />
        <Button
          onClick={() => {
            setList([emptyFilter()]);
            apply([]);
          }}
        >
          Clear
        </Button>
        <Button kind="primary" onClick={() => apply(list)}>
          Apply
        </Button>
      </footer>
    </aside>
  );
}

interface OneProps {
  number: number;
  filter: Filter;
  version: Version | null;
  change: (next: Filter) => void;
  remove?: () => void;
}

function OneFilter({ number, filter, version, change, remove }: OneProps) {
  const roi = (i: number, next: RoiRule | null) =>
    change({
      ...filter,
      rois: next ? filter.rois.map((r, at) => (at === i ? next : r)) : filter.rois.filter((_, at) => at !== i),
    });
  const mask = (i: number, next: MaskRule | null) =>
    change({
      ...filter,
      masks: next ? filter.masks.map((r, at) => (at === i ? next : r)) : filter.masks.filter((_, at) => at !== i),
    });
  return (
    <fieldset class="filter">
      <legend>Frame filter {number}</legend>
      {remove && <Button class="remove" icon="close" label={`Remove filter ${number}`} kind="ghost" onClick={remove} />}
      {filter.rois.map((rule, i) => (
        <RoiForm key={i} rule={rule} change={(next) => roi(i, next)} />
      ))}
      {filter.masks.map((rule, i) => (
        <MaskForm key={i} rule={rule} change={(next) => mask(i, next)} />
      ))}
      {filter.frame !== undefined && (
        <div class="rule-box">
          <span class="muted small">Frame</span>
          <QueryBar
            version={version}
            mode="frame"
            label="Frame rule"
            placeholder='meta.city:"Bremen"'
            value={filter.frame}
            apply={(frame) => change({ ...filter, frame })}
          />
        </div>
      )}
      {filter.source !== undefined && (
        <div class="rule-box">
          <span class="muted small">Source</span>
          <QueryBar
            version={version}
            mode="source"
            label="Source rule"
            placeholder="width:[1024 TO *]"
            value={filter.source}
            apply={(source) => change({ ...filter, source })}
          />
        </div>
      )}
      <div class="adders">
        <Button icon="plus" kind="ghost" onClick={() => change({ ...filter, rois: [...filter.rois, { label: "" }] })}>
          ROI
        </Button>
        <Button icon="plus" kind="ghost" onClick={() => change({ ...filter, masks: [...filter.masks, { label: "" }] })}>
          Mask
        </Button>
        {filter.frame === undefined && (
          <Button icon="plus" kind="ghost" onClick={() => change({ ...filter, frame: "" })}>
            Frame
          </Button>
        )}
        {filter.source === undefined && (
          <Button icon="plus" kind="ghost" onClick={() => change({ ...filter, source: "" })}>
            Source
          </Button>
        )}
      </div>
    </fieldset>
  );
}

function Sides({ exclude, change }: { exclude: boolean; change: (exclude: boolean) => void }) {
  return (
    <select
      aria-label="Include or exclude"
      value={exclude ? "not" : ""}
      onChange={(e) => change(e.currentTarget.value === "not")}
    >
      <option value="">with</option>
      <option value="not">without</option>
    </select>
  );
}

function Range(props: {
  low?: number;
  high?: number;
  most: number;
  step: number;
  what: string;
  change: (low?: number, high?: number) => void;
}) {
  const { low, high, most, step, what, change } = props;
  const read = (text: string): number | undefined =>
    text === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
  return (
    <span class="range-pair">
      <span class="muted small">{what}</span>
      <input
        type="number"
        min="0"
        max={most}
        step={step}
        placeholder="min"
        aria-label={`${what}, at least`}
        value={low ?? ""}
        onInput={(e) => change(read(e.currentTarget.value), high)}
      />
      <input
        type="number"
        min="0"
        max={most}
        step={step}
        placeholder="max"
        aria-label={`${what}, at most`}
        value={high ?? ""}
        onInput={(e) => change(low, read(e.currentTarget.value))}
      />
    </span>
  );
}

function RoiForm({ rule, change }: { rule: RoiRule; change: (next: RoiRule | null) => void }) {
  return (
    <div class="rule-box" data-rule="roi">
      <div class="rule-line">
        <Sides exclude={Boolean(rule.exclude)} change={(exclude) => change({ ...rule, exclude })} />
        <input
          aria-label={rule.lucene ? "ROI query" : "ROI label"}
          class={rule.lucene ? "mono" : ""}
          placeholder={rule.lucene ? "label:car AND confidence:[0.5 TO *]" : "label of a ROI"}
          value={rule.label}
          onInput={(e) => change({ ...rule, label: e.currentTarget.value })}
        />
        <Button
          kind="ghost"
          pressed={Boolean(rule.lucene)}
          label="Write it as Lucene"
          onClick={() => change({ ...rule, lucene: !rule.lucene })}
        >
          {"</>"}
        </Button>
        <Button icon="close" label="Remove rule" kind="ghost" onClick={() => change(null)} />
      </div>
      <Range
        what="confidence"
        most={1}
        step={0.05}
        low={rule.low}
        high={rule.high}
        change={(low, high) => change({ ...rule, low, high })}
      />
    </div>
  );
}

function MaskForm({ rule, change }: { rule: MaskRule; change: (next: MaskRule | null) => void }) {
  return (
    <div class="rule-box" data-rule="mask">
      <div class="rule-line">
        <Sides exclude={Boolean(rule.exclude)} change={(exclude) => change({ ...rule, exclude })} />
        <input
          aria-label="Mask label"
          placeholder="label in a mask"
          value={rule.label}
          onInput={(e) => change({ ...rule, label: e.currentTarget.value })}
        />
        <Button icon="close" label="Remove rule" kind="ghost" onClick={() => change(null)} />
      </div>
      <Range
        what="area, %"
        most={100}
        step={0.1}
        low={rule.low}
        high={rule.high}
        change={(low, high) => change({ ...rule, low, high })}
      />
    </div>
  );
}
