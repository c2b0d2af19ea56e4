/** The parts of a view that the editor's forms know: src/smalti/viewspec.py. What they do not know is kept as it is. */
import type { FilterRule } from "./types";

export interface Spec {
  versions?: { dataset: string; version: string; merge_with?: string }[];
  filters?: (FilterRule & { weight?: number; dataset?: string; version?: string; name?: string })[];
  iteration?: {
    order?: "sequential" | "random";
    infinite?: boolean;
    limit?: number | null;
    random_seed?: number | null;
    min_sequence?: number | null;
  };
  mapping?: { rules: MapRule[] };
  labels_enumeration?: Record<string, number>;
  output_rois?: string;
  smalti?: { void?: number; queries?: (string | null)[]; [more: string]: unknown };
  [more: string]: unknown;
}

/** What of a view says which class a label becomes: the rest makes no difference to a picture of one frame. */
export function mappingOf({ mapping, labels_enumeration, smalti }: Spec): Spec | undefined {
  const { void: other, hidden, numbers } = smalti ?? {};
  if (!mapping?.rules.length && !Object.keys(labels_enumeration ?? {}).length && !numbers && !hidden) return undefined;
  return { mapping, labels_enumeration, smalti: { void: other, hidden, numbers } };
}

export interface MapRule {
  source: { labels: string[]; dataset?: string; version?: string };
  target: string;
}

/** The one-string queries of the filters lie in a list of their own: the wire's filter has no place for them. */
export function withQuery(spec: Spec, index: number, query: string): Spec {
  const filters = spec.filters ?? [];
  const queries = filters.map((_, i) => (i === index ? query || null : (spec.smalti?.queries?.[i] ?? null)));
  const ours: Spec["smalti"] = { ...spec.smalti, queries };
  if (!queries.some(Boolean)) delete ours.queries;
  const next: Spec = { ...spec, smalti: ours };
  if (!Object.keys(ours).length) delete next.smalti;
  return next;
}

export function withoutFilter(spec: Spec, index: number): Spec {
  const next: Spec = { ...spec, filters: (spec.filters ?? []).filter((_, i) => i !== index) };
  if (spec.smalti?.queries)
    next.smalti = { ...spec.smalti, queries: spec.smalti.queries.filter((_, i) => i !== index) };
  return next;
}

const python = (value: unknown): string =>
  JSON.stringify(value, null, 4)
    .replace(/\btrue\b/g, "True")
    .replace(/\bfalse\b/g, "False")
    .replace(/\bnull\b/g, "None");

/** The same view in Python. */
export function snippet(spec: Spec, name: string): string {
  return `import smalti as sm
from smalti.feed.torch import loader

spec = ${python(spec)}

view = sm.DataView.from_spec(spec)  # ${name.replaceAll("\n", " ")}
for image, mask in loader(view, batch_size=8):
    ...
`;
}
