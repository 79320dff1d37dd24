//! What both lanes do before the app's process is made.

use std::path::PathBuf;

use nix::sys::stat::{Mode, umask};
use tandem_backend::{BackendError, InstanceStore};
use tandem_home::Home;
use tandem_image::{Image, Store};
use tandem_model::{InstanceRecord, InstanceSpec, PortMap};

use crate::{
    bundle::environment,
    confine::{Program, Root, User, find_program},
    init,
    proxy::Published,
    rootfs::{InstanceDirs, private_mounts},
    storage::{self, Storage},
};

fn image_failed(e: tandem_image::ImageError) -> BackendError {
    BackendError::Reported(e.into())
}

/// The image that a specification names. The digest decides: the name may
/// belong to another image by now.
pub(crate) fn image_of(store: &Store, spec: &InstanceSpec) -> Result<Image, BackendError> {
    let by_name = spec.image.parse().ok().and_then(|name| store.resolve(&name).ok());
    match by_name {
        Some(image) if image.digest == spec.digest => Ok(image),
        _ => store.find(&spec.digest.to_string()).map_err(image_failed),
    }
}

/// The image's layers as folders, bottom first; unpacked where they are not.
pub(crate) fn layers_of(
    store: &Store,
    image: &Image,
    progress: &dyn Fn(&str),
) -> Result<Vec<PathBuf>, BackendError> {
    store.layer_dirs(image, progress).map_err(image_failed)
}

/// The images of a home.
pub(crate) fn open_images(home: &Home) -> Result<Store, BackendError> {
    Store::open(home).map_err(image_failed)
}

/// The merged file system of an instance with what was found in it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) user: User,
    pub(crate) env: Vec<String>,
    pub(crate) program: Program,
    /// What is mounted over it.
    pub(crate) storage: Storage,
}

/// Mounts the instance's file system in a mount namespace of the caller's own
/// and finds the user and the program in it. With `no_devices` device nodes
/// in the image do not work.
pub(crate) fn prepare_rootfs(
    store: &InstanceStore,
    record: &InstanceRecord,
    dirs: &InstanceDirs,
    hostname: Option<&str>,
    no_devices: bool,
) -> Result<Prepared, BackendError> {
    let images = open_images(store.home())?;
    let image = image_of(&images, &record.spec)?;
    let layers = layers_of(&images, &image, &|_| {})?;
    let rootfs = dirs.rootfs();
    let io = |action| {
        let rootfs = rootfs.clone();
        move |e| BackendError::io(action, rootfs, e)
    };
    // The person's own mask must not decide what the app's user may read.
    umask(Mode::from_bits_truncate(0o022));
    private_mounts().map_err(|e| BackendError::engine("making a mount namespace", e))?;
    dirs.clean_up(true).map_err(io("clear the bundle beside"))?;
    dirs.mount(&record.id, &layers, no_devices, is_fleeting(record))
        .map_err(io("mount the image's layers on"))?;
    let root = Root::open(&rootfs).map_err(io("open"))?;
    let mounts = &record.spec.options.mounts;
    let storage = storage::mount_all(store.home(), mounts, &root, no_devices)?;
    let (user, _) = User::find(&root, &record.spec.user)?;
    let mut env = record.spec.env.clone();
    if record.spec.options.terminal && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    let env = environment(&env, &user, hostname);
    let spec = &record.spec;
    root.make_dirs(spec.cwd.as_ref())
        .map_err(|e| BackendError::io("make the working directory", &spec.cwd, e))?;
    let name = spec.args.first().map_or("", String::as_str);
    let path = find_program(&root, name, &spec.cwd, &env)?;
    let program = if spec.options.init {
        init::around(&path, &spec.args, &env)?
    } else {
        Program::new(&path, &spec.args, &env)?
    };
    Ok(Prepared { user, env, program, storage })
}

/// Whether an instance goes away with its end, so that nobody needs its
/// changes after a crash of the machine. Unmounting then does not wait until
/// all that others have written is on the disk too.
pub(crate) fn is_fleeting(record: &InstanceRecord) -> bool {
    record.spec.remove || record.spec.owner.is_some()
}

/// Binds the published ports of an instance and writes down which were taken,
/// in the order in which they were asked for.
pub(crate) fn bind_ports(record: &mut InstanceRecord) -> Result<Vec<Published>, BackendError> {
    let ports = &record.spec.ports;
    let mut bound = Vec::new();
    for at in PortMap::order(ports) {
        bound.push((at, Published::bind(ports[at])?));
    }
    bound.sort_by_key(|(at, _)| *at);
    let bound: Vec<_> = bound.into_iter().map(|(_, published)| published).collect();
    record.ports = bound.iter().map(|published| published.port).collect();
    Ok(bound)
}
