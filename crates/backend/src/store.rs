use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tandem_home::{Home, HomeError, Lock, make_private_dir, read_json, write_json_volatile};
use tandem_model::{InstanceId, InstanceRecord, InstanceSpec, InstanceState, Runtime, closest};

use crate::{BackendError, VolumeStore};

/// The longest that a supervisor needs from the recorded end to its own.
pub(crate) const LAST_MOMENT: Duration = Duration::from_secs(10);

/// The instances below a home: one folder each, `instances/ID/`.
#[derive(Debug, Clone)]
pub struct InstanceStore {
    home: Home,
}

impl InstanceStore {
    /// The store of this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// The home it belongs to.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The folder of an instance.
    pub fn dir(&self, id: &InstanceId) -> PathBuf {
        self.home.instances().join(id.as_str())
    }

    /// The lock that an instance's supervisor holds while it lives.
    pub fn lock_path(&self, id: &InstanceId) -> PathBuf {
        self.dir(id).join("lock")
    }

    /// Takes the lock of an instance that does not run; `None` when it does. A
    /// supervisor that has recorded the end still holds the lock for the
    /// moment in which it ends itself: that moment is waited for.
    pub fn lock_ended(&self, id: &InstanceId) -> Result<Option<Lock>, BackendError> {
        let begin = Instant::now();
        loop {
            let lock = match Lock::try_exclusive(&self.lock_path(id)) {
                // It was removed at its end.
                Err(_) if !self.dir(id).exists() => {
                    return Err(BackendError::NoInstance(id.as_str().to_owned()));
                }
                other => other?,
            };
            if lock.is_some() || begin.elapsed() > LAST_MOMENT {
                return Ok(lock);
            }
            if self.load(id)?.state.is_up() {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The log of an instance's app.
    pub fn log_path(&self, id: &InstanceId) -> PathBuf {
        self.dir(id).join("logs/app.jsonl")
    }

    /// Makes an instance in state `Created`.
    pub fn create(&self, spec: InstanceSpec) -> Result<InstanceRecord, BackendError> {
        let _names = self.hold_name(&spec.name)?;
        let id = self.free_id()?;
        let record = InstanceRecord {
            version: InstanceRecord::VERSION,
            id,
            ports: Vec::new(),
            spec,
            state: InstanceState::Created,
            created_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            runtime: Runtime::default(),
            exit: None,
            phases: Vec::new(),
            health: None,
            restarts: 0,
        };
        let made = make_private_dir(&self.dir(&record.id).join("logs")).map_err(Into::into);
        if let Err(e) = made.and_then(|()| self.save(&record)) {
            let _ = self.delete(&record.id);
            return Err(e);
        }
        Ok(record)
    }

    /// Holds a name that no instance has, for as long as nobody else may take
    /// it.
    pub(crate) fn hold_name(&self, name: &str) -> Result<Lock, BackendError> {
        check_name(name)?;
        let names = Lock::exclusive(&self.home.instances().join(".lock"))?;
        if self.list()?.iter().any(|other| other.spec.name == name) {
            return Err(BackendError::NameTaken(name.to_owned()));
        }
        Ok(names)
    }

    /// Writes a record. Only the holder of the instance's lock may do so. The
    /// state of an instance ends with the machine, so nobody waits for a disk.
    pub fn save(&self, record: &InstanceRecord) -> Result<(), BackendError> {
        Ok(write_json_volatile(&self.record_path(&record.id), record)?)
    }

    /// Reads a record.
    pub fn load(&self, id: &InstanceId) -> Result<InstanceRecord, BackendError> {
        read_json(&self.record_path(id))?
            .ok_or_else(|| BackendError::NoInstance(id.as_str().to_owned()))
    }

    /// All instances, oldest first. A folder without a record is being made or
    /// removed and does not count.
    pub fn list(&self) -> Result<Vec<InstanceRecord>, BackendError> {
        let mut records = Vec::new();
        for id in self.ids()? {
            records.extend(read_json::<InstanceRecord>(&self.record_path(&id))?);
        }
        records.sort_by_key(|record| (record.created_at, record.id.clone()));
        Ok(records)
    }

    /// The instance with this name, this id, or an id that begins so.
    pub fn find(&self, text: &str) -> Result<InstanceRecord, BackendError> {
        let records = self.list()?;
        if let Some(exact) =
            records.iter().find(|record| record.spec.name == text || record.id.as_str() == text)
        {
            return Ok(exact.clone());
        }
        let mut matching =
            records.iter().filter(|record| text.len() >= 2 && record.id.as_str().starts_with(text));
        match (matching.next(), matching.next()) {
            (Some(record), None) => Ok(record.clone()),
            (None, _) => Err(not_found(text, &records)),
            (Some(_), Some(_)) => Err(BackendError::Ambiguous(text.to_owned())),
        }
    }

    /// Deletes an instance's folder. The record goes first, so that a crash in
    /// between leaves a folder without one, which [`Self::sweep`] removes.
    /// The volumes made for it alone go with an instance that was to be removed
    /// at its end.
    pub fn delete(&self, id: &InstanceId) -> Result<(), BackendError> {
        let record = read_json::<InstanceRecord>(&self.record_path(id)).ok().flatten();
        remove_if_there(&self.record_path(id), |path| fs::remove_file(path))?;
        remove_if_there(&self.dir(id), |path| fs::remove_dir_all(path))?;
        match record {
            Some(record) if record.spec.remove || record.spec.owner.is_some() => {
                VolumeStore::new(self.home.clone()).remove_anonymous(self, &record)
            }
            _ => Ok(()),
        }
    }

    /// Removes folders without a record that nobody holds. Returns how many.
    pub fn sweep(&self) -> Result<usize, BackendError> {
        let _names = Lock::exclusive(&self.home.instances().join(".lock"))?;
        let mut removed = 0;
        for id in self.ids()? {
            let free = || match Lock::try_exclusive(&self.lock_path(&id)) {
                // Whoever is removing it has just done so.
                Err(_) if !self.dir(&id).exists() => Ok(false),
                lock => lock.map(|lock| lock.is_some()),
            };
            if !self.record_path(&id).exists() && free()? {
                self.delete(&id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn record_path(&self, id: &InstanceId) -> PathBuf {
        self.dir(id).join("instance.json")
    }

    fn ids(&self) -> Result<Vec<InstanceId>, BackendError> {
        let dir = self.home.instances();
        let io = |e| BackendError::io("list", &dir, e);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            ids.extend(name.to_str().and_then(|name| name.parse::<InstanceId>().ok()));
        }
        Ok(ids)
    }

    fn free_id(&self) -> Result<InstanceId, BackendError> {
        let urandom = Path::new("/dev/urandom");
        let io = |e| BackendError::io("read", urandom, e);
        let mut source = fs::File::open(urandom).map_err(io)?;
        loop {
            let mut bytes = [0; 6];
            source.read_exact(&mut bytes).map_err(io)?;
            let id = InstanceId::from_bytes(bytes);
            if !self.dir(&id).exists() {
                return Ok(id);
            }
        }
    }
}

/// What to say of a name that nobody has.
fn not_found(text: &str, records: &[InstanceRecord]) -> BackendError {
    let names: Vec<_> = records.iter().map(|record| record.spec.name.as_str()).collect();
    match closest(text, &names) {
        Some(near) => BackendError::Mistyped { name: text.to_owned(), near: near.to_owned() },
        None => BackendError::NoInstance(text.to_owned()),
    }
}

fn check_name(name: &str) -> Result<(), BackendError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 128 {
        Ok(())
    } else {
        Err(BackendError::BadName(name.chars().take(128).collect()))
    }
}

fn remove_if_there(
    path: &Path,
    remove: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<(), BackendError> {
    match remove(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(HomeError::Io { action: "remove", path: path.to_owned(), source: e }.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::{AcceleratorChoice, BackendKind, Digest, Resources};

    fn spec(name: &str) -> InstanceSpec {
        InstanceSpec {
            name: name.to_owned(),
            backend: BackendKind::Process,
            profile: None,
            accelerator: AcceleratorChoice::Auto,
            image: "hello:latest".to_owned(),
            digest: Digest::from_sha256(&[0; 32]),
            args: vec!["true".to_owned()],
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            stop_signal: "SIGTERM".to_owned(),
            stop_timeout_s: 10,
            ports: Vec::new(),
            resources: Resources::default(),
            hostname: None,
            remove: false,
            owner: None,
            labels: std::collections::BTreeMap::new(),
            options: tandem_model::InstanceOptions::default(),
        }
    }

    #[test]
    fn the_last_moment_of_a_supervisor_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = InstanceStore::new(Home::open(Some(dir.path())).unwrap());
        let mut record = store.create(spec("web")).unwrap();
        record.state = InstanceState::Running;
        store.save(&record).unwrap();
        let held = Lock::exclusive(&store.lock_path(&record.id)).unwrap();
        assert!(store.lock_ended(&record.id).unwrap().is_none(), "it runs");

        record.state = InstanceState::Exited;
        store.save(&record).unwrap();
        let ending = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        assert!(store.lock_ended(&record.id).unwrap().is_some(), "it has ended");
        ending.join().unwrap();
    }

    #[test]
    fn instances_are_found_by_name_id_and_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let store = InstanceStore::new(Home::open(Some(dir.path())).unwrap());
        let made = store.create(spec("web")).unwrap();
        store.create(spec("db")).unwrap();
        for text in ["web", made.id.as_str(), &made.id.as_str()[..9]] {
            assert_eq!(store.find(text).unwrap().id, made.id);
        }
        assert!(matches!(store.find("nothing"), Err(BackendError::NoInstance(_))));
        assert!(matches!(store.create(spec("web")), Err(BackendError::NameTaken(_))));
        assert!(matches!(store.create(spec("../x")), Err(BackendError::BadName(_))));
        store.delete(&made.id).unwrap();
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let store = InstanceStore::new(Home::open(Some(dir.path())).unwrap());
        let kept = store.create(spec("kept")).unwrap();
        let half = store.create(spec("half")).unwrap();
        let held = store.create(spec("held")).unwrap();
        for id in [&half.id, &held.id] {
            fs::remove_file(store.record_path(id)).unwrap();
        }
        let _holder = Lock::exclusive(&store.lock_path(&held.id)).unwrap();
        assert_eq!(store.sweep().unwrap(), 1);
        assert!(store.dir(&kept.id).exists() && store.dir(&held.id).exists());
        assert!(!store.dir(&half.id).exists());
    }
}
