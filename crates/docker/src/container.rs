//! One container of ours, behind the API.

use std::{fs, path::PathBuf};

use hyper::Method;
use serde_json::{Value, json};
use tandem_model::{InstanceId, InstanceRecord, PortMap, Resources};

use crate::{
    api::{AGAIN, Api, ApiError},
    create::{HOME, INSTANCE, limits},
};

/// The container of an instance.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) api: Api,
    id: InstanceId,
    home: String,
}

impl Container {
    pub(crate) fn new(api: Api, id: &InstanceId, home: String) -> Self {
        Self { api, id: id.clone(), home }
    }

    /// Its name in the engine.
    pub(crate) fn name(&self) -> String {
        format!("tandem-{}", self.id)
    }

    fn path(&self, verb: &str) -> String {
        format!("/containers/{}{verb}", self.name())
    }

    /// What the engine knows of it. `None` when there is none, and when the
    /// one of this name has not our labels: then it is somebody else's.
    pub(crate) async fn inspect(&self, query: &str) -> Result<Option<Value>, ApiError> {
        let path = self.path(&format!("/json{query}"));
        let found = match self.api.settled(Method::GET, &path).await {
            Err(e) if e.is_missing() => return Ok(None),
            other => other?,
        };
        let labels = &found["Config"]["Labels"];
        let ours = labels[INSTANCE] == self.id.as_str() && labels[HOME] == self.home.as_str();
        Ok(ours.then_some(found))
    }

    pub(crate) async fn create(&self, request: &Value) -> Result<(), ApiError> {
        let path = format!("/containers/create?name={}", self.name());
        self.api.post(&path, Some(request)).await.map(drop)
    }

    /// Both outputs from now on, as one stream of frames.
    pub(crate) async fn attach(&self) -> Result<hyper::body::Incoming, ApiError> {
        self.api.stream(&self.path("/attach?stream=1&stdout=1&stderr=1")).await
    }

    pub(crate) async fn start(&self) -> Result<(), ApiError> {
        self.api.post(&self.path("/start"), None).await.map(drop)
    }

    /// Makes a further command in it ready; the engine's id of it.
    pub(crate) async fn prepare_exec(&self, request: &Value) -> Result<String, ApiError> {
        let made = self.api.post(&self.path("/exec"), Some(request)).await?;
        let id = made["Id"].as_str().filter(|id| id.chars().all(|c| c.is_ascii_hexdigit()));
        id.map(str::to_owned).ok_or_else(|| ApiError::Strange(made.to_string()))
    }

    /// Starts such a command; both its outputs, as one stream of frames.
    pub(crate) async fn start_exec(
        &self,
        exec: &str,
        detach: bool,
    ) -> Result<hyper::body::Incoming, ApiError> {
        let request = json!({ "Detach": detach, "Tty": false });
        self.api.stream_of(&format!("/exec/{exec}/start"), &request).await
    }

