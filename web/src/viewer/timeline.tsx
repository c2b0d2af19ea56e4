import { useEffect, useRef, useState } from "preact/hooks";
import { media } from "../lib/api";
import { clock, count } from "../lib/format";
import { Icon } from "../ui/icons";
import { Button } from "../ui/widgets";
import type { Viewer } from "./state";

export interface Neighbours {
  ids: string[];
  at: number;
  total: number;
  go: (step: number) => void;
}

const APART_MS = 0.51;

/** Frames of the version, and in a clip its pictures: exact stills by timestamp, with a preview for playing. */
export function Timeline({ viewer, frames }: { viewer: Viewer; frames: Neighbours }) {
  return (
    <footer class="timeline">
      <fieldset class="timeline-frames" aria-label="Frames">
        <Button
          icon="previous"
          label="10 frames back (Ctrl+←)"
          kind="ghost"
          onClick={() => frames.go(-10)}
          disabled={frames.at <= 0}
        />
        <Button
          icon="left"
          label="Previous frame (←)"
          kind="ghost"
          onClick={() => frames.go(-1)}
          disabled={frames.at <= 0}
        />
        <span class="num frame-place" data-testid="place">
          {frames.at < 0 ? "–" : count(frames.at + 1)} <span class="muted">of {count(frames.total)}</span>
        </span>
        <Button
          icon="right"
          label="Next frame (→)"
          kind="ghost"
          onClick={() => frames.go(1)}
          disabled={frames.at < 0 || frames.at >= frames.total - 1}
        />
        <Button
          icon="next"
          label="10 frames on (Ctrl+→)"
          kind="ghost"
          onClick={() => frames.go(10)}
          disabled={frames.at < 0 || frames.at >= frames.total - 1}
        />
      </fieldset>
      {viewer.isVideo.value && <Scrubber viewer={viewer} />}
      <SaveState viewer={viewer} />
    </footer>
  );
}

function nearest(pts: number[], at: number): number {
  let best = 0;
  for (let i = 1; i < pts.length; i++) if (Math.abs(pts[i]! - at) < Math.abs(pts[best]! - at)) best = i;
  return best;
}

function Scrubber({ viewer }: { viewer: Viewer }) {
  const [play, setPlay] = useState(false);
  const info = viewer.video.value!;
  const pts = info.pts_ms;
  const now = viewer.imagePts.value ?? viewer.at.value ?? viewer.source.value?.timestamp ?? 0;
  const index = nearest(pts, now);
  const spread = viewer.spread.value;
  const show = (i: number) => {
    const at = pts[Math.min(pts.length - 1, Math.max(0, i))];
    if (at !== undefined) void viewer.seek(at);
  };
  const pts_text = viewer.imagePts.value === null ? "" : viewer.imagePts.value.toFixed(3);
  return (
    <div class="scrubber" data-pts={pts_text}>
      <Button
        icon={play ? "pause" : "play"}
        label={play ? "Back to exact pictures" : "Play a preview"}
        kind="ghost"
        disabled={!info.playable}
        onClick={() => setPlay(!play)}
      />
      <Button
        icon="left"
        label="One picture back (,)"
        kind="ghost"
        onClick={() => show(index - 1)}
        disabled={index === 0}
      />
      <input
        type="range"
        min="0"
        max={pts.length - 1}
        value={index}
        aria-label="Picture of the clip"
        aria-valuetext={clock(now)}
        onInput={(e) => show(Number(e.currentTarget.value))}
      />
      <Button
        icon="right"
        label="One picture on (.)"
        kind="ghost"
        onClick={() => show(index + 1)}
        disabled={index === pts.length - 1}
      />
      <span class="mono small">
        {clock(now)}{" "}
        <span class="muted">
          {index + 1}/{pts.length}
        </span>
      </span>
      {spread !== null && Math.abs(spread) > APART_MS && (
        <span class="chip warn" role="alert" title="The mask's picture is not the one that belongs to the image's">
          <Icon name="warn" /> mask {spread > 0 ? "+" : ""}
          {spread.toFixed(1)} ms
        </span>
      )}
      {play && (
        <Preview
          viewer={viewer}
          from={now}
          close={(at) => {
            setPlay(false);
            void viewer.seek(pts[nearest(pts, at)] ?? at);
          }}
        />
      )}
    </div>
  );
}

/** The browser's own player, for motion only: which picture it shows is not exact, so no mask is drawn over it. */
function Preview({ viewer, from, close }: { viewer: Viewer; from: number; close: (at_ms: number) => void }) {
  const ref = useRef<HTMLVideoElement>(null);
  const source = viewer.source.value!;
  useEffect(() => {
    const video = ref.current!;
    video.currentTime = from / 1000;
    void video.play().catch(() => undefined);
  }, [from]);
  return (
    <div class="preview">
      <video
        ref={ref}
        src={media.video(viewer.version, viewer.frameId, source.id)}
        controls
        muted
        playsInline
        aria-label="Preview of the clip"
      />
      <div class="preview-bar">
        <span class="muted">Preview: pausing shows the exact picture with its masks.</span>
        <Button icon="pause" onClick={() => close((ref.current?.currentTime ?? 0) * 1000)}>
          Exact picture
        </Button>
      </div>
    </div>
  );
}

function SaveState({ viewer }: { viewer: Viewer }) {
  const state = viewer.save.value;
  const words = { clean: "saved", dirty: "changed", saving: "saving…", conflict: "conflict", error: "not saved" }[
    state
  ];
  if (viewer.frozen.value) return <span class="muted small save-state">read-only</span>;
  return (
    <span class="save-state" data-save={state} role="status">
      <span class={state === "clean" ? "muted small" : "small"}>{words}</span>
      {(state === "dirty" || state === "error") && (
        <Button kind="primary" onClick={() => void viewer.store()}>
          Save
        </Button>
      )}
    </span>
  );
}
