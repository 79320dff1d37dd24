//! Debian's `docker-registry` on a free port of loopback, with or without TLS,
//! a password, and certificates of those who come.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{World, poll};

/// A host of a reserved name (RFC 6761): nobody but a proxy knows it.
pub const NAME: &str = "registry.test";

/// A registry that ends with the value.
#[derive(Debug)]
pub struct RegistryPeer {
    child: Child,
    address: SocketAddr,
    ca: PathBuf,
}

impl RegistryPeer {
    /// Plain HTTP, open to everybody.
    pub fn plain(world: &World) -> Result<Self> {
        Self::start(world, "plain", "")
    }

    /// TLS with a certificate of a CA of its own, and one user, `ann` with
    /// this password.
    pub fn guarded(world: &World, password: &str) -> Result<Self> {
        let dir = world.scratch().join("guarded");
        fs::create_dir_all(&dir)?;
        certificates(world, &dir)?;
        let path = dir.join("htpasswd").display().to_string();
        world.run("htpasswd", &["-Bbc", &path, "ann", password])?.ok()?;
        let dir = dir.display();
        let more = format!(
            "  tls: {{certificate: {dir}/server.crt, key: {dir}/server.key}}\n\
             auth: {{htpasswd: {{realm: test, path: {dir}/htpasswd}}}}\n"
        );
        Self::start(world, "guarded", &more)
    }

    /// TLS for those alone who show a certificate of the CA, as `client.cert`
    /// and `client.key` in the same folder as the CA's.
    pub fn for_members(world: &World) -> Result<Self> {
        let dir = world.scratch().join("members");
        fs::create_dir_all(&dir)?;
        certificates(world, &dir)?;
        certificate(world, &dir, "client", false)?;
        fs::rename(dir.join("client.crt"), dir.join("client.cert"))?;
        let dir = dir.display();
        let more = format!(
            "  tls:\n    certificate: {dir}/server.crt\n    key: {dir}/server.key\n    \
             clientcas: [{dir}/ca.crt]\n"
        );
        Self::start(world, "members", &more)
    }

    /// TLS with a certificate whose time is over.
    pub fn expired(world: &World) -> Result<Self> {
        let dir = world.scratch().join("expired");
        fs::create_dir_all(&dir)?;
        certificates(world, &dir)?;
        certificate(world, &dir, "server", true)?;
        let dir = dir.display();
        let more = format!("  tls: {{certificate: {dir}/server.crt, key: {dir}/server.key}}\n");
        Self::start(world, "expired", &more)
    }

    fn start(world: &World, name: &str, more: &str) -> Result<Self> {
        let dir = world.scratch().join(name);
        fs::create_dir_all(&dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, world.free_port()?));
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\n\
             http:\n  addr: {address}\n{more}",
            dir.display()
        );
        let path = dir.join("config.yml");
        fs::write(&path, config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log"))?)
            .spawn()?;
        let peer = Self { child, address, ca: dir.join("ca.crt") };
        poll::until("the registry", Duration::from_secs(20), || TcpStream::connect(address).ok())?;
        Ok(peer)
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that signs the registry's.
    pub fn ca(&self) -> &Path {
        &self.ca
    }
}

impl Drop for RegistryPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A CA, and a certificate of it for 127.0.0.1 and [`NAME`].
fn certificates(world: &World, dir: &Path) -> Result<()> {
    openssl(
        world,
        dir,
        &format!("req -x509 {KEY} -days 2 -subj /CN=ca -keyout ca.key -out ca.crt"),
    )?;
    certificate(world, dir, "server", false)
}

/// How `openssl ca` does its work: the only command of version 3.0 that takes
/// both ends of a certificate's time.
const AUTHORITY: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nnew_certs_dir = .\n\
    rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";

/// A certificate of the CA in the folder, for two days, or for one of 2020.
fn certificate(world: &World, dir: &Path, name: &str, expired: bool) -> Result<()> {
    openssl(world, dir, &format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"))?;
    fs::write(dir.join("names"), format!("subjectAltName=IP:127.0.0.1,DNS:{NAME}\n"))?;
    fs::write(dir.join("index"), "")?;
    fs::write(dir.join("authority"), AUTHORITY)?;
    let lasting =
        if expired { "-startdate 20200101000000Z -enddate 20200102000000Z" } else { "-days 2" };
    let signing = format!(
        "ca -batch -notext -config authority -cert ca.crt -keyfile ca.key {lasting} -extfile names -in {name}.csr -out {name}.crt"
    );
    openssl(world, dir, &signing)?;
    ensure!(dir.join(format!("{name}.crt")).is_file(), "openssl made no certificate");
    Ok(())
}

fn openssl(world: &World, dir: &Path, arguments: &str) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' '));
    world.prepare(&mut command);
    command.current_dir(dir);
    world.finish(command)?.ok()?;
    Ok(())
}
