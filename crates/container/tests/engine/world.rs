//! A home with a small image in it, and what is on the host.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use oci_spec::image::ImageConfiguration;
use tandem_backend::{
    Backend as _, BackendError, InstanceStore, LogReader, Supervised, SupervisedBackend,
};
use tandem_container::{ContainerEngine, ProcessEngine};
use tandem_home::Home;
use tandem_image::{Image, Store};
use tandem_model::{
    AcceleratorChoice, BackendKind, InstanceRecord, InstanceSpec, InstanceState, PortMap, Resources,
};

/// Why the tests cannot run here.
pub(crate) fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".into());
    }
    busybox().is_none().then(|| "needs busybox-static".into())
}

pub(crate) fn busybox() -> Option<&'static Path> {
    ["/usr/bin/busybox", "/bin/busybox"].into_iter().map(Path::new).find(|path| path.exists())
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) home: Home,
    pub(crate) store: InstanceStore,
    pub(crate) image: Image,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let home = Home::open(Some(&dir.path().join("home")))?;
        let images = Store::open(&home)?;
        let bottom = dir.path().join("bottom");
        rootfs(&bottom)?;
        let bottom = images.commit_layer_dir(&bottom, None)?;
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("srv"))?;
        fs::write(top.join("srv/page"), "a page\n")?;
        fs::write(top.join("srv/text"), "not a program\n")?;
        let top = images.commit_layer_dir(&top, Some(&bottom.chain_id))?;
        let layers = [bottom.into(), top.into()];
        let image =
            images.put_image(&"test:latest".parse()?, ImageConfiguration::default(), &layers)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let store = InstanceStore::new(home.clone());
        Ok(Self { dir, home, store, image, runtime })
    }

    pub(crate) fn spec(&self, backend: BackendKind, args: &[&str]) -> InstanceSpec {
        InstanceSpec {
            name: format!("t{}", self.store.list().map_or(0, |list| list.len())),
            backend,
            profile: None,
            accelerator: AcceleratorChoice::Auto,
            image: "test:latest".into(),
            digest: self.image.digest.clone(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: vec!["GREETING=hello".into()],
            cwd: "/srv".into(),
            user: String::new(),
            stop_signal: "SIGTERM".into(),
            stop_timeout_s: 10,
            ports: Vec::new(),
            resources: Resources::default(),
            hostname: None,
            remove: false,
            // Whatever a failing test leaves running ends with this program.
            owner: tandem_probe::identity(std::process::id()),
            labels: BTreeMap::new(),
            options: tandem_model::InstanceOptions::default(),
        }
    }

    pub(crate) fn container(&self, args: &[&str]) -> InstanceSpec {
        self.spec(BackendKind::Container, args)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn backend<T: Supervised>(&self, engine: T) -> SupervisedBackend<T> {
        let program = std::env::current_exe().expect("the test program has a path");
        SupervisedBackend::new(engine, self.store.clone(), program)
    }

    pub(crate) fn containers(&self) -> SupervisedBackend<ContainerEngine> {
        self.backend(ContainerEngine::new(self.home.clone()))
    }

    pub(crate) fn processes(&self) -> SupervisedBackend<ProcessEngine> {
        self.backend(ProcessEngine::new(self.home.clone()))
    }

    /// Creates and starts an instance.
    pub(crate) fn start(&self, spec: InstanceSpec) -> Result<InstanceRecord, BackendError> {
        self.block_on(async {
            if spec.backend == BackendKind::Process {
                let backend = self.processes();
                let record = backend.create(spec).await?;
                backend.start(&record.id, &mut |_| {}).await
            } else {
                let backend = self.containers();
                let record = backend.create(spec).await?;
                backend.start(&record.id, &mut |_| {}).await
            }
        })
    }

    /// Takes away what killed supervisors left of ended instances.
    pub(crate) fn sweep(&self) -> Result<Vec<String>, BackendError> {
        self.block_on(async { self.containers().sweep().await })
    }

    /// Stops an instance after at most `grace`.
    pub(crate) fn stop(&self, record: &InstanceRecord, grace: Duration) -> Result<InstanceRecord> {
        Ok(self.block_on(self.containers().stop(&record.id, Some(grace)))?)
    }

    /// Waits for an instance to end by itself.
    pub(crate) fn end(&self, record: &InstanceRecord) -> Result<InstanceRecord> {
        wait_for("the instance to end", || {
            let record = self.store.load(&record.id)?;
            Ok((record.state == InstanceState::Exited).then_some(record))
        })
    }

    /// Runs an instance to its end; returns its code and its log.
    pub(crate) fn run(&self, spec: InstanceSpec) -> Result<(i32, String)> {
        let record = self.start(spec)?;
        let record = self.end(&record)?;
        let exit = record.exit.clone().context("it has no exit")?;
        ensure!(exit.error.is_none(), "{:?}", exit.error);
        Ok((exit.code, self.log(&record)?))
    }

    pub(crate) fn log(&self, record: &InstanceRecord) -> Result<String> {
        let reader = LogReader::open(&self.store.log_path(&record.id))?;
        let mut text = String::new();
        if let Some(mut reader) = reader {
            while let Some(line) = reader.next_line() {
                text.push_str(&line.text);
            }
        }
        Ok(text)
    }

    /// Everything on the host that belongs to an instance.
    pub(crate) fn traces(&self, record: &InstanceRecord) -> Vec<String> {
        let id = record.id.as_str();
        let mut found = Vec::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let folder = hierarchy.path().join(format!("tandem-{id}"));
            found.extend(folder.exists().then(|| folder.display().to_string()));
        }
        let link = format!("/sys/class/net/tdm{}", &id[..8]);
        // A link goes a moment after the end has been told.
        let there = || Path::new(&link).exists();
        found.extend(
            wait_for("the link's end", || Ok((!there()).then_some(()))).err().map(|_| link.clone()),
        );
        found.extend(mounts_with(&self.home.root().display().to_string()));
        found.extend(processes_with(&format!("tandem-{id} ")));
        let bundle = self.store.dir(&record.id).join("bundle");
        found.extend(bundle.exists().then(|| bundle.display().to_string()));
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for record in self.store.list().unwrap_or_default() {
            let _ = self.stop(&record, Duration::ZERO);
        }
    }
}

