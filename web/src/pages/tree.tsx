import { useState } from "preact/hooks";
import { versions as api, datasets } from "../lib/api";
import { ago, plural } from "../lib/format";
import { ApiError, say } from "../lib/http";
import type { Dataset, Version } from "../lib/types";
import { page } from "../lib/url";
import { Icon } from "../ui/icons";
import { canAdmin, canEdit } from "../ui/shell";
import { readTags, TagFilter, type TagQuery, tagsFit, tagsOf } from "../ui/tags";
import { AskDialog, Button, ConfirmDialog, copyText, Dialog, ErrorNote, Menu, SearchField } from "../ui/widgets";

interface TreeProps {
  dataset: Dataset;
  versions: Version[];
  now: Version | undefined;
  open: (version: Version) => void;
  reload: () => void;
}

/** The versions of a dataset, as the tree that they are or as a list by date. */
export function VersionTree({ dataset, versions, now, open, reload }: TreeProps) {
  const [words, setWords] = useState("");
  const [flat, setFlat] = useState(false);
  const [making, setMaking] = useState(false);
  /** On a narrow screen only the open version is listed, until somebody asks for all. */
  const [every, setEvery] = useState(false);
  const [state, setState] = useState("");
  const [tags, setTags] = useState<TagQuery>({ tags: [], match: "any" });
  const shown = versions
    .filter((v) => v.name.toLowerCase().includes(words.toLowerCase()))
    .filter((v) => !state || v.state === state)
    .filter((v) => tagsFit(v.tags, tags));
  const list = flat ? [...shown].sort((a, b) => b.updated.localeCompare(a.updated)) : shown;
  return (
    <aside class={every ? "tree every" : "tree"} aria-label="Versions">
      <header>
        <h2>
          Versions <span class="muted">{versions.length}</span>
        </h2>
        <span class="grow" />
        {versions.length > 1 && (
          <Button
            class="only-narrow"
            icon={every ? "up" : "down"}
            label={every ? "Only the open version" : "All versions"}
            kind="ghost"
            aria-expanded={every}
            onClick={() => setEvery(!every)}
          />
        )}
        <Button
          icon={flat ? "tree" : "list"}
          label={flat ? "As a tree" : "As a list"}
          kind="ghost"
          onClick={() => setFlat(!flat)}
        />
        <Button
          icon="plus"
          label="New empty version"
          kind="ghost"
          disabled={!canEdit()}
          onClick={() => setMaking(true)}
        />
      </header>
      {versions.length > 6 && <SearchField value={words} hint="Search" label="Search versions" set={setWords} />}
      {versions.length > 2 && (
        <div class="line tree-filter">
          <select aria-label="State" value={state} onChange={(e) => setState(e.currentTarget.value)}>
            <option value="">every state</option>
            <option value="draft">drafts</option>
            <option value="published">published</option>
          </select>
          <TagFilter all={tagsOf(versions)} query={tags} set={(next) => setTags(readTags(next))} />
        </div>
      )}
      <ul>
        {list.map((v) => (
          <TreeRow
            key={v.id}
            dataset={dataset}
            version={v}
            others={versions}
            depth={flat ? 0 : v.depth}
            on={v.id === now?.id}
            open={open}
            reload={reload}
          />
        ))}
      </ul>
      {making && (
        <AskDialog
          title="New version"
          label="Name"
          action="Create"
          note="An empty draft. To go on from a published version, open that one."
          run={async (name) => {
            const made = await datasets.createVersion(dataset.id, { name });
            reload();
            open(made);
          }}
          close={() => setMaking(false)}
        />
      )}
    </aside>
  );
}

interface RowProps {
  dataset: Dataset;
  version: Version;
  others: Version[];
  depth: number;
  on: boolean;
  open: (version: Version) => void;
  reload: () => void;
}

