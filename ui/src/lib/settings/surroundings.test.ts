import { mount, tick, unmount } from "svelte";
import { describe, expect, it } from "vitest";
import type { Outside } from "../bindings/Outside";
import type { Host } from "../host";
import { say } from "../messages";
import { about, EXAMPLE } from "./surroundings";
import Surroundings from "./Surroundings.svelte";

const OUTSIDE: Outside = {
  registries_file: "/home/me/registries.json",
  settings: [
    { kind: "proxy", of: "https", value: "http://proxy.school:3128", source: "HTTPS_PROXY", problem: null },
    { kind: "insecure", of: "10.0.0.5:5000", value: "", source: "/home/me/registries.json", problem: null },
    { kind: "login", of: null, value: "<b>docker-credential-x</b>", source: "/me/config.json", problem: "it is not on PATH" },
    { kind: "build_certificates", of: null, value: "/etc/ssl/certs/ca-certificates.crt", source: "", problem: null },
  ],
};

describe("what is set from outside", () => {
  it("is shown with the place where it was read, as text", async () => {
    const view = mount(Surroundings, { target: document.body, props: { host: { outside: () => Promise.resolve(OUTSIDE) } as unknown as Host, changed: "" } });
    await tick();
    await Promise.resolve();
    await tick();
    const rows = [...document.querySelectorAll("[data-testid=settings-outside] tbody tr")].map((row) => row.textContent?.replace(/\s+/g, " ").trim());
    expect(rows).toHaveLength(4);
    expect(rows[0]).toContain("http://proxy.school:3128");
    expect(rows[0]).toContain("HTTPS_PROXY");
    expect(rows[1]).toContain(say.settings.yes);
    expect(rows[2]).toContain("<b>docker-credential-x</b>");
    expect(rows[2]).toContain("it is not on PATH");
    expect(rows[3]).toContain(say.settings.system);
    expect(document.querySelector("[data-testid=settings-outside] b")).toBeNull();
    void unmount(view);
  });

  it("says what follows where nothing is set", () => {
    expect(about({ ...OUTSIDE, settings: [] })).toEqual([say.settings.noProxy, say.settings.noMirror, say.settings.ownCertificates]);
    expect(about(OUTSIDE)).toEqual([say.settings.noMirror, say.settings.ownCertificates]);
    expect(Object.keys(JSON.parse(EXAMPLE) as object)).toEqual(["docker.io"]);
  });
});
