//! A home with a small image in it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use tandem_backend::{Backend as _, BackendError, InstanceStore, LogReader, SupervisedBackend};
use tandem_home::Home;
use tandem_image::{Image, Store};
use tandem_model::{
    AcceleratorChoice, BackendKind, InstanceRecord, InstanceSpec, InstanceState, Phase, Profile,
    Resources,
};
use tandem_vm::{SystemBuilder, VmEngine};

/// Why the tests cannot run here.
pub(crate) fn lacking() -> Option<String> {
    let missing = |what: &str| Some(format!("needs {what}"));
    if !rustix::process::geteuid().is_root() {
        return missing("root");
    }
    if on_path("qemu-system-x86_64").is_none() {
        return missing("qemu-system-x86");
    }
    if on_path("mke2fs").is_none() {
        return missing("e2fsprogs");
    }
    if on_path("busybox").is_none() {
        return missing("busybox-static");
    }
    World::shared()
        .err()
        .filter(|e| format!("{e:#}").contains("not available"))
        .map(|e| format!("{e:#}"))
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) store: InstanceStore,
    image: Image,
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

impl World {
    /// One for all tests: fetching a kernel and making a disk takes seconds.
    pub(crate) fn shared() -> Result<&'static Self> {
        let world = WORLD.get_or_init(|| Self::new().map_err(|e| format!("{e:#}")));
        world.as_ref().map_err(|e| anyhow!("{e}"))
    }

    /// Removes its files: nothing drops a static.
    pub(crate) fn dispose() {
        if let Some(Ok(world)) = WORLD.get() {
            let _ = fs::remove_dir_all(world.dir.path());
        }
    }

    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let home = Home::open(Some(&dir.path().join("home")))?;
        let images = Store::open(&home)?;
        let root = dir.path().join("root");
        rootfs(&root)?;
        let bottom = images.commit_layer_dir(&root, None)?;
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("srv"))?;
        fs::write(top.join("srv/page"), "a page\n")?;
        fs::write(top.join("srv/text"), "not a program\n")?;
        let top = images.commit_layer_dir(&top, Some(&bottom.chain_id))?;
        let layers = [bottom.into(), top.into()];
        let image = images.put_image(
            &"test:latest".parse()?,
            oci_spec::image::ImageConfiguration::default(),
            &layers,
        )?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let store = InstanceStore::new(home.clone());
        let world = Self { home, store, image, runtime, dir };
        let spec = world.spec("true");
        world.block_on(world.machines().prepare(&spec, &mut |_| {}))?;
        Ok(world)
    }

    /// A machine that runs a shell script.
    pub(crate) fn spec(&self, script: &str) -> InstanceSpec {
        InstanceSpec {
            name: format!("t{}", self.store.list().map_or(0, |list| list.len())),
            backend: BackendKind::Vm,
            profile: Some(Profile::Micro),
            accelerator: AcceleratorChoice::Tcg,
            image: "test:latest".into(),
            digest: self.image.digest.clone(),
            args: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec!["GREETING=hello".into()],
            cwd: "/srv".into(),
            user: String::new(),
            stop_signal: "SIGTERM".into(),
            stop_timeout_s: 10,
            ports: Vec::new(),
            resources: Resources { memory_bytes: Some(192 << 20), ..Resources::default() },
            hostname: None,
            remove: false,
            owner: None,
            labels: BTreeMap::new(),
            options: tandem_model::InstanceOptions::default(),
        }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn machines(&self) -> SupervisedBackend<VmEngine> {
        let program = std::env::current_exe().expect("the test program has a path");
        let engine = VmEngine::new(self.home.clone(), program.clone(), Arc::new(NoSystems));
        SupervisedBackend::new(engine, self.store.clone(), program)
    }

    /// Creates and starts an instance; returns the phases it reported.
    pub(crate) fn start(
        &self,
        spec: InstanceSpec,
    ) -> Result<(InstanceRecord, Vec<Phase>), BackendError> {
        self.block_on(async {
            let machines = self.machines();
            let record = machines.create(spec).await?;
            let mut phases = Vec::new();
            let record = machines.start(&record.id, &mut |phase| phases.push(phase)).await?;
            Ok((record, phases))
        })
    }

    pub(crate) fn stop(&self, record: &InstanceRecord, grace: Duration) -> Result<InstanceRecord> {
        Ok(self.block_on(self.machines().stop(&record.id, Some(grace)))?)
    }

    /// Waits for an instance to end by itself.
    pub(crate) fn end(&self, record: &InstanceRecord) -> Result<InstanceRecord> {
        wait_for("the instance to end", || {
            let record = self.store.load(&record.id)?;
            let ended =
                record.state == InstanceState::Exited && record.runtime.supervisor.is_none();
            Ok(ended.then_some(record))
        })
    }

    /// Lines of its log with the stream that each came from.
    pub(crate) fn log(&self, record: &InstanceRecord) -> Result<String> {
        let mut reader =
            LogReader::open(&self.store.log_path(&record.id))?.context("there is no log")?;
        let mut text = String::new();
        while let Some(line) = reader.next_line() {
            let _ = write!(text, "{:?}: {}", line.stream, line.text);
        }
        Ok(text)
    }

    /// Ends and removes every instance.
    pub(crate) fn clear(&self) -> Result<()> {
        for record in self.store.list()? {
            self.stop(&record, Duration::ZERO)?;
            self.block_on(self.machines().remove(&record.id))?;
        }
        Ok(())
    }
}

fn rootfs(root: &Path) -> Result<()> {
    for dir in ["bin", "etc", "proc", "tmp"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    let busybox = on_path("busybox").context("no busybox")?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    for applet in
        ["sh", "echo", "id", "cat", "httpd", "hostname", "sleep", "sync", "ls", "dd", "wget"]
    {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:34:\nlog:x:4:web\n")?;
    Ok(())
}

/// Tries until something is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let limit = Instant::now() + Duration::from_mins(1);
    while Instant::now() < limit {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("waited too long for {what}")
}

/// The body of a page.
pub(crate) fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    anyhow::ensure!(head.contains(" 200 "), "{head}");
    Ok(body.to_owned())
}

/// These tests boot images alone.
struct NoSystems;

#[async_trait::async_trait]
impl SystemBuilder for NoSystems {
    async fn build(
        &self,
        _recipe: &Path,
        _label: (&str, &str),
        _progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("an operating system"))
    }
}
