import { clock, count } from "../lib/format";
import { Icon } from "../ui/icons";
import { Connection } from "../ui/shell";
import { Button } from "../ui/widgets";
import { ContextScrubber } from "./context";
import { nearest } from "./shapes";
import type { Viewer } from "./state";

export interface Neighbours {
  ids: string[];
  at: number;
  total: number;
  go: (step: number) => void;
}

interface TimelineProps {
  viewer: Viewer;
  frames: Neighbours;
  open: (frameId: string) => void;
}

const APART_MS = 0.51;

/** Frames of the version, and in a clip its pictures: exact stills by timestamp, with a preview for playing. */
export function Timeline({ viewer, frames, open }: TimelineProps) {
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
      {viewer.isVideo.value ? <Scrubber viewer={viewer} /> : <ContextScrubber viewer={viewer} open={open} />}
      <span class="timeline-end">
        <Connection />
        <SaveState viewer={viewer} />
      </span>
    </footer>
  );
}

function Scrubber({ viewer }: { viewer: Viewer }) {
  const play = viewer.played.value !== null;
  const info = viewer.video.value!;
  const pts = info.pts_ms;
  const now = viewer.played.value ?? viewer.imagePts.value ?? viewer.at.value ?? viewer.source.value?.timestamp ?? 0;
  const index = nearest(pts, now);
  const spread = viewer.spread.value;
  const show = (i: number) => {
    const at = pts[Math.min(pts.length - 1, Math.max(0, i))];
    viewer.played.value = null;
    if (at !== undefined) void viewer.seek(at);
  };
  const pts_text = viewer.imagePts.value === null ? "" : viewer.imagePts.value.toFixed(3);
  return (
    <div class="scrubber" data-pts={pts_text}>
      <Button
        icon={play ? "pause" : "play"}
        label={play ? "Stop: the exact picture" : "Play a preview with masks"}
        kind="ghost"
        disabled={!info.playable}
        onClick={() => (play ? viewer.stopPlaying() : viewer.play())}
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
