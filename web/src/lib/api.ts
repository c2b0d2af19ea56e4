/** One function per route that the pages use. What the server's answers look like is settled in here, nowhere else. */
import { type Answer, get, json, send } from "./http";
import type {
  ApiKey,
  ClassTable,
  Dataset,
  Dataview,
  DiffFrame,
  Explained,
  ExportBody,
  Frame,
  FrameOut,
  Ids,
  Job,
  Legend,
  MaskInfo,
  Me,
  Nearest,
  NearestBody,
  Page,
  Parsed,
  ParseQuery,
  Project,
  Roi,
  RoiClasses,
  SearchBody,
  SearchPage,
  Statistics,
  StatisticsBody,
  VectorField,
  Version,
  VersionDiff,
  VideoInfo,
  ViewPage,
} from "./types";
import { at, query } from "./url";

const enc = encodeURIComponent;

/** Every page of a list; lists of datasets, versions and keys are short, frames are never read this way. */
async function all<T>(url: string): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null | undefined;
  do {
    const page: Page<T> | T[] = await get(
      url + (cursor ? `${url.includes("?") ? "&" : "?"}cursor=${enc(cursor)}` : ""),
    );
    if (Array.isArray(page)) return page;
    found.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return found;
}

export const auth = {
  me: () => get<Me>(at.of("/auth/me")),
  login: (name: string, password: string) => json<Me>(at.of("/auth/login"), { body: { name, password } }),
  exchange: (token: string) => json<Me>(at.of("/auth/token-exchange"), { body: { token } }),
  logout: () => json(at.of("/auth/logout"), { body: {} }),
  keys: () => all<ApiKey>(at.of("/auth/keys")),
  makeKey: async (note: string) => (await json<ApiKey>(at.of("/auth/keys"), { body: { note } })).data,
  dropKey: (key: string) => json(at.of(`/auth/keys/${enc(key)}`), { method: "DELETE" }),
};

export const serverVersion = () => get<{ version: string }>(at.of("/version"));

export const projects = { list: () => all<Project>(at.of("/projects")) };

const quoted = (etag: string): string => `"${etag}"`;

export const datasets = {
  list: () => all<Dataset>(at.of("/datasets?limit=200")),
  get: (dataset: string) => get<Dataset>(at.of(`/datasets/${enc(dataset)}`)),
  create: async (body: { name: string; project?: string | null; version?: string | null }) =>
    (await json<Dataset>(at.of("/datasets"), { body })).data,
  change: async (dataset: Dataset, body: Partial<Pick<Dataset, "name" | "project" | "description" | "tags">>) =>
    (await json<Dataset>(at.of(`/datasets/${dataset.id}`), { method: "PATCH", body, ifMatch: quoted(dataset.etag) }))
      .data,
  remove: (dataset: Dataset, force: boolean) =>
    json(at.of(`/datasets/${dataset.id}${query({ force })}`), { method: "DELETE", ifMatch: quoted(dataset.etag) }),
  versions: (dataset: string) => all<Version>(at.of(`/datasets/${enc(dataset)}/versions`)),
  createVersion: async (dataset: string, body: { name: string; parents?: string[] }) =>
    (await json<Version>(at.of(`/datasets/${enc(dataset)}/versions`), { body })).data,
};

export const labelColors = {
  get: (dataset: string) => json<Record<string, string>>(at.of(`/datasets/${enc(dataset)}/label-colors`)),
  put: (dataset: string, body: Record<string, string>, ifMatch: string | null) =>
    json<Record<string, string>>(at.of(`/datasets/${enc(dataset)}/label-colors`), { method: "PUT", body, ifMatch }),
};

