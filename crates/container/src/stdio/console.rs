use std::{
    fs::File,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Where libcontainer sends the terminal that it opens inside a container
/// (runc's console socket).
#[derive(Debug)]
pub(crate) struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    /// Listens in the folder of a bundle, which is private.
    pub(crate) fn listen(bundle: &Path) -> io::Result<Self> {
        const NAME: &str = "console.sock";
        // A socket's path may have 108 bytes only (unix(7)), and homes lie
        // deeper; libcontainer goes through a link for the same reason.
        let folder = File::open(bundle)?;
        let near = format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd());
        let listener = UnixListener::bind(near)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: bundle.join(NAME) })
    }

    /// What libcontainer is to be given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Our side of the terminal, which was sent while the container was made.
    pub(crate) fn receive(self) -> io::Result<OwnedFd> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        let mut name = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut name)];
        recvmsg(&stream, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptor.ok_or_else(|| io::Error::other("no terminal came with the message"))
    }
}
