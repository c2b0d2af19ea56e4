import { signal } from "@preact/signals";
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { say } from "../lib/http";
import { Icon, type IconName } from "./icons";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon" | "label"> & {
  icon?: IconName;
  label?: string;
  kind?: "plain" | "primary" | "danger" | "ghost";
  pressed?: boolean;
};

/** A button with an icon, a label, or both; one without a visible label says it to assistive technology. */
export function Button({ icon, label, kind = "plain", pressed, children, class: extra, ...rest }: ButtonProps) {
  const bare = icon && !children;
  return (
    <button
      type="button"
      class={`button ${kind} ${bare ? "bare" : ""} ${extra ?? ""}`}
      aria-label={bare ? label : undefined}
      title={label}
      aria-pressed={pressed}
      {...rest}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function Spinner({ what = "Loading" }: { what?: string }) {
  return (
    <div class="spinner" role="status">
      <span class="spinner-ring" aria-hidden="true" />
      {what}…
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children && <div class="muted">{children}</div>}
    </div>
  );
}

export function ErrorNote({ error, retry }: { error: string; retry?: () => void }) {
  if (!error) return null;
  return (
    <div class="note error" role="alert">
      <Icon name="warn" />
      <span>{error}</span>
      {retry && (
        <Button kind="ghost" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

// --- short messages --------------------------------------------------------------------------------------------

const toasts = signal<{ id: number; text: string; bad: boolean }[]>([]);
let toastNumber = 0;

export function toast(text: string, bad = false): void {
  const id = ++toastNumber;
  toasts.value = [...toasts.value, { id, text, bad }];
  setTimeout(
    () => {
      toasts.value = toasts.value.filter((t) => t.id !== id);
    },
    bad ? 8000 : 3500,
  );
}

/** Do something and say so; a refusal is shown in the server's words. */
export async function attempt(what: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await what();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(say(error), true);
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((t) => (
        <div key={t.id} class={t.bad ? "toast bad" : "toast"}>
          {t.text}
        </div>
      ))}
    </div>
  );
}

// --- dialogs ---------------------------------------------------------------------------------------------------

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, close, children, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onClose={close}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button icon="close" label="Close" kind="ghost" onClick={close} />
      </header>
      {children}
    </dialog>
  );
}

interface AskProps {
  title: string;
  label: string;
  initial?: string;
  action: string;
  note?: ComponentChildren;
  run: (text: string) => Promise<unknown>;
  close: () => void;
}

/** One line of text, and what is done with it. */
export function AskDialog({ title, label, initial = "", action, note, run, close }: AskProps) {
  const [text, setText] = useState(initial);
  const [error, setError] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await run(text.trim());
      close();
    } catch (thrown) {
      setError(say(thrown));
    }
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={submit} class="form">
        {note && <p class="muted">{note}</p>}
        <label class="field">
          <span>{label}</span>
          <input value={text} onInput={(e) => setText(e.currentTarget.value)} autofocus required />
        </label>
        <ErrorNote error={error} />
        <footer>
          <Button onClick={close}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!text.trim()}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

interface ConfirmProps {
  title: string;
  action: string;
  danger?: boolean;
  children?: ComponentChildren;
  run: () => Promise<unknown>;
  close: () => void;
}

export function ConfirmDialog({ title, action, danger, children, run, close }: ConfirmProps) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      await run();
      close();
    } catch (thrown) {
      setError(say(thrown));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <div class="form">
        {children}
        <ErrorNote error={error} />
        <footer>
          <Button onClick={close}>Cancel</Button>
          <Button kind={danger ? "danger" : "primary"} onClick={go} disabled={busy}>
            {action}
          </Button>
        </footer>
      </div>
    </Dialog>
  );
}

/** One line that narrows a list down. */
export function SearchField(props: { value: string; hint: string; label: string; set: (words: string) => void }) {
  return (
    <label class="search">
      <Icon name="search" />
      <input
        type="search"
        placeholder={props.hint}
        aria-label={props.label}
        value={props.value}
        onInput={(e) => props.set(e.currentTarget.value)}
      />
    </label>
  );
}

// --- menus -----------------------------------------------------------------------------------------------------

export interface MenuItem {
  text: string;
  run: () => void;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
}

/** Something that opens below its button, and closes on Escape or a press elsewhere. */
export function useOutside(open: boolean, close: () => void): RefObject<HTMLDivElement | null> {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!host.current?.contains(event.target as Node)) close();
    };
    const onEscape = (event: KeyboardEvent) => {
      if (event.key === "Escape") close();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", onEscape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", onEscape);
    };
  }, [open]);
  return host;
}

export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const [open, setOpen] = useState(false);
  const host = useOutside(open, () => setOpen(false));
  useEffect(() => {
    if (open) host.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
  }, [open]);
  return (
    <div class="menu" ref={host}>
      <Button
        icon="more"
        label={label}
        kind="ghost"
        aria-expanded={open}
        aria-haspopup="menu"
        onClick={() => setOpen(!open)}
      />
      {open && (
        <div role="menu" class="menu-list" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.text}
              type="button"
              role="menuitem"
              class={item.danger ? "danger" : ""}
              disabled={item.disabled}
              onClick={() => {
                setOpen(false);
                item.run();
              }}
            >
              {item.icon && <Icon name={item.icon} />}
              {item.text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

// --- tabs ------------------------------------------------------------------------------------------------------

export function Tabs<T extends string>(props: {
  tabs: [T, string][];
  now: T;
  choose: (tab: T) => void;
  label: string;
}) {
  return (
    <div class="tabs" role="tablist" aria-label={props.label}>
      {props.tabs.map(([key, text]) => (
        <button
          key={key}
          type="button"
          role="tab"
          aria-selected={props.now === key}
          class={props.now === key ? "tab on" : "tab"}
          onClick={() => props.choose(key)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

/** Text to the clipboard; where the page is no secure context, the old way. */
export async function copyText(text: string, what = "Copied"): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(what);
}

export function saveFile(name: string, text: string, type = "text/csv"): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