    /// How such a command ended.
    pub(crate) async fn exit_of_exec(&self, exec: &str) -> Result<i64, ApiError> {
        // The end of its output may be told before the end itself.
        for _ in 0..50 {
            let found = self.api.get(&format!("/exec/{exec}/json")).await?;
            if found["Running"] != true {
                let code = found["ExitCode"].as_i64();
                return code.ok_or_else(|| ApiError::Strange(found.to_string()));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(ApiError::Strange("its output ended, and the command did not".to_owned()))
    }

    /// Resolves with the exit code when it does not run.
    pub(crate) async fn wait(&self) -> Result<i32, ApiError> {
        let path = self.path("/wait");
        let end = self.api.settled(Method::POST, &path).await?;
        let code = end["StatusCode"].as_i64().and_then(|code| i32::try_from(code).ok());
        code.ok_or_else(|| ApiError::Strange(end.to_string()))
    }

    /// One that does not run takes no signal and needs none.
    pub(crate) async fn signal(&self, number: i32) -> Result<(), ApiError> {
        gone_is_fine(self.api.post(&self.path(&format!("/kill?signal={number}")), None).await)
    }

    pub(crate) async fn pause(&self, still: bool) -> Result<(), ApiError> {
        let verb = if still { "/pause" } else { "/unpause" };
        self.api.post(&self.path(verb), None).await.map(drop)
    }

    pub(crate) async fn update(&self, resources: &Resources) -> Result<(), ApiError> {
        let limits = limits(resources);
        if limits.is_empty() {
            return Ok(());
        }
        self.api.post(&self.path("/update"), Some(&json!(limits))).await.map(drop)
    }

    /// Removes it with the volumes made for it alone, running or not. Nothing
    /// happens to one without our labels.
    pub(crate) async fn remove(&self) -> Result<bool, ApiError> {
        if self.inspect("").await?.is_none() {
            return Ok(false);
        }
        gone_is_fine(self.api.delete(&self.path("?force=1&v=1")).await.map(|()| Value::Null))?;
        Ok(true)
    }

    /// Ends it at once, when it is ours and runs; whether it did.
    pub(crate) async fn end(&self) -> Result<bool, ApiError> {
        let Some(found) = self.inspect("").await? else { return Ok(false) };
        if !found["State"]["Running"].as_bool().unwrap_or(false) {
            return Ok(false);
        }
        self.signal(9).await?;
        self.wait().await?;
        Ok(true)
    }
}

fn gone_is_fine(answer: Result<Value, ApiError>) -> Result<(), ApiError> {
    match answer {
        Err(e) if e.is_missing() || e.is_conflict() => Ok(()),
        other => other.map(drop),
    }
}

/// Writes down what an engine says of a container that runs: its first
/// process, its address, the ports that were taken.
pub(crate) fn note(record: &mut InstanceRecord, found: &Value) {
    let pid = found["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    record.runtime.process = pid.filter(|pid| *pid > 0).and_then(tandem_probe::identity);
    record.runtime.cgroups = record.runtime.process.map_or_else(Vec::new, |it| cgroups(it.pid));
    let network = &found["NetworkSettings"];
    record.runtime.ip = network["IPAddress"].as_str().and_then(|text| text.parse().ok());
    let taken = |wanted: &PortMap| {
        let bound = network["Ports"][format!("{}/{}", wanted.port, wanted.protocol)].as_array()?;
        let of = |one: &Value| one["HostPort"].as_str()?.parse().ok();
        let same = |one: &&Value| one["HostIp"] == wanted.host_ip.to_string().as_str();
        let host_port = bound.iter().find(same).or(bound.first()).and_then(of)?;
        Some(wanted.at(host_port))
    };
    record.ports = record.spec.ports.iter().map(|it| taken(it).unwrap_or(*it)).collect();
}

/// The folders of a process's control groups, from `/proc/PID/cgroup`
/// (cgroups(7)).
fn cgroups(pid: u32) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    text.lines().flat_map(folders).filter(|folder| folder.is_dir()).collect()
}

fn folders(line: &str) -> Vec<PathBuf> {
    const ROOT: &str = "/sys/fs/cgroup";
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    // The root group is the whole machine.
    if path == "/" || !path.starts_with('/') {
        return Vec::new();
    }
    match controllers {
        "" => [format!("{ROOT}{path}"), format!("{ROOT}/unified{path}")].map(Into::into).into(),
        named if named.starts_with("name=") => Vec::new(),
        named => named.split(',').map(|one| format!("{ROOT}/{one}{path}").into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes and ends the container that an engine tells of in these words;
    /// what the engine was asked.
    async fn asked_of(config: Value) -> Vec<String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let told = json!({ "Config": config, "State": { "Running": true }, "StatusCode": 0 });
        let told = told.to_string();
        let asked = std::cell::RefCell::new(Vec::new());
        let engine = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let words = String::from_utf8_lossy(&request[..length]).into_owned();
                asked.borrow_mut().push(words.lines().next().unwrap_or_default().to_owned());
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", told.len());
                stream.write_all((answer + &told).as_bytes()).await.unwrap();
            }
        };
        let id = InstanceId::from_bytes([0xab; 6]);
        let container = Container::new(Api::new(&socket), &id, "/home/of/ours".into());
        let work = async {
            container.remove().await.unwrap();
            container.end().await.unwrap();
        };
        tokio::select! { () = work => {}, () = engine => {} }
        asked.into_inner()
    }

    #[tokio::test]
    async fn a_container_without_our_labels_is_left_alone() {
        let labels =
            |instance: &str, home: &str| json!({ "Labels": { INSTANCE: instance, HOME: home } });
        let changes = |asked: &[String]| asked.iter().filter(|it| !it.starts_with("GET ")).count();
        for strange in [
            json!({ "Labels": null }),
            labels("abababababab", "/home/of/another"),
            labels("cdcdcdcdcdcd", "/home/of/ours"),
        ] {
            let asked = asked_of(strange).await;
            assert_eq!((asked.len(), changes(&asked)), (2, 0), "{asked:?}");
        }
        let asked = asked_of(labels("abababababab", "/home/of/ours")).await;
        assert!(asked.iter().any(|it| it.starts_with("DELETE ")), "{asked:?}");
        assert!(asked.iter().any(|it| it.contains("/kill?signal=9")), "{asked:?}");
    }

    #[test]
    fn lines_of_both_versions_name_folders() {
        assert_eq!(folders("0::/x/y")[0], PathBuf::from("/sys/fs/cgroup/x/y"));
        let both = folders("4:cpu,cpuacct:/docker/1");
        assert_eq!(both[1], PathBuf::from("/sys/fs/cgroup/cpuacct/docker/1"));
        for none in ["0::/", "1:name=systemd:/docker/1", "", "x", "0::relative"] {
            assert!(folders(none).is_empty(), "{none}");
        }
    }
}
