/** Made by scripts/make_api_types.py from the server's description of its API. Do not edit. */

export interface AuditOut {
  dataset: string | null;
  detail: Record<string, unknown>;
  version: string | null;
  what: string;
  when: string;
  who: string;
}

export interface AuditPage {
  items: AuditOut[];
  next: string | null;
  total: number;
}

export interface Binding {
  labels: string[];
  mask: string;
  roi: number;
  rule: number;
  source: string;
  value: number[];
}

export interface ChangeOut {
  after: unknown;
  before: unknown;
  kind: string;
  path: string;
  what: string;
}

export interface Child {
  description?: string;
  name: string;
}

export interface ClassRow {
  color: [number, number, number] | null;
  entries: number[];
  labels: string[];
  name: string;
  number: number;
  pixels: number;
}

export interface ClassesOut {
  entries: EntryClass[];
  mask: string;
  name: string;
  numbered: boolean;
  rows: ClassRow[];
  source: string;
  view: string;
  void: number;
}

export interface Completion {
  kind: "field" | "label" | "value" | "operator";
  start: number;
  stop: number;
  text: string;
}

export interface DatasetChange {
  description?: string;
  metadata?: Record<string, unknown>;
  name?: string;
  project?: string | null;
  tags?: string[];
}

export interface DatasetOut {
  annotated: number | null;
  created: string;
  declared: Record<string, string>;
  description: string;
  etag: string;
  frames: number | null;
  head: string | null;
  id: string;
  metadata: Record<string, unknown>;
  name: string;
  project: string | null;
  tags: string[];
  top_labels: string[];
  updated: string;
  versions: number;
}

export interface DatasetPage {
  items: DatasetOut[];
  next: string | null;
  total: number;
}

export interface Declare {
  kind: string;
  path: string;
}

export interface Deleted {
  deleted: string;
}

export interface DiffFrame {
  changes: ChangeOut[];
  failed: string[];
  id: string;
  pixels: MaskMove[];
}

export interface DiffItem {
  id: string;
  kind: "added" | "removed" | "changed";
}

export interface DiffOut {
  a: string;
  added: number;
  b: string;
  changed: number;
  items: DiffItem[];
  next: string | null;
  removed: number;
}

export interface EntryClass {
  index: number;
  mapped: string[];
  number: number;
}

export interface Explained {
  notes: string[];
  tables: ExplainedTable[];
  text: string;
  void: number;
}

export interface ExplainedRow {
  labels: string[];
  mapped: string[];
  number: number;
  value: number[] | number | null;
}

export interface ExplainedTable {
  dataset: string;
  frames: number;
  mask: string;
  rows: ExplainedRow[];
  version: string;
}

export interface ExportAsked {
  filters?: FilterRule[];
  fmt?: "jsonl" | "csv";
  query?: string;
  sort?: string;
}

export interface FailedOut {
  error: string;
  id: string | null;
  kind: string;
}

export interface FilterRule {
  dataset?: string;
  filter_by_roi?: "label_rules" | "no_rois" | "disabled";
  frame_query?: string | null;
  label_rules?: LabelRule[];
  name?: string | null;
  query?: string | null;
  sources_query?: string | null;
  version?: string;
  weight?: number;
}

export interface Frame {
  blob?: string | null;
  context_id?: string | null;
  id?: string | null;
  meta?: Record<string, unknown>;
  meta_blob?: Record<string, unknown>;
  rois?: Roi[];
  sources: Source[];
  timestamp?: number | null;
  [more: string]: unknown;
}

export interface FrameCopy {
  frame: Record<string, unknown>;
  id?: string | null;
}

export interface FrameOut {
  bindings: Binding[];
  dataset: string;
  editable: boolean;
  etag: string;
  frame: Frame;
  problems: string[];
  state: string;
  version: string;
}

export interface FramePatch {
  meta?: Record<string, unknown>;
  patch?: Operation[];
  rois?: (Record<string, unknown>)[];
}

export interface Hit {
  context_id: string;
  etag: string;
  facts: (Record<string, unknown>)[] | null;
  frame: Frame | null;
  group: number | null;
  id: string;
  labels: string[];
  rois: number;
  score: number | null;
  sources: SourceHit[];
  timestamp: number;
}

export interface Ids {
  ids: string[];
  offset: number;
  total: number;
}

