use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use async_trait::async_trait;
use tandem_backend::{Availability, BackendError, InstanceStore, Supervised, SupervisedBackend};
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{
    AcceleratorChoice, BackendKind, Capability, ExecSpec, InstanceRecord, InstanceSpec, Lane,
    Ledger, Profile, Sample,
};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    accelerator::{choose, finding},
    disk::{BaseDisk, Content, mke2fs_found},
    exec::exec_command,
    guest::guest_program,
    kernel::{FIX as KERNEL_FIX, Flavour, Kernel},
    machine::{NEWER_FIX, QEMU_FIX, Qemu, maps_memory, runs_machines},
    payload::{InstanceFiles, Kind, board_of, end_process, refusal, remove_boot, shape_of},
    quota, share,
    snapshot::MachineState,
    system::{RECIPE_LABEL, SystemBuilder, is_made, recipe_digest, write_recipe},
    template::{Key, is_there, make},
    usage,
    volume::VolumeDisks,
};

/// The virtual machine lane.
#[derive(Clone)]
pub struct VmEngine {
    home: Home,
    program: PathBuf,
    systems: Arc<dyn SystemBuilder>,
}

impl VmEngine {
    /// The engine for instances of this home. `program` is the `tandem`
    /// executable: disks are made by a hidden entry point of it, and the guest
    /// program lies beside it. `systems` builds the operating system of
    /// `full` machines.
    pub fn new(home: Home, program: PathBuf, systems: Arc<dyn SystemBuilder>) -> Self {
        Self { home, program, systems }
    }

    /// The operating system of `full` machines, as this version has it.
    async fn make_system(
        &self,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let digest = recipe_digest(&self.program)?;
        let store = Store::open(&self.home).map_err(|e| BackendError::Reported(e.into()))?;
        if is_made(&store, &digest) {
            return Ok(());
        }
        let recipe = self.home.scratch("system")?;
        write_recipe(recipe.path(), &self.program)?;
        self.systems.build(recipe.path(), (RECIPE_LABEL, &digest), progress).await
    }

    /// The guests' kernel, fetched when there is none.
    async fn kernel(
        &self,
        flavour: Flavour,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<Kernel, BackendError> {
        let home = self.home.clone();
        reporting(progress, move |say| Kernel::ensure(&home, flavour, &mut |line| say(line))).await
    }

    async fn make_disk(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let (home, program, spec) = (self.home.clone(), self.program.clone(), spec.clone());
        reporting(progress, move |say| {
            let store = Store::open(&home).map_err(|e| BackendError::Reported(e.into()))?;
            let content = Content::of(&store, &spec)?;
            BaseDisk::of(&home, &content)?.ensure(&store, &content, &program, say)
        })
        .await
    }

    /// The state from which instances of this specification go on.
    async fn make_template(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let (qemu, guest) = (Qemu::find()?, guest_program(&self.program)?);
        let version = qemu.remembered_version(&self.home)?;
        let kernel = self.kernel(Flavour::Cloud, progress).await?;
        let chosen = choose(spec.accelerator, &self.home, &qemu, &kernel, &guest).await?;
        let shape = shape_of(spec)?;
        let (board, _) = board_of(&chosen, &kernel, spec, shape, Kind::Micro);
        let state =
            MachineState::here(&version, chosen.accelerator, shape, &kernel.release).on(board);
        let key = Key::of(spec, &state, &guest)?;
        if is_there(&self.home, &key) {
            return Ok(());
        }
        let store = InstanceStore::new(self.home.clone());
        let backend = SupervisedBackend::new(self.clone(), store, self.program.clone());
        make(&self.home, &backend, spec, &key, progress).await
    }

    async fn kvm(&self, qemu: Option<&Qemu>) -> Capability {
        let found = async {
            let qemu = qemu.ok_or_else(|| "QEMU is not there to try it".to_owned())?;
            let guest = guest_program(&self.program).map_err(|e| e.to_string())?;
            let kernel =
                self.kernel(Flavour::Cloud, &mut |_| {}).await.map_err(|e| e.to_string())?;
            finding(&self.home, qemu, &kernel, &guest).await.map_err(|e| e.to_string())
        };
        match found.await {
            Ok(finding) if finding.usable => {
                let board = if finding.on_microvm {
                    "micro machines have the microvm board, and q35 where they may grow or see folders of the host"
                } else {
                    "all machines have the q35 board, because no guest came up on microvm"
                };
                Capability::ok("vm_kvm", format!("{}; {board}", finding.reason))
            }
            Ok(finding) => Capability::missing(
                "vm_kvm",
                format!("{}; virtual machines run by software emulation (TCG)", finding.reason),
                kvm_fix(&finding.reason),
            ),
            Err(reason) => {
                Capability::missing("vm_kvm", format!("it was not tried: {reason}"), None)
            }
        }
    }
}

/// Runs blocking work elsewhere and hands its progress on.
async fn reporting<T: Send + 'static>(
    progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    work: impl FnOnce(&dyn Fn(&str)) -> Result<T, BackendError> + Send + 'static,
) -> Result<T, BackendError> {
    let (sender, mut lines) = mpsc::unbounded_channel::<String>();
    let work = spawn_blocking(move || {
        work(&|line: &str| {
            let _ = sender.send(line.to_owned());
        })
    });
    while let Some(line) = lines.recv().await {
        progress(&line);
    }
    work.await.map_err(|e| BackendError::engine("preparing the virtual machine", e))?
}

