/** Every state of the viewer has an address: what stands in it, and how it is read again. */
import { effect } from "@preact/signals";
import { fromHex, hex } from "../lib/format";
import type { Choice, MaskLayer } from "./masks";
import type { Viewer } from "./state";

type Params = Record<string, string>;

/** What a mask says of itself under one name, "" = as it is anyway; and how that is taken back. */
interface LayerField {
  write: (layer: MaskLayer) => string;
  read: (layer: MaskLayer, text: string) => void;
}

const turned = (of: (layer: MaskLayer) => Choice): LayerField => ({
  write: (layer) => [...of(layer).turned.value].sort().map(encodeURIComponent).join("|"),
  read: (layer, text) => {
    of(layer).turned.value = new Set(text.split("|").filter(Boolean).map(decode));
  },
});

const alone = (of: (layer: MaskLayer) => Choice): LayerField => ({
  write: (layer) => encodeURIComponent(of(layer).solo.value ?? ""),
  read: (layer, text) => {
    of(layer).solo.value = decode(text) || null;
  },
});

const LAYER_FIELDS: Record<string, LayerField> = {
  // "seg:0.6,objects:-": the opacity of each mask, a dash where it is off
  masks: {
    write: (layer) => (layer.visible.value ? String(Math.round(layer.opacity.value * 100) / 100) : "-"),
    read: (layer, text) => {
      layer.visible.value = text !== "-";
      const value = Number(text);
      if (text !== "-" && Number.isFinite(value)) layer.opacity.value = Math.min(1, Math.max(0, value));
    },
  },
  // "seg:car|person": the labels that are hidden
  hide: turned((layer) => layer.ofLabels),
  solo: alone((layer) => layer.ofLabels),
  // "seg:9|~": the classes that are hidden, and void (~) where it is shown
  turn: turned((layer) => layer.ofClasses),
  class: alone((layer) => layer.ofClasses),
  mode: {
    write: (layer) => (layer.mode.value === layer.firstMode ? "" : layer.mode.value),
    read: (layer, text) => {
      layer.mode.value = text === "alpha" ? "alpha" : "pixel";
    },
  },
  tint: {
    write: (layer) => (layer.tint.value === layer.firstTint ? "" : hex(layer.tint.value).slice(1)),
    read: (layer, text) => {
      if (/^[0-9a-f]{6}$/.test(text)) layer.tint.value = fromHex(`#${text}`);
    },
  },
  unmapped: {
    write: (layer) => (layer.showStrange.value ? "1" : ""),
    read: (layer) => {
      layer.showStrange.value = true;
    },
  },
};

/** What is the viewer's own in the address; the rest belongs to the page behind it. */
const OWN = [
  "src",
  "t",
  "roi",
  "view",
  "conf",
  "outline",
  "shapes",
  "off",
  "data",
  "dataview",
  "rows",
  ...Object.keys(LAYER_FIELDS),
];

export const othersIn = (params: Params): Params =>
  Object.fromEntries(Object.entries(params).filter(([key]) => !OWN.includes(key)));

export const paramsNow = (): Params => Object.fromEntries(new URLSearchParams(location.search));

export function writeLayers(layers: MaskLayer[]): Params {
  const found: Params = {};
  for (const [name, field] of Object.entries(LAYER_FIELDS)) {
    const parts = layers.map((layer): [string, string] => [layer.info.id, field.write(layer)]).filter(([, t]) => t);
    if (parts.length) found[name] = parts.map(([id, text]) => `${id}:${text}`).join(",");
  }
  return found;
}

export function readLayers(layers: MaskLayer[], params: Params): void {
  for (const [name, field] of Object.entries(LAYER_FIELDS)) {
    for (const part of (params[name] ?? "").split(",")) {
      const cut = part.lastIndexOf(":");
      const layer = layers.find((l) => l.info.id === part.slice(0, cut));
      if (layer) field.read(layer, part.slice(cut + 1));
    }
  }
}

/** What does not hang on masks. */
export function readState(viewer: Viewer, params: Params): void {
  const number = (text: string | undefined): number | null =>
    text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
  viewer.at.value = number(params.t);
  viewer.selected.value = number(params.roi);
  viewer.minConfidence.value = Math.min(1, Math.max(0, number(params.conf) ?? viewer.minConfidence.value));
  viewer.outline.value = number(params.outline) ?? viewer.outline.value;
  if (params.shapes) viewer.showShapes.value = params.shapes !== "off";
  viewer.hiddenRois.value = new Set((params.off ?? "").split(".").filter(Boolean).map(Number));
  viewer.preview.value = params.data === "preview";
  viewer.under.id.value = params.dataview ?? "";
  viewer.under.shown.value = Boolean(params.dataview) && params.rows === "classes";
}

function writeState(viewer: Viewer): Params {
  const found: Params = {};
  if (viewer.all.value) found.src = "*";
  else if (viewer.sourceId.value !== viewer.frame.value?.sources[0]?.id) found.src = viewer.sourceId.value;
  if (viewer.at.value !== null) found.t = String(viewer.at.value);
  if (viewer.selected.value !== null) found.roi = String(viewer.selected.value);
  if (viewer.minConfidence.value > 0) found.conf = String(viewer.minConfidence.value);
  if (viewer.outline.value) found.outline = String(viewer.outline.value);
  if (!viewer.showShapes.value) found.shapes = "off";
  if (viewer.hiddenRois.value.size) found.off = [...viewer.hiddenRois.value].sort((a, b) => a - b).join(".");
  if (viewer.preview.value) found.data = "preview";
  if (viewer.under.id.value) found.dataview = viewer.under.id.value;
  if (viewer.under.shown.value) found.rows = "classes";
  return found;
}

/** The address follows the state, without steps in the browser's history. */
export function writeAddress(viewer: Viewer, path: string, kept: Params): () => void {
  let timer = 0;
  const stop = effect(() => {
    if (!viewer.frame.value) return;
    const values: Params = { ...kept, ...writeState(viewer), ...writeLayers(viewer.layers.value) };
    viewer.camera.view.value;
    const view = viewer.camera.write();
    if (view) values.view = view;
    const text = new URLSearchParams(values)
      .toString()
      .replaceAll("%2C", ",")
      .replaceAll("%3A", ":")
      .replaceAll("%2A", "*");
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      // The viewer may have been left meanwhile: the address is then another page's.
      if (!location.pathname.includes("/frames/")) return;
      history.replaceState(history.state, "", `${path}${text ? `?${text}` : ""}`);
    }, 150);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody edited the address
  }
}
