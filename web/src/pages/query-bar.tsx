import { useEffect, useRef, useState } from "preact/hooks";
import { parseQuery } from "../lib/api";
import { say } from "../lib/http";
import type { Completion, Parsed, Version } from "../lib/types";
import { Icon } from "../ui/icons";

interface Props {
  version: Version | null;
  value: string;
  apply: (text: string) => void;
  mode?: "view" | "roi" | "frame" | "source";
  placeholder?: string;
  label?: string;
}

const WAIT_MS = 180;

/** A Lucene query as it is typed: checked by the server, a fault is marked at its place, names are completed. */
export function QueryBar({ version, value, apply, mode = "view", placeholder, label = "Query" }: Props) {
  const [text, setText] = useState(value);
  const [parsed, setParsed] = useState<Parsed | null>(null);
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (!text.trim() && !open) {
      setParsed(null);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const column = input.current?.selectionStart ?? text.length;
      parseQuery({ text, mode, column, version: version?.id ?? null }, stop.signal).then(
        (found) => {
          setParsed(found);
          setChosen(-1);
        },
        (error) => {
          if (!stop.signal.aborted) setParsed({ ok: false, error: say(error), column: null, completions: [] });
        },
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text, mode, version?.id, open]);
  const completions = open ? (parsed?.completions ?? []).slice(0, 12) : [];
  const take = (completion: Completion) => {
    const next = text.slice(0, completion.start) + completion.text + text.slice(completion.stop);
    setText(next);
    setParsed(null);
    requestAnimationFrame(() => {
      const at = completion.start + completion.text.length;
      input.current?.focus();
      input.current?.setSelectionRange(at, at);
    });
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const picked = completions[chosen];
    if (picked) return take(picked);
    setOpen(false);
    if (parsed === null || parsed.ok || !text.trim()) apply(text.trim());
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Escape") setOpen(false);
    if (!completions.length) return;
    if (event.key === "ArrowDown") setChosen((chosen + 1) % completions.length);
    else if (event.key === "ArrowUp") setChosen((chosen - 1 + completions.length) % completions.length);
    else return;
    event.preventDefault();
  };
  const fault = parsed && !parsed.ok && text.trim() ? parsed : null;
  return (
    <form class={fault ? "query bad" : "query"} onSubmit={submit}>
      <Icon name="search" />
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded={completions.length > 0}
        aria-controls="completions"
        aria-autocomplete="list"
        aria-invalid={Boolean(fault)}
        spellcheck={false}
        autocomplete="off"
        placeholder={placeholder ?? 'label:car AND meta.city:"Bremen" AND mask.car.share:[0.05 TO *]'}
        value={text}
        onInput={(e) => {
          setText(e.currentTarget.value);
          setOpen(true);
          if (!e.currentTarget.value) apply("");
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setTimeout(() => setOpen(false), 150)}
        onKeyDown={keys}
      />
      {(completions.length > 0 || (fault && open)) && (
        <div class="query-drop">
          {fault && (
            <p class="query-fault" role="alert">
              {fault.column != null && (
                <span class="mono fault-place">
                  {text.slice(0, fault.column)}
                  <mark>{text.slice(fault.column, fault.column + 1) || "␣"}</mark>
                  {text.slice(fault.column + 1)}
                </span>
              )}
              {fault.error?.split("\n")[0]}
            </p>
          )}
          <div id="completions" role="listbox" aria-label="Completions" class="options">
            {completions.map((c, i) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keys belong to the input, which keeps the focus
              <div
                key={`${c.kind} ${c.text}`}
                role="option"
                aria-selected={i === chosen}
                tabIndex={-1}
                class={i === chosen ? "on" : ""}
                onPointerDown={(e) => e.preventDefault()}
                onClick={() => take(c)}
              >
                <span class="mono">{c.text}</span> <span class="muted small">{c.kind}</span>
              </div>
            ))}
          </div>
        </div>
      )}
    </form>
  );
}
