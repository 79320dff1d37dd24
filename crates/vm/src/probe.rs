//! Boots our kernel with KVM, only to see whether a guest comes up.

use std::{path::Path, time::Duration};

use tandem_backend::BackendError;
use tandem_guest::wire::{Mark, Marks};
use tandem_home::Home;
use tandem_model::Accelerator;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::UnixStream,
    time::{Instant, timeout_at},
};

use crate::{
    guest::write_initrd,
    kernel::Kernel,
    machine::{Arguments, Board, Boot, Machine, Memory, Pages, Qemu, Reach, Shape, Started, User},
};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Boots {
    /// The first process ran after this time.
    Yes(Duration),
    /// It did not, for this reason.
    No(String),
}

/// How long a guest may take. A working KVM takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(8);

/// Boots a guest with KVM on this board, and ends it whatever comes.
pub(crate) async fn boots_with_kvm(
    home: &Home,
    qemu: &Qemu,
    kernel: &Kernel,
    guest: &Path,
    board: Board,
) -> Result<Boots, BackendError> {
    let scratch = home.scratch("probe")?;
    let initrd = scratch.path().join("initrd");
    write_initrd(&initrd, home, kernel, guest, None)?;
    let image = kernel.image(home);
    let begin = Instant::now();
    let reach = Reach { read: vec![qemu.place()], ..Reach::default() };
    let user = User::of_probe(qemu, Accelerator::Kvm);
    let started = Started::spawn(qemu, user, reach, Pages::Usual, |descriptors, handed| {
        Arguments {
            qemu,
            accelerator: Accelerator::Kvm,
            board,
            shape: Shape { memory: 256 << 20, cpus: 1, ..Shape::default() },
            name: "tandem-probe",
            boot: Boot::Kernel { kernel: &image, initrd: Some(&initrd) },
            disk: None,
            shares: &[],
            memory: Memory::Own,
            mac: "",
            ports: &[],
            network: false,
            descriptors,
        }
        .to_vec(handed)
    })?;
    let deadline = begin + LIMIT;
    let hung =
        || format!("a Linux guest did not reach user space with it within {} s", LIMIT.as_secs());
    let (mut machine, qmp, [debug, console, _channel]) =
        match timeout_at(deadline, started.connect()).await {
            Ok(Ok(connected)) => connected,
            Ok(Err((mut machine, reason))) => {
                let _ = machine.end(Duration::ZERO).await;
                return Ok(Boots::No(format!("QEMU could not start with it ({reason})")));
            }
            // Dropped, and so killed.
            Err(_) => return Ok(Boots::No(hung())),
        };
    let drained = drain(console);
    let boot = async {
        qmp.execute("cont", None).await.ok()?;
        init_reached(debug).await
    };
    let came_up = tokio::select! {
        came_up = timeout_at(deadline, boot) => came_up,
        () = drained => Ok(None),
    };
    let boots = match came_up {
        Ok(Some(())) => Boots::Yes(begin.elapsed()),
        Ok(None) => Boots::No(aborted(&mut machine).await),
        Err(_) => Boots::No(hung()),
    };
    let _ = machine.end(Duration::ZERO).await;
    Ok(boots)
}

/// Resolves when the guest's first process reports; `None` when QEMU closed
/// the port before.
async fn init_reached(mut debug: UnixStream) -> Option<()> {
    let mut marks = Marks::default();
    loop {
        let byte = debug.read_u8().await.ok()?;
        if marks.push(byte) == Some(Ok(Mark::Init)) {
            return Some(());
        }
    }
}

/// Reads and forgets, so that nothing waits for us; resolves at the end.
async fn drain(mut source: impl AsyncRead + Unpin) {
    let mut buffer = [0; 4096];
    while source.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

async fn aborted(machine: &mut Machine) -> String {
    let status = machine.end(Duration::from_millis(500)).await;
    let said = machine.errors().await;
    let how = status.map_or_else(|e| e.to_string(), |status| status.to_string());
    if said.is_empty() {
        format!("QEMU ended while a Linux guest booted with it ({how})")
    } else {
        format!("QEMU ended while a Linux guest booted with it ({how}: {said})")
    }
}
