import { useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { datasets, projects } from "../lib/api";
import { ago, compact, count, plural } from "../lib/format";
import { SLOWLY_MS, useTurn } from "../lib/live";
import { useResource } from "../lib/resource";
import type { Dataset, Project } from "../lib/types";
import { page, query as queryText } from "../lib/url";
import { canAdmin, canEdit, useTitle } from "../ui/shell";
import { readTags, splitTags, TagFilter, tagsFit, tagsOf } from "../ui/tags";
import {
  AskDialog,
  Button,
  ConfirmDialog,
  copyText,
  Empty,
  ErrorNote,
  Menu,
  SearchField,
  Spinner,
  Tabs,
} from "../ui/widgets";

const NO_PROJECT = "no project";
const projectName = (name: string): string => name || NO_PROJECT;

function matches(dataset: Dataset, words: string): boolean {
  const where = [dataset.name, dataset.project, dataset.description, ...dataset.tags, ...dataset.top_labels]
    .join("\n")
    .toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => where.includes(word));
}

export default function DatasetsPage() {
  const { params } = useRoute();
  const location = useLocation();
  const { query, path } = location;
  const project = params.project;
  const turn = useTurn((change) => Boolean(change.dataset), SLOWLY_MS);
  const list = useResource(() => datasets.list(), [turn]);
  const groups = useResource(() => projects.list(), [turn]);
  const [making, setMaking] = useState(false);
  useTitle([{ text: "Datasets", href: page.datasets() }, ...(project ? [{ text: project }] : [])]);
  const set = (patch: Record<string, string>) => location.route(path + queryText({ ...query, ...patch }), true);
  const view = project ? "list" : query.view === "project" ? "project" : "list";
  const tags = readTags(query);
  const shown = (list.data ?? [])
    .filter((d) => !project || projectName(d.project ?? "") === project)
    .filter((d) => matches(d, query.q ?? ""))
    .filter((d) => tagsFit(d.tags, tags))
    .sort((a, b) => (query.sort === "name" ? a.name.localeCompare(b.name) : b.updated.localeCompare(a.updated)));
  return (
    <main class="page">
      <div class="toolbar">
        <h1>{project ?? "Datasets"}</h1>
        {!project && (
          <Tabs
            label="Show"
            tabs={[
              ["list", "List"],
              ["project", "Projects"],
            ]}
            now={view}
            choose={(v) => set({ view: v === "list" ? "" : v })}
          />
        )}
        <span class="grow" />
        <SearchField value={query.q ?? ""} hint="Name, tag or label" label="Search datasets" set={(q) => set({ q })} />
        <TagFilter all={tagsOf(list.data ?? [])} query={tags} set={set} />
        <select aria-label="Sort" value={query.sort ?? ""} onChange={(e) => set({ sort: e.currentTarget.value })}>
          <option value="">recent first</option>
          <option value="name">by name</option>
        </select>
        <Button kind="primary" icon="plus" disabled={!canEdit()} onClick={() => setMaking(true)}>
          New dataset
        </Button>
      </div>
      <ErrorNote error={list.error} retry={list.reload} />
      {list.loading && !list.data && <Spinner what="Reading datasets" />}
      {view === "project" ? (
        <ProjectCards list={groups.data ?? []} all={list.data ?? []} />
      ) : (
        <div class="cards">
          {shown.map((d) => (
            <DatasetCard key={d.id} dataset={d} reload={list.reload} />
          ))}
        </div>
      )}
      {list.data && !shown.length && view === "list" && (
        <Empty title={list.data.length ? "Nothing fits" : "No datasets yet"}>
          {list.data.length ? "Search for something else." : "Make one here, or with smalti.open(…).create_dataset(…)."}
        </Empty>
      )}
      {making && (
        <AskDialog
          title="New dataset"
          label="Name"
          action="Create"
          note="It begins with an empty draft, v1."
          run={async (name) => {
            const made = await datasets.create({
              name,
              project: project && project !== NO_PROJECT ? project : null,
              version: "v1",
            });
            location.route(page.dataset(made.name));
          }}
          close={() => setMaking(false)}
        />
      )}
    </main>
  );
}