#[async_trait]
impl Supervised for VmEngine {
    fn kind(&self) -> BackendKind {
        BackendKind::Vm
    }

    /// What a machine cannot do is refused by [`Supervised::prepare`].
    fn honours_options(&self) -> bool {
        true
    }

    async fn capabilities(&self) -> Vec<Capability> {
        let qemu = Qemu::find();
        let program = qemu_capability(&qemu);
        let qemu = qemu.ok();
        let software = match &qemu {
            Some(_) => Capability::ok(
                "vm_tcg",
                "software emulation works on every machine, slowly and without an isolation guarantee; on the q35 board, because microvm has no clock for it",
            ),
            None => Capability::missing("vm_tcg", "it comes with QEMU", Some(QEMU_FIX)),
        };
        let kvm = self.kvm(qemu.as_ref()).await;
        vec![
            program,
            kvm,
            software,
            kernel_capability(&self.home),
            match guest_program(&self.program) {
                Ok(path) => Capability::ok("vm_guest", path.display().to_string()),
                Err(BackendError::Unavailable { why, fix, .. }) => {
                    Capability::missing("vm_guest", why, Some(&fix))
                }
                Err(e) => Capability::missing("vm_guest", e.to_string(), None),
            },
            if mke2fs_found() {
                Capability::ok("mke2fs", "it makes the disks of virtual machines")
            } else {
                let fix = "sudo apt-get install e2fsprogs";
                Capability::missing("mke2fs", "virtual machines' disks cannot be made", Some(fix))
            },
        ]
    }

