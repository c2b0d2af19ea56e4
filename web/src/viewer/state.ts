/** Everything the frame viewer knows. Components read signals; what changes the frame goes through the history. */
import { computed, signal } from "@preact/signals";
import { type FramePatch, frames, media, ptsOf } from "../lib/api";
import { colorOf, type Rgb } from "../lib/format";
import { ApiError, say, send } from "../lib/http";
import { colorsOf, type LabelColors } from "../lib/label-colors";
import type { Change } from "../lib/live";
import { recall, remember } from "../lib/theme";
import type { Frame, FrameOut, Roi, RoiClass, Source, VideoInfo } from "../lib/types";
import { toast } from "../ui/widgets";
import { readLayers, readState } from "./address";
import { UnderView } from "./classes";
import { type Content, History } from "./history";
import { MaskLayer } from "./masks";
import { kindOf, labelsOf, nearest } from "./shapes";
import { Camera } from "./view";

export type Tool = "select" | "box" | "ellipse" | "polygon" | "points" | "measure";

export interface Hover {
  x: number;
  y: number;
  /** Where the chip goes, in stage pixels. */
  px: number;
  py: number;
}

export type SaveState = "clean" | "dirty" | "saving" | "conflict" | "error";

const AUTOSAVE_MS = 900;
const CLIPBOARD = "smalti.clipboard";

export class Viewer {
  readonly camera = new Camera();
  readonly history = new History();
  readonly colors: LabelColors;
  readonly under: UnderView;
  readonly frame = signal<Frame | null>(null);
  readonly info = signal<FrameOut | null>(null);
  readonly error = signal("");
  readonly sourceId = signal("");
  readonly all = signal(false);
  readonly at = signal<number | null>(null);
  readonly video = signal<VideoInfo | null>(null);
  readonly image = signal<ImageBitmap | null>(null);
  readonly imageError = signal("");
  readonly imagePts = signal<number | null>(null);
  readonly layers = signal<MaskLayer[]>([]);
  readonly masksError = signal("");
  readonly outline = signal(0);
  readonly peek = signal(false);
  readonly showShapes = signal(true);
  readonly minConfidence = signal(0);
  readonly hover = signal<Hover | null>(null);
  readonly selected = signal<number | null>(null);
  readonly hiddenRois = signal<ReadonlySet<number>>(new Set());
  readonly locked = signal<ReadonlySet<number>>(new Set());
  readonly tool = signal<Tool>("select");
  readonly label = signal("");
  readonly frozen = signal(true);
  readonly save = signal<SaveState>("clean");
  /** The frame, or its version, is no longer there. */
  readonly gone = signal(false);
  /** While the preview plays: the time of the picture that it shows. */
  readonly played = signal<number | null>(null);
  /** The stand-in that the frame names for the source is shown, instead of the source itself. */
  readonly preview = signal(false);
  readonly saveError = signal("");
  private etag: string | null = null;
  private saved: Content | null = null;
  private timer = 0;
  private storing: Promise<boolean> = Promise.resolve(true);
  private load = new AbortController();

  constructor(
    readonly dataset: string,
    readonly version: string,
    readonly frameId: string,
  ) {
    this.colors = colorsOf(dataset);
    this.under = new UnderView(version, frameId);
  }

  readonly source = computed<Source | null>(() => {
    const sources = this.frame.value?.sources ?? [];
    return sources.find((s) => s.id === this.sourceId.value) ?? sources[0] ?? null;
  });

  /** Which ROIs are drawn on this source: number in the frame, and the ROI. */
  readonly shown = computed<[number, Roi][]>(() => {
    const source = this.source.value?.id ?? "";
    const least = this.minConfidence.value;
    return this.history.now.value.rois
      .map((roi, i): [number, Roi] => [i, roi])
      .filter(([, roi]) => !roi.sources?.length || roi.sources.includes(source))
      .filter(([, roi]) => roi.confidence == null || roi.confidence >= least);
  });

