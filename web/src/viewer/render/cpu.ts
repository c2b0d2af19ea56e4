import type { Layer, Renderer, View } from "./renderer";
import { drawLayer } from "./resample";

/** Two canvases on top of each other: the image, scaled by the browser, and the masks, resampled by us. */
export class CpuRenderer implements Renderer {
  readonly name = "cpu";
  private image: CanvasImageSource | null = null;
  private size = { width: 1, height: 1 };
  private layers: Layer[] = [];
  private ratio = 1;
  private pixels: ImageData | null = null;
  private below: CanvasRenderingContext2D;
  private above: CanvasRenderingContext2D;

  constructor(
    private imageCanvas: HTMLCanvasElement,
    private maskCanvas: HTMLCanvasElement,
  ) {
    this.below = imageCanvas.getContext("2d")!;
    this.above = maskCanvas.getContext("2d")!;
  }

  resize(width: number, height: number, ratio: number): void {
    this.ratio = ratio;
    for (const canvas of [this.imageCanvas, this.maskCanvas]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.pixels = null;
  }

  setImage(image: CanvasImageSource | null, width: number, height: number): void {
    this.image = image;
    this.size = { width, height };
  }

  addLayer(layer: Layer): void {
    this.layers.push(layer);
  }

  clearLayers(): void {
    this.layers = [];
  }

  draw(view: View, smooth: boolean): void {
    const { width, height } = this.imageCanvas;
    const inDevice = { scale: view.scale * this.ratio, x: view.x * this.ratio, y: view.y * this.ratio };
    this.below.setTransform(1, 0, 0, 1, 0, 0);
    this.below.clearRect(0, 0, width, height);
    if (this.image) {
      this.below.imageSmoothingEnabled = smooth;
      this.below.imageSmoothingQuality = "medium";
      const { x, y, scale } = inDevice;
      this.below.drawImage(this.image, x, y, this.size.width * scale, this.size.height * scale);
    }
    this.drawMasks(inDevice, width, height);
  }

  private drawMasks(view: View, width: number, height: number): void {
    const shown = this.layers.filter((layer) => layer.visible);
    if (!shown.length) {
      this.above.clearRect(0, 0, width, height);
      return;
    }
    this.pixels ??= this.above.createImageData(width, height);
    const out = new Uint32Array(this.pixels.data.buffer);
    shown.forEach((layer, i) => {
      drawLayer(out, { width, height }, layer, this.size, view, i === 0);
    });
    this.above.putImageData(this.pixels, 0, 0);
  }

  dispose(): void {
    this.layers = [];
    this.image = null;
    this.pixels = null;
  }
}
