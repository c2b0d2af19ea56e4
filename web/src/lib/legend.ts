/** The colours that a version's labels have, and its masks: read off its first frame, once. What somebody chose wins. */
import { useMemo } from "preact/hooks";
import { frames, media } from "./api";
import type { Rgb } from "./format";
import { useColors } from "./label-colors";
import { useResource } from "./resource";
import type { MaskInfo, Version } from "./types";

export interface VersionLegend {
  colors: ReadonlyMap<string, Rgb>;
  masks: MaskInfo[];
}

const NOTHING: VersionLegend = { colors: new Map(), masks: [] };
const known = new Map<string, Promise<VersionLegend>>();

async function read(version: Version): Promise<VersionLegend> {
  const hit = (await frames.search(version.id, { limit: 1 })).hits[0];
  const source = hit?.sources[0];
  if (!hit || !source) return NOTHING;
  const masks = await media.masks(version.id, hit.id, source.id);
  const colors = new Map<string, Rgb>();
  for (const mask of masks.filter((m) => m.kind === "labels")) {
    const legend = await media.legend(version.id, hit.id, source.id, mask.id);
    for (const row of legend.entries)
      for (const label of row.labels) if (!colors.has(label)) colors.set(label, row.color);
  }
  return { colors, masks };
}

/** Colours are a convenience: where the first frame cannot be read, names get colours of their own. */
export function useLegend(version: Version): VersionLegend {
  const key = `${version.id} ${version.updated}`;
  const found = useResource(() => {
    const asked = known.get(key) ?? read(version).catch(() => NOTHING);
    known.set(key, asked);
    return asked;
  }, [key]);
  const chosen = useColors(version.dataset);
  const legend = found.data ?? NOTHING;
  return useMemo(() => ({ ...legend, colors: new Map([...legend.colors, ...chosen]) }), [legend, chosen]);
}
