import preact from "@preact/preset-vite";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/**
 * Chunks find each other relative to themselves, so that a path prefix of a reverse proxy needs no rebuild. Only
 * index.html names files from the root: the server puts its prefix before these names and into the meta tag.
 */
function rootedIndex(): Plugin {
  return {
    name: "smalti-rooted-index",
    enforce: "post",
    transformIndexHtml: (html) => html.replaceAll('="./', '="/'),
  };
}

export default defineConfig({
  base: "./",
  plugins: [preact({ devToolsEnabled: false }), rootedIndex()],
  build: {
    outDir: new URL("../src/smalti/server/static", import.meta.url).pathname,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 300,
  },
  test: { setupFiles: ["tests/setup.ts"], include: ["tests/**/*.test.ts"] },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/healthz": "http://127.0.0.1:8080" } },
});
