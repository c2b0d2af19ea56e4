import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { dataviews } from "../lib/api";
import { ago } from "../lib/format";
import { useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { Dataview } from "../lib/types";
import { page, query as queryText } from "../lib/url";
import { canEdit, useTitle } from "../ui/shell";
import { readTags, TagFilter, tagsFit, tagsOf } from "../ui/tags";
import { AskDialog, attempt, Button, ConfirmDialog, Empty, ErrorNote, Menu, SearchField, Spinner } from "../ui/widgets";

/** Saved views: which frames of which versions, in which order, as which classes. */
export default function DataviewsPage() {
  const location = useLocation();
  const { query, path } = location;
  const archived = query.archived === "1";
  const turn = useTurn((change) => change.kind.startsWith("view."));
  const list = useResource(() => dataviews.list(archived), [archived, turn]);
  const [making, setMaking] = useState(false);
  useTitle([{ text: "Dataviews" }]);
  const set = (patch: Record<string, string>) => location.route(path + queryText({ ...query, ...patch }), true);
  const words = (query.q ?? "").toLowerCase();
  const tags = readTags(query);
  const shown = (list.data ?? [])
    .filter((v) => `${v.name}\n${v.tags.join("\n")}`.toLowerCase().includes(words))
    .filter((v) => tagsFit(v.tags, tags));
  return (
    <main class="page">
      <div class="toolbar">
        <h1>Dataviews</h1>
        <span class="grow" />
        <SearchField value={query.q ?? ""} hint="Name or tag" label="Search dataviews" set={(q) => set({ q })} />
        <TagFilter all={tagsOf(list.data ?? [])} query={tags} set={set} />
        <label class="inline">
          <input
            type="checkbox"
            checked={archived}
            onChange={(e) => set({ archived: e.currentTarget.checked ? "1" : "" })}
          />{" "}
          archived
        </label>
        <Button kind="primary" icon="plus" disabled={!canEdit()} onClick={() => setMaking(true)}>
          New dataview
        </Button>
      </div>
      <ErrorNote error={list.error} retry={list.reload} />
      {list.loading && !list.data && <Spinner />}
      {list.data && !shown.length && (
        <Empty title="No dataviews">A view picks frames by filters and says which label becomes which class.</Empty>
      )}
      {shown.length > 0 && (
        <div class="table-scroll">
          <table class="table rows">
            <thead>
              <tr>
                <th class="wide">name</th>
                <th>status</th>
                <th class="num">versions</th>
                <th class="num">filters</th>
                <th>changed</th>
                <th>
                  <span class="offscreen">more</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((view) => (
                <Row key={view.id} view={view} reload={list.reload} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && (
        <AskDialog
          title="New dataview"
          label="Name"
          action="Create"
          run={async (name) => location.route(page.dataview((await dataviews.create({ name })).id))}
          close={() => setMaking(false)}
        />
      )}
    </main>
  );
}

const size = (value: unknown): number => (Array.isArray(value) ? value.length : 0);

function Row({ view, reload }: { view: Dataview; reload: () => void }) {
  const [asking, setAsking] = useState<"rename" | "delete" | null>(null);
  const done = () => {
    setAsking(null);
    reload();
  };
  const act = (what: "clone" | "publish" | "archive" | "restore") => async () => {
    if (await attempt(() => dataviews.act(view, what))) reload();
  };
  const frozen = view.status === "published";
  return (
    <tr>
      <td>
        <a href={page.dataview(view.id)}>{view.name}</a>{" "}
        {view.tags.map((t) => (
          <span key={t} class="chip tag">
            {t}
          </span>
        ))}
      </td>
      <td>
        <span class={`state ${view.status}`}>{view.status}</span>
      </td>
      <td class="num">{size(view.spec.versions)}</td>
      <td class="num">{size(view.spec.filters)}</td>
      <td class="muted">{ago(view.updated)}</td>
      <td>
        <Menu
          label={`More about ${view.name}`}
          items={[
            { text: "Rename…", disabled: !canEdit() || frozen, run: () => setAsking("rename") },
            { text: "Clone", icon: "copy", disabled: !canEdit(), run: () => void act("clone")() },
            { text: "Publish", disabled: !canEdit() || frozen, run: () => void act("publish")() },
            view.archived
              ? { text: "Restore", disabled: !canEdit(), run: () => void act("restore")() }
              : { text: "Archive", disabled: !canEdit(), run: () => void act("archive")() },
            { text: "Delete…", icon: "trash", danger: true, disabled: !canEdit(), run: () => setAsking("delete") },
          ]}
        />
        {asking === "rename" && (
          <AskDialog
            title="Rename"
            label="Name"
            initial={view.name}
            action="Rename"
            run={(name) => dataviews.change(view, { name })}
            close={done}
          />
        )}
        {asking === "delete" && (
          <ConfirmDialog title="Delete dataview" action="Delete" danger run={() => dataviews.remove(view)} close={done}>
            <p>
              <b>{view.name}</b> will be gone; the frames that it reads stay.
            </p>
          </ConfirmDialog>
        )}
      </td>
    </tr>
  );
}
