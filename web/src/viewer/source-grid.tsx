import { useEffect, useRef } from "preact/hooks";
import { media } from "../lib/api";
import type { Source } from "../lib/types";
import { paintOverlay } from "./overlay";
import type { Viewer } from "./state";

/** All sources of a group side by side, to look at; a click opens one. */
export function SourceGrid({ viewer }: { viewer: Viewer }) {
  const sources = viewer.frame.value?.sources ?? [];
  return (
    <section class="source-grid" aria-label="All sources">
      {sources.map((source) => (
        <Cell key={source.id} viewer={viewer} source={source} />
      ))}
    </section>
  );
}

function Cell({ viewer, source }: { viewer: Viewer; source: Source }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const mask = source.masks?.[0]?.id;
  useEffect(() => {
    if (!mask || !canvas.current) return;
    const stop = new AbortController();
    void paintOverlay(canvas.current, viewer.version, viewer.frameId, source.id, mask, 640, stop.signal);
    return () => stop.abort();
  }, [viewer, source.id, mask]);
  return (
    <figure>
      <button
        type="button"
        class="cell"
        aria-label={`Open source ${source.id}`}
        onClick={() => {
          viewer.all.value = false;
          viewer.sourceId.value = source.id;
          void viewer.openSource();
        }}
      >
        <img src={media.image(viewer.version, viewer.frameId, source.id, viewer.at.value, 900)} alt="" />
        <canvas ref={canvas} aria-hidden="true" />
      </button>
      <figcaption class="mono">{source.id}</figcaption>
    </figure>
  );
}
