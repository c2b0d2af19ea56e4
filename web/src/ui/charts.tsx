/** A donut and bars in SVG. Each chart is also a table beside it, so nothing depends on seeing colours. */
import { hex, percent, type Rgb } from "../lib/format";

export interface Slice {
  name: string;
  value: number;
  color: Rgb;
}

const R = 42;
const ROUND = 2 * Math.PI * R;

export function Donut({ slices, middle, under }: { slices: Slice[]; middle: string; under: string }) {
  const all = slices.reduce((n, s) => n + s.value, 0) || 1;
  let before = 0;
  return (
    <svg class="donut" viewBox="0 0 120 120" role="img" aria-label={`${middle} ${under}`}>
      <circle class="donut-ground" cx="60" cy="60" r={R} />
      {slices.map((s) => {
        const part = (s.value / all) * ROUND;
        const gap = part > 3 ? 0.8 : 0;
        const offset = -before;
        before += part;
        return (
          <circle
            key={s.name}
            class="donut-part"
            cx="60"
            cy="60"
            r={R}
            stroke={hex(s.color)}
            stroke-dasharray={`${Math.max(0, part - gap)} ${ROUND}`}
            stroke-dashoffset={offset}
            transform="rotate(-90 60 60)"
          >
            <title>
              {s.name}: {percent(s.value / all)}
            </title>
          </circle>
        );
      })}
      <text class="donut-middle" x="60" y="59">
        {middle}
      </text>
      <text class="donut-under" x="60" y="72">
        {under}
      </text>
    </svg>
  );
}

/** One bar of a table cell, 0..1. */
export function Bar({ share, color }: { share: number; color: Rgb }) {
  return (
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="bar-ground" width="100" height="8" rx="2" />
      <rect width={Math.max(share > 0 ? 0.6 : 0, share * 100)} height="8" rx="2" fill={hex(color)} />
    </svg>
  );
}
