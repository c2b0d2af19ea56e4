/** What the HTTP API sends and takes. Frames are the wire format: see src/smalti/records.py. */

export interface Page<T> {
  items: T[];
  total?: number;
  next?: string | null;
}

export interface Me {
  name: string;
  role: "viewer" | "annotator" | "admin";
  via: string;
  can: string[];
}

export interface ApiKey {
  access_key: string;
  /** Only in the answer that makes the key. */
  secret_key?: string;
  user: string;
  note?: string;
  created?: string;
  revoked?: string | null;
}

export interface Project {
  name: string;
  datasets: number;
}

export interface Dataset {
  id: string;
  name: string;
  project: string | null;
  description: string;
  tags: string[];
  metadata: Record<string, unknown>;
  created: string;
  updated: string;
  versions: number;
  frames: number | null;
  annotated: number | null;
  top_labels: string[];
  /** The version that changed last. */
  head: string | null;
  etag: string;
}

export interface Version {
  id: string;
  dataset: string;
  dataset_name: string;
  name: string;
  state: string;
  parents: string[];
  description: string;
  tags: string[];
  created: string;
  updated: string;
  published: string | null;
  frames: number | null;
  depth: number;
  etag: string;
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
  query?: string;
  filters?: FilterRule[];
  sort?: string;
  group?: string | null;
  limit?: number;
  offset?: number;
  around?: string;
  cursor?: string;
}

export interface SourceHit {
  id: string;
  width: number | null;
  height: number | null;
  content_type: string | null;
  video: boolean;
  preview: boolean;
  timestamp: number;
  masks: string[];
}

export interface Hit {
  id: string;
  context_id: string;
  timestamp: number;
  etag: string;
  sources: SourceHit[];
  labels: string[];
  rois: number;
  /** With `group`: how many frames the first one stands for. */
  group?: number | null;
  /** Of a search for the nearest vectors. */
  score?: number;
}

export interface SearchPage {
  hits: Hit[];
  total: number;
  offset: number;
  next: string | null;
  state: string;
}

export interface Ids {
  ids: string[];
  total: number;
  offset: number;
}

/** Which mask a ROI speaks of, and by which rule that was told. */
export interface Binding {
  roi: number;
  source: string;
  mask: string;
  value: number[];
  labels: string[];
  rule: number;
}

export interface FrameOut {
  frame: Frame;
  etag: string;
  version: string;
  dataset: string;
  state: string;
  editable: boolean;
  bindings: Binding[];
  problems: string[];
}

export interface Completion {
  text: string;
  start: number;
  stop: number;
  kind: "field" | "label" | "value" | "operator";
}

export interface Parsed {
  ok: boolean;
  error?: string | null;
  /** Where the text cannot be read, counted from 0. */
  column?: number | null;
  completions: Completion[];
}

/** One mask of a source, before it is opened. */
export interface MaskInfo {
  id: string;
  kind: "labels" | "ids" | "alpha";
  content_type: string | null;
  width: number | null;
  height: number | null;
  timestamp: number;
  encoding: string | null;
  video: boolean;
  entries: number;
  labels: string[];
}

export interface LegendRow {
  index: number;
  /** The pixel value in the file: a colour, or a number. */
  value: number[] | number | null;
  labels: string[];
  color: [number, number, number];
  rois: number[];
  roi_ids: string[];
  pixels: number;
  box2d_xywh?: [number, number, number, number] | null;
}

/** A colour that no entry explains; `apart` is the largest difference to the nearest entry in any channel. */
export interface Unmapped {
  value: number[];
  pixels: number;
  nearest: number[] | null;
  apart: number | null;
}

export interface Legend {
  kind: "colors" | "indices" | "ids";
  width: number;
  height: number;
  dtype: string;
  entries: LegendRow[];
  void: number;
  unmapped: Unmapped[];
  /** How values became labels: exact, nearest or repair; `settled` counts the pixels of each step. */
  policy: string;
  settled: Record<string, number>;
  notes: string[];
  mode: string;
  codec: string;
  pts_ms: number | null;
}

export interface VideoInfo {
  width: number;
  height: number;
  codec: string;
  content_type: string;
  lossy: boolean;
  pictures: number;
  first_ms: number;
  last_ms: number;
  fps: number | null;
  pts_ms: number[];
  playable: boolean;
}

export interface StatisticsBody {
  scope: "roi" | "frame" | "mask";
  query?: string;
  filters?: FilterRule[];
  property?: string | null;
  mask?: string | null;
}

export interface StatisticsRow {
  label: string | number | boolean | null;
  count: number;
  share: number;
  frames: number;
  pixels?: number | null;
  mean_share?: number | null;
}

export interface Statistics {
  scope: string;
  frames: number;
  rois: number;
  masks: number;
  of: number;
  void: number;
  without_facts: number;
  rows: StatisticsRow[];
}

export interface DiffItem {
  id: string;
  kind: "added" | "removed" | "changed";
}

export interface VersionDiff {
  a: string;
  b: string;
  added: number;
  removed: number;
  changed: number;
  items: DiffItem[];
  next: string | null;
}

/** Pixels of a mask that went from one label to another; null = void. */
export interface MaskMove {
  source: string;
  mask: string;
  before: string | null;
  after: string | null;
  pixels: number;
}

export interface DiffFrame {
  id: string;
  changes: { kind: string; what: string; path: string; before?: unknown; after?: unknown }[];
  pixels: MaskMove[];
  failed: string[];
}

export interface Dataview {
  id: string;
  name: string;
  project: string | null;
  description: string;
  tags: string[];
  status: string;
  archived: boolean;
  spec: Record<string, unknown>;
  created: string;
  updated: string;
  etag: string;
}

export interface ViewPage {
  total: number;
  per_filter: number[];
  frames: { dataset: string; version: string; hit: Hit }[];
}

export interface Explained {
  text: string;
  void: number;
  tables: {
    dataset: string;
    version: string;
    mask: string;
    frames: number;
    rows: { value: number[] | number | null; labels: string[]; mapped: string[]; number: number }[];
  }[];
  notes: string[];
}

export interface Job {
  id: string;
  kind: string;
  state: string;
  progress: number;
  message: string;
  result: unknown;
}

export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  text?: string;
  column?: number;
  completions?: string[];
  known?: string[];
  report?: unknown;
  etag?: string;
}

/** A path below which frames carry a vector. */
export interface VectorField {
  field: string;
  dimensions: number;
  frames: number;
}

export interface NearestBody {
  frame?: string;
  field: string;
  k?: number;
  metric?: "cosine" | "l2_norm" | "dot_product";
  query?: string;
  filters?: FilterRule[];
}

export interface Nearest {
  hits: (Hit & { score: number })[];
  total: number;
  field: string;
  metric: string;
}