function TreeRow({ dataset, version, others, depth, on, open, reload }: RowProps) {
  const [asking, setAsking] = useState<"rename" | "publish" | "child" | "delete" | "compare" | null>(null);
  const draft = version.state === "draft";
  const done = () => {
    setAsking(null);
    reload();
  };
  const parent = others.find((v) => v.id === version.parents[0]);
  return (
    <li class={on ? "on" : ""} style={{ paddingInlineStart: `${depth * 14 + 6}px` }}>
      {depth > 0 && <Icon name="branch" size={12} />}
      <a href={page.version(dataset.name, version.name)} aria-current={on ? "true" : undefined}>
        <span class="ellipsis">{version.name}</span>
        <span class="muted small">
          {plural(version.frames ?? 0, "frame")} · {ago(version.updated)}
          {version.tags.length > 0 && ` · ${version.tags.join(", ")}`}
        </span>
      </a>
      {draft && <span class="state draft">draft</span>}
      <Menu
        label={`More about ${version.name}`}
        items={[
          { text: "Copy id", icon: "copy", run: () => void copyText(version.id, "Id copied") },
          ...(parent
            ? [{ text: `Compare with ${parent.name}`, run: () => location.assign(page.compare(parent.id, version.id)) }]
            : []),
          { text: "Compare with…", disabled: others.length < 2, run: () => setAsking("compare") },
          { text: "Rename…", disabled: !canEdit(), run: () => setAsking("rename") },
          ...(draft
            ? [{ text: "Publish…", disabled: !canAdmin(), run: () => setAsking("publish") }]
            : [{ text: "New child…", disabled: !canEdit(), run: () => setAsking("child") }]),
          { text: "Delete…", icon: "trash", danger: true, disabled: !canAdmin(), run: () => setAsking("delete") },
        ]}
      />
      {asking === "rename" && (
        <AskDialog
          title="Rename version"
          label="Name"
          initial={version.name}
          action="Rename"
          run={async (name) => {
            const changed = await api.change(version, { name });
            if (on) open(changed);
          }}
          close={done}
        />
      )}
      {asking === "child" && <ChildDialog version={version} open={open} close={done} />}
      {asking === "publish" && <PublishDialog version={version} close={done} />}
      {asking === "delete" && (
        <ConfirmDialog
          title="Delete version"
          action="Delete"
          danger
          run={() => api.remove(version, !draft)}
          close={done}
        >
          <p>
            <b>{version.name}</b> with {plural(version.frames ?? 0, "frame")} will be gone.
          </p>
        </ConfirmDialog>
      )}
      {asking === "compare" && <CompareDialog version={version} others={others} close={() => setAsking(null)} />}
    </li>
  );
}

interface ChildProps {
  version: Version;
  open: (made: Version) => void;
  close: () => void;
}

/** A draft to change what is published. */
export function ChildDialog({ version, open, close }: ChildProps) {
  return (
    <AskDialog
      title="New version"
      label="Name"
      action="Create"
      note={`A draft that starts as ${version.name} is. ${version.name} stays as it is.`}
      run={async (name) => open(await api.child(version.id, name))}
      close={close}
    />
  );
}

function CompareDialog({ version, others, close }: { version: Version; others: Version[]; close: () => void }) {
  const rest = others.filter((v) => v.id !== version.id);
  const [other, setOther] = useState(rest[0]?.id ?? "");
  return (
    <Dialog title={`Compare ${version.name}`} close={close}>
      <div class="form">
        <label class="field">
          <span>with</span>
          <select value={other} onChange={(e) => setOther(e.currentTarget.value)}>
            {rest.map((v) => (
              <option key={v.id} value={v.id}>
                {v.name}
              </option>
            ))}
          </select>
        </label>
        <footer>
          <Button onClick={close}>Cancel</Button>
          <a class="button primary" href={page.compare(other, version.id)}>
            Compare
          </a>
        </footer>
      </div>
    </Dialog>
  );
}

/** Publishing freezes a version for good; masks can be checked first, and errors then refuse it. */
export function PublishDialog({ version, close }: { version: Version; close: () => void }) {
  const [check, setCheck] = useState(false);
  const [error, setError] = useState("");
  const [refused, setRefused] = useState(false);
  const [busy, setBusy] = useState(false);
  const go = async (force: boolean) => {
    setBusy(true);
    setError("");
    try {
      await api.publish(version, { check: check || force, force });
      close();
    } catch (thrown) {
      setError(say(thrown));
      setRefused(thrown instanceof ApiError && Boolean(thrown.problem.report));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Publish ${version.name}`} close={close}>
      <div class="form">
        <p>A published version stays as it is for good. Changes go on in a child.</p>
        <label class="inline">
          <input type="checkbox" checked={check} onChange={(e) => setCheck(e.currentTarget.checked)} />
          Check the masks first
        </label>
        <ErrorNote error={error} />
        <footer>
          <Button onClick={close}>Cancel</Button>
          {refused && (
            <Button kind="danger" disabled={busy} onClick={() => void go(true)}>
              Publish in spite of errors
            </Button>
          )}
          <Button kind="primary" disabled={busy} onClick={() => void go(false)}>
            {busy ? "Publishing…" : "Publish"}
          </Button>
        </footer>
      </div>
    </Dialog>
  );
}