export const versions = {
  get: (version: string) => get<Version>(at.version(version)),
  change: async (version: Version, body: Partial<Pick<Version, "name" | "description" | "tags">>) =>
    (await json<Version>(at.version(version.id), { method: "PATCH", body, ifMatch: quoted(version.etag) })).data,
  remove: (version: Version, force: boolean) =>
    json(`${at.version(version.id)}${query({ force })}`, { method: "DELETE", ifMatch: quoted(version.etag) }),
  publish: async (version: Version, body: { check: boolean; force: boolean }) =>
    (await json<Version>(`${at.version(version.id)}/publish`, { body, ifMatch: quoted(version.etag) })).data,
  child: async (version: string, name: string) =>
    (await json<Version>(`${at.version(version)}/child`, { body: { name } })).data,
  metadata: (version: string) => json<Record<string, unknown>>(`${at.version(version)}/metadata`),
  setMetadata: (version: string, body: unknown, ifMatch: string | null) =>
    json<Record<string, unknown>>(`${at.version(version)}/metadata`, { method: "PUT", body, ifMatch }),
  diff: (a: string, b: string, cursor?: string | null) =>
    get<VersionDiff>(`${at.version(a)}/diff/${enc(b)}${query({ cursor })}`),
  diffFrame: (a: string, b: string, frame: string) =>
    get<DiffFrame>(`${at.version(a)}/diff/${enc(b)}/frames/${enc(frame)}`),
  statistics: async (version: string, body: StatisticsBody, signal?: AbortSignal) =>
    (await json<Statistics>(`${at.version(version)}/statistics`, { body, signal })).data,
  countPixels: async (version: string) => (await json<Job>(`${at.version(version)}/facts`, { method: "POST" })).data,
  report: (version: string) => get<CheckReport | null>(`${at.version(version)}/report`),
};

/** What a check of the masks said: see src/smalti/lint/report.py. */
export interface CheckReport {
  findings: { code: string; severity: "error" | "warning" | "info"; where: string; message: string; hint: string }[];
  frames?: number;
  masks?: number;
}

export const frames = {
  search: async (version: string, body: SearchBody, signal?: AbortSignal) =>
    (await json<SearchPage>(`${at.version(version)}/frames/search`, { body, signal })).data,
  ids: async (version: string, body: SearchBody, signal?: AbortSignal) =>
    (await json<Ids>(`${at.version(version)}/frames/ids`, { body, signal })).data,
  get: (version: string, frame: string): Promise<Answer<FrameOut>> => json<FrameOut>(at.frame(version, frame)),
  patch: (version: string, frame: string, body: FramePatch, ifMatch: string | null) =>
    json<FrameOut>(at.frame(version, frame), { method: "PATCH", body, ifMatch }),
  export: async (version: string, body: ExportBody) =>
    (await json<Job>(`${at.version(version)}/frames/export`, { body })).data,
  /** The frame as it stands in the editor, under an id that is free: nothing of anybody is overwritten. */
  copy: async (version: string, frame: string, body: { frame: Frame; id?: string }) =>
    (await json<FrameOut>(`${at.frame(version, frame)}/copy`, { body })).data,
  vectorFields: (version: string) => get<VectorField[]>(`${at.version(version)}/vector-fields`),
  nearest: async (version: string, body: NearestBody, signal?: AbortSignal) =>
    (await json<Nearest>(`${at.version(version)}/nearest`, { body, signal })).data,
};

/** An edit: the whole list of ROIs, the whole metadata, or both. */
export interface FramePatch {
  rois?: readonly Roi[];
  meta?: Readonly<Record<string, unknown>>;
}

export const parseQuery = async (body: ParseQuery, signal?: AbortSignal) =>
  (await json<Parsed>(at.of("/query/parse"), { body, signal })).data;

