/** One function per route that the pages use. What the server's answers look like is settled in here, nowhere else. */
import { type Answer, get, json, send } from "./http";
import type {
  ApiKey,
  Dataset,
  Dataview,
  FilterRule,
  Finding,
  Frame,
  LegendAnswer,
  MaskInfo,
  Me,
  Page,
  ParseAnswer,
  Project,
  SearchBody,
  SearchPage,
  Statistics,
  StatisticsBody,
  Version,
  VersionDiff,
  VideoInfo,
} from "./types";
import { at, query } from "./url";

const enc = encodeURIComponent;

/** Every page of a list; lists of datasets, versions and keys are short, frames are never read this way. */
async function all<T>(url: string): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null | undefined;
  do {
    const page: Page<T> | T[] = await get(url + (cursor ? `${url.includes("?") ? "&" : "?"}cursor=${enc(cursor)}` : ""));
    if (Array.isArray(page)) return page;
    found.push(...page.items);
    cursor = page.cursor;
  } while (cursor);
  return found;
}

export const auth = {
  me: () => get<Me>(at.of("/auth/me")),
  login: (user: string, password: string) => json<Me>(at.of("/auth/login"), { body: { user, password } }),
  exchange: (token: string) => json<Me>(at.of("/auth/token-exchange"), { body: { token } }),
  logout: () => json(at.of("/auth/logout"), { body: {} }),
  keys: () => all<ApiKey>(at.of("/auth/keys")),
  makeKey: async (label: string) => (await json<ApiKey>(at.of("/auth/keys"), { body: { label } })).data,
  dropKey: (key: string) => json(at.of(`/auth/keys/${enc(key)}`), { method: "DELETE" }),
};

export const serverVersion = () => get<{ version: string }>(at.of("/version"));

export const projects = { list: () => all<Project>(at.of("/projects")) };

export const datasets = {
  list: () => all<Dataset>(at.of("/datasets")),
  get: (dataset: string) => get<Dataset>(at.of(`/datasets/${enc(dataset)}`)),
  create: async (body: Partial<Dataset>) => (await json<Dataset>(at.of("/datasets"), { body })).data,
  change: async (dataset: string, body: Partial<Dataset>) =>
    (await json<Dataset>(at.of(`/datasets/${enc(dataset)}`), { method: "PATCH", body })).data,
  remove: (dataset: string) => json(at.of(`/datasets/${enc(dataset)}`), { method: "DELETE" }),
  versions: (dataset: string) => all<Version>(at.of(`/datasets/${enc(dataset)}/versions`)),
  createVersion: async (dataset: string, body: { name: string; parents?: string[] }) =>
    (await json<Version>(at.of(`/datasets/${enc(dataset)}/versions`), { body })).data,
};

export const versions = {
  get: (version: string) => get<Version>(at.version(version)),
  change: async (version: string, body: Partial<Version>) =>
    (await json<Version>(at.version(version), { method: "PATCH", body })).data,
  remove: (version: string) => json(at.version(version), { method: "DELETE" }),
  publish: async (version: string, force = false) =>
    (await json<Version>(`${at.version(version)}/publish`, { body: { force } })).data,
  metadata: (version: string) => json<Record<string, unknown>>(`${at.version(version)}/metadata`),
  setMetadata: (version: string, body: unknown, ifMatch: string | null) =>
    json<Record<string, unknown>>(`${at.version(version)}/metadata`, { method: "PUT", body, ifMatch }),
  diff: (a: string, b: string) => get<VersionDiff>(`${at.version(a)}/diff/${enc(b)}`),
  statistics: async (version: string, body: StatisticsBody, signal?: AbortSignal) =>
    (await json<Statistics>(`${at.version(version)}/statistics`, { body, signal })).data,
  report: (version: string) => get<{ findings: Finding[] }>(`${at.version(version)}/check`),
};

export const frames = {
  search: async (version: string, body: SearchBody, signal?: AbortSignal) =>
    (await json<SearchPage>(`${at.version(version)}/frames/search`, { body, signal })).data,
  ids: async (version: string, body: SearchBody, signal?: AbortSignal) =>
    (await json<{ ids: string[]; total: number }>(`${at.version(version)}/frames/ids`, { body, signal })).data,
  get: (version: string, frame: string): Promise<Answer<Frame>> => json<Frame>(at.frame(version, frame)),
  patch: (version: string, frame: string, ops: unknown[], ifMatch: string | null) =>
    json<Frame>(at.frame(version, frame), {
      method: "PATCH",
      body: ops,
      ifMatch,
      type: "application/json-patch+json",
    }),
};

export const parseQuery = async (text: string, mode: "frame" | "roi" | "source" | "view", signal?: AbortSignal) =>
  (await json<ParseAnswer>(at.of("/query/parse"), { body: { text, mode }, signal })).data;

export const media = {
  image: (v: string, f: string, s: string, t?: number | null, size?: number) =>
    `${at.source(v, f, s)}/image${query({ t, size })}`,
  thumb: (v: string, f: string, s: string, size = 256) => `${at.source(v, f, s)}/thumb${query({ size })}`,
  video: (v: string, f: string, s: string) => `${at.source(v, f, s)}/video`,
  videoInfo: (v: string, f: string, s: string) => get<VideoInfo>(`${at.source(v, f, s)}/video/info`),
  masks: async (v: string, f: string, s: string): Promise<MaskInfo[]> => all<MaskInfo>(`${at.source(v, f, s)}/masks`),
  legend: (v: string, f: string, s: string, m: string, t?: number | null) =>
    get<LegendAnswer>(`${at.mask(v, f, s, m)}/legend${query({ t })}`),
};

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
  list: () => all<Dataview>(at.of("/dataviews")),
  get: (id: string) => json<Dataview>(at.of(`/dataviews/${enc(id)}`)),
  create: async (body: Partial<Dataview>) => (await json<Dataview>(at.of("/dataviews"), { body })).data,
  change: (id: string, body: Partial<Dataview>, ifMatch: string | null) =>
    json<Dataview>(at.of(`/dataviews/${enc(id)}`), { method: "PATCH", body, ifMatch }),
  remove: (id: string) => json(at.of(`/dataviews/${enc(id)}`), { method: "DELETE" }),
  act: async (id: string, what: "clone" | "publish" | "archive" | "restore") =>
    (await json<Dataview>(at.of(`/dataviews/${enc(id)}/${what}`), { body: {} })).data,
  preview: async (id: string) =>
    (
      await json<{ hits: (Frame & { dataset?: string; version?: string })[]; total: number; explain?: string }>(
        at.of(`/dataviews/${enc(id)}/preview`),
        { body: {} },
      )
    ).data,
};

export type { FilterRule };
