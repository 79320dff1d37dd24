import "./styles/tokens.css";
import "./styles/base.css";

import { mount } from "svelte";
import App from "./App.svelte";
import { tauriHost } from "./lib/host/tauri";

performance.mark("begun");
const target = document.getElementById("app");
if (target) mount(App, { target, props: { host: tauriHost } });
performance.mark("mounted");
