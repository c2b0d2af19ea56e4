import { useState } from "preact/hooks";
import type { Spec } from "../lib/viewspec";
import { Button } from "../ui/widgets";

interface PartProps {
  spec: Spec;
  set: (spec: Spec) => void;
  frozen: boolean;
}

/** Which label is called what, and which number it becomes. All rules look at the labels as they are stored. */
export function MappingForm({ spec, set, frozen }: PartProps) {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [label, setLabel] = useState("");
  const rules = spec.mapping?.rules ?? [];
  const numbers = Object.entries(spec.labels_enumeration ?? {});
  const setRules = (next: typeof rules) => {
    const { mapping: _, ...rest } = spec;
    set(next.length ? { ...rest, mapping: { rules: next } } : rest);
  };
  const setNumbers = (next: [string, number][]) => {
    const { labels_enumeration: _, ...rest } = spec;
    set(next.length ? { ...rest, labels_enumeration: Object.fromEntries(next) } : rest);
  };
  return (
    <fieldset class="part" disabled={frozen}>
      <legend>Labels and classes</legend>
      {rules.map((rule, i) => (
        <div class="line" key={i}>
          <span class="chip">{rule.source.labels.join(" + ")}</span> → <span class="chip">{rule.target}</span>
          <span class="grow" />
          <Button
            icon="close"
            label="Remove mapping"
            kind="ghost"
            onClick={() => setRules(rules.filter((_, at) => at !== i))}
          />
        </div>
      ))}
      <form
        class="line"
        onSubmit={(e) => {
          e.preventDefault();
          const labels = from
            .split("+")
            .map((l) => l.trim())
            .filter(Boolean);
          if (!labels.length || !to.trim()) return;
          setRules([...rules, { source: { labels }, target: to.trim() }]);
          setFrom("");
          setTo("");
        }}
      >
        <input
          placeholder="label (or a + b)"
          aria-label="Label to map"
          value={from}
          onInput={(e) => setFrom(e.currentTarget.value)}
        />
        →
        <input
          placeholder="is called"
          aria-label="New label"
          value={to}
          onInput={(e) => setTo(e.currentTarget.value)}
        />
        <Button icon="plus" label="Add mapping" kind="ghost" type="submit" />
      </form>
      {numbers.map(([name, number]) => (
        <div class="line" key={name}>
          <span class="chip">{name}</span>
          <span class="grow" />
          <input
            class="short"
            type="number"
            step="1"
            aria-label={`Class of ${name}`}
            value={number}
            onChange={(e) =>
              setNumbers(numbers.map(([n, v]) => [n, n === name ? Math.trunc(Number(e.currentTarget.value)) : v]))
            }
          />
          <Button
            icon="close"
            label={`Remove class of ${name}`}
            kind="ghost"
            onClick={() => setNumbers(numbers.filter(([n]) => n !== name))}
          />
        </div>
      ))}
      <form
        class="line"
        onSubmit={(e) => {
          e.preventDefault();
          const name = label.trim();
          if (!name || numbers.some(([n]) => n === name)) return;
          setNumbers([...numbers, [name, numbers.reduce((most, [, n]) => Math.max(most, n), -1) + 1]]);
          setLabel("");
        }}
      >
        <input
          placeholder="label that gets a class number"
          aria-label="Label with a class"
          value={label}
          onInput={(e) => setLabel(e.currentTarget.value)}
        />
        <Button icon="plus" label="Add class" kind="ghost" type="submit" />
      </form>
      <label class="line">
        <span class="muted small">everything else is</span>
        <input
          class="short"
          type="number"
          step="1"
          aria-label="Void class"
          placeholder={numbers.length ? "-1" : "255"}
          value={spec.smalti?.void ?? ""}
          onChange={(e) => {
            const { void: _, ...rest } = spec.smalti ?? {};
            const text = e.currentTarget.value;
            set({ ...spec, smalti: text === "" ? rest : { ...rest, void: Math.trunc(Number(text)) } });
          }}
        />
      </label>
    </fieldset>
  );
}

const NUMBERS: ["random_seed" | "limit" | "min_sequence", string, string, number | undefined][] = [
  ["random_seed", "seed", "1337", undefined],
  ["limit", "at most", "all frames", 0],
  ["min_sequence", "clip length, ms", "single frames", 0],
];

export function IterationForm({ spec, set, frozen }: PartProps) {
  const now = spec.iteration ?? {};
  const change = (patch: NonNullable<Spec["iteration"]>) => {
    const next = Object.fromEntries(
      Object.entries({ ...now, ...patch }).filter(([, v]) => v !== null && v !== undefined),
    );
    set({ ...spec, iteration: next });
  };
  return (
    <fieldset class="part" disabled={frozen}>
      <legend>Order</legend>
      <div class="form-grid">
        <label class="field">
          <span>order</span>
          <select
            value={now.order ?? "sequential"}
            onChange={(e) => change({ order: e.currentTarget.value as "sequential" | "random" })}
          >
            <option value="sequential">by context and time</option>
            <option value="random">random</option>
          </select>
        </label>
        {NUMBERS.map(([key, name, hint, least]) => (
          <label key={key} class="field">
            <span>{name}</span>
            <input
              type="number"
              min={least}
              placeholder={hint}
              value={now[key] ?? ""}
              onChange={(e) => change({ [key]: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) })}
            />
          </label>
        ))}
        <label class="inline">
          <input
            type="checkbox"
            checked={Boolean(now.infinite)}
            onChange={(e) => change({ infinite: e.currentTarget.checked })}
          />{" "}
          start again at the end
        </label>
      </div>
    </fieldset>
  );
}
