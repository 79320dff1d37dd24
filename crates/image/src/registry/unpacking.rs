//! Unpacking the layers of an image while they arrive.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use tandem_home::Scratch;
use tandem_model::Digest;
use tokio::sync::oneshot;

use super::{Notice, Transfer, follow::Growing};
use crate::{ImageError, Layer, Store, chain_ids, store::unpack_stream};

/// The work on its own thread. Dropping it ends the work and waits for that,
/// so that nothing half-unpacked stays.
pub(crate) struct Unpacking {
    blobs: Vec<Arc<Growing>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    result: Option<oneshot::Receiver<Result<Unpacked, ImageError>>>,
}

/// Layers that are unpacked and not yet in their places.
pub(crate) struct Unpacked {
    store: Store,
    /// New folder, its place, chain id.
    fresh: Vec<(PathBuf, PathBuf, Digest)>,
    _scratch: Scratch,
}

impl Unpacking {
    /// Begins with the bottom layer as soon as its first bytes are there.
    pub(crate) fn start(
        store: &Store,
        layers: Vec<(Layer, Arc<Growing>)>,
        notice: Notice,
    ) -> Result<Self, ImageError> {
        let stop = Arc::new(AtomicBool::new(false));
        let scratch = store.home().scratch("layers")?;
        let blobs = layers.iter().map(|(_, growing)| Arc::clone(growing)).collect();
        let (send, receive) = oneshot::channel();
        let (mine, store) = (Arc::clone(&stop), store.clone());
        let work = move || {
            let unpacked = unpack(&store, &layers, scratch, &notice, &mine);
            drop(send.send(unpacked));
        };
        let thread = thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(work)
            .map_err(ImageError::io("start a thread in", "this process"))?;
        Ok(Self { blobs, stop, thread: Some(thread), result: Some(receive) })
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Result<Unpacked, ImageError> {
        let ended = match self.result.take() {
            Some(result) => result.await.ok(),
            None => None,
        };
        ended.unwrap_or_else(|| Err(ImageError::damaged("the image", "unpacking it broke off")))
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for blob in &self.blobs {
            blob.give_up();
        }
        // What was sent to nobody is removed here.
        self.result = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Unpacked {
    /// Moves the layers to their places. Call it when every blob's digest was
    /// right.
    pub(crate) fn install(self) -> Result<(), ImageError> {
        self.store.install_all(&self.fresh)
    }
}

fn unpack(
    store: &Store,
    layers: &[(Layer, Arc<Growing>)],
    scratch: Scratch,
    notice: &Notice,
    stop: &AtomicBool,
) -> Result<Unpacked, ImageError> {
    let mut fresh: Vec<(PathBuf, PathBuf, Digest)> = Vec::new();
    let mut dirs: Vec<PathBuf> = Vec::new();
    let chain = chain_ids(layers.iter().map(|(layer, _)| &layer.diff_id));
    for (at, ((layer, growing), chain_id)) in layers.iter().zip(chain).enumerate() {
        let dir = store.layer_dir(&chain_id);
        if dir.is_dir() {
            dirs.push(dir);
            continue;
        }
        let new = scratch.path().join(at.to_string());
        unpack_one(layer, growing, &dirs, &new, stop)?;
        notice(Transfer::Unpacked { digest: layer.digest.clone() });
        dirs.push(new.clone());
        fresh.push((new, dir, chain_id));
    }
    Ok(Unpacked { store: store.clone(), fresh, _scratch: scratch })
}

/// Unpacks a layer while it arrives, and again when it arrives anew.
fn unpack_one(
    layer: &Layer,
    growing: &Arc<Growing>,
    parents: &[PathBuf],
    new: &PathBuf,
    stop: &AtomicBool,
) -> Result<(), ImageError> {
    loop {
        let reader = growing.reader().map_err(ImageError::io("read", new))?;
        let round = reader.round();
        let reader = Stoppable { reader, stop };
        match unpack_stream(reader, layer, parents, new) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let stopped = stop.load(Ordering::Relaxed);
                if stopped || !growing.is_past(round) {
                    // Wrong bytes make wrong archives: the download says which.
                    growing.wait();
                    if stopped || !growing.is_past(round) {
                        return Err(error);
                    }
                }
                std::fs::remove_dir_all(new).map_err(ImageError::io("remove", new))?;
            }
        }
    }
}

struct Stoppable<'a, R> {
    reader: R,
    stop: &'a AtomicBool,
}

impl<R: std::io::Read> std::io::Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("the pull was given up"));
        }
        self.reader.read(buffer)
    }
}
