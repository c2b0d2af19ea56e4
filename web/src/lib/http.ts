import type { Problem } from "./types";
import { page, root } from "./url";

/** What the server refused, with its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail || problem.title);
  }
}

export interface Answer<T> {
  data: T;
  etag: string | null;
  headers: Headers;
}

export interface Ask {
  method?: string;
  body?: unknown;
  ifMatch?: string | null;
  type?: string;
  signal?: AbortSignal;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const found = (await response.json()) as Problem;
    if (found && typeof found === "object" && (found.detail || found.title)) return found;
  } catch {
    // Not JSON: a proxy's page, or nothing. The status says what there is to say.
  }
  return { title: response.statusText || `HTTP ${response.status}`, status: response.status };
}

export async function send(url: string, ask: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (ask.body !== undefined) headers["Content-Type"] = ask.type ?? "application/json";
  if (ask.ifMatch) headers["If-Match"] = ask.ifMatch;
  let response: Response;
  try {
    response = await fetch(url, {
      method: ask.method ?? (ask.body === undefined ? "GET" : "POST"),
      headers,
      body: ask.body === undefined ? undefined : JSON.stringify(ask.body),
      signal: ask.signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "The server does not answer", detail: "The server does not answer.", status: 0 });
  }
  if (response.ok) return response;
  if (response.status === 401 && !location.pathname.startsWith(`${root}/login`)) {
    location.assign(`${page.login()}?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  throw new ApiError(response.status, await problemOf(response));
}

export async function json<T>(url: string, ask: Ask = {}): Promise<Answer<T>> {
  const response = await send(url, ask);
  const data = response.status === 204 ? undefined : await response.json();
  return { data: data as T, etag: response.headers.get("ETag"), headers: response.headers };
}

export const get = async <T>(url: string, signal?: AbortSignal): Promise<T> => (await json<T>(url, { signal })).data;

/** A short sentence for people, from whatever was thrown. */
export function say(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