  readonly isVideo = computed(() => Boolean(this.video.value && this.video.value.pts_ms.length > 1));
  /**
   * How far image and mask lie apart in time, in milliseconds. Each file has its own clock: what counts is how far
   * each picture lies from the time that the frame names in its file. null where either is no clip.
   */
  readonly spread = computed(() => {
    const image = this.imagePts.value;
    const source = this.source.value;
    if (image === null || !source) return null;
    const apart = this.layers.value.flatMap((layer) => {
      const pts = layer.data.value?.pts ?? null;
      return pts === null ? [] : [pts - layer.info.timestamp - (image - (source.timestamp ?? 0))];
    });
    return apart.length ? apart.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)) : null;
  });

  /** The class of a ROI, while classes are shown. */
  classOf(roi: Roi): RoiClass | undefined {
    return this.under.shown.value ? this.under.rois.value.get(roi) : undefined;
  }

  /** The colour of a ROI: that of its class or of its label in a legend, else one made from the name. */
  colorOfRoi(roi: Roi): Rgb {
    const layers = this.layers.value;
    const found = this.classOf(roi);
    if (found) {
      const rows = layers.flatMap((layer) => (layer.isByClass.value ? layer.rows.value : []));
      return this.under.colorOf(found, rows, this.colors.chosen.value);
    }
    const label = labelsOf(roi)[0] ?? "";
    const chosen = this.colors.chosen.value.get(label);
    if (chosen) return chosen;
    for (const layer of layers) {
      const row = layer.labels.value.find((r) => r.named.includes(label));
      if (row) return row.color;
    }
    return colorOf(label);
  }

  async open(params: Record<string, string>): Promise<void> {
    void this.colors.load();
    try {
      const { data, etag } = await frames.get(this.version, this.frameId);
      this.info.value = data;
      this.frozen.value = !data.editable;
      this.adopt(data.frame, etag ?? `"${data.etag}"`);
      this.error.value = "";
    } catch (error) {
      this.error.value = say(error);
      return;
    }
    this.all.value = params.src === "*";
    this.sourceId.value = params.src && params.src !== "*" ? params.src : (this.frame.value?.sources[0]?.id ?? "");
    readState(this, params);
    void this.under.load(this.frame.value?.rois ?? []);
    await this.openSource(params);
  }

  /** Somebody else changed the frame: show it as it is now, but never over changes that are not saved. */
  async follow(change: Change): Promise<void> {
    if (change.view && change.view === this.under.id.value) return this.readClasses();
    if (!/^(frame|version\.|reset)/.test(change.kind)) return;
    if (change.version && change.version !== this.version) return;
    if (change.frame && change.frame !== this.frameId) return;
    if (change.kind === "frame.deleted" || change.kind === "version.deleted") {
      this.gone.value = true;
      return;
    }
    if (change.etag && this.etag?.includes(change.etag)) return;
    if (this.save.value === "saving") {
      // Whose change it was is known once the answer is here.
      await this.storing;
      return this.follow(change);
    }
    try {
      const { data, etag } = await frames.get(this.version, this.frameId);
      this.info.value = data;
      this.frozen.value = !data.editable;
      if ((etag ?? `"${data.etag}"`) === this.etag) return;
      if (this.isDirty) {
        clearTimeout(this.timer);
        this.save.value = "conflict";
        return;
      }
      this.adopt(data.frame, etag ?? `"${data.etag}"`);
      void this.under.load(this.history.now.value.rois);
      await this.reread();
      toast(change.who ? `${change.who} changed this frame` : "This frame was changed elsewhere");
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.gone.value = true;
    }
  }

  /** Masks and picture once more, with everything that was chosen for them left as it is. */
  private async reread(): Promise<void> {
    const source = this.source.value;
    const known = this.layers.value.map((layer) => layer.info.id).join();
    if (source && (source.masks ?? []).map((mask) => mask.id).join() === known) await this.seek(this.at.value);
    else await this.openSource();
  }

  /** The classes once more: the view was changed. */
  private async readClasses(): Promise<void> {
    const source = this.source.value?.id ?? "";
    const { signal: stop } = this.load;
    const masks = this.layers.value
      .filter((layer) => layer.mode.value === "pixel")
      .map((layer) => layer.loadClasses(this.version, this.frameId, source, this.at.value, stop));
    await Promise.all([this.under.load(this.saved?.rois ?? []), ...masks]);
  }

  private adopt(frame: Frame, etag: string | null): void {
    this.frame.value = frame;
    this.etag = etag;
    this.history.reset({ rois: frame.rois ?? [], meta: frame.meta ?? {} });
    this.saved = this.history.now.value;
    this.save.value = "clean";
  }

  /** Read the picture and the masks of the chosen source at the chosen time. */
  async openSource(params: Record<string, string> = {}): Promise<void> {
    this.played.value = null;
    this.load.abort();
    this.load = new AbortController();
    const { signal: stop } = this.load;
    const source = this.source.value;
    if (!source) return;
    const looksVideo = /^video\//.test(source.content_type ?? "") || /\.(mp4|mkv|webm|avi|mov)$/i.test(source.uri);
    this.video.value = null;
    if (looksVideo) {
      media.videoInfo(this.version, this.frameId, source.id).then(
        (info) => {
          if (!stop.aborted) this.video.value = info;
        },
        (error) => {
          if (!stop.aborted) this.imageError.value = say(error);
        },
      );
    }
    try {
      const infos = await media.masks(this.version, this.frameId, source.id);
      if (stop.aborted) return;
      const layers = infos.map((info, i) => new MaskLayer(info, i, this.colors.chosen, this.under));
      readLayers(layers, params);
      this.layers.value = layers;
      this.masksError.value = "";
    } catch (error) {
      if (stop.aborted) return;
      this.layers.value = [];
      this.masksError.value = say(error);
    }
    await this.loadPixels(stop);
  }

  /** Another moment of the same clip: the layers stay, with their colours, and get new numbers. */
  async seek(at_ms: number | null): Promise<void> {
    this.at.value = at_ms;
    this.load.abort();
    this.load = new AbortController();
    await this.loadPixels(this.load.signal);
  }

  play(): void {
    const pts = this.video.value?.pts_ms ?? [];
    const now = this.imagePts.value ?? 0;
    // From the end there is nothing to play: it starts again
    this.played.value = now >= (pts.at(-1) ?? 0) ? (pts[0] ?? 0) : now;
  }

  /** The exact picture of the moment takes the place of the preview. */
  stopPlaying(): void {
    const at = this.played.value;
    const pts = this.video.value?.pts_ms ?? [];
    this.played.value = null;
    if (at !== null && pts.length) void this.seek(pts[nearest(pts, at)]!);
  }

  private async loadPixels(stop: AbortSignal): Promise<void> {
    const source = this.source.value;
    if (!source) return;
    const t = this.at.value;
    const standIn = this.preview.value && source.preview;
    const url = standIn
      ? media.preview(this.version, this.frameId, source.id)
      : media.image(this.version, this.frameId, source.id, t);
    const picture = source.uri || standIn ? this.loadImage(url, stop) : this.goWithout();
    const masks = this.layers.value.map((l) => l.load(this.version, this.frameId, source.id, t, stop));
    await Promise.all([picture, ...masks]);
    if (stop.aborted || this.image.value || (source.width && source.height)) return;
    const map = this.layers.value.find((layer) => layer.data.value)?.data.value;
    if (map) this.setSize(map.width, map.height); // without a picture its masks say how large it would be
  }

  private goWithout(): void {
    this.image.value?.close();
    this.image.value = null;
    this.imageError.value = "This frame has masks, but names no picture";
    const { width, height } = this.source.value ?? {};
    if (width && height) this.setSize(width, height);
  }

  private async loadImage(url: string, stop: AbortSignal): Promise<void> {
    try {
      const response = await send(url, { signal: stop });
      const bitmap = await createImageBitmap(await response.blob());
      if (stop.aborted) return bitmap.close();
      this.imagePts.value = ptsOf(response.headers);
      this.imageError.value = "";
      const before = this.image.value;
      this.image.value = bitmap;
      before?.close();
      // Shapes count in pixels of the source: a preview of another size is drawn at the source's.
      const source = this.source.value;
      const stoodIn = this.preview.value && source?.preview && source.width && source.height;
      if (stoodIn) this.setSize(source.width!, source.height!);
      else this.setSize(bitmap.width, bitmap.height);
    } catch (error) {
      if (stop.aborted) return;
      this.imageError.value = error instanceof ApiError ? error.message : "the browser cannot show this picture";
      const source = this.source.value;
      if (source?.width && source.height) this.setSize(source.width, source.height);
    }
  }

  private setSize(width: number, height: number): void {
    const now = this.camera.image.value;
    if (now.width === width && now.height === height) return;
    this.camera.image.value = { width, height };
    if (this.camera.fitted) this.camera.fit();
  }

  // --- changes -------------------------------------------------------------------------------------------------

  change(what: string, content: Partial<Content>, joined = false): void {
    if (this.frozen.value) return;
    this.history.push(what, { ...this.history.now.value, ...content }, joined);
    this.touched();
  }

  changeRoi(what: string, index: number, roi: Roi, joined = false): void {
    const rois = [...this.history.now.value.rois];
    rois[index] = roi;
    this.change(what, { rois }, joined);
  }

  addRoi(roi: Roi, what = "add"): void {
    const rois = [...this.history.now.value.rois, roi];
    this.change(what, { rois });
    if (!this.frozen.value) this.selected.value = rois.length - 1;
  }

  deleteRoi(index: number): void {
    this.selected.value = null;
    this.change("delete", { rois: this.history.now.value.rois.filter((_, i) => i !== index) });
  }

  /** Read a mask as labels or as opacity. */
  async setMode(layer: MaskLayer, mode: "pixel" | "alpha"): Promise<void> {
    const source = this.source.value;
    if (!source || layer.mode.value === mode) return;
    layer.mode.value = mode;
    layer.data.value = null;
    layer.legend.value = null;
    layer.status.value = "loading";
    await layer.load(this.version, this.frameId, source.id, this.at.value, this.load.signal);
  }

  /** Labels that may be given, those of the masks first, in the order of their legends. */
  readonly known = computed<string[]>(() => {
    const ofMasks = this.layers.value.flatMap((layer) => layer.labels.value.flatMap((row) => row.named));
    return [...new Set([...ofMasks, ...this.history.now.value.rois.flatMap(labelsOf)])];
  });

  /** The label of new shapes by its number, and of the shape that is selected. */
  takeLabel(number: number): void {
    const name = this.known.value[number];
    if (!name || this.frozen.value) return;
    this.label.value = name;
    const index = this.selected.value;
    const roi = index === null ? undefined : this.history.now.value.rois[index];
    if (index !== null && roi && !this.locked.value.has(index)) {
      this.changeRoi("labels", index, { ...roi, label: [name], labels: undefined });
    }
    toast(`${number + 1}: ${name}`);
  }

  /** Shapes to the clipboard of this browser: from frame to frame, also across tabs. */
  copy(rois: Roi[]): void {
    remember(CLIPBOARD, JSON.stringify(rois.map(({ id: _, ...roi }) => roi)));
    toast(rois.length === 1 ? "Copied" : `${rois.length} objects copied`);
  }

  paste(): void {
    const found: unknown = JSON.parse(recall(CLIPBOARD) ?? "[]");
    if (!Array.isArray(found) || !found.length || this.frozen.value) return;
    const sources = new Set(this.frame.value?.sources.map((s) => s.id));
    const rois = (found as Roi[]).map((roi) => ({
      ...roi,
      ...(roi.sources ? { sources: roi.sources.filter((s) => sources.has(s)) } : {}),
    }));
    this.change("paste", { rois: [...this.history.now.value.rois, ...rois] });
    toast(`${rois.length} pasted`);
  }

  undo(): void {
    if (this.history.undo()) this.touched();
    this.selected.value = null;
  }

  redo(): void {
    if (this.history.redo()) this.touched();
    this.selected.value = null;
  }

  get isDirty(): boolean {
    return this.saved !== null && this.saved !== this.history.now.value;
  }

  /** Give up what is not saved. */
  discard(): void {
    clearTimeout(this.timer);
    this.saved = this.history.now.value;
    this.save.value = "clean";
  }

  private touched(): void {
    if (this.save.value === "conflict") return;
    this.save.value = this.isDirty ? "dirty" : "clean";
    clearTimeout(this.timer);
    if (this.isDirty) this.timer = window.setTimeout(() => void this.store(), AUTOSAVE_MS);
  }

  /** What is shown, as a frame of its own: the way out of a conflict that loses nobody's work. */
  async storeCopy(): Promise<string> {
    const { rois, meta } = this.history.now.value;
    const frame: Frame = { ...this.frame.value!, rois: [...rois], meta: { ...meta } };
    const made = await frames.copy(this.version, this.frameId, { frame });
    this.saved = this.history.now.value;
    return made.frame.id ?? this.frameId;
  }

  /** Write to the server what differs. Somebody else's change is never overwritten: 412 becomes a question. */
  store(force = false): Promise<boolean> {
    if (this.save.value === "saving") return this.storing.then(() => this.store(force));
    this.storing = this.write(force);
    return this.storing;
  }

  private async write(force: boolean): Promise<boolean> {
    clearTimeout(this.timer);
    const content = this.history.now.value;
    if (!this.isDirty) return true;
    const patch: FramePatch = {};
    if (content.rois !== this.saved?.rois) patch.rois = content.rois;
    if (content.meta !== this.saved?.meta) patch.meta = content.meta;
    this.save.value = "saving";
    try {
      if (force) this.etag = (await frames.get(this.version, this.frameId)).etag;
      const { etag } = await frames.patch(this.version, this.frameId, patch, this.etag);
      this.etag = etag;
      this.saved = content;
      this.save.value = "clean";
      void this.under.load(content.rois);
      this.touched();
      return true;
    } catch (error) {
      const conflict = error instanceof ApiError && error.status === 412;
      this.save.value = conflict ? "conflict" : "error";
      this.saveError.value = say(error);
      return false;
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    // Back in the browser's history leaves without asking: what was done is saved on the way out.
    if (this.isDirty && this.save.value !== "conflict")
      void this.store().then((ok) => ok || toast("The last changes to a frame could not be saved", true));
    this.load.abort();
    this.image.value?.close();
  }
}

export const editable = (roi: Roi): boolean => ["box", "polygon", "ellipse", "points"].includes(kindOf(roi));
