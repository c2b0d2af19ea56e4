import { useEffect, useRef } from "preact/hooks";
import { indexMap, maskUrl, media } from "../lib/api";
import { Button } from "../ui/widgets";
import type { MaskLayer } from "./masks";
import type { Indices } from "./render/renderer";
import { nearest } from "./shapes";
import type { Viewer } from "./state";

const AHEAD = 40;
const FIRST = 12;
const PATIENCE_MS = 1500;
const AT_ONCE = 3;
const LONGEST = 640;
const KEPT = 240;

interface Small {
  data: Indices;
  width: number;
  height: number;
}

/**
 * Small index maps of the pictures that come next, by the time of the picture. Colours are put on when they are drawn,
 * so hiding a label works while the clip runs.
 */
class MaskTrack {
  private maps = new Map<number, Small | null>();
  private wanted: number[] = [];
  private busy = 0;
  private control = new AbortController();

  constructor(
    private viewer: Viewer,
    private source: string,
    readonly layer: MaskLayer,
    private pts: number[],
  ) {}

  /** The map of the picture number `index`; the ones after it are asked for. */
  at(index: number): Small | null {
    this.wanted = [];
    for (let i = index; i < Math.min(this.pts.length, index + AHEAD); i++) {
      if (!this.maps.has(i)) this.wanted.push(i);
    }
    this.pump();
    return this.maps.get(index) ?? null;
  }

  /** Whether the maps that come first are here: playing before that would show pictures without masks. */
  hasFirst(index: number): boolean {
    for (let i = index; i < Math.min(this.pts.length, index + FIRST); i++) if (!this.maps.get(i)) return false;
    return true;
  }

  stop(): void {
    this.control.abort();
    this.wanted = [];
  }

  private pump(): void {
    while (this.busy < AT_ONCE && this.wanted.length) {
      const index = this.wanted.shift()!;
      this.maps.set(index, null);
      this.busy++;
      const { version, frameId } = this.viewer;
      const url = maskUrl(version, frameId, this.source, this.layer.info.id, this.pts[index], LONGEST);
      void indexMap(url, this.control.signal)
        .then((map) => {
          this.maps.set(index, map);
          for (const old of this.maps.keys()) {
            if (this.maps.size <= KEPT) break;
            this.maps.delete(old);
          }
        })
        .catch(() => undefined) // a picture without its mask is shown without it
        .finally(() => {
          this.busy--;
          this.pump();
        });
    }
  }
}

/**
 * The browser's own player with the masks over it. Which picture it shows is known when it has shown it, so the mask
 * follows by that picture's time; the exact still comes from the server as soon as it stops.
 */
export function Playback({ viewer }: { viewer: Viewer }) {
  const video = useRef<HTMLVideoElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const source = viewer.source.value!;
  const { pts_ms: pts, first_ms } = viewer.video.value!;
  useEffect(() => {
    const player = video.current!;
    const from = viewer.played.peek() ?? 0;
    // A browser counts from the first picture, whatever time the file gives it.
    const start = Math.max(0, first_ms);
    const tracks = viewer.layers.value
      .filter((layer) => layer.mode.value === "pixel" && layer.legend.value)
      .map((layer) => new MaskTrack(viewer, source.id, layer, pts));
    let asked = 0;
    const shown = (_: number, { mediaTime }: VideoFrameCallbackMetadata) => {
      if (!canvas.current) return; // it was stopped while the picture was on its way
      const now = mediaTime * 1000 + start;
      viewer.played.value = now;
      const index = nearest(pts, now);
      const maps = tracks
        .filter(({ layer }) => layer.visible.value)
        .map((track): [MaskLayer, Small | null] => [track.layer, track.at(index)]);
      draw(canvas.current, maps);
      canvas.current.dataset.pts = maps.some(([, map]) => map) ? String(pts[index]) : "";
      canvas.current.dataset.shown = String(now);
      asked = player.requestVideoFrameCallback(shown);
    };
    for (const track of tracks) track.at(nearest(pts, from));
    player.currentTime = (from - start) / 1000 + 0.001;
    asked = player.requestVideoFrameCallback(shown);
    const began = performance.now();
    const timer = setInterval(() => {
      const shownMasks = tracks.filter(({ layer }) => layer.visible.value);
      const ready = shownMasks.every((track) => track.hasFirst(nearest(pts, from)));
      if (!ready && performance.now() - began < PATIENCE_MS) return;
      clearInterval(timer);
      void player.play().catch(() => undefined);
    }, 30);
    return () => {
      clearInterval(timer);
      player.cancelVideoFrameCallback(asked);
      for (const track of tracks) track.stop();
    };
  }, [viewer, source.id]);
  const stop = () => viewer.stopPlaying();
  return (
    <div class="preview">
      <div class="preview-stage">
        <video
          ref={video}
          src={media.video(viewer.version, viewer.frameId, source.id)}
          muted
          playsInline
          aria-label="Preview of the clip"
          onPause={stop}
          onEnded={stop}
          onClick={stop}
        />
        <canvas ref={canvas} aria-hidden="true" data-layer="playback" />
      </div>
      <div class="preview-bar">
        <span class="muted">Preview. Masks follow by timestamp; the exact picture comes when it stops.</span>
        <Button icon="pause" onClick={stop}>
          Stop here
        </Button>
      </div>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, maps: [MaskLayer, Small | null][]): void {
  const first = maps.find(([, map]) => map)?.[1];
  const context = canvas.getContext("2d")!;
  if (!first) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  if (canvas.width !== first.width || canvas.height !== first.height) {
    canvas.width = first.width;
    canvas.height = first.height;
  }
  const pixels = context.createImageData(first.width, first.height);
  const out = new Uint32Array(pixels.data.buffer);
  for (const [layer, map] of maps) {
    if (!map || map.width !== first.width || map.height !== first.height) continue;
    const lut = layer.lut.value;
    for (let i = 0; i < out.length; i++) {
      const color = lut[map.data[i]!] ?? 0;
      if (color >>> 24) out[i] = color;
    }
  }
  context.putImageData(pixels, 0, 0);
}