export interface JobOut {
  created: string;
  id: string;
  kind: string;
  message: string;
  progress: number;
  result: unknown;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  updated: string;
  version: string | null;
}

export interface KeyMade {
  access_key: string;
  secret_key: string;
  user: string;
}

export interface KeyOut {
  access_key: string;
  created: string;
  note: string;
  revoked: string | null;
  user: string;
}

export interface LabelRule {
  conf_range?: [number, number] | null;
  count_range?: [number, number] | null;
  label: string;
  must_not?: boolean;
}

export interface LegendOut {
  codec: string;
  dtype: "uint8" | "uint16" | "uint32";
  entries: LegendRow[];
  etag: string;
  height: number;
  kind: "colors" | "indices" | "ids";
  mask: string;
  mode: string;
  notes: string[];
  policy: string;
  pts_ms: number | null;
  scheme: string | null;
  settled: Record<string, number>;
  source: string;
  unmapped: Unmapped[];
  void: number;
  width: number;
}

export interface LegendRow {
  box2d_xywh: [number, number, number, number] | null;
  code: number | null;
  color: [number, number, number];
  index: number;
  labels: string[];
  pixels: number;
  roi_ids: string[];
  rois: number[];
  stored_color: [number, number, number] | null;
  value: number[] | number | null;
}

export interface Login {
  name: string;
  password: string;
}

export interface Mask {
  content_type?: string | null;
  encoding?: string | null;
  height?: number | null;
  id: string;
  timestamp?: number;
  uri: string;
  width?: number | null;
  [more: string]: unknown;
}

export interface MaskMove {
  after: string | null;
  before: string | null;
  mask: string;
  pixels: number;
  source: string;
}

export interface MaskOut {
  content_type: string | null;
  encoding: string | null;
  entries: number;
  height: number | null;
  id: string;
  kind: "labels" | "ids" | "alpha";
  labels: string[];
  timestamp: number;
  video: boolean;
  width: number | null;
}

export interface Me {
  can: string[];
  name: string;
  role: "viewer" | "annotator" | "admin";
  via: string;
}

export interface Merge {
  base?: string | null;
  name?: string | null;
  ours: string;
  rule?: "error" | "ours" | "theirs";
  theirs: string;
}

export interface Nearest {
  field: string;
  hits: Hit[];
  metric: string;
  total: number;
}

export interface NearestAsked {
  field?: string;
  filters?: FilterRule[];
  frame?: string | null;
  k?: number;
  method?: "auto" | "exact" | "index";
  metric?: "cosine" | "l2_norm" | "dot_product";
  query?: string;
  vector?: number[] | null;
}

export interface NewDataset {
  description?: string;
  metadata?: Record<string, unknown>;
  name: string;
  project?: string | null;
  tags?: string[];
  version?: string | null;
}

export interface NewFrames {
  frames: (Record<string, unknown>)[];
}

export interface NewKey {
  note?: string;
  user?: string | null;
}

export interface NewVersion {
  description?: string;
  metadata?: Record<string, unknown>;
  name: string;
  parents?: string[];
  prefer?: "error" | "ours" | "theirs";
  tags?: string[];
}

export interface NewView {
  description?: string;
  name: string;
  project?: string | null;
  spec?: Record<string, unknown>;
  tags?: string[];
}

export interface Operation {
  from?: string;
  op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  path: string;
  value?: unknown;
}

export interface ParseQuery {
  column?: number | null;
  mode?: "view" | "roi" | "frame" | "source";
  text: string;
  version?: string | null;
}

export interface Parsed {
  column: number | null;
  completions: Completion[];
  error: string | null;
  ok: boolean;
}

export interface PolygonOut {
  area: number;
  index: number;
  labels: string[];
  rings: number[][];
}

export interface Polygonize {
  index?: number[] | null;
  labels?: string[] | null;
  min_area?: number;
  t?: number | null;
  tolerance?: number;
}

export interface Polygons {
  height: number;
  polygons: PolygonOut[];
  width: number;
}

export interface Preview {
  content_type?: string | null;
  height?: number | null;
  timestamp?: number;
  uri: string;
  width?: number | null;
  [more: string]: unknown;
}

/** What went wrong (RFC 9457). */
export interface Problem {
  column?: number;
  completions?: string[];
  detail: string;
  etag?: string;
  known?: string[];
  path?: string;
  report?: unknown;
  status: number;
  text?: string;
  title: string;
  type: string;
}