/// Lines of this namespace's mount table that hold a text.
pub(crate) fn mounts_with(text: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Processes in whose mount table a text is.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            fs::read_to_string(entry.path().join("mountinfo"))
                .is_ok_and(|table| table.contains(text))
        })
        .map(|entry| entry.path().display().to_string())
        .collect()
}

/// Polls for a short while.
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..2000 {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("waited too long for {what}")
}

/// A free port on loopback.
pub(crate) fn port(inside: u16) -> PortMap {
    format!("127.0.0.1:0:{inside}").parse().expect("a port mapping")
}

/// A root file system of busybox alone.
fn rootfs(dir: &Path) -> Result<()> {
    for path in ["bin", "etc", "srv", "tmp", "root", "proc", "sys", "dev"] {
        fs::create_dir_all(dir.join(path))?;
    }
    let source: PathBuf = busybox().context("busybox")?.to_owned();
    fs::copy(source, dir.join("bin/busybox"))?;
    let applets = "sh cat echo id hostname ip nc httpd sleep env pwd wget ls grep touch mount mknod \
                   chmod mkdir rm dd head tail true false kill ps stat unshare ulimit dmesg rmdir seq wc cut setsid nslookup";
    for applet in applets.split_whitespace() {
        symlink("busybox", dir.join("bin").join(applet))?;
    }
    fs::write(
        dir.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh\n",
    )?;
    fs::write(dir.join("etc/group"), "root:x:0:\nwheel:x:10:app\napp:x:1000:\n")?;
    Ok(())
}