    async fn availability(&self, lane: &Lane) -> Result<Availability, BackendError> {
        let qemu = Qemu::find()?;
        let guest = guest_program(&self.program)?;
        let kernel = self.kernel(Flavour::Cloud, &mut |_| {}).await?;
        let version = qemu.remembered_version(&self.home)?;
        runs_machines(&version)?;
        let chosen = choose(lane.accelerator, &self.home, &qemu, &kernel, &guest).await?;
        Ok(Availability {
            engine: format!("QEMU {version}"),
            accelerator: Some(chosen.accelerator),
            note: Some(chosen.reason),
        })
    }

    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        if let Some(refusal) = refusal(&spec.options, spec.profile) {
            return Err(refusal);
        }
        shape_of(spec)?;
        VolumeDisks::check(&self.home, &spec.options)?;
        share::check(&spec.options)?;
        let qemu = Qemu::find()?;
        let guest = guest_program(&self.program)?;
        let kernel = self.kernel(Flavour::Cloud, progress).await?;
        if spec.accelerator != AcceleratorChoice::Tcg {
            choose(spec.accelerator, &self.home, &qemu, &kernel, &guest).await?;
        }
        if spec.profile == Some(Profile::Full) {
            self.make_system(progress).await?;
        } else if share::flavour(&spec.options) == Flavour::Generic {
            self.kernel(Flavour::Generic, progress).await?;
        }
        self.make_disk(spec, progress).await?;
        if spec.options.template {
            Box::pin(self.make_template(spec, progress)).await
        } else {
            Ok(())
        }
    }

    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError> {
        usage::sample(record)
    }

    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        let guest = usage::guest_stats(&self.program, &self.home, record).await;
        usage::memory_ledger(record, guest.as_ref())
    }

    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        usage::disk_ledger(&self.home, record)
    }

    fn exec_command(
        &self,
        program: &Path,
        record: &InstanceRecord,
        spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        exec_command(program, &self.home, &record.id, spec)
    }

    async fn reap(&self, record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
        let mut cleaned = Vec::new();
        // The identity has the start time in it: another process that has got
        // the number since is left alone.
        if let Some(qemu) = record.runtime.process
            && tandem_probe::alive(qemu)
        {
            if !end_process(qemu).await {
                let reason = format!("QEMU (process {}) cannot be ended", qemu.pid);
                return Err(BackendError::engine("cleaning up after the machine", reason));
            }
            cleaned.push(format!("QEMU, process {}", qemu.pid));
        }
        for group in &record.runtime.cgroups {
            let removed = quota::remove(group).await;
            if removed.map_err(|e| BackendError::io("remove the control group", group, e))? {
                cleaned.push(format!("control group {}", group.display()));
            }
        }
        let files = InstanceFiles::in_dir(&self.home.instances().join(record.id.as_str()));
        if files.boot.exists() {
            remove_boot(&files)?;
            cleaned.push(format!("boot file {}", files.boot.display()));
        }
        Ok(cleaned)
    }
}

/// What mends it where a person can; nothing does where the hypervisor beneath
/// does not do what it announces.
fn kvm_fix(reason: &str) -> Option<&'static str> {
    if reason.contains("no /dev/kvm") {
        Some(
            "`sudo modprobe kvm_intel || sudo modprobe kvm_amd`, once virtualisation is on in the firmware",
        )
    } else if reason.contains("may not open") {
        Some("`sudo usermod -aG kvm $USER`, and a new login")
    } else {
        None
    }
}

fn qemu_capability(qemu: &Result<Qemu, BackendError>) -> Capability {
    let found = qemu.as_ref().map_err(ToString::to_string);
    let version = match found.and_then(|qemu| qemu.version().map_err(|e| e.to_string())) {
        Ok(version) => version,
        Err(why) => return Capability::missing("qemu", why, Some(QEMU_FIX)),
    };
    let place = qemu.as_ref().map_or(Path::new(""), |qemu| qemu.program.as_path());
    let text = format!("QEMU {version} at {}", place.display());
    if let Err(e) = runs_machines(&version) {
        return Capability::missing("qemu", e.to_string(), Some(NEWER_FIX));
    }
    if maps_memory(&version) {
        return Capability::ok("qemu", text);
    }
    let slower = "each start from a template copies its memory, which newer ones share, and an emulated machine stands still while a snapshot takes its memory";
    Capability::limited("qemu", format!("{text}; {slower}"), Some(NEWER_FIX))
}

fn kernel_capability(home: &Home) -> Capability {
    match Kernel::cached(home, Flavour::Cloud) {
        Ok(Some(kernel)) => {
            let package = kernel.package.as_deref().unwrap_or("the host's own");
            Capability::ok("vm_kernel", format!("Linux {} ({package})", kernel.release))
        }
        _ if Kernel::is_known() => {
            Capability::ok("vm_kernel", "it will be fetched when the first machine needs it")
        }
        _ => Capability::missing(
            "vm_kernel",
            "there is no kernel for virtual machines, and apt knows none",
            Some(KERNEL_FIX),
        ),
    }
}
