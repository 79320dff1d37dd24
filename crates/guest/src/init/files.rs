//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: made in memory and
//! mounted over the image's, so that its disk stays as it is.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::Path,
};

use nix::mount::{MsFlags, mount};
use tandem_guest::wire::Boot;

/// What every `/etc/hosts` begins with, a container's too.
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                     fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
                     ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The files, open so that they can still be reached when another folder is
/// the root.
pub(crate) struct Files(Vec<(&'static str, File)>);

/// Makes the files in the folder `dir`.
pub(crate) fn make(boot: &Boot, dir: &Path) -> io::Result<Files> {
    let name = &boot.hostname;
    let address = boot.network.as_ref().map_or(std::net::Ipv4Addr::LOCALHOST, |net| net.address);
    let more = boot.hosts.iter().map(|(address, name)| format!("{address}\t{name}\n"));
    let hosts = format!("{HOSTS}{address}\t{name}\n{}", more.collect::<String>());
    let mut texts = vec![("hosts", "/etc/hosts", hosts)];
    texts.push(("hostname", "/etc/hostname", format!("{name}\n")));
    if let Some(network) = &boot.network {
        let lines = network.dns.iter().map(|server| format!("nameserver {server}\n"));
        texts.push(("resolv.conf", "/etc/resolv.conf", lines.collect()));
    }
    fs::create_dir_all(dir)?;
    let mut files = Vec::new();
    for (name, target, text) in texts {
        let path = dir.join(name);
        fs::write(&path, text)?;
        files.push((target, File::open(&path)?));
    }
    Ok(Files(files))
}

/// The files of the system around an image's folder, whose changes are then
/// seen in both; what it does not have stays the image's.
pub(crate) fn of_system() -> Files {
    let open = |target: &'static str| {
        // A network that comes up later fills it.
        let file = File::options().append(true).create(true).open(target);
        Some((target, file.ok()?))
    };
    let targets = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    Files(targets.into_iter().filter_map(open).collect())
}

impl Files {
    /// Mounts each over its place. An image whose `/etc` is odd goes without.
    pub(crate) fn mount(&self) {
        for (target, file) in &self.0 {
            let target = Path::new(target);
            if !target.exists() {
                let _ = fs::create_dir_all("/etc");
                // A link to nowhere would lead the new file astray.
                if target.is_symlink() {
                    let _ = fs::remove_file(target);
                }
                let _ = File::create(target);
            }
            let source = format!("/proc/self/fd/{}", file.as_raw_fd());
            let _ =
                mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND, None::<&str>);
        }
    }
}
