import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { hex, percent } from "../lib/format";
import { classText } from "./classes";
import type { Drawing } from "./drawing";
import { makeRenderer } from "./render";
import type { Renderer } from "./render/renderer";
import { Shapes } from "./shapes-svg";
import type { Viewer } from "./state";

const SETTLE_MS = 100;
const SMOOTH_BELOW = 3;

declare global {
  interface Window {
    /** Which renderer draws: tests assert on it, so that a GPU test cannot pass on the CPU. */
    __backend?: string;
  }
}

/** The picture, the masks over it, the shapes over both, and what the pointer does to them. */
export function Stage({ viewer, tools }: { viewer: Viewer; tools: Drawing }) {
  const host = useRef<HTMLDivElement>(null);
  const imageCanvas = useRef<HTMLCanvasElement>(null);
  const maskCanvas = useRef<HTMLCanvasElement>(null);
  const world = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = host.current!;
    const renderer = makeRenderer(imageCanvas.current!, maskCanvas.current!);
    window.__backend = renderer.name;
    const stops = [
      ...drive(viewer, renderer, world.current!),
      follow(element, viewer, renderer),
      listen(element, viewer, tools),
    ];
    return () => {
      for (const stop of stops) stop();
      renderer.dispose();
    };
  }, [viewer, tools]);

  const { width, height } = viewer.camera.image.value;
  const cursor = tools.cursor.value;
  return (
    <section
      class={`stage cursor-${cursor}`}
      ref={host}
      aria-label="Picture with masks and shapes. Arrow keys go to other frames, plus and minus zoom."
      data-state={viewer.image.value || viewer.imageError.value ? "ready" : "loading"}
    >
      <canvas ref={imageCanvas} aria-hidden="true" />
      <canvas ref={maskCanvas} aria-hidden="true" class={viewer.peek.value ? "peeked" : ""} data-layer="masks" />
      <div class="world" ref={world}>
        <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="group" aria-label="Shapes">
          <Shapes viewer={viewer} tools={tools} />
        </svg>
      </div>
      <HoverChip viewer={viewer} />
      {viewer.imageError.value && !viewer.image.value && <div class="stage-note">{viewer.imageError.value}</div>}
      <Minimap viewer={viewer} />
    </section>
  );
}

/** Redraw when something that is drawn has changed, at most once per animation frame. */
function drive(viewer: Viewer, renderer: Renderer, world: HTMLElement): (() => void)[] {
  const { camera } = viewer;
  let asked = 0;
  let settled = 0;
  const draw = () => {
    asked = 0;
    renderer.draw(camera.view.peek(), camera.view.peek().scale * devicePixelRatio < SMOOTH_BELOW);
    host().dataset.drawn = String(Number(host().dataset.drawn ?? 0) + 1);
  };
  const host = () => world.parentElement!;
  const ask = () => {
    if (!asked) asked = requestAnimationFrame(draw);
  };
  return [
    effect(() => {
      const { width, height } = camera.image.value;
      renderer.setImage(viewer.image.value, width, height);
      ask();
    }),
    effect(() => {
      renderer.clearLayers();
      for (const layer of viewer.layers.value) {
        const found = layer.data.value;
        if (!found) continue;
        renderer.addLayer({
          data: found.data,
          width: found.width,
          height: found.height,
          lut: layer.lut.value,
          outline: layer.mode.value === "alpha" ? 0 : viewer.outline.value * devicePixelRatio,
          visible: layer.visible.value,
        });
      }
      ask();
    }),
    effect(() => {
      const { scale, x, y } = camera.view.value;
      world.style.transform = `matrix(${scale}, 0, 0, ${scale}, ${x}, ${y})`;
      world.style.willChange = "transform";
      clearTimeout(settled);
      // A layer kept for the compositor is a blurred picture at high zoom: give it back once the gesture is over.
      settled = window.setTimeout(() => {
        world.style.willChange = "";
        world.style.setProperty("--px", String(1 / scale));
      }, SETTLE_MS);
      if (!world.style.getPropertyValue("--px")) world.style.setProperty("--px", String(1 / scale));
      ask();
    }),
    () => {
      cancelAnimationFrame(asked);
      clearTimeout(settled);
    },
  ];
}

function follow(element: HTMLElement, viewer: Viewer, renderer: Renderer): () => void {
  const { camera } = viewer;
  const watch = new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = element;
    if (!width || !height) return;
    renderer.resize(width, height, Math.min(devicePixelRatio, 2));
    camera.stage.value = { width, height };
    if (camera.fitted) camera.fit();
    else camera.view.value = { ...camera.view.value };
  });
  watch.observe(element);
  return () => watch.disconnect();
}

