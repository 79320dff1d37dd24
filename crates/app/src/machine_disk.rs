use std::path::Path;

use tandem_backend::BackendError;
use tandem_home::Draft;
use tandem_model::{BackendKind, Profile};
use tandem_vm::{DiskFormat, layers_of, save_running, write_flat};

use crate::{App, AppError, snapshot::refuse_volumes};

impl App {
    /// Writes the disk of a `full` machine to a file that boots in any QEMU, or
    /// to an appliance for other programs.
    /// One that runs writes on to a new layer of its disk meanwhile. A file
    /// appears only when it is whole.
    pub async fn export_disk(
        &self,
        instance: &str,
        format: DiskFormat,
        file: &Path,
    ) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let name = &record.spec.name;
        let refused = |why: &str, fix: String| BackendError::Unavailable {
            what: format!("a disk of {name} that boots elsewhere"),
            why: why.to_owned(),
            fix,
        };
        match (record.spec.backend, record.spec.profile) {
            (BackendKind::Vm, Some(Profile::Full)) => {}
            (BackendKind::Vm, _) => {
                let fix = "run the image with --profile full".to_owned();
                let why = "a micro machine's disk has the image's files and no boot loader";
                return Err(refused(why, fix).into());
            }
            _ => {
                let fix = format!("`tandem export -o FILE {name}` writes it for another Tandem");
                return Err(refused("only a virtual machine has a disk", fix).into());
            }
        }
        refuse_volumes(&record, "an export")?;
        let machine = self.instances.dir(&record.id);
        let dir = self.snapshots_dir(&record)?;
        let _lock = tandem_home::Lock::exclusive(&dir.join(".lock"))?;
        let nothing = self.home.scratch("disk")?;
        let (chain, _ended) = match save_running(&machine, nothing.path(), false).await? {
            Some(taken) => (taken.saved.chain, None),
            None => (layers_of(&machine)?, Some(self.ended_lock(&record)?)),
        };
        let failed = |e| AppError::unwritten(file, &e);
        let draft = Draft::beside(file, 0o600).map_err(failed)?;
        let to = draft.file();
        write_flat(&self.home, &machine, &record, &chain, format, nothing.path(), to).await?;
        draft.file().sync_all().map_err(failed)?;
        draft.keep(file).map_err(failed)
    }
}
