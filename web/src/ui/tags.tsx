import { useState } from "preact/hooks";
import { Button, useOutside } from "./widgets";

export type Match = "any" | "all" | "not";
const MATCHES: [Match, string][] = [
  ["any", "any of"],
  ["all", "all of"],
  ["not", "none of"],
];

/** What an address says of tags: ?tags=a,b&match=all */
export interface TagQuery {
  tags: string[];
  match: Match;
}

export function readTags(query: Record<string, string>): TagQuery {
  const tags = (query.tags ?? "").split(",").filter(Boolean);
  return { tags, match: query.match === "all" || query.match === "not" ? query.match : "any" };
}

export function tagsFit(has: readonly string[], { tags, match }: TagQuery): boolean {
  if (!tags.length) return true;
  if (match === "all") return tags.every((tag) => has.includes(tag));
  return tags.some((tag) => has.includes(tag)) === (match === "any");
}

interface Props {
  all: readonly string[];
  query: TagQuery;
  set: (patch: { tags: string; match: string }) => void;
}

/** Tags to choose by: any of them, all of them, or none. Not shown where nothing has tags. */
export function TagFilter({ all, query, set }: Props) {
  const [open, setOpen] = useState(false);
  const host = useOutside(open, () => setOpen(false));
  if (!all.length) return null;
  const { tags, match } = query;
  const change = (next: string[], how: Match) => set({ tags: next.join(","), match: how === "any" ? "" : how });
  return (
    <div class="menu" ref={host}>
      <Button icon="filter" aria-expanded={open} pressed={tags.length > 0} onClick={() => setOpen(!open)}>
        {tags.length ? `Tags ${tags.length}` : "Tags"}
      </Button>
      {open && (
        <fieldset class="menu-list tag-list" aria-label="Tags">
          <select
            aria-label="How tags must fit"
            value={match}
            onChange={(e) => change(tags, e.currentTarget.value as Match)}
          >
            {MATCHES.map(([key, text]) => (
              <option key={key} value={key}>
                {text}
              </option>
            ))}
          </select>
          {all.map((tag) => (
            <label key={tag} class="inline">
              <input
                type="checkbox"
                checked={tags.includes(tag)}
                onChange={(e) =>
                  change(e.currentTarget.checked ? [...tags, tag] : tags.filter((t) => t !== tag), match)
                }
              />
              {tag}
            </label>
          ))}
          {tags.length > 0 && (
            <Button kind="ghost" onClick={() => change([], "any")}>
              Clear
            </Button>
          )}
        </fieldset>
      )}
    </div>
  );
}

export const tagsOf = (list: readonly { tags: string[] }[]): string[] =>
  [...new Set(list.flatMap((item) => item.tags))].sort();

/** "a, b" as tags. */
export const splitTags = (text: string): string[] =>
  text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