export interface ProjectOut {
  datasets: number;
  name: string;
}

export interface Publish {
  check?: boolean;
  facts?: boolean;
  force?: boolean;
}

export interface Roi {
  confidence?: number | null;
  id?: string | null;
  label?: string[];
  mask?: RoiMask | null;
  meta?: Record<string, unknown>;
  poly?: number[];
  sources?: string[];
  [more: string]: unknown;
}

export interface RoiClassOut {
  mapped: string[];
  name: string;
  number: number | null;
  roi: number;
}

export interface RoiClasses {
  name: string;
  numbered: boolean;
  rois: RoiClassOut[];
  view: string;
  void: number;
}

export interface RoiMask {
  id?: string;
  value: number[];
  [more: string]: unknown;
}

export interface Search {
  around?: string | null;
  cursor?: string | null;
  facts?: boolean;
  fields?: "hits" | "full";
  filters?: FilterRule[];
  group?: string | null;
  ids?: string[] | null;
  limit?: number;
  offset?: number;
  query?: string;
  sort?: string;
}

export interface SearchPage {
  hits: Hit[];
  next: string | null;
  offset: number;
  state: string;
  total: number;
}

export interface Source {
  content_type?: string | null;
  height?: number | null;
  id: string;
  masks?: Mask[];
  meta?: Record<string, unknown>;
  preview?: Preview | null;
  timestamp?: number;
  uri: string;
  width?: number | null;
  [more: string]: unknown;
}

export interface SourceHit {
  content_type: string | null;
  height: number | null;
  id: string;
  masks: string[];
  preview: boolean;
  timestamp: number;
  video: boolean;
  width: number | null;
}

export interface Statistics {
  frames: number;
  masks: number;
  of: number;
  rois: number;
  rows: StatisticsRow[];
  scope: string;
  void: number;
  without_facts: number;
}

export interface StatisticsRequest {
  filters?: FilterRule[];
  mask?: string | null;
  property?: string | null;
  query?: string;
  scope?: "roi" | "frame" | "mask";
}

export interface StatisticsRow {
  count: number;
  frames: number;
  label: unknown;
  mean_share: number | null;
  pixels: number | null;
  share: number;
}

export interface Stored {
  failed: FailedOut[];
  stored: number;
}

export interface ThumbItem {
  frame: string;
  mask?: string | null;
  source?: string | null;
  t?: number | null;
}

export interface ThumbsAsked {
  items: ThumbItem[];
  labels?: boolean;
  pictures?: boolean;
  shapes?: boolean;
  size?: number;
  spec?: Record<string, unknown> | null;
}

export interface TokenIn {
  token: string;
}

export interface Unmapped {
  apart: number | null;
  nearest: [number, number, number] | null;
  pixels: number;
  value: [number, number, number];
}

export interface UserOut {
  created: string;
  has_password: boolean;
  name: string;
  role: "viewer" | "annotator" | "admin";
}

export interface VectorField {
  dimensions: number;
  field: string;
  frames: number;
}

export interface VersionChange {
  description?: string;
  name?: string;
  tags?: string[];
}

export interface VersionInfo {
  api: string;
  name: string;
  native_kernels: boolean;
  version: string;
}

export interface VersionOut {
  created: string;
  dataset: string;
  dataset_name: string;
  depth: number;
  description: string;
  etag: string;
  frames: number | null;
  id: string;
  name: string;
  parents: string[];
  published: string | null;
  state: string;
  tags: string[];
  updated: string;
}

export interface VideoInfo {
  codec: string;
  content_type: string;
  first_ms: number;
  fps: number | null;
  height: number;
  key_ms: number[];
  last_ms: number;
  lossy: boolean;
  pictures: number;
  playable: boolean;
  pts_ms: number[];
  rotation: number;
  width: number;
}

export interface ViewChange {
  description?: string;
  name?: string;
  spec?: Record<string, unknown>;
  tags?: string[];
}

export interface ViewFrame {
  dataset: string;
  hit: Hit;
  version: string;
}

export interface ViewOut {
  archived: boolean;
  created: string;
  description: string;
  etag: string;
  id: string;
  name: string;
  project: string | null;
  spec: Record<string, unknown>;
  status: string;
  tags: string[];
  updated: string;
}

export interface ViewPage {
  frames: ViewFrame[];
  per_filter: number[];
  total: number;
}
