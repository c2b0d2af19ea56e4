/** Paths of pages and of the API. A reverse proxy may put a prefix before both; the server writes it into a meta tag. */

export const root = (document.querySelector<HTMLMetaElement>('meta[name="smalti-base"]')?.content ?? "").replace(
  /\/+$/,
  "",
);

const enc = encodeURIComponent;

export const page = {
  datasets: () => `${root}/datasets`,
  project: (project: string) => `${root}/projects/${enc(project)}`,
  dataset: (dataset: string) => `${root}/datasets/${enc(dataset)}`,
  version: (dataset: string, version: string) => `${root}/datasets/${enc(dataset)}/versions/${enc(version)}`,
  frame: (dataset: string, version: string, frame: string) =>
    `${root}/datasets/${enc(dataset)}/versions/${enc(version)}/frames/${enc(frame)}`,
  dataviews: () => `${root}/dataviews`,
  dataview: (id: string) => `${root}/dataviews/${enc(id)}`,
  compare: (a: string, b: string) => `${root}/compare?a=${enc(a)}&b=${enc(b)}`,
  settings: () => `${root}/settings`,
  login: () => `${root}/login`,
};

const api = `${root}/api/v1`;

export const at = {
  of: (path: string) => `${api}${path}`,
  version: (version: string) => `${api}/versions/${enc(version)}`,
  frame: (version: string, frame: string) => `${api}/versions/${enc(version)}/frames/${enc(frame)}`,
  source: (version: string, frame: string, source: string) =>
    `${api}/versions/${enc(version)}/frames/${enc(frame)}/sources/${enc(source)}`,
  mask: (version: string, frame: string, source: string, mask: string) =>
    `${api}/versions/${enc(version)}/frames/${enc(frame)}/sources/${enc(source)}/masks/${enc(mask)}`,
};

/** A query string from what is set; empty, null and undefined stay out. */
export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") found.set(name, String(value));
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}

/** JSON that travels in a URL: UTF-8, base64url, no padding. */
export function packJson(value: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The inverse of packJson; undefined where the text is no such thing (somebody edited the address). */
export function unpackJson(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(raw, (c) => c.charCodeAt(0))));
  } catch {
    return undefined;
  }
}
