/** The filter drawer's rules, and what they become for the server. Filters are alternatives; inside one, all must hold. */
import type { FilterRule, LabelRule, SearchBody } from "./types";
import { packJson, unpackJson } from "./url";

export interface RoiRule {
  label: string;
  /** The text is Lucene over one ROI, not a label. */
  lucene?: boolean;
  exclude?: boolean;
  low?: number;
  high?: number;
}

export interface MaskRule {
  label: string;
  exclude?: boolean;
  /** Share of the mask in per cent. */
  low?: number;
  high?: number;
}

export interface Filter {
  rois: RoiRule[];
  masks: MaskRule[];
  frame?: string;
  source?: string;
}

export const emptyFilter = (): Filter => ({ rois: [], masks: [] });

/** A label as Lucene reads it: quoted, with quotes and backslashes escaped. */
export const quoteLucene = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

const bound = (value: number | undefined): string => (value === undefined ? "*" : String(value / 100));

/** One bracket: the label and its share belong to one mask. A mask without the label has a share of 0. */
export function maskQuery(rule: MaskRule): string {
  const name = quoteLucene(rule.label);
  const open = rule.low === undefined && rule.high === undefined;
  const share = open ? "" : ` AND mask.label(${name}).share:[${bound(rule.low)} TO ${bound(rule.high)}]`;
  const text = `(mask.labels:${name}${share})`;
  return rule.exclude ? `NOT ${text}` : text;
}

function labelRule(rule: RoiRule): LabelRule {
  const found: LabelRule = { label: rule.lucene ? rule.label : quoteLucene(rule.label) };
  if (rule.low !== undefined || rule.high !== undefined) found.conf_range = [rule.low ?? -1, rule.high ?? -1];
  if (rule.exclude) found.must_not = true;
  return found;
}

export function toRule(filter: Filter): FilterRule | null {
  const rois = filter.rois.filter((r) => r.label.trim());
  const masks = filter.masks.filter((r) => r.label.trim());
  const found: FilterRule = {};
  if (rois.length) found.label_rules = rois.map(labelRule);
  if (masks.length) found.query = masks.map(maskQuery).join(" AND ");
  if (filter.frame?.trim()) found.frame_query = filter.frame.trim();
  if (filter.source?.trim()) found.sources_query = filter.source.trim();
  return Object.keys(found).length ? found : null;
}

export const toRules = (filters: Filter[]): FilterRule[] =>
  filters.map(toRule).filter((r): r is FilterRule => r !== null);

export const writeFilters = (filters: Filter[]): string => (toRules(filters).length ? packJson(filters) : "");

export function readFilters(text: string | undefined): Filter[] {
  const found = unpackJson(text);
  if (!Array.isArray(found)) return [];
  return found
    .filter((f): f is Partial<Filter> => Boolean(f) && typeof f === "object")
    .map((f) => ({
      rois: Array.isArray(f.rois) ? f.rois.filter((r) => typeof r?.label === "string") : [],
      masks: Array.isArray(f.masks) ? f.masks.filter((r) => typeof r?.label === "string") : [],
      ...(typeof f.frame === "string" ? { frame: f.frame } : {}),
      ...(typeof f.source === "string" ? { source: f.source } : {}),
    }));
}

/** The search that a page's address asks for. */
export function searchOf(query: Record<string, string>): SearchBody {
  const found: SearchBody = {};
  if (query.q?.trim()) found.query = query.q.trim();
  const filters = toRules(readFilters(query.f));
  if (filters.length) found.filters = filters;
  if (query.sort) found.sort = query.sort;
  if (query.group) found.group = query.group;
  return found;
}
