import { useEffect, useRef } from "preact/hooks";
import { media } from "../lib/api";
import { rgba } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Version } from "../lib/types";
import { ErrorNote, Spinner } from "../ui/widgets";
import { paintNumbers, type SmallMask, smallMask } from "../viewer/overlay";

const LONGEST = 1024;
const SAME = rgba(10, 18, 16, 0.55);
const KINDS = { added: rgba(40, 200, 110, 0.9), removed: rgba(255, 70, 60, 0.9), changed: rgba(255, 0, 200, 0.85) };

interface Props {
  frame: string;
  source: string;
  mask: string;
  old: Version;
  young: Version;
}

/** The picture with the pixels whose label differs: new ones, those that lost theirs, and those that have another. */
export function ChangedPixels({ frame, source, mask, old, young }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const found = useResource(
    (stop) => Promise.all([old, young].map((v) => smallMask(v.id, frame, source, mask, LONGEST, stop))),
    [old.id, young.id, frame, source, mask],
  );
  const [before, after] = found.data ?? [];
  const fits = before && after && before.width === after.width && before.height === after.height;
  useEffect(() => {
    if (!canvas.current || !fits) return;
    const [was, is] = [names(before), names(after)];
    paintNumbers(canvas.current, after.width, after.height, (i) => {
      const [x, y] = [was[before.data[i]!] ?? "", is[after.data[i]!] ?? ""];
      return x === y ? SAME : !x ? KINDS.added : !y ? KINDS.removed : KINDS.changed;
    });
  }, [fits, before, after]);
  if (found.error) return <ErrorNote error={found.error} />;
  if (!before || !after) return <Spinner />;
  if (!fits) {
    return (
      <p class="muted">
        The mask was {before.width} × {before.height} and is {after.width} × {after.height}.
      </p>
    );
  }
  return (
    <figure class="changed-pixels">
      <div class="cell">
        <img src={media.image(young.id, frame, source, null, LONGEST)} alt="" />
        <canvas ref={canvas} width="1" height="1" role="img" aria-label={`Changed pixels of ${source}/${mask}`} />
      </div>
      <figcaption class="chips small">
        <span class="chip added">got a label</span>
        <span class="chip removed">lost its label</span>
        <span class="chip changed">has another label</span>
      </figcaption>
    </figure>
  );
}

/** What each number means, by name: the two masks may number the same labels otherwise. 0 is void: no name. */
function names(mask: SmallMask): string[] {
  const found: string[] = [];
  for (const row of mask.rows) found[row.index] = row.labels.join(", ") || String(row.value);
  return found;
}
