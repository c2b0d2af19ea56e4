import { asLine, hex } from "../lib/format";
import type { Roi } from "../lib/types";
import type { Drawing } from "./drawing";
import { bounds, handles, kindOf, labelsOf, pathOf, ringsOf } from "./shapes";
import { editable, type Viewer } from "./state";

/** The ROIs of the source on show, in image pixels; the world around them is scaled as a whole. */
export function Shapes({ viewer, tools }: { viewer: Viewer; tools: Drawing }) {
  const chosen = viewer.selected.value;
  const hidden = viewer.hiddenRois.value;
  const rois = viewer.history.now.value.rois;
  const selected = chosen === null ? undefined : rois[chosen];
  const ruler = tools.ruler.value;
  return (
    <>
      {viewer.showShapes.value &&
        viewer.shown.value
          .filter(([index]) => !hidden.has(index))
          .map(([index, roi]) => (
            <Shape key={index} viewer={viewer} index={index} roi={roi} chosen={index === chosen} />
          ))}
      {selected && chosen !== null && !viewer.frozen.value && !viewer.locked.value.has(chosen) && (
        <Handles roi={selected} />
      )}
      {tools.draft.value && <Outline roi={tools.draft.value} class="shape draft" color="var(--accent)" />}
      {ruler && (
        <g class="ruler">
          <line x1={ruler[0][0]} y1={ruler[0][1]} x2={ruler[1][0]} y2={ruler[1][1]} />
          <text x={ruler[1][0]} y={ruler[1][1]}>
            {Math.hypot(ruler[1][0] - ruler[0][0], ruler[1][1] - ruler[0][1]).toFixed(1)} px
          </text>
        </g>
      )}
    </>
  );
}

function Shape(props: { viewer: Viewer; index: number; roi: Roi; chosen: boolean }) {
  const { viewer, index, roi, chosen } = props;
  const kind = kindOf(roi);
  if (kind === "mask" || kind === "frame" || kind === "other") return null;
  const color = hex(asLine(viewer.colorOfRoi(roi)));
  const unsure = roi.confidence != null && roi.confidence < 1 ? ` ${roi.confidence.toFixed(2)}` : "";
  const name = (labelsOf(roi).join(", ") || "no label") + unsure;
  const choose = () => {
    viewer.selected.value = index;
  };
  const box = bounds(roi);
  return (
    <g
      data-roi={index}
      class={chosen ? "roi chosen" : "roi"}
      role="button"
      tabIndex={0}
      aria-label={`${kind}: ${name}`}
      aria-pressed={chosen}
      onFocus={choose}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") choose();
      }}
    >
      <Outline roi={roi} class="shape" color={color} />
      {box && (
        <text class="shape-name" x={box[0]} y={box[1]} aria-hidden="true">
          {name}
        </text>
      )}
    </g>
  );
}

export function Outline({ roi, color, class: name }: { roi: Roi; color: string; class: string }) {
  const poly = roi.poly ?? [];
  switch (kindOf(roi)) {
    case "ellipse": {
      const [cx, cy, rx, ry, theta] = poly as [number, number, number, number, number];
      const turn = `rotate(${((theta ?? 0) * 180) / Math.PI} ${cx} ${cy})`;
      return <ellipse class={name} cx={cx} cy={cy} rx={rx} ry={ry} transform={turn} stroke={color} fill={color} />;
    }
    case "points":
      return (
        <g class={name} stroke={color} fill={color}>
          {ringsOf(poly)
            .flat()
            .map(([x, y], i) => (
              <circle key={i} class="keypoint" cx={x} cy={y} />
            ))}
        </g>
      );
    default:
      return <path class={name} d={pathOf(poly)} fill-rule="evenodd" stroke={color} fill={color} />;
  }
}

function Handles({ roi }: { roi: Roi }) {
  if (!editable(roi)) return null;
  return (
    <g class="handles" aria-hidden="true">
      {handles(roi).map(([x, y], i) => (
        <circle key={i} cx={x} cy={y} data-handle={i} />
      ))}
    </g>
  );
}