function ProjectCards({ list, all }: { list: Project[]; all: Dataset[] }) {
  return (
    <div class="cards">
      {list.map((p) => {
        const inside = all.filter((d) => (d.project ?? "") === p.name);
        return (
          <article key={p.name} class="card">
            <h2>
              <a class="cover" href={page.project(projectName(p.name))}>
                {projectName(p.name)}
              </a>
            </h2>
            <p class="muted">{plural(p.datasets, "dataset")}</p>
            <dl class="numbers">
              <Figure name="frames" value={inside.reduce((n, d) => n + (d.frames ?? 0), 0)} />
            </dl>
          </article>
        );
      })}
    </div>
  );
}

function Figure({ name, value }: { name: string; value: number | null }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={count(value)}>{compact(value)}</dd>
    </div>
  );
}

type Asking = "rename" | "tags" | "move" | "delete" | null;

function DatasetCard({ dataset, reload }: { dataset: Dataset; reload: () => void }) {
  const [asking, setAsking] = useState<Asking>(null);
  const close = () => {
    setAsking(null);
    reload();
  };
  const texts = {
    rename: ["Rename dataset", "Name", dataset.name, (name: string) => datasets.change(dataset, { name })],
    tags: [
      "Tags",
      "Tags, separated by commas",
      dataset.tags.join(", "),
      (text: string) =>
        datasets.change(dataset, {
          tags: splitTags(text),
        }),
    ],
    move: [
      "Move to a project",
      "Project",
      dataset.project ?? "",
      (project: string) => datasets.change(dataset, { project }),
    ],
  } as const;
  return (
    <article class="card dataset">
      <div class="card-head">
        <h2 class="ellipsis">
          <a class="cover" href={page.dataset(dataset.name)} title={dataset.name}>
            {dataset.name}
          </a>
        </h2>
        <Menu
          label={`More about ${dataset.name}`}
          items={[
            { text: "Copy id", icon: "copy", run: () => void copyText(dataset.id, "Id copied") },
            { text: "Rename…", disabled: !canEdit(), run: () => setAsking("rename") },
            { text: "Tags…", disabled: !canEdit(), run: () => setAsking("tags") },
            { text: "Move…", disabled: !canEdit(), run: () => setAsking("move") },
            { text: "Delete…", icon: "trash", danger: true, disabled: !canAdmin(), run: () => setAsking("delete") },
          ]}
        />
      </div>
      <p class="muted small ellipsis">
        {dataset.project && `${dataset.project} · `}updated {ago(dataset.updated)}
      </p>
      {dataset.description && <p class="clamp">{dataset.description}</p>}
      <dl class="numbers">
        <Figure name="versions" value={dataset.versions} />
        <Figure name="frames" value={dataset.frames} />
        <Figure name="annotated" value={dataset.annotated} />
      </dl>
      <div class="chips">
        {dataset.top_labels.slice(0, 6).map((label) => (
          <span key={label} class="chip">
            {label}
          </span>
        ))}
        {dataset.top_labels.length > 6 && <span class="chip">+{dataset.top_labels.length - 6}</span>}
        {dataset.tags.map((t) => (
          <span key={t} class="chip tag">
            {t}
          </span>
        ))}
      </div>
      {asking && asking !== "delete" && (
        <AskDialog
          title={texts[asking][0]}
          label={texts[asking][1]}
          initial={texts[asking][2]}
          action="Save"
          run={texts[asking][3]}
          close={close}
        />
      )}
      {asking === "delete" && (
        <ConfirmDialog
          title="Delete dataset"
          action="Delete"
          danger
          run={() => datasets.remove(dataset, true)}
          close={close}
        >
          <p>
            <b>{dataset.name}</b> with {plural(dataset.versions, "version")} will be gone. Files that its frames name by
            URI stay where they are.
          </p>
        </ConfirmDialog>
      )}
    </article>
  );
}
