import { useEffect, useState } from "preact/hooks";
import { frames } from "../lib/api";
import { quoteLucene } from "../lib/filters";
import { clock } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Hit } from "../lib/types";
import { Picture } from "../ui/picture";
import type { Viewer } from "./state";

const MOST = 1000;

/** Frames of one context (a drive, a clip cut into stills) in the order of time: dragged through by small pictures. */
export function ContextScrubber({ viewer, open }: { viewer: Viewer; open: (frameId: string) => void }) {
  const context = viewer.frame.value?.context_id ?? "";
  const found = useResource(
    async (stop) =>
      context
        ? frames.search(viewer.version, { query: `context_id:${quoteLucene(context)}`, limit: MOST }, stop)
        : null,
    [viewer.version, context],
  );
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => setAt(null), [viewer]);
  const hits = found.data?.hits ?? [];
  const here = hits.findIndex((hit) => hit.id === viewer.frameId);
  if (hits.length < 2 || here < 0) return null;
  const shown = hits[at ?? here]!;
  return (
    <div class="scrubber context" data-frames={hits.length}>
      {at !== null && at !== here && <Glance viewer={viewer} hit={shown} />}
      <input
        type="range"
        min="0"
        max={hits.length - 1}
        value={at ?? here}
        aria-label={`Frame of context ${context}`}
        aria-valuetext={shown.id}
        onInput={(e) => setAt(Number(e.currentTarget.value))}
        onChange={() => {
          if (at !== null && at !== here) open(shown.id);
        }}
      />
      <span class="mono small">
        {clock(shown.timestamp)}{" "}
        <span class="muted">
          {(at ?? here) + 1}/{hits.length} of {context}
        </span>
      </span>
    </div>
  );
}

function Glance({ viewer, hit }: { viewer: Viewer; hit: Hit }) {
  const source = hit.sources.find((s) => s.id === viewer.sourceId.value) ?? hit.sources[0];
  if (!source) return null;
  const spec = viewer.under.shown.value ? viewer.under.mapping.value : undefined;
  const wanted = { version: viewer.version, frame: hit.id, etag: hit.etag, source: source.id, size: 256, spec };
  return (
    <figure class="glance">
      <span class="thumb-picture">
        <Picture wanted={wanted} colors={viewer.colors.chosen.value} shapes={viewer.showShapes.value} />
      </span>
      <figcaption class="mono small ellipsis">{hit.id}</figcaption>
    </figure>
  );
}
