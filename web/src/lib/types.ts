/** What the HTTP API sends and takes. Frames are the wire format: see src/smalti/records.py. */

export interface Page<T> {
  items: T[];
  total?: number;
  cursor?: string | null;
}

export interface Me {
  user: string | null;
  role: "viewer" | "annotator" | "admin";
  /** False where the server asks for no login at all. */
  auth: boolean;
}

export interface ApiKey {
  access_key: string;
  /** Only in the answer that makes the key. */
  secret_key?: string;
  label?: string | null;
  created_at?: string | null;
  last_used_at?: string | null;
}

export interface Project {
  id: string;
  name: string;
  description?: string;
  datasets?: number;
}

export interface Dataset {
  id: string;
  name: string;
  project?: string | null;
  description?: string;
  tags: string[];
  metadata?: Record<string, unknown>;
  created_at?: string | null;
  updated_at?: string | null;
  created_by?: string | null;
  versions: number;
  frames: number;
  annotated?: number;
  masks?: number;
  classes?: number;
  top_labels?: string[];
}

export interface Version {
  id: string;
  name: string;
  dataset: string;
  state: "draft" | "published" | string;
  parents: string[];
  depth?: number;
  frames: number;
  description?: string;
  tags?: string[];
  metadata?: Record<string, unknown>;
  created_at?: string | null;
  updated_at?: string | null;
  published_at?: string | null;
  created_by?: string | null;
}

export interface RoiMask {
  id?: string;
  value: number[];
}

export interface Roi {
  id?: string;
  label?: string[];
  labels?: string[];
  poly?: number[];
  mask?: RoiMask;
  confidence?: number;
  sources?: string[];
  meta?: Record<string, unknown>;
  [more: string]: unknown;
}

export interface MaskRecord {
  id: string;
  uri: string;
  content_type?: string;
  width?: number;
  height?: number;
  timestamp?: number;
  encoding?: string;
}

export interface Source {
  id: string;
  uri: string;
  content_type?: string;
  width?: number;
  height?: number;
  timestamp?: number;
  preview?: { uri: string; content_type?: string };
  masks?: MaskRecord[];
  meta?: Record<string, unknown>;
}

export interface Frame {
  id: string;
  context_id?: string;
  timestamp?: number;
  sources: Source[];
  rois?: Roi[];
  meta?: Record<string, unknown>;
  [more: string]: unknown;
}

/** The rules of a filter: src/smalti/query/rules.py. Filters are alternatives, what is inside one must all hold. */
export interface LabelRule {
  label: string;
  count_range?: [number, number];
  conf_range?: [number, number];
  must_not?: boolean;
}

export interface FilterRule {
  filter_by_roi?: "label_rules" | "no_rois" | "disabled";
  label_rules?: LabelRule[];
  frame_query?: string;
  sources_query?: string;
  query?: string;
}

export interface SearchBody {
  filters?: FilterRule[];
  query?: string;
  sort?: string;
  cursor?: string;
  limit?: number;
}

export interface SearchPage {
  hits: Frame[];
  total: number;
  cursor?: string | null;
}

export interface ParseAnswer {
  ok: boolean;
  message?: string;
  /** Where the text cannot be read, counted from 0. */
  column?: number;
  completions?: string[];
}

/** One mask of a source, as the viewer may show it. */
export interface MaskInfo {
  id: string;
  mode: "pixel" | "alpha";
  width?: number | null;
  height?: number | null;
  dtype?: string | null;
  encoding?: string | null;
  uri?: string;
  error?: string | null;
}

export interface LegendEntry {
  index: number;
  /** The pixel value in the file: a colour, or a number. */
  value: number[] | number | string | null;
  labels: string[];
  color: [number, number, number];
  rois?: string[];
  pixels?: number;
}

export interface Stranger {
  value: number[] | number;
  pixels: number;
  nearest?: { index?: number; labels?: string[]; distance?: number } | null;
}

export interface LegendAnswer {
  entries: LegendEntry[];
  unmapped?: Stranger[];
  /** Pixels that no entry of the legend explains. */
  void?: number;
  /** How values became labels: exact, nearest, repair. */
  policy?: string;
  shares?: Record<string, number>;
  codec?: string | null;
  kind?: string;
}

export interface VideoInfo {
  pts_ms: number[];
  fps?: number | null;
  duration_ms?: number | null;
  width?: number;
  height?: number;
}

export interface CountRow {
  label: string;
  count: number;
  frames?: number;
  pixels?: number;
  share?: number;
  color?: [number, number, number] | null;
}

export interface StatisticsBody {
  scope: "roi" | "frame" | "mask";
  property?: string;
  filters?: FilterRule[];
  query?: string;
  mask?: string;
}

export interface Statistics {
  rows: CountRow[];
  totals?: Record<string, number>;
}

export interface DiffFrame {
  id: string;
  kind: "added" | "removed" | "changed";
  parts?: string[];
}

export interface VersionDiff {
  added: number;
  removed: number;
  changed: number;
  frames: DiffFrame[];
  labels?: { label: string; before: number; after: number }[];
}

export interface Finding {
  code: string;
  severity?: string;
  message: string;
  frame?: string | null;
  mask?: string | null;
  fix?: string | null;
}

export interface Dataview {
  id: string;
  name: string;
  description?: string;
  tags?: string[];
  state?: string;
  archived?: boolean;
  updated_at?: string | null;
  created_by?: string | null;
  spec: Record<string, unknown>;
}

export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  [more: string]: unknown;
}
