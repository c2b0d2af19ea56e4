/** Line icons on a 16 px grid; drawn here, so that no icon package is shipped. */
const PATHS = {
  datasets: "M2 4.5 8 2l6 2.5L8 7zM2 8l6 2.5L14 8M2 11.5 8 14l6-2.5",
  dataviews: "M2 3h12M4 6.5h8M6 10h4M7.3 13.2h1.4",
  settings:
    "M8 5.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6M8 1.8v1.6M8 12.6v1.6M1.8 8h1.6M12.6 8h1.6M3.6 3.6l1.1 1.1M11.3 11.3l1.1 1.1M12.4 3.6l-1.1 1.1M4.7 11.3l-1.1 1.1",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6",
  eyeOff:
    "M2.5 2.5l11 11M6.2 4.1A6 6 0 0 1 8 3.8c4 0 6.5 4.2 6.5 4.2a12 12 0 0 1-2 2.4M4 5.3A11 11 0 0 0 1.5 8S4 12.2 8 12.2c.9 0 1.7-.2 2.5-.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  down: "M3 6l5 5 5-5",
  up: "M3 10l5-5 5 5",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  undo: "M5.5 2.5 2.5 5.5l3 3M2.5 5.5H10a3.5 3.5 0 0 1 0 7H6",
  redo: "M10.5 2.5l3 3-3 3M13.5 5.5H6a3.5 3.5 0 0 0 0 7h4",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  reload: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  link: "M6.5 9.5l3-3M7 4.5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 8.5M9 11.5 7.5 13a2.8 2.8 0 0 1-4-4L5 7.5",
  trash: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4",
  lock: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  unlock: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 4.9-.7",
  select: "M4 2l8.5 6-4 .7 2 4.3-1.7.8-2-4.3L4 12z",
  box: "M2.5 3.5h11v9h-11z",
  ellipse: "M8 3.5c3.3 0 6 2 6 4.5s-2.7 4.5-6 4.5S2 10.5 2 8s2.7-4.5 6-4.5",
  polygon: "M8 2l6 4.5-2.5 7h-7L2 6.5z",
  points: "M4 4h.01M11.5 3.5h.01M8 8.5h.01M4 12.5h.01M12 12h.01",
  measure: "M2 11 11 2l3 3-9 9zM5 8l1.5 1.5M7.5 5.5 9 7",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3l3.2 3.2",
  filter: "M2 3h12l-4.5 5.5V13l-3-1.5v-3z",
  more: "M8 3.5h.01M8 8h.01M8 12.5h.01",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7",
  auto: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 2v12M8 5h4.9M8 8h6M8 11h4.9",
  user: "M8 2.5a2.7 2.7 0 1 0 0 5.5 2.7 2.7 0 0 0 0-5.5M2.8 14c.5-3 2.5-4.5 5.2-4.5s4.7 1.5 5.2 4.5",
  help: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M6.2 6.3c.2-2 3.6-2 3.6.1 0 1.4-1.8 1.4-1.8 2.9M8 11.5h.01",
  grid: "M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z",
  list: "M2.5 4h11M2.5 8h11M2.5 12h11",
  tree: "M3 2.5v9.5h4M3 6h4M8.5 4.5h5v3h-5zM8.5 10.5h5v3h-5z",
  play: "M4.5 2.5v11l9-5.5z",
  pause: "M5 3v10M11 3v10",
  next: "M4 3l6 5-6 5zM12 3v10",
  previous: "M12 3 6 8l6 5zM4 3v10",
  video: "M2 4h8v8H2zM10 7l4-2v6l-4-2",
  layers: "M2 5.5 8 3l6 2.5L8 8zM2 9.5 8 12l6-2.5",
  download: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M2.5 13.5h11",
  outline: "M3 8c0-3 2-5 5-5s5 2 5 5-2 5-5 5-5-2-5-5",
  similar: "M6.5 3.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8M9.5 12.5a4 4 0 1 0 0-8",
  check: "M3 8.5l3.5 3.5L13 4.5",
  warn: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 12h.01",
  branch: "M4.5 2.5v11M4.5 10c0-3 7-2 7-6M11.5 2.5v1.5",
  out: "M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
