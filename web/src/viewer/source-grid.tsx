import { useEffect, useRef } from "preact/hooks";
import { media } from "../lib/api";
import { asLine, hex } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Source } from "../lib/types";
import { classRows } from "./classes";
import { byIndex, Choice, labelRows } from "./masks";
import { paintMask, smallMask } from "./overlay";
import { Outline } from "./shapes-svg";
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

/** What the panel says of a mask holds for the mask of the same name in every cell. */
function Cell({ viewer, source }: { viewer: Viewer; source: Source }) {
  const image = useRef<HTMLImageElement>(null);
  const mask = source.masks?.[0]?.id;
  const ready = () => image.current?.closest("figure")?.setAttribute("data-state", "ready");
  const rois = viewer.history.now.value.rois
    .filter((roi) => roi.poly?.length && (!roi.sources?.length || roi.sources.includes(source.id)))
    .filter((roi) => roi.confidence == null || roi.confidence >= viewer.minConfidence.value);
  const { width, height } = source;
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
        <img
          ref={image}
          src={media.image(viewer.version, viewer.frameId, source.id, viewer.at.value, 900)}
          alt=""
          onLoad={ready}
        />
        {mask && <CellMask key={mask} viewer={viewer} source={source.id} mask={mask} />}
        {viewer.showShapes.value && width && height && (
          <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
            {rois.map((roi, i) => (
              <Outline key={i} roi={roi} class="shape" color={hex(asLine(viewer.colorOfRoi(roi)))} />
            ))}
          </svg>
        )}
      </button>
      <figcaption class="mono">{source.id}</figcaption>
    </figure>
  );
}

const LONGEST = 640;
const NONE = new Choice();

function CellMask({ viewer, source, mask }: { viewer: Viewer; source: string; mask: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  // An alpha mask or a broken file: the picture is still worth seeing
  const found = useResource(
    (stop) => smallMask(viewer.version, viewer.frameId, source, mask, LONGEST, stop, viewer.under.id.value),
    [viewer, source, mask],
  );
  const layer = viewer.layers.value.find((l) => l.info.id === mask);
  const chosen = viewer.colors.chosen.value;
  const byClass = viewer.under.shown.value;
  const choice = (byClass ? layer?.ofClasses : layer?.ofLabels) ?? NONE;
  const [turned, solo, own] = [choice.turned.value, choice.solo.value, choice.colors.value];
  const visible = layer?.visible.value ?? true;
  const opacity = layer?.opacity.value ?? 0.5;
  useEffect(() => {
    if (!found.data || !canvas.current) return;
    const labels = labelRows({ entries: found.data.rows }, []);
    const { classes } = found.data;
    const rows = byClass && classes ? classRows(classes, byIndex(labels), 0) : labels;
    const shown = choice.dress(rows, chosen).filter((row) => choice.shows(row));
    paintMask(canvas.current, found.data, visible ? opacity : 0, shown);
  }, [found.data, chosen, choice, turned, solo, own, visible, opacity]);
  return <canvas ref={canvas} aria-hidden="true" class={viewer.peek.value ? "peeked" : ""} width="1" height="1" />;
}
