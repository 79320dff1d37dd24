//! Images to and from Debian's registry, beside skopeo, and what can go wrong
//! on the way.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::case;
use crate::{
    Case, Need, Output, Start, World,
    proxy_peer::{CuttingProxy, ForwardProxy},
    registry_peer::RegistryPeer,
};

const PEER: &[Need] = &[Need::Program("docker-registry")];
pub(super) const GUARDED: &[Need] = &[
    Need::Program("docker-registry"),
    Need::Program("htpasswd"),
    Need::Program("openssl"),
    Need::Program("skopeo"),
];
const SMALL_DISK: &[Need] = &[Need::Root, Need::Program("docker-registry")];

pub(super) const CASES: &[Case] = &[
    case("registry::login_push_pull_with_tls_and_a_password", GUARDED, Start::Built, guarded),
    case("registry::skopeo_reads_ours_and_we_read_skopeos", GUARDED, Start::Empty, skopeo),
    case("registry::a_cut_pull_goes_on", PEER, Start::Empty, cut),
    case("registry::a_proxy_is_the_way_but_for_hosts_that_want_none", PEER, Start::Empty, proxy),
    case("registry::a_disk_too_small_is_said", SMALL_DISK, Start::Empty, disk_full),
    case("registry::what_cannot_work_is_said", PEER, Start::Empty, errors),
];

/// Builds an image `small` with 12 MB that no compression makes smaller.
pub(super) fn small(world: &World) -> Result<()> {
    let noise = (0u64..1_500_000).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let bytes: Vec<u8> =
        noise.flat_map(|n| (n ^ (n >> 32)).wrapping_mul(n | 1).to_le_bytes()).collect();
    world.write("small/Dockerfile", "FROM scratch\nCOPY noise /noise\nCMD [\"/noise\"]\n")?;
    fs::write(world.scratch().join("small/noise"), bytes)?;
    tandem(world, None, &["build", "-t", "small", "small"])?.ok()?;
    Ok(())
}

/// Runs `tandem` with logins of this case's own, and maybe another home.
pub(super) fn tandem(world: &World, home: Option<&Path>, arguments: &[&str]) -> Result<Output> {
    tandem_with(world, home, arguments, |_| ())
}

pub(super) fn tandem_with(
    world: &World,
    home: Option<&Path>,
    arguments: &[&str],
    more: impl FnOnce(&mut Command),
) -> Result<Output> {
    let mut command = world.command(arguments);
    command.env("DOCKER_CONFIG", world.scratch().join("docker")).env_remove("REGISTRY_AUTH_FILE");
    if let Some(home) = home {
        command.env("TANDEM_HOME", home);
    }
    more(&mut command);
    world.finish(command)
}

/// The digest of a local image.
pub(super) fn digest(world: &World, home: Option<&Path>, name: &str) -> Result<String> {
    let images = tandem(world, home, &["images", "--json"])?.ok()?.json()?;
    let (name, tag) = name.rsplit_once(':').context("a name with a tag")?;
    let rows = images.as_array().context("a list")?;
    let row = rows.iter().find(|row| row["name"] == name && row["tag"] == tag);
    let digest = row.and_then(|row| row["digest"].as_str());
    Ok(digest.with_context(|| format!("no image {name}:{tag} in {images}"))?.to_owned())
}

/// Runs `tandem login` with a password on standard input.
fn login(world: &World, registry: &str, password: &str, ca: Option<&Path>) -> Result<Output> {
    login_with(world, registry, password, |command| {
        if let Some(ca) = ca {
            command.env("SSL_CERT_FILE", ca);
        }
    })
}

pub(super) fn login_with(
    world: &World,
    registry: &str,
    password: &str,
    more: impl FnOnce(&mut Command),
) -> Result<Output> {
    let path = world.write("password", password)?;
    let arguments = ["login", "-u", "ann", "--password-stdin", registry];
    tandem_with(world, None, &arguments, |command| {
        if let Ok(file) = fs::File::open(path) {
            command.stdin(Stdio::from(file));
        }
        more(command);
    })
}

