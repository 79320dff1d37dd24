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

/// Files of the initial RAM disk, open so that they can still be reached when
/// it is no longer the root.
pub(super) struct Files(Vec<(&'static str, File)>);

/// Makes the files.
pub(super) fn make(boot: &Boot) -> io::Result<Files> {
    let name = &boot.hostname;
    let address = boot.network.as_ref().map_or(std::net::Ipv4Addr::LOCALHOST, |net| net.address);
    let hosts = format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{name}\n"
    );
    let mut texts = vec![("hosts", "/etc/hosts", hosts)];
    texts.push(("hostname", "/etc/hostname", format!("{name}\n")));
    if let Some(network) = &boot.network {
        let lines = network.dns.iter().map(|server| format!("nameserver {server}\n"));
        texts.push(("resolv.conf", "/etc/resolv.conf", lines.collect()));
    }
    fs::create_dir_all("/files")?;
    let mut files = Vec::new();
    for (name, target, text) in texts {
        let path = Path::new("/files").join(name);
        fs::write(&path, text)?;
        files.push((target, File::open(&path)?));
    }
    Ok(Files(files))
}

impl Files {
    /// Mounts each over its place. An image whose `/etc` is odd goes without.
    pub(super) fn mount(&self) {
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
