//! The way to a registry: proxies, certificates, and who keeps the password.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    case,
    registry::{GUARDED, digest, login_with, small, tandem, tandem_with},
};
use crate::{
    Case, Output, Start, World,
    proxy_peer::{ForwardProxy, SocksProxy},
    registry_peer::{NAME, RegistryPeer},
};

pub(super) const CASES: &[Case] = &[
    case("registry::a_guarded_proxy_leads_to_a_guarded_registry", GUARDED, Start::Empty, ways),
    case("registry::a_socks_proxy_looks_names_up", GUARDED, Start::Empty, socks),
    case("registry::a_helper_keeps_the_password", GUARDED, Start::Empty, helper),
];

/// What curl sends for `me:p@ss`.
const PROOF: &str = "bWU6cEBzcw==";

/// A command's proxies: nothing of whoever runs the tests, and these.
fn by(command: &mut Command, proxies: &[(&str, &str)]) {
    for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.envs(proxies.iter().copied());
}

fn ways(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::guarded(world, "right")?;
    let proxy = ForwardProxy::guarded(peer.address(), PROOF)?;
    let registry = format!("{NAME}:5000");
    let name = format!("{registry}/app:1");
    let pull = |proxies: &[(&str, &str)]| -> Result<Output> {
        tandem_with(world, None, &["pull", &name], |command| by(command, proxies))
    };
    let at = proxy.address();
    let right = format!("http://me:p%40ss@{at}");
    let way: &[_] = &[("HTTPS_PROXY", right.as_str())];

    // Its CA is nobody's here, and then the person's own as Docker keeps it.
    pull(way)?.code_is(125)?.is_one_sentence(&[&registry, "nobody known here", "ca.crt"])?;
    let place = world.scratch().join("docker/certs.d").join(&registry);
    fs::create_dir_all(&place)?;
    fs::copy(peer.ca(), place.join("ca.crt"))?;
    pull(way)?.code_is(125)?.is_one_sentence(&[&registry, "it wants a login"])?;
    login_with(world, &registry, "wrong", |it| by(it, way))?
        .code_is(125)?
        .is_one_sentence(&["refuses this user name and password"])?;
    login_with(world, &registry, "right", |it| by(it, way))?.ok()?;
    tandem_with(world, None, &["push", "small", &name], |it| by(it, way))?.ok()?;
    // A proxy for everything will do as well.
    pull(&[("all_proxy", &right), ("NO_PROXY", "other.test, .sub.test")])?.ok()?;
    let pushed = digest(world, None, "small:latest")?;
    ensure!(digest(world, None, &name)? == pushed, "the image has changed on its way");

    // What is the proxy's fault is told as such, without its password.
    let wrong = format!("http://me:nope@{at}");
    let shown = format!("the proxy http://{at} gives no way");
    let refused = pull(&[("https_proxy", &wrong)])?.code_is(125)?;
    refused.is_one_sentence(&[&shown, &registry, "another user name and password"])?;
    ensure!(!refused.stderr.contains("nope"), "the password is shown\n{refused}");
    let down = format!("http://127.0.0.1:{}", world.free_port()?);
    pull(&[("https_proxy", &down)])?.code_is(125)?.is_one_sentence(&[
        "the proxy",
        &down,
        "refused",
        "NO_PROXY",
    ])?;
    pull(&[("HTTPS_PROXY", "gopher://x")])?.code_is(2)?.is_one_sentence(&["HTTPS_PROXY"])?;
    // Without it the host is unknown: that is no fault of a proxy.
    for none in ["registry.test", ".test", "registry.test:5000", "*"] {
        let straight = pull(&[("https_proxy", &right), ("no_proxy", none)])?.code_is(125)?;
        straight.is_one_sentence(&["registry registry.test:5000 cannot be reached"])?;
    }

    // This machine wants no proxy, and the certificate has no such name.
    let near = format!("localhost:{}/app:1", peer.address().port());
    let other = tandem_with(world, None, &["pull", &near], |command| {
        by(command, &[("https_proxy", &down)]);
        command.env("SSL_CERT_FILE", peer.ca());
    })?;
    other.code_is(125)?.is_one_sentence(&[
        "made out to",
        "127.0.0.1, registry.test",
        "use the name",
    ])?;
    ensure!(
        tandem(world, None, &["images", "--json"])?
            .ok()?
            .json()?
            .as_array()
            .is_some_and(|it| it.len() == 2)
    );
    Ok(())
}

