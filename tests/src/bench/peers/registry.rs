use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::poll;

/// `docker-registry` without TLS or a password, on a port of loopback.
#[derive(Debug)]
pub(crate) struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    /// Serves what is in `data`. `program` makes a command that runs in the
    /// network namespace whose loopback is meant.
    pub(crate) fn serve(
        folder: &Path,
        data: &Path,
        port: u16,
        program: impl Fn(&str) -> Command,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            data.display()
        );
        let path = folder.join("config.yml");
        fs::write(&path, config)?;
        let log = fs::File::create(folder.join("log"))?;
        let child = program("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start docker-registry")?;
        let own = Self { child, address };
        poll::until("the registry", Duration::from_secs(30), || {
            let mut probe = program("bash");
            probe.args(["-c", &format!("</dev/tcp/127.0.0.1/{port}")]);
            let silent = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            silent.status().ok()?.success().then_some(())
        })?;
        Ok(own)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
