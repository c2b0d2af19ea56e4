/** What draws the picture and the masks over it. The typed arrays stay with the caller; a renderer only looks at them. */

export type Indices = Uint8Array | Uint16Array | Uint32Array;

/** Where the image lies on the stage: one image pixel is `scale` CSS pixels, its corner is at (x, y). */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export interface Layer {
  data: Indices;
  width: number;
  height: number;
  /** RGBA, little-endian, not premultiplied: 0xAABBGGRR. An index beyond the table is drawn as index 0. */
  lut: Uint32Array;
  /** 0 = none, else the width of outlines in device pixels. */
  outline: number;
  visible: boolean;
}

export interface Renderer {
  readonly name: string;
  resize(width: number, height: number, ratio: number): void;
  setImage(image: CanvasImageSource | null, width: number, height: number): void;
  addLayer(layer: Layer): void;
  clearLayers(): void;
  draw(view: View, smooth: boolean): void;
  dispose(): void;
}
