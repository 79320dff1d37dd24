use std::{collections::BTreeMap, fs, path::PathBuf};

use tandem_backend::BackendError;
use tandem_home::{Home, Lock, read_json, write_json};
use tandem_model::{NetworkRecord, Subnet, closest};

use super::{
    bridge,
    ground::{self, Place},
};

/// The networks that a person made, `networks/NAME.json` below a home.
#[derive(Debug, Clone)]
pub struct NetworkStore {
    home: Home,
}

/// Names that are not a person's to give: what they stand for is always there.
const RESERVED: [&str; 4] = ["bridge", "none", "host", "default"];

impl NetworkStore {
    /// The store of this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// Keeps networks from being removed until it is dropped.
    pub fn hold(&self) -> Result<Lock, BackendError> {
        Ok(Lock::shared(&self.lock_path())?)
    }

    /// Makes a network. Nothing happens on the host until a container joins.
    ///
    /// # Errors
    /// The name is taken, or its addresses are another network's or a route's.
    pub async fn create(
        &self,
        name: &str,
        subnet: Option<Subnet>,
        internal: bool,
        labels: BTreeMap<String, String>,
    ) -> Result<NetworkRecord, BackendError> {
        if let Some(subnet) = subnet {
            bridge::check_subnet(subnet).await?;
        }
        let _lock = Lock::exclusive(&self.lock_path())?;
        if RESERVED.contains(&name) || self.path(name).exists() {
            return Err(BackendError::NetworkTaken(name.to_owned()));
        }
        if let Some(wanted) = subnet {
            for other in self.list()? {
                if let Some(taken) = other.subnet.filter(|taken| taken.overlaps(wanted)) {
                    let holder = format!("the network `{}`", other.name);
                    return Err(BackendError::SubnetTaken { wanted, other: taken, holder });
                }
            }
        }
        let record = NetworkRecord {
            version: NetworkRecord::VERSION,
            name: name.to_owned(),
            subnet,
            internal,
            labels,
            created_at: jiff::Timestamp::now(),
        };
        write_json(&self.path(name), &record)?;
        Ok(record)
    }

    /// The network of this name.
    pub fn load(&self, name: &str) -> Result<NetworkRecord, BackendError> {
        let path_is_ours = !name.contains('/');
        let record = if path_is_ours { read_json(&self.path(name))? } else { None };
        record.ok_or_else(|| self.not_found(name))
    }

    fn not_found(&self, name: &str) -> BackendError {
        let all = self.list().unwrap_or_default();
        let names: Vec<_> = all.iter().map(|network| network.name.as_str()).collect();
        match closest(name, &names) {
            Some(near) => {
                BackendError::MistypedNetwork { name: name.to_owned(), near: near.to_owned() }
            }
            None => BackendError::NoNetwork(name.to_owned()),
        }
    }

    /// All networks, by name.
    pub fn list(&self) -> Result<Vec<NetworkRecord>, BackendError> {
        let dir = self.home.networks();
        let io = |e| BackendError::io("list", &dir, e);
        let mut records = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            // Names never begin with a dot; temporary files do.
            let name = name.to_str().filter(|name| !name.starts_with('.'));
            if let Some(name) = name.and_then(|name| name.strip_suffix(".json")) {
                records.extend(read_json::<NetworkRecord>(&self.path(name))?);
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// Removes a network unless `user` names an instance that uses it. Nobody
    /// can begin to use it meanwhile.
    pub fn remove(
        &self,
        name: &str,
        user: impl FnOnce() -> Result<Option<String>, BackendError>,
    ) -> Result<(), BackendError> {
        let _lock = Lock::exclusive(&self.lock_path())?;
        self.load(name)?;
        if let Some(instance) = user()? {
            return Err(BackendError::NetworkInUse { network: name.to_owned(), instance });
        }
        let path = self.path(name);
        fs::remove_file(&path).map_err(|e| BackendError::io("remove", path, e))
    }

    /// The addresses that a network has on this host just now; `None` for the
    /// name asks for the shared bridge.
    pub async fn present_subnet(&self, name: Option<&str>) -> Result<Option<Subnet>, BackendError> {
        let bridge = name
            .map_or_else(|| bridge::BRIDGE.to_owned(), |name| bridge::name_of(&self.home, name));
        match Place::of(&self.home)? {
            Place::Present => bridge::subnet_of(&bridge).await,
            Place::Own(ground) => {
                ground::on(Some(&ground), async || bridge::subnet_of(&bridge).await).await
            }
            Place::Gone => Ok(None),
        }
    }

    /// Name of a network's bridge on the host.
    pub fn bridge(&self, name: &str) -> String {
        bridge::name_of(&self.home, name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.networks().join(format!("{name}.json"))
    }

    fn lock_path(&self) -> PathBuf {
        self.home.networks().join(".lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, NetworkStore) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        (dir, NetworkStore::new(home))
    }

    #[tokio::test]
    async fn names_and_addresses_belong_to_one() {
        let (_dir, store) = store();
        let make = async |name: &str, subnet: Option<&str>| {
            let subnet = subnet.map(|text| text.parse().unwrap());
            store.create(name, subnet, false, BTreeMap::new()).await
        };
        make("back", Some("198.18.4.0/24")).await.unwrap();
        assert!(matches!(make("back", None).await, Err(BackendError::NetworkTaken(_))));
        assert!(matches!(make("host", None).await, Err(BackendError::NetworkTaken(_))));
        let error = make("front", Some("198.18.0.0/16")).await.unwrap_err();
        assert!(error.to_string().contains("the network `back`"), "{error}");
        make("front", None).await.unwrap();
        let names: Vec<_> = store.list().unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["back", "front"]);
    }

    #[tokio::test]
    async fn one_in_use_stays() {
        let (_dir, store) = store();
        store.create("back", None, true, BTreeMap::new()).await.unwrap();
        let error = store.remove("back", || Ok(Some("web".into()))).unwrap_err();
        assert!(error.to_string().contains("instance `web`"), "{error}");
        assert!(store.load("back").unwrap().internal);
        store.remove("back", || Ok(None)).unwrap();
        assert!(matches!(store.load("back"), Err(BackendError::NoNetwork(_))));
        assert!(matches!(store.remove("../x", || Ok(None)), Err(BackendError::NoNetwork(_))));
    }
}
