import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { asLine, colorOf, hex, type Rgb, rgba } from "../lib/format";
import { ask, known, type Thumb, type ThumbClass, type ThumbShape, type Wanted } from "../lib/thumbs";
import { ringsOf } from "../viewer/shapes";

const OPACITY = 0.55;
const GREY: Rgb = [128, 128, 128];

interface Props {
  wanted: Wanted;
  /** Colours that somebody chose for labels; they win over the legend's. */
  colors: ReadonlyMap<string, Rgb>;
  masks?: boolean;
  shapes?: boolean;
}

/** A thumbnail with its mask and its shapes. The server sends numbers; what they look like is settled here. */
export function Picture({ wanted, colors, masks = true, shapes = true }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const key = JSON.stringify(wanted);
  const [thumb, setThumb] = useState<Thumb | undefined>(() => known(wanted));
  // A key with several parts: the object is made anew with each drawing of the grid
  useEffect(() => {
    const here = known(wanted);
    if (!here) return ask(wanted, setThumb); // an edited frame shows what it was until what it is has come
    setThumb(here);
  }, [key]);
  useLayoutEffect(() => {
    if (canvas.current && thumb) paint(canvas.current, thumb, colors, masks, shapes);
  }, [thumb, colors, masks, shapes]);
  if (thumb && !thumb.picture && !thumb.labels) {
    return (
      <span class="thumb-broken muted small" title={thumb.error ?? undefined}>
        cannot be shown
      </span>
    );
  }
  return <canvas ref={canvas} width="1" height="1" aria-hidden="true" data-thumb={thumb ? "drawn" : "asked"} />;
}

let scratch: CanvasRenderingContext2D | null = null;

function paint(
  canvas: HTMLCanvasElement,
  thumb: Thumb,
  colors: ReadonlyMap<string, Rgb>,
  masks: boolean,
  shapes: boolean,
): void {
  const { picture, labels, legend } = thumb;
  const scale = picture ? picture.width / thumb.width : 1;
  const width = picture?.width ?? Math.round(thumb.width * scale);
  const height = picture?.height ?? Math.round(thumb.height * scale);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  if (picture) context.drawImage(picture, 0, 0);
  if (masks && labels && legend && labels.length === width * height) {
    scratch ??= document.createElement("canvas").getContext("2d")!;
    scratch.canvas.width = width;
    scratch.canvas.height = height;
    const pixels = scratch.createImageData(width, height);
    const out = new Uint32Array(pixels.data.buffer);
    const table = new Uint32Array(legend.entries.reduce((most, entry) => Math.max(most, entry.index), 0) + 1);
    for (const entry of legend.entries) {
      const made = entry.class;
      if (!made) table[entry.index] = rgba(...(colors.get(entry.labels[0] ?? "") ?? entry.color), OPACITY);
      else if (!made.void) table[entry.index] = rgba(...classColor(made, colors), OPACITY);
    }
    for (let i = 0; i < out.length; i++) out[i] = table[labels[i]!] ?? 0;
    scratch.putImageData(pixels, 0, 0);
    context.drawImage(scratch.canvas, 0, 0);
  }
  if (shapes) for (const shape of thumb.rois) outline(context, shape, scale, legendColor(thumb, colors, shape));
}

const classColor = ({ name, color }: ThumbClass, colors: ReadonlyMap<string, Rgb>): Rgb =>
  colors.get(name) ?? color ?? colorOf(name);

function legendColor(thumb: Thumb, colors: ReadonlyMap<string, Rgb>, { labels, class: made }: ThumbShape): string {
  if (made) {
    const same = thumb.legend?.entries.find((e) => e.class?.name === made.name)?.class;
    return hex(asLine(made.void ? GREY : classColor(same ?? made, colors)));
  }
  const label = labels[0] ?? "";
  const entry = thumb.legend?.entries.find((e) => e.labels.includes(label));
  return hex(asLine(colors.get(label) ?? entry?.color ?? colorOf(label)));
}

function outline(context: CanvasRenderingContext2D, { shape, points }: ThumbShape, scale: number, color: string): void {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = 1.5;
  context.beginPath();
  if (shape === "ellipse") {
    const [cx = 0, cy = 0, rx = 0, ry = 0, theta = 0] = points;
    context.ellipse(cx * scale, cy * scale, rx * scale, ry * scale, theta, 0, 2 * Math.PI);
  } else if (shape === "point") {
    for (let i = 0; i + 1 < points.length; i += 2) {
      context.moveTo(points[i]! * scale + 2.5, points[i + 1]! * scale);
      context.arc(points[i]! * scale, points[i + 1]! * scale, 2.5, 0, 2 * Math.PI);
    }
    context.fill();
  } else {
    for (const ring of ringsOf(points)) {
      ring.forEach(([x, y], i) => {
        if (i) context.lineTo(x * scale, y * scale);
        else context.moveTo(x * scale, y * scale);
      });
      context.closePath();
    }
  }
  context.stroke();
}
