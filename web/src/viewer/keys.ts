/** Keys of the viewer: those that people know from elsewhere, and ours. One table serves the handler and the help. */
import type { Drawing } from "./drawing";
import type { Tool, Viewer } from "./state";

export const HELP: [string, string][] = [
  ["← →", "previous, next frame"],
  ["Ctrl+← Ctrl+→", "10 frames back, on"],
  ["Alt+← Alt+→", "previous, next annotated frame"],
  [", .", "one picture of the clip back, on"],
  ["+ − / wheel", "zoom"],
  ["0 / Z", "fit / actual size"],
  ["1 … 9", "label of new shapes, and of the selected one"],
  ["Space+drag", "move the picture"],
  ["V R E P K M", "select, box, ellipse, polygon, key points, measure"],
  ["Enter", "finish a polygon or key points"],
  ["Shift+click", "add a key point to the selected ones"],
  ["Alt+click on a handle", "remove a point; double click on an edge adds one"],
  ["Esc", "cancel, then deselect, then close"],
  ["Del", "delete the selected object"],
  ["Ctrl+Z / Ctrl+Y", "undo / redo"],
  ["Ctrl+C / Ctrl+V", "copy / paste objects, also between frames"],
  ["Alt+[ / Alt+]", "select the previous, next object"],
  ["H", "hide masks while held"],
  ["O", "outlines"],
  ["Shift+M", "all masks on or off"],
  ["Shift+N", "all shapes on or off"],
  ["Shift+Tab", "next source"],
  ["Ctrl+S", "save now"],
  ["?", "this list"],
];

const TOOLS: Record<string, Tool> = { v: "select", r: "box", e: "ellipse", p: "polygon", k: "points", m: "measure" };

export interface Actions {
  go: (step: number) => void;
  goAnnotated: (direction: 1 | -1) => void;
  nextSource: () => void;
  close: () => void;
  help: () => void;
  step: (pictures: number) => void;
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches('textarea, select, input:not([type="checkbox"]):not([type="color"])'));

export function listenKeys(viewer: Viewer, tools: Drawing, actions: Actions): () => void {
  const down = (event: KeyboardEvent) => {
    if (document.querySelector("dialog[open]")) return;
    const range = event.target instanceof HTMLInputElement && event.target.type === "range";
    if (typing(event.target) && !(range && !event.key.startsWith("Arrow"))) return;
    if (handle(event, viewer, tools, actions)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  const up = (event: KeyboardEvent) => {
    if (event.key === " ") tools.space = false;
    if (event.key.toLowerCase() === "h") viewer.peek.value = false;
  };
  document.addEventListener("keydown", down);
  document.addEventListener("keyup", up);
  return () => {
    document.removeEventListener("keydown", down);
    document.removeEventListener("keyup", up);
  };
}

function handle(event: KeyboardEvent, viewer: Viewer, tools: Drawing, actions: Actions): boolean {
  const { key } = event;
  const control = event.ctrlKey || event.metaKey;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const direction = key === "ArrowLeft" ? -1 : 1;
    if (event.altKey) actions.goAnnotated(direction);
    else actions.go(direction * (control ? 10 : 1));
    return true;
  }
  if (control) return withControl(key.toLowerCase(), event.shiftKey, viewer);
  if (event.altKey && (key === "[" || key === "]")) return selectNext(viewer, key === "[" ? -1 : 1);
  if (event.altKey) return false;
  if (event.shiftKey && key === "M") return toggleMasks(viewer);
  if (event.shiftKey && key === "N") {
    viewer.showShapes.value = !viewer.showShapes.value;
    return true;
  }
  if (event.shiftKey && key === "Tab" && (viewer.frame.value?.sources.length ?? 1) > 1) {
    actions.nextSource();
    return true;
  }
  return plain(event, viewer, tools, actions);
}

function withControl(key: string, shift: boolean, viewer: Viewer): boolean {
  const rois = viewer.history.now.value.rois;
  const chosen = viewer.selected.value;
  if (key === "z" && !shift) viewer.undo();
  else if (key === "y" || (key === "z" && shift)) viewer.redo();
  else if (key === "s") void viewer.store();
  else if (key === "c" && !String(getSelection())) viewer.copy(chosen === null ? [...rois] : [rois[chosen]!]);
  else if (key === "v") viewer.paste();
  else return false;
  return true;
}

function plain(event: KeyboardEvent, viewer: Viewer, tools: Drawing, actions: Actions): boolean {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const tool = TOOLS[key];
  const { camera } = viewer;
  if (tool) {
    tools.cancel();
    viewer.tool.value = tool;
  } else if (key === "+" || key === "=") camera.zoom(1.25);
  else if (key === "-") camera.zoom(0.8);
  else if (key === "0") camera.fit();
  else if (key === "z") camera.actual();
  else if (/^[1-9]$/.test(key)) viewer.takeLabel(Number(key) - 1);
  else if (key === ",") actions.step(-1);
  else if (key === ".") actions.step(1);
  else if (key === "h") viewer.peek.value = true;
  else if (key === "o") viewer.outline.value = viewer.outline.value ? 0 : 2;
  else if (key === "?") actions.help();
  else if (key === "Enter" && tools.draft.value) tools.finish();
  else if (key === "Escape") goBack(viewer, tools, actions);
  else if ((key === "Delete" || key === "Backspace") && viewer.selected.value !== null) {
    if (!viewer.locked.value.has(viewer.selected.value)) viewer.deleteRoi(viewer.selected.value);
  } else if (key === " " && !(event.target instanceof HTMLButtonElement)) tools.space = true;
  else return false;
  return true;
}

function goBack(viewer: Viewer, tools: Drawing, actions: Actions): void {
  if (tools.cancel()) return;
  if (viewer.tool.value !== "select") viewer.tool.value = "select";
  else if (viewer.selected.value !== null) viewer.selected.value = null;
  else actions.close();
}

function toggleMasks(viewer: Viewer): boolean {
  const layers = viewer.layers.value;
  const any = layers.some((layer) => layer.visible.value);
  for (const layer of layers) layer.visible.value = !any;
  return true;
}

function selectNext(viewer: Viewer, step: number): boolean {
  const order = viewer.shown.value.map(([index]) => index);
  if (!order.length) return true;
  const now = order.indexOf(viewer.selected.value ?? -1);
  viewer.selected.value = order[(now + step + order.length) % order.length] ?? null;
  return true;
}
