//! The same root booted as a distribution boots: a compressed kernel (bzImage)
//! that the firmware loads, and the initial RAM disk that Debian makes for any
//! machine.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::{Context as _, Result};

use super::{
    monitor::{Hand, MARKS},
    qemu::{self, BUSYBOX},
    same::Same,
};
use crate::bench::ground::{Ground, tool};

/// Its name in the table.
pub(crate) const NAME: &str = "generic";

/// Debian's cloud kernel, which our guests' is too, with the initial RAM disk
/// that its package makes when nobody says anything about it.
const RECIPE: &str = "FROM debian:bookworm-slim\n\
    RUN export DEBIAN_FRONTEND=noninteractive && apt-get update \\\n\
        && apt-get install -y --no-install-recommends linux-image-cloud-amd64 initramfs-tools zstd \\\n\
        && mkdir /out && cp /boot/vmlinuz-* /out/vmlinuz && cp /boot/initrd.img-* /out/initrd\n\
    FROM scratch\nCOPY --from=0 /out /\n";

const DEBIAN: &str = "localhost/tandem/debian:bookworm";

/// What a bare Debian is called where no registry is.
const BASE: &str = "debian:bookworm-slim=docker-image://localhost/tandem/debian:bookworm";

const COMMAND_LINE: &str =
    "root=/dev/vda rw quiet console=ttyS0 panic=-1 net.ifnames=0 init=/bench-init";

/// A machine that boots so.
pub(crate) struct Generic {
    folder: PathBuf,
    same: Same,
    initrd: PathBuf,
}

impl Generic {
    pub(crate) fn prepare(ground: &Ground, same: &Rc<Same>) -> Result<Self> {
        let folder = ground.scratch().join(NAME);
        let out = folder.join("out");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("Dockerfile"), RECIPE)?;
        eprintln!("making Debian's initial RAM disk");
        if ground.tandem(&["image", "inspect", DEBIAN]).is_err() {
            ground.tandem(&["image", "bootstrap", "debian"])?;
        }
        let output = format!("type=local,dest={}", out.display());
        let context = folder.to_string_lossy().into_owned();
        ground.tandem(&["build", "-q", "--build-context", BASE, "-o", &output, &context])?;
        let mut same = Same::clone(same);
        same.kernel = out.join("vmlinuz");
        let base = folder.join("base.img");
        tool("cp", &["--sparse=always", &same.base.to_string_lossy(), &base.to_string_lossy()])?;
        same.base = base;
        let (_, boot) = qemu::unpacked(&folder, &same.initrd)?;
        write_init(&folder, &same.base, &boot)?;
        Ok(Self { folder, initrd: out.join("initrd"), same })
    }

    /// Starts it with a fresh disk.
    pub(crate) fn start(&self) -> Result<(Hand, SocketAddr)> {
        let disk = self.folder.join("run.qcow2");
        let _ = fs::remove_file(&disk);
        self.same.make_overlay(&disk)?;
        let (mut command, address) = self.same.command(&disk)?;
        command.arg("-kernel").arg(&self.same.kernel).arg("-initrd").arg(&self.initrd);
        // Debian's first process wants a console, which nobody looks at here;
        // its kernel has no way to the debug port, so a serial port it is.
        command.args(["-serial", "null", "-serial", MARKS]);
        command.args(["-no-reboot", "-append", COMMAND_LINE]);
        Ok((Hand::start(command, &self.folder)?, address))
    }
}

/// Two files more on the root: busybox, and the first process, which tells
/// that it runs, sets the address and executes the app.
fn write_init(folder: &Path, disk: &Path, boot: &serde_json::Value) -> Result<()> {
    let (network, (env, inner)) = (qemu::network(boot), qemu::app(boot));
    let script = format!(
        "#!/busybox sh\nexec </dev/null >/dev/null 2>&1\nb=/busybox\n{network}\n\
         $b mkdir -p /dev/shm\n$b mount -t tmpfs shm /dev/shm\necho x > /dev/ttyS1\n\
         exec $b env -i {env} /bin/sh -c {inner}\n"
    );
    let init = folder.join("bench-init");
    fs::write(&init, script)?;
    let disk = disk.to_string_lossy().into_owned();
    for (source, name) in [(init.as_path(), "bench-init"), (Path::new(BUSYBOX), "busybox")] {
        let source = source.to_str().context("an odd path")?;
        for request in [
            format!("write {source} {name}"),
            format!("set_inode_field {name} mode 0100755"),
            format!("set_inode_field {name} uid 0"),
        ] {
            tool("debugfs", &["-w", "-R", &request, &disk])?;
        }
    }
    Ok(())
}
