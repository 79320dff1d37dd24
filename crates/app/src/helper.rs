//! The hidden entry points of the `tandem` executable: processes that the
//! engines start with nothing in them but one job.

use std::{cell::Cell, ffi::OsString, path::Path, process::ExitCode};

use tandem_backend::{
    ATTACHED, BackendError, InstanceStore, Payload, STAND_BY, SUPERVISE, stand_by, supervise,
};
use tandem_container::{
    EXEC, FILES, NETWORK, STEP, WarmUp, container_payload, exec_main, files_main, network_main,
    process_payload, step_main,
};
use tandem_docker::{ENGINE_EXEC, engine_exec_main, engine_payload};
use tandem_model::{BackendKind, InstanceRecord};
use tandem_vm::{DISK, VM_EXEC, disk_main, vm_exec_main, vm_payload};

/// Runs a hidden entry point when the arguments (without the program's name)
/// name one. Must be called first in `main`, while there is a single thread.
pub fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str());
    match word(0)? {
        SUPERVISE => {
            let attached = word(3) == Some(ATTACHED);
            let payload = |store: &_, record: &_| payload(store, record, None);
            Some(supervise(Path::new(arguments.get(1)?), word(2)?, attached, payload))
        }
        STAND_BY => {
            // Only containers are waited for.
            let warm_up = Cell::new(Some(WarmUp::begin()));
            let payload = |store: &_, record: &_| payload(store, record, warm_up.take());
            Some(stand_by(Path::new(arguments.get(1)?), payload))
        }
        EXEC => Some(exec_main(Path::new(arguments.get(1)?), word(2)?)),
        VM_EXEC => Some(vm_exec_main(Path::new(arguments.get(1)?), word(2)?)),
        ENGINE_EXEC => Some(engine_exec_main(Path::new(arguments.get(1)?), word(2)?)),
        STEP => Some(step_main()),
        FILES => Some(files_main()),
        DISK => Some(disk_main()),
        NETWORK => Some(network_main(Path::new(arguments.get(1)?))),
        _ => None,
    }
}

fn payload(
    store: &InstanceStore,
    record: &InstanceRecord,
    warm_up: Option<WarmUp>,
) -> Result<Box<dyn Payload>, BackendError> {
    // It outlives the command that entered the namespace.
    tandem_rootless::register(store.home())
        .map_err(|e| BackendError::engine("the user namespace", e))?;
    match record.spec.backend {
        BackendKind::Container => container_payload(store, record, warm_up),
        BackendKind::Process => process_payload(store, record),
        BackendKind::Vm => vm_payload(store, record),
        BackendKind::Docker | BackendKind::Podman => engine_payload(store, record),
    }
}
