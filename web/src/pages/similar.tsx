import { frames } from "../lib/api";
import { count } from "../lib/format";
import { useResource } from "../lib/resource";
import type { NearestBody, VectorField, Version } from "../lib/types";
import { Button } from "../ui/widgets";
import type { Similar } from "./frame-source";

const METRICS: [NonNullable<NearestBody["metric"]>, string][] = [
  ["cosine", "by angle (cosine)"],
  ["l2_norm", "by distance (L2)"],
  ["dot_product", "by dot product"],
];

/** The vectors that frames of a version carry; none where nobody computed any. */
export function useVectorFields(version: Version): VectorField[] {
  return useResource(() => frames.vectorFields(version.id), [version.id, version.updated]).data ?? [];
}

/** What the address asks for: like = a frame, vec = the field, metric. */
export function similarOf(query: Record<string, string>, fields: VectorField[]): Similar | null {
  const field = query.vec || fields[0]?.field;
  if (!query.like || !field) return null;
  return { frame: query.like, field, metric: METRICS.find(([key]) => key === query.metric)?.[0] ?? "cosine" };
}

interface Props {
  similar: Similar;
  fields: VectorField[];
  set: (patch: Record<string, string>) => void;
}

/** Whose neighbours are shown, by which vector; the query and the filters still hold. */
export function SimilarBar({ similar, fields, set }: Props) {
  return (
    <div class="toolbar similar" role="note">
      <span class="ellipsis">
        Most like <b class="mono">{similar.frame}</b>, nearest first
      </span>
      <select aria-label="Vector" value={similar.field} onChange={(e) => set({ vec: e.currentTarget.value })}>
        {fields.map((f) => (
          <option key={f.field} value={f.field}>
            {f.field} ({count(f.dimensions)})
          </option>
        ))}
      </select>
      <select aria-label="Metric" value={similar.metric} onChange={(e) => set({ metric: e.currentTarget.value })}>
        {METRICS.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
      <span class="grow" />
      <Button icon="close" onClick={() => set({ like: "", vec: "", metric: "" })}>
        All frames
      </Button>
    </div>
  );
}
