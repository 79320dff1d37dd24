import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  clearScreen: false,
  // A test reads what the program's sources say.
  server: { host: "127.0.0.1", port: 1420, strictPort: true, fs: { allow: mode === "test" ? [".."] : ["."] } },
  build: {
    // WebKitGTK 2.40 and later (Debian 12, Ubuntu 22.04).
    target: "safari16.4",
    // A data URL would need a wider content security policy.
    assetsInlineLimit: 0,
  },
  // Components are tested as the browser runs them.
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  test: { environment: "jsdom", include: ["src/**/*.test.ts"] },
}));