function listen(element: HTMLElement, viewer: Viewer, tools: Drawing): () => void {
  const { camera } = viewer;
  const local = (event: MouseEvent): [number, number] => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const fingers = new Map<number, [number, number]>();
  let grip: { px: number; py: number } | null = null;
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const [px, py] = local(event);
    if (event.shiftKey) camera.pan(-event.deltaY, 0);
    else camera.zoomAt(px, py, 2 ** (-event.deltaY / (event.ctrlKey ? 150 : 300)));
  };
  const down = (event: PointerEvent) => {
    const [px, py] = local(event);
    fingers.set(event.pointerId, [px, py]);
    element.setPointerCapture(event.pointerId);
    const panning = event.button === 1 || tools.space || fingers.size > 1;
    if (panning || !tools.down(event, camera.toImage(px, py))) grip = { px, py };
    if (event.button === 1) event.preventDefault();
  };
  const move = (event: PointerEvent) => {
    const [px, py] = local(event);
    const [x, y] = camera.toImage(px, py);
    const before = fingers.get(event.pointerId);
    if (fingers.size === 2 && before) {
      const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)![1];
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(px - other[0], py - other[1]);
      if (was > 0) camera.zoomAt((px + other[0]) / 2, (py + other[1]) / 2, is / was);
      fingers.set(event.pointerId, [px, py]);
      return;
    }
    if (before) fingers.set(event.pointerId, [px, py]);
    if (grip) {
      camera.pan(px - grip.px, py - grip.py);
      grip = { px, py };
    } else tools.move(event, [x, y]);
    const { width, height } = camera.image.value;
    viewer.hover.value = x >= 0 && y >= 0 && x < width && y < height ? { x, y, px, py } : null;
  };
  const up = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    if (!grip) tools.up(event, camera.toImage(...local(event)));
    grip = null;
  };
  const leave = () => {
    viewer.hover.value = null;
  };
  const twice = (event: MouseEvent) => tools.twice(event, camera.toImage(...local(event)));
  element.addEventListener("wheel", wheel, { passive: false });
  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("dblclick", twice);
  return () => {
    element.removeEventListener("wheel", wheel);
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", up);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("dblclick", twice);
  };
}

/** What lies under the pointer: label, stored value and position, for each mask that is shown. */
function HoverChip({ viewer }: { viewer: Viewer }) {
  const hover = viewer.hover.value;
  const chip = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!chip.current || !hover) return;
    const { width, height } = viewer.camera.stage.peek();
    const { offsetWidth: w, offsetHeight: h } = chip.current;
    const x = hover.px + 16 + w > width ? hover.px - w - 12 : hover.px + 16;
    const y = hover.py + 16 + h > height ? hover.py - h - 12 : hover.py + 16;
    chip.current.style.transform = `translate(${Math.max(0, x)}px, ${Math.max(0, y)}px)`;
  });
  if (!hover) return null;
  const { width, height } = viewer.camera.image.value;
  const rows = viewer.layers.value
    .filter((layer) => layer.visible.value && layer.data.value)
    .map((layer) => {
      const found = layer.data.value!;
      const column = Math.min(found.width - 1, Math.floor((hover.x * found.width) / width));
      const line = Math.min(found.height - 1, Math.floor((hover.y * found.height) / height));
      const index = found.data[line * found.width + column] ?? 0;
      return { layer, index, row: layer.rowAt(index), stored: layer.storedAt(index) };
    });
  return (
    <div class="hover-chip" ref={chip} role="status" aria-live="off">
      {rows.map(({ layer, index, row, stored }) => (
        <div key={layer.info.id} class="hover-row" data-mask={layer.info.id}>
          <svg class="swatch" aria-hidden="true" viewBox="0 0 10 10">
            <rect width="10" height="10" rx="2" fill={row ? hex(row.color) : "transparent"} stroke="currentColor" />
          </svg>
          {layer.mode.value === "alpha" ? (
            <b>{percent(index / 255)}</b>
          ) : layer.isByClass.value && row ? (
            <>
              <b>{classText(row.number, row.name)}</b>
              {stored.name !== row.name && <span class="stored">{stored.name}</span>}
            </>
          ) : (
            <b>{stored.name}</b>
          )}
          {stored.value != null && <code>{Array.isArray(stored.value) ? stored.value.join(",") : stored.value}</code>}
          {viewer.layers.value.length > 1 && <span class="muted">{layer.info.id}</span>}
        </div>
      ))}
      <div class="muted mono">
        {Math.floor(hover.x)}, {Math.floor(hover.y)}
      </div>
    </div>
  );
}

/** Where we are in the picture, once it is larger than the stage. */
function Minimap({ viewer }: { viewer: Viewer }) {
  const { image, stage, view } = viewer.camera;
  const { width, height } = image.value;
  const { scale, x, y } = view.value;
  const bigger = width * scale > stage.value.width + 1 || height * scale > stage.value.height + 1;
  if (!bigger) return null;
  const w = stage.value.width / scale;
  const h = stage.value.height / scale;
  return (
    <svg class="minimap" viewBox={`0 0 ${width} ${height}`} aria-hidden="true" preserveAspectRatio="xMaxYMax meet">
      <rect class="minimap-all" width={width} height={height} />
      <rect class="minimap-part" x={-x / scale} y={-y / scale} width={w} height={h} />
    </svg>
  );
}