fn guarded(world: &World) -> Result<()> {
    let peer = RegistryPeer::guarded(world, "right")?;
    let registry = peer.address().to_string();
    let name = format!("{registry}/class/app:1");
    let trusting = |command: &mut Command| {
        command.env("SSL_CERT_FILE", peer.ca());
    };
    let push = ["push", "hello-flask", name.as_str()];

    login(world, &registry, "right", None)?.code_is(125)?.is_one_sentence(&[
        &registry,
        "certificate",
        "certs.d",
    ])?;
    login(world, &registry, "wrong", Some(peer.ca()))?.code_is(125)?.is_one_sentence(&[
        &registry,
        "refuses this user name and password",
        "tandem login",
    ])?;
    ensure!(!world.scratch().join("docker/config.json").exists(), "a refused login was kept");
    tandem_with(world, None, &push, trusting)?.code_is(125)?.says(&["does not allow to push"])?;

    login(world, &registry, "right", Some(peer.ca()))?.ok()?;
    let pushed = tandem_with(world, None, &push, trusting)?.ok()?;
    ensure!(pushed.line() == name, "{pushed}");

    // Another home, which trusts the CA by its settings.
    let home = world.scratch().join("second");
    fs::create_dir_all(&home)?;
    let settings = json!({&registry: {"ca": peer.ca()}}).to_string();
    fs::write(home.join("registries.json"), settings)?;
    tandem(world, Some(&home), &["pull", &name])?.ok()?;
    let expected = digest(world, None, "hello-flask:latest")?;
    ensure!(digest(world, Some(&home), &name)? == expected, "the image has changed on its way");
    tandem(world, Some(&home), &["image", "rm", &name])?.ok()?;
    tandem(world, Some(&home), &["pull", "--quiet", &name])?.ok()?;
    ensure!(digest(world, Some(&home), &name)? == expected, "the image has changed");

    tandem(world, None, &["logout", &registry])?.ok()?;
    tandem(world, None, &["logout", &registry])?.code_is(125)?.is_one_sentence(&["no login"])?;
    tandem(world, Some(&home), &["pull", &name])?.code_is(125)?.says(&["it wants a login"])?;
    Ok(())
}

fn skopeo(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::plain(world)?;
    let ours = format!("{}/ours:1", peer.address());
    tandem(world, None, &["push", "small", &ours])?.ok()?;
    let remote = |name: &str| format!("docker://{name}");
    let seen = world.run(
        "skopeo",
        &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &remote(&ours)],
    )?;
    let expected = digest(world, None, "small:latest")?;
    ensure!(seen.ok()?.line() == expected, "skopeo sees another digest");

    // Docker's own manifest, with other compression, under another name.
    let home = world.scratch().join("second");
    for (name, more) in
        [("docker:1", ["--format", "v2s2"]), ("zstd:1", ["--dest-compress-format", "zstd"])]
    {
        let theirs = format!("{}/{name}", peer.address());
        let mut copy = vec!["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
        copy.extend(more);
        let (from, to) = (remote(&ours), remote(&theirs));
        copy.extend([from.as_str(), to.as_str()]);
        world.run("skopeo", &copy)?.ok()?;
        tandem(world, Some(&home), &["pull", &theirs])?.ok()?;
        let config = |home: Option<&Path>, name: &str| {
            tandem(world, home, &["image", "inspect", name])?.ok()?.json()
        };
        let (here, there) = (config(None, "small")?, config(Some(&home), &theirs)?);
        ensure!(here["rootfs"] == there["rootfs"], "other layers\n{here}\n{there}");
    }
    Ok(())
}

fn cut(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::plain(world)?;
    let name = format!("{}/app:1", peer.address());
    tandem(world, None, &["push", "small", &name])?.ok()?;
    let proxy = CuttingProxy::start(peer.address(), 4, 2 << 20)?;
    let home = world.scratch().join("second");
    let through = format!("{}/app:1", proxy.address());
    let pulled = tandem(world, Some(&home), &["pull", &through])?.ok()?;
    ensure!(proxy.cut() == 4, "{} connections were cut\n{pulled}", proxy.cut());
    pulled.says(&["trying again in"])?;
    let expected = digest(world, None, "small:latest")?;
    ensure!(digest(world, Some(&home), &through)? == expected, "the image has changed");
    ensure!(fs::read_dir(home.join("cache/downloads"))?.count() == 0, "parts were left");
    Ok(())
}

