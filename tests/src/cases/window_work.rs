//! What a person does with an instance and with registries in the real window:
//! limits by slider, snapshots as a tree, signing in.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    registry::tandem_with,
    window::{ENDING, SOON, case, choose, open, says, tests},
};
use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
    registry_peer::RegistryPeer,
};

const REGISTRY: &[Need] = &[
    Need::Root,
    Need::Window,
    Need::Program("Xvfb"),
    Need::Program("dbus-run-session"),
    Need::Program("WebKitWebDriver"),
    Need::Program("docker-registry"),
    Need::Program("htpasswd"),
    Need::Program("openssl"),
];

pub(super) const CASES: &[Case] = &[
    case("window::limits_and_snapshots_are_changed_by_hand", instance),
    Case {
        name: "window::signing_in_opens_a_registry",
        needs: REGISTRY,
        start: Start::Built,
        run: registry,
    },
];

/// The instance, and the one that is made of its snapshot.
const NAME: &str = "grown";
const COPY: &str = "grown-again";

fn instance(world: &World) -> Result<()> {
    let arguments = ["run", "-d", "--name", NAME, "-p", "0:8080", "--memory", "256m"];
    world.tandem([&arguments[..], &["hello-flask"]].concat())?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, NAME)?;
    resized(world, &desktop)?;
    tree(world, &desktop)?;
    world.tandem(["rm", "-f", NAME, COPY])?.ok()?;
    desktop.close(ENDING)
}

/// A slider moved by its keys, and what the change cost.
fn resized(world: &World, desktop: &Desktop) -> Result<()> {
    let shown = "return document.querySelector('[data-testid=update-memory]').value";
    ensure!(desktop.script(shown)? == "256", "the slider is not where the limit is");
    // An arrow to the right, four steps of 64 MiB.
    desktop.send("update-memory", "\u{e014}\u{e014}\u{e014}\u{e014}")?;
    ensure!(desktop.script(shown)? == "512", "the keys do not move the slider");
    desktop.click("update-apply")?;
    says(desktop, "update-report", "In force after")?;
    says(desktop, "update-report", "nothing lost")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem update --memory 512m --cpus 1 {NAME}"), "{command}");
    let row = world.tandem(["inspect", NAME])?.ok()?.json()?;
    let limits = &row[0]["spec"]["resources"];
    ensure!(limits["memory_bytes"] == 512 << 20 && limits["milli_cpus"] == 1000, "{limits}");
    desktop.screenshot("resize-light")
}

/// Two snapshots, one after the other; back to the first, and an instance of
/// the second.
fn tree(world: &World, desktop: &Desktop) -> Result<()> {
    for (snapshot, text) in [("clean", "one"), ("edited", "two")] {
        write(world, text)?;
        desktop.fill("snapshot-name", snapshot)?;
        desktop.click("snapshot-take")?;
        desktop.wait(&format!("snapshot-{snapshot}"), SOON)?;
        let command = desktop.text("cli-equivalent")?;
        ensure!(command == format!("tandem snapshot create {NAME} {snapshot}"), "{command}");
    }
    let below = |name: &str| {
        desktop.script(&format!(
            "return document.querySelector('[data-testid=snapshot-{name}]').classList.contains('below')"
        ))
    };
    ensure!(below("clean")? == false && below("edited")? == true, "no tree is drawn");
    desktop.script("document.querySelector('[data-testid=snapshot-clean]').scrollIntoView()")?;
    desktop.screenshot("snapshots-light")?;

    press(desktop, "clean", "snapshot-restore")?;
    let back = "return document.querySelector('[data-testid=snapshot-clean]').classList.contains('current')";
    tests(desktop, "the first state", back)?;
    ensure!(read(world, NAME)? == "one", "{}", read(world, NAME)?);
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem snapshot restore {NAME} clean"), "{command}");

    press(desktop, "edited", "snapshot-as")?;
    desktop.fill("snapshot-as-name", COPY)?;
    desktop.click("snapshot-as-start")?;
    desktop.wait(&format!("instance-row-{COPY}"), SOON)?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem snapshot restore {NAME} edited --as {COPY}"), "{command}");
    let state =
        format!("return document.querySelector('[data-testid=instance-row-{COPY}]').dataset.state");
    if desktop.script(&state)? != "running" {
        world.tandem(["start", COPY])?.ok()?;
    }
    ensure!(read(world, COPY)? == "two", "{}", read(world, COPY)?);
    ensure!(read(world, NAME)? == "one", "the copy has changed the original");

    press(desktop, "edited", "snapshot-remove")?;
    tests(desktop, "its removal", "return !document.querySelector('[data-testid=snapshot-edited]')")
}

fn press(desktop: &Desktop, snapshot: &str, button: &str) -> Result<()> {
    let script = format!(
        "document.querySelector('[data-testid=snapshot-{snapshot}] [data-testid={button}]').click()"
    );
    desktop.script(&script).map(drop)
}

