use tandem_model::Capability;

use crate::{App, base};

impl App {
    /// What this machine can do, each finding from a real probe.
    pub async fn doctor(&self) -> Vec<Capability> {
        let mut findings = self.container.capabilities().await;
        let home = self.home.clone();
        let checkpoint =
            tokio::task::spawn_blocking(move || tandem_container::checkpoint_capability(&home));
        findings.extend(checkpoint.await.ok());
        findings.extend(self.process.capabilities().await);
        findings.extend(self.vm.capabilities().await);
        findings.extend(self.docker.capabilities().await);
        findings.extend(self.podman.capabilities().await);
        findings.push(base::capability());
        findings.push(self.disk_capability());
        findings
    }

    fn disk_capability(&self) -> Capability {
        const ROOM: u64 = 3 << 30;
        const ELSEWHERE: &str = "export TANDEM_HOME=/a/folder/with/more/room";
        let root = self.home.root();
        match tandem_probe::free_bytes(root) {
            Ok(free) if free >= ROOM => Capability::ok(
                "disk_space",
                format!("{} GiB are free at {}", free >> 30, root.display()),
            ),
            Ok(free) => Capability::limited(
                "disk_space",
                format!(
                    "only {} MiB are free at {}; images and VM disks want about {} GiB",
                    free >> 20,
                    root.display(),
                    ROOM >> 30
                ),
                Some(ELSEWHERE),
            ),
            Err(e) => {
                let detail = format!("{}: {e}", root.display());
                Capability::missing("disk_space", detail, Some(ELSEWHERE))
            }
        }
    }
}
