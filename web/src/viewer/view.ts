/** Where the picture lies on the stage. One signal feeds the canvases, the shapes, the minimap and the URL. */
import { signal } from "@preact/signals";
import type { View } from "./render/renderer";

export const MIN_SCALE = 0.02;
export const MAX_SCALE = 64;

export interface Size {
  width: number;
  height: number;
}

export class Camera {
  readonly view = signal<View>({ scale: 1, x: 0, y: 0 });
  readonly stage = signal<Size>({ width: 0, height: 0 });
  readonly image = signal<Size>({ width: 1, height: 1 });
  /** Whether the picture follows the stage's size: true until somebody zooms or pans. */
  fitted = true;

  fit(): void {
    const { width, height } = this.stage.value;
    const image = this.image.value;
    if (!width || !height) return;
    const scale = Math.max(MIN_SCALE, Math.min((width - 24) / image.width, (height - 24) / image.height));
    this.fitted = true; // before the view: whoever listens to it asks for this
    this.view.value = { scale, x: (width - image.width * scale) / 2, y: (height - image.height * scale) / 2 };
  }

  /** Show a point of the image in the middle of the stage. */
  place(scale: number, cx: number, cy: number): void {
    const { width, height } = this.stage.value;
    const s = Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));
    this.fitted = false;
    this.view.value = { scale: s, x: width / 2 - cx * s, y: height / 2 - cy * s };
  }

  zoomAt(px: number, py: number, factor: number): void {
    const { scale, x, y } = this.view.value;
    const next = Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale * factor));
    const by = next / scale;
    this.fitted = false;
    this.view.value = { scale: next, x: px - (px - x) * by, y: py - (py - y) * by };
  }

  zoom(factor: number): void {
    this.zoomAt(this.stage.value.width / 2, this.stage.value.height / 2, factor);
  }

  actual(): void {
    const [cx, cy] = this.toImage(this.stage.value.width / 2, this.stage.value.height / 2);
    this.place(1, cx, cy);
  }

  pan(dx: number, dy: number): void {
    const { scale, x, y } = this.view.value;
    this.fitted = false;
    this.view.value = { scale, x: x + dx, y: y + dy };
  }

  toImage(px: number, py: number): [number, number] {
    const { scale, x, y } = this.view.value;
    return [(px - x) / scale, (py - y) / scale];
  }

  /** "z,x,y": zoom and the image point in the middle; empty while the picture is fitted. */
  write(): string {
    if (this.fitted) return "";
    const [cx, cy] = this.toImage(this.stage.value.width / 2, this.stage.value.height / 2);
    return `${this.view.value.scale.toFixed(3)},${cx.toFixed(1)},${cy.toFixed(1)}`;
  }

  read(text: string | null | undefined): boolean {
    const [scale, x, y] = (text ?? "").split(",").map(Number);
    if (scale === undefined || x === undefined || y === undefined) return false;
    if (![scale, x, y].every(Number.isFinite) || scale <= 0) return false;
    this.place(scale, x, y);
    return true;
  }
}