fn write(world: &World, text: &str) -> Result<()> {
    let script = format!("echo {text} > /state");
    world.tandem(["exec", NAME, "sh", "-c", &script])?.ok().map(drop)
}

fn read(world: &World, name: &str) -> Result<String> {
    Ok(world.tandem(["exec", name, "cat", "/state"])?.ok()?.line().to_owned())
}

/// A wrong password is refused and kept nowhere; the right one serves the
/// window and the command line alike, and signing out takes it from both.
fn registry(world: &World) -> Result<()> {
    let peer = RegistryPeer::guarded(world, "right")?;
    let address = peer.address().to_string();
    let name = format!("{address}/class/app:1");
    // The person's own folders are where the window has them.
    let person = world.scratch().join("user");
    let trusted = person.join(".docker/certs.d").join(&address);
    std::fs::create_dir_all(&trusted)?;
    std::fs::copy(peer.ca(), trusted.join("ca.crt"))?;
    let logins = person.join(".docker");

    let desktop = open(world, Look::Light)?;
    desktop.click("nav-settings")?;
    // What is set from outside, and that a login would go to the file.
    says(&desktop, "settings-outside", &trusted.display().to_string())?;
    says(&desktop, "settings-outside", &logins.join("config.json").display().to_string())?;
    desktop.fill("settings-registry", &address)?;
    desktop.fill("settings-user", "ann")?;
    desktop.fill("settings-secret", "wrong")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem login -u ann {address}"), "{command}");
    desktop.click("settings-login")?;
    says(&desktop, "error-banner", "refuses this user name and password")?;
    let typed = "return document.querySelector('[data-testid=settings-registry]').value";
    ensure!(desktop.script(typed)? == address.as_str(), "what was typed is gone");
    ensure!(!logins.join("config.json").exists(), "a refused login was kept");
    desktop.fill("settings-secret", "right")?;
    desktop.click("settings-login")?;
    says(&desktop, "settings-note", "Signed in to")?;
    let kept = "return document.querySelector('[data-testid=settings-secret]').value";
    ensure!(desktop.script(kept)? == "", "the password stays in the window");
    desktop.screenshot("signed-in-light")?;

    let push = tandem_with(world, None, &["push", "hello-flask", &name], |command| {
        command.env("DOCKER_CONFIG", &logins).env("SSL_CERT_FILE", peer.ca());
    })?;
    push.ok()?;
    pull(&desktop, &name)?;
    desktop.wait(&format!("image-row-{address}/class/app"), SOON)?;
    world.tandem(["image", "rm", &name])?.ok()?;

    desktop.click("nav-settings")?;
    desktop.fill("settings-registry", &address)?;
    desktop.click("settings-logout")?;
    says(&desktop, "settings-note", "Signed out of")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem logout {address}"), "{command}");
    let config: Value = serde_json::from_slice(&std::fs::read(logins.join("config.json"))?)?;
    ensure!(config["auths"][&address].is_null(), "{config}");
    pull(&desktop, &name)?;
    says(&desktop, "error-banner", "it wants a login")?;
    helped(world, &desktop, &address)?;
    pull(&desktop, &name)?;
    desktop.wait(&format!("image-row-{address}/class/app"), SOON)?;
    world.tandem(["image", "rm", &name])?.ok()?;
    desktop.close(ENDING)
}

/// Keeps what it is given in a file beside it, as helpers do in a key ring.
const HELPER: &str = r#"#!/bin/sh
kept="$HOME/kept.json"
case "$1" in
  store) cat > "$kept" ;;
  get) cat "$kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f "$kept" ;;
esac
"#;

/// Where the person's configuration names a credential helper the password
/// goes to it alone, and the page said so before.
fn helped(world: &World, desktop: &Desktop, address: &str) -> Result<()> {
    let person = world.scratch().join("user");
    let program = person.join("bin/docker-credential-kept");
    std::fs::create_dir_all(person.join("bin"))?;
    std::fs::write(&program, HELPER)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let config = person.join(".docker/config.json");
    std::fs::write(&config, r#"{"credsStore": "kept"}"#)?;
    desktop.click("nav-settings")?;
    says(desktop, "settings-outside", "docker-credential-kept")?;
    desktop.fill("settings-registry", address)?;
    desktop.fill("settings-user", "ann")?;
    desktop.fill("settings-secret", "right")?;
    desktop.click("settings-login")?;
    says(desktop, "settings-note", "kept in docker-credential-kept")?;
    let kept: Value = serde_json::from_slice(&std::fs::read(person.join("kept.json"))?)?;
    ensure!(kept["Secret"] == "right" && kept["ServerURL"] == address, "{kept}");
    let config = std::fs::read_to_string(config)?;
    ensure!(!config.contains("auth"), "the file has it too: {config}");
    desktop.screenshot("signed-in-by-helper-light")
}

fn pull(desktop: &Desktop, name: &str) -> Result<()> {
    desktop.click("nav-images")?;
    desktop.fill("pull-reference", name)?;
    desktop.click("pull-start")
}