fn proxy(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::plain(world)?;
    let proxy = ForwardProxy::start(peer.address())?;
    // A host of a reserved name (RFC 6761): nobody but the proxy knows it.
    let host = "registry.test:5000";
    let home = world.scratch().join("second");
    fs::create_dir_all(&home)?;
    let settings = json!({host: {"insecure": true}}).to_string();
    fs::write(home.join("registries.json"), &settings)?;
    fs::write(world.home().join("registries.json"), settings)?;
    let name = format!("{host}/app:1");
    let way = format!("http://{}", proxy.address());
    let through = |home: Option<&Path>, arguments: &[&str], none: &str| {
        tandem_with(world, home, arguments, |command| {
            for variable in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
                command.env_remove(variable).env_remove(variable.to_uppercase());
            }
            command.env("http_proxy", &way).env("https_proxy", &way).env("no_proxy", none);
        })
    };
    through(None, &["push", "small", &name], "")?.ok()?;
    through(Some(&home), &["pull", &name], "other.test")?.ok()?;
    let expected = digest(world, None, "small:latest")?;
    ensure!(digest(world, Some(&home), &name)? == expected, "the image has changed");

    // Neither for a host that wants none, nor for this machine.
    let before = proxy.asked();
    ensure!(before > 0, "the proxy was never asked");
    let lost = through(Some(&home), &["pull", &name], "registry.test")?.code_is(125)?;
    lost.is_one_sentence(&[host, "cannot be reached", "the proxy settings"])?;
    let local = format!("{}/app:1", peer.address());
    through(Some(&home), &["pull", &local], "")?.ok()?;
    ensure!(proxy.asked() == before, "the proxy was asked where it should not be");
    Ok(())
}

fn disk_full(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::plain(world)?;
    let name = format!("{}/app:1", peer.address());
    tandem(world, None, &["push", "small", &name])?.ok()?;
    // The first is too small for the blobs, the second for the unpacked files.
    for size in ["8m", "20m"] {
        let home = world.scratch().join(size);
        fs::create_dir_all(&home)?;
        let path = home.display().to_string();
        let options = format!("size={size},mode=0700");
        world.run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &path])?.ok()?;
        let pulled = tandem(world, Some(&home), &["pull", &name]);
        let left = ["tmp", "cache/downloads"].map(|folder| {
            let entries = fs::read_dir(home.join(folder)).into_iter().flatten().flatten();
            let visible = entries.filter(|it| !it.file_name().to_string_lossy().starts_with('.'));
            visible.count()
        });
        let images = tandem(world, Some(&home), &["images", "--json"]);
        world.run("umount", &[&path])?.ok()?;
        pulled?.code_is(125)?.says(&["the disk is too full", "--home"])?;
        ensure!(left == [0, 0], "left behind in {size}: {left:?}");
        ensure!(images?.ok()?.json()? == json!([]), "half an image has a name");
    }
    Ok(())
}

fn errors(world: &World) -> Result<()> {
    let peer = RegistryPeer::plain(world)?;
    let nothing = format!("{}/nothing:1", peer.address());
    let pull = |name: &str| tandem(world, None, &["pull", name])?.code_is(125);
    pull(&nothing)?.is_one_sentence(&["has no image", &nothing, "check the name and the tag"])?;
    let down = format!("127.0.0.1:{}/app", world.free_port()?);
    pull(&down)?.is_one_sentence(&["cannot be reached", "refused", "check"])?;
    small(world)?;
    tandem(world, None, &["image", "tag", "small", "localhost/small:1"])?.ok()?;
    tandem(world, None, &["push", "localhost/small:1"])?
        .code_is(2)?
        .is_one_sentence(&["for this machine only", "give a destination"])?;
    tandem(world, None, &["pull", "--platform", "amd64", &nothing])?
        .code_is(2)?
        .is_one_sentence(&["no platform", "linux/amd64"])?;
    let there = format!("{}/small:1", peer.address());
    tandem(world, None, &["push", "small", &there])?.ok()?;
    let slip = format!("{}/small:one", peer.address());
    pull(&slip)?.is_one_sentence(&["has no image", &slip, "its tags are 1"])?;
    let other = format!("linux/{}", if cfg!(target_arch = "aarch64") { "s390x" } else { "arm64" });
    tandem(world, None, &["pull", "--platform", &other, &there])?.code_is(125)?.says(&[
        "is not made for",
        &other,
        "--platform",
    ])?;
    login(world, &peer.address().to_string(), "\n", None)?
        .code_is(125)?
        .is_one_sentence(&["neither may be empty"])?;
    Ok(())
}
