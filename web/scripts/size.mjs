// What the browser has to load: the budget is in gzip, as it goes over the wire at worst.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 60_000;
const folder = new URL("../../src/smalti/server/static/", import.meta.url);
const packed = (name) => gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length;

const index = readFileSync(new URL("index.html", folder), "utf8");
const start = [...index.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((m) => m[1]);
const viewer = readdirSync(new URL("assets/", folder)).filter((name) => /^viewer-.*\.js$/.test(name));
const sizes = {
  "JavaScript at start": start.reduce((sum, name) => sum + packed(name), 0),
  "viewer chunk": viewer.reduce((sum, name) => sum + packed(`assets/${name}`), 0),
};
let bad = start.length === 0 || viewer.length === 0;
for (const [what, size] of Object.entries(sizes)) {
  console.log(`${what}: ${(size / 1000).toFixed(1)} kB gzip (at most ${LIMIT / 1000})`);
  bad ||= size > LIMIT;
}
process.exit(bad ? 1 : 0);
