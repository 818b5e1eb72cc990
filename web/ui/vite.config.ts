import { defineConfig } from "vite";

// The dashboard talks to the server that serves it; `npm run dev` passes the
// API on to one that runs beside it.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { target: "es2022", sourcemap: false, modulePreload: false, assetsInlineLimit: 0 },
  server: { proxy: { "/api": "http://127.0.0.1:8321" } },
});