fn socks(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::guarded(world, "right")?;
    let registry = format!("{NAME}:5000");
    let name = format!("{registry}/app:1");
    let place = world.scratch().join("docker/certs.d").join(&registry);
    fs::create_dir_all(&place)?;
    fs::copy(peer.ca(), place.join("ca.crt"))?;
    let open = SocksProxy::start(peer.address(), None)?;
    let guarded = SocksProxy::start(peer.address(), Some("p@ss"))?;
    let way = format!("socks5://{}", open.address());
    let with = |proxies: &[(&str, &str)], arguments: &[&str]| {
        tandem_with(world, None, arguments, |it| by(it, proxies))
    };
    login_with(world, &registry, "right", |it| by(it, &[("https_proxy", &way)]))?.ok()?;
    with(&[("ALL_PROXY", &way)], &["push", "small", &name])?.ok()?;
    let pushed = digest(world, None, "small:latest")?;
    let far = format!("socks5h://me:p%40ss@{}", guarded.address());
    with(&[("HTTPS_PROXY", &far)], &["pull", &name])?.ok()?;
    ensure!(digest(world, None, &name)? == pushed, "the image has changed on its way");
    for asked in [open.asked(), guarded.asked()] {
        ensure!(!asked.is_empty() && asked.iter().all(|it| it == NAME), "{asked:?}");
    }

    let wrong = format!("socks5://me:nope@{}", guarded.address());
    let down = format!("socks5://127.0.0.1:{}", world.free_port()?);
    for proxy in [&wrong, &down, &format!("socks5://{}", guarded.address())] {
        let refused = with(&[("https_proxy", proxy)], &["pull", &name])?.code_is(125)?;
        refused.is_one_sentence(&["the proxy socks5://127.0.0.1", "gives no way to", &registry])?;
        ensure!(!refused.stderr.contains("nope"), "the password is shown\n{refused}");
    }
    Ok(())
}

/// A key ring that is one file.
const KEY_RING: &str = r#"#!/bin/sh
case $1 in
store) cat >"$KEY_RING" ;;
get) read -r server
    grep -q "\"ServerURL\":\"$server\"" "$KEY_RING" 2>/dev/null && exec cat "$KEY_RING"
    echo credentials not found in native keychain; exit 1 ;;
erase) cat >/dev/null; rm "$KEY_RING" ;;
esac
"#;

fn helper(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::guarded(world, "right")?;
    let registry = peer.address().to_string();
    let name = format!("{registry}/app:1");
    let script = world.write("bin/docker-credential-x", KEY_RING)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let config = world.write("docker/config.json", &json!({"credsStore": "x"}).to_string())?;
    let ring = world.scratch().join("ring");
    let path = format!("{}:{}", world.scratch().join("bin").display(), std::env::var("PATH")?);
    let with = |path: &str| {
        let (path, ring, ca) = (path.to_owned(), ring.clone(), peer.ca().to_owned());
        move |command: &mut Command| {
            command.env("PATH", path).env("KEY_RING", ring).env("SSL_CERT_FILE", ca);
        }
    };
    let run = |path: &str, arguments: &[&str]| tandem_with(world, None, arguments, with(path));
    let secret = |path: &Path| fs::read_to_string(path).is_ok_and(|it| it.contains("right"));

    login_with(world, &registry, "right", with(&path))?.ok()?.says(&["docker-credential-x"])?;
    ensure!(secret(&ring) && !secret(&config), "the password lies in the wrong place");
    run(&path, &["push", "small", &name])?.ok()?;
    run(&path, &["pull", &name])?.ok()?;
    // A helper that is gone, or fails, is told when somebody is wanted.
    let gone = run("/usr/bin:/bin", &["pull", &name])?.code_is(125)?;
    gone.is_one_sentence(&["it wants a login", "docker-credential-x failed", "not on PATH"])?;
    fs::write(&script, "#!/bin/sh\necho the ring is locked\nexit 3\n")?;
    let locked = run(&path, &["pull", &name])?.code_is(125)?;
    locked.is_one_sentence(&["docker-credential-x failed", "the ring is locked", "config.json"])?;
    fs::write(&script, KEY_RING)?;
    run(&path, &["logout", &registry])?.ok()?;
    ensure!(!ring.exists(), "the password is still there");
    run(&path, &["pull", &name])?.code_is(125)?.is_one_sentence(&["it wants a login"])?;
    Ok(())
}
