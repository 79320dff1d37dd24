//! Hearing of changes instead of looking for them (inotify(7), pidfd_open(2)).

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::Path,
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fs::inotify,
    process::{Pid, PidfdFlags, pidfd_open},
};

/// Becomes readable when something happens in the folders and to the processes
/// that it was told of. That something did is all it says: whoever hears of it
/// looks again. A file system whose files others change (a network's) tells
/// nothing, so a slow look of one's own is needed beside it.
#[derive(Debug)]
pub struct Lookout {
    heard: OwnedFd,
    folders: OwnedFd,
    /// All that it was ever told of, by id and start.
    processes: HashSet<(u32, u64)>,
    /// Those that have not ended, by id.
    open: HashMap<u64, OwnedFd>,
}

/// What the folders are called among the processes.
const FOLDERS: u64 = u64::MAX;

impl Lookout {
    /// One that nothing was told yet.
    ///
    /// # Errors
    /// The kernel has no more of them for this user.
    pub fn new() -> io::Result<Self> {
        let heard = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let folders = inotify::init(flags)?;
        let data = epoll::EventData::new_u64(FOLDERS);
        epoll::add(&heard, &folders, data, epoll::EventFlags::IN)?;
        Ok(Self { heard, folders, processes: HashSet::new(), open: HashMap::new() })
    }

    /// Listens for files of a folder that get or lose their names, or are
    /// closed by whoever wrote them, and for the folder's own end. Telling of
    /// a folder twice does nothing.
    ///
    /// # Errors
    /// It is not there, or the kernel watches no more for this user.
    pub fn folder(&self, path: &Path) -> io::Result<()> {
        self.watch(path, inotify::WatchFlags::empty())
    }

    /// The same, and for every piece that is written into its files.
    ///
    /// # Errors
    /// It is not there, or the kernel watches no more for this user.
    pub fn writing_in(&self, path: &Path) -> io::Result<()> {
        self.watch(path, inotify::WatchFlags::MODIFY)
    }

    fn watch(&self, path: &Path, more: inotify::WatchFlags) -> io::Result<()> {
        use inotify::WatchFlags as On;
        let names = On::CLOSE_WRITE | On::CREATE | On::DELETE | On::MOVE;
        let own = On::DELETE_SELF | On::MOVE_SELF | On::ONLYDIR;
        inotify::add_watch(&self.folders, path, names | own | more)?;
        Ok(())
    }

    /// Listens for the end of a process, which `start` tells from later ones
    /// of the same id. One that is gone has nothing to say.
    pub fn process(&mut self, id: u32, start: u64) {
        if !self.processes.insert((id, start)) {
            return;
        }
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let opened = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(process) = opened {
            let key = u64::from(id);
            let data = epoll::EventData::new_u64(key);
            if epoll::add(&self.heard, &process, data, epoll::EventFlags::IN).is_ok() {
                self.open.insert(key, process);
            }
        }
    }

    /// Forgets what was heard so far: what happens from now on makes it
    /// readable again.
    pub fn forget(&mut self) {
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.folders, &mut buffer).is_ok_and(|count| count > 0) {}
        let mut events = Vec::with_capacity(16);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = epoll::wait(&self.heard, spare_capacity(&mut events), Some(&now));
        // An end stays readable: it is told once.
        for event in events {
            self.open.remove(&event.data.u64());
        }
    }
}

impl AsFd for Lookout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heard.as_fd()
    }
}

impl AsRawFd for Lookout {
    fn as_raw_fd(&self) -> RawFd {
        self.heard.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, process::Command};

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn heard(lookout: &Lookout, seconds: i64) -> bool {
        let mut fds = [PollFd::new(lookout, PollFlags::IN)];
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut fds, Some(&limit)).unwrap() == 1
    }

    #[test]
    fn changes_in_a_folder_and_its_end_are_heard() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        fs::create_dir(&folder).unwrap();
        let mut lookout = Lookout::new().unwrap();
        lookout.writing_in(&folder).unwrap();
        lookout.writing_in(&folder).unwrap();
        assert!(!heard(&lookout, 0));
        let steps: [&dyn Fn() -> io::Result<()>; 5] = [
            &|| fs::write(folder.join("log"), "one"),
            &|| fs::rename(folder.join("log"), folder.join("log.1")),
            &|| crate::write_json_volatile(&folder.join("state"), &7).map_err(io::Error::other),
            &|| fs::remove_dir_all(&folder),
            &|| Ok(()),
        ];
        for (number, step) in steps.into_iter().enumerate() {
            step().unwrap();
            assert_eq!(heard(&lookout, i64::from(number < 4)), number < 4, "step {number}");
            lookout.forget();
            assert!(!heard(&lookout, 0), "step {number} is told twice");
        }
        assert!(lookout.folder(&folder).is_err());
        // Reading is no change, and writing only where it is asked for.
        lookout.folder(dir.path()).unwrap();
        let mut file = fs::File::create(dir.path().join("file")).unwrap();
        lookout.forget();
        file.write_all(b"x").unwrap();
        fs::read(dir.path().join("file")).unwrap();
        assert!(!heard(&lookout, 0));
        drop(file);
        assert!(heard(&lookout, 0));
    }

    #[test]
    fn the_end_of_a_process_is_heard_once() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut lookout = Lookout::new().unwrap();
        lookout.process(child.id(), 1);
        lookout.process(child.id(), 1);
        // Nobody has this id.
        lookout.process(u32::MAX, 1);
        assert!(!heard(&lookout, 0));
        child.kill().unwrap();
        assert!(heard(&lookout, 5));
        lookout.forget();
        assert!(!heard(&lookout, 0));
        child.wait().unwrap();
    }
}