export const media = {
  image: (v: string, f: string, s: string, t?: number | null, size?: number) =>
    `${at.source(v, f, s)}/image${query({ t, size })}`,
  preview: (v: string, f: string, s: string) => `${at.source(v, f, s)}/preview`,
  video: (v: string, f: string, s: string) => `${at.source(v, f, s)}/video`,
  videoInfo: (v: string, f: string, s: string) => get<VideoInfo>(`${at.source(v, f, s)}/video/info`),
  masks: async (v: string, f: string, s: string): Promise<MaskInfo[]> => all<MaskInfo>(`${at.source(v, f, s)}/masks`),
  legend: (v: string, f: string, s: string, m: string, t?: number | null) =>
    get<Legend>(`${at.mask(v, f, s, m)}/legend${query({ t })}`),
  classes: (v: string, f: string, s: string, m: string, dataview: string, t?: number | null) =>
    get<ClassTable>(`${at.mask(v, f, s, m)}/classes${query({ dataview, t })}`),
};

export const roiClasses = (v: string, f: string, dataview: string) =>
  get<RoiClasses>(`${at.frame(v, f)}/classes${query({ dataview })}`);

export interface IndexMap {
  data: Uint8Array | Uint16Array | Uint32Array;
  width: number;
  height: number;
  pts: number | null;
}

export const ptsOf = (headers: Headers): number | null => {
  const found = headers.get("X-Media-Pts");
  return found === null || found === "" ? null : Number(found);
};

/** A mask as numbers. Raw bytes on purpose: a browser's image decoder or a canvas would change values. */
export async function indexMap(url: string, signal?: AbortSignal): Promise<IndexMap> {
  const response = await send(url, { signal });
  const { headers } = response;
  const width = Number(headers.get("X-Mask-Width"));
  const height = Number(headers.get("X-Mask-Height"));
  const dtype = headers.get("X-Mask-Dtype") ?? "u8";
  const buffer = await response.arrayBuffer();
  const data = /16/.test(dtype)
    ? new Uint16Array(buffer)
    : /32/.test(dtype)
      ? new Uint32Array(buffer)
      : new Uint8Array(buffer);
  if (data.length !== width * height) {
    throw new Error(`the mask has ${data.length} values, ${width} × ${height} were announced`);
  }
  return { data, width, height, pts: ptsOf(headers) };
}

export const maskUrl = (v: string, f: string, s: string, m: string, t?: number | null, max?: number) =>
  `${at.mask(v, f, s, m)}/index${query({ t, max })}`;
export const alphaUrl = (v: string, f: string, s: string, m: string, t?: number | null) =>
  `${at.mask(v, f, s, m)}/alpha${query({ t })}`;

export const dataviews = {
  list: (archived: boolean) => all<Dataview>(at.of(`/dataviews${query({ archived: archived || null })}`)),
  get: (id: string) => get<Dataview>(at.of(`/dataviews/${enc(id)}`)),
  create: async (body: { name: string; spec?: Record<string, unknown> }) =>
    (await json<Dataview>(at.of("/dataviews"), { body })).data,
  change: async (view: Dataview, body: Partial<Pick<Dataview, "name" | "description" | "tags" | "spec">>) =>
    (await json<Dataview>(at.of(`/dataviews/${enc(view.id)}`), { method: "PATCH", body, ifMatch: quoted(view.etag) }))
      .data,
  remove: (view: Dataview) =>
    json(at.of(`/dataviews/${enc(view.id)}`), { method: "DELETE", ifMatch: quoted(view.etag) }),
  act: async (view: Dataview, what: "clone" | "publish" | "archive" | "restore") =>
    (await json<Dataview>(at.of(`/dataviews/${enc(view.id)}/${what}`), { method: "POST", ifMatch: quoted(view.etag) }))
      .data,
  preview: async (spec: unknown, signal?: AbortSignal) =>
    (await json<ViewPage>(at.of("/dataviews/preview"), { body: spec, signal })).data,
  explain: async (spec: unknown, signal?: AbortSignal) =>
    (await json<Explained>(at.of("/dataviews/explain"), { body: spec, signal })).data,
};

export const job = (id: string) => get<Job>(at.of(`/jobs/${enc(id)}`));
