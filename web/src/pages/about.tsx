import { useState } from "preact/hooks";
import { versions } from "../lib/api";
import { count } from "../lib/format";
import { ApiError, say } from "../lib/http";
import { useResource } from "../lib/resource";
import type { Version } from "../lib/types";
import { useGuard } from "../ui/guard";
import { canEdit } from "../ui/shell";
import { splitTags } from "../ui/tags";
import { Button, copyText, ErrorNote, Spinner, toast } from "../ui/widgets";

/** The version's own JSON: to read, and in a draft to edit. */
export function MetadataTab({ version }: { version: Version }) {
  const found = useResource(() => versions.metadata(version.id), [version.id, version.updated]);
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState("");
  useGuard(() => text !== null);
  if (found.error) return <ErrorNote error={found.error} retry={found.reload} />;
  if (!found.data) return <Spinner />;
  const shown = JSON.stringify(found.data.data, null, 2);
  const save = async () => {
    try {
      await versions.setMetadata(version.id, JSON.parse(text ?? ""), found.data!.etag);
      setText(null);
      setError("");
      found.reload();
      toast("Saved");
    } catch (thrown) {
      const conflict = thrown instanceof ApiError && thrown.status === 412;
      setError(conflict ? "Somebody else changed it. Copy your text, cancel, and edit again." : say(thrown));
    }
  };
  return (
    <div class="about">
      <div class="toolbar">
        {text === null ? (
          <Button disabled={!canEdit() || version.state === "published"} onClick={() => setText(shown)}>
            Edit
          </Button>
        ) : (
          <>
            <Button kind="primary" onClick={() => void save()}>
              Save
            </Button>
            <Button
              onClick={() => {
                setText(null);
                setError("");
              }}
            >
              Cancel
            </Button>
          </>
        )}
        <Button icon="copy" onClick={() => void copyText(shown)}>
          Copy
        </Button>
        {version.state === "published" && <span class="muted small">A published version stays as it is.</span>}
      </div>
      <ErrorNote error={error} />
      <textarea
        class="code"
        aria-label="Metadata of the version"
        readOnly={text === null}
        spellcheck={false}
        rows={24}
        value={text ?? shown}
        onInput={(e) => setText(e.currentTarget.value)}
      />
    </div>
  );
}

export function InfoTab({ version, reload }: { version: Version; reload: () => void }) {
  const [editing, setEditing] = useState(false);
  const [description, setDescription] = useState(version.description);
  const [tags, setTags] = useState(version.tags.join(", "));
  const [error, setError] = useState("");
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await versions.change(version, {
        description,
        tags: splitTags(tags),
      });
      setEditing(false);
      reload();
    } catch (thrown) {
      setError(say(thrown));
    }
  };
  const day = (text: string | null) => (text ? new Date(text).toLocaleString() : "–");
  const rows: [string, string][] = [
    ["id", version.id],
    ["state", version.state],
    ["frames", count(version.frames)],
    ["created", day(version.created)],
    ["changed", day(version.updated)],
    ["published", day(version.published)],
    ["parents", version.parents.join(", ") || "–"],
  ];
  return (
    <div class="about">
      <dl class="facts wide">
        {rows.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd class={name === "id" || name === "parents" ? "mono" : ""}>{value}</dd>
          </>
        ))}
      </dl>
      {editing ? (
        <form class="form" onSubmit={save}>
          <label class="field">
            <span>Description</span>
            <textarea rows={6} value={description} onInput={(e) => setDescription(e.currentTarget.value)} />
          </label>
          <label class="field">
            <span>Tags, separated by commas</span>
            <input value={tags} onInput={(e) => setTags(e.currentTarget.value)} />
          </label>
          <ErrorNote error={error} />
          <footer>
            <Button onClick={() => setEditing(false)}>Cancel</Button>
            <Button kind="primary" type="submit">
              Save
            </Button>
          </footer>
        </form>
      ) : (
        <>
          <h2>Description</h2>
          <p class={version.description ? "prose" : "muted"}>{version.description || "None."}</p>
          <div class="chips">
            {version.tags.map((t) => (
              <span key={t} class="chip tag">
                {t}
              </span>
            ))}
          </div>
          <Button disabled={!canEdit()} onClick={() => setEditing(true)}>
            Edit
          </Button>
        </>
      )}
    </div>
  );
}
