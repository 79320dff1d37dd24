use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_home::Scratch;
use tandem_image::Image;
use tandem_model::{
    Digest, ExecSpec, InstanceOptions, InstanceRecord, Lane, PortMap, Protocol, Resources,
};
use tandem_probe::{ReadyOptions, alive, identity, wait_for_first_response};

use super::names::{REBUILT, RUN, name_of};
use crate::{App, AppError, LogOptions, RunOptions, prober::reachable};

/// What every course works with.
pub(super) struct Bench<'a> {
    pub(super) app: &'a App,
    pub(super) image: Image,
    /// Digest of the program of ours that was added to the image.
    pub(super) program: Option<Digest>,
    /// Where the app answers inside.
    pub(super) port: Option<u16>,
    pub(super) resources: Resources,
    /// Begins the name of everything that is made.
    pub(super) prefix: String,
    pub(super) limit: Duration,
    /// Second homes that a trial has opened.
    pub(super) elsewhere: Mutex<Vec<Elsewhere>>,
}

/// A home beside the person's own. It is kept here, for a trial that is
/// cancelled drops all that it holds, and what runs there would go on.
pub(super) struct Elsewhere {
    app: Arc<App>,
    /// Its folder.
    _scratch: Scratch,
}

/// An instance whose app has answered.
pub(super) struct Launched {
    pub(super) record: InstanceRecord,
    /// Its first answer.
    pub(super) body: Vec<u8>,
}

/// What a command inside said.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Said {
    pub(super) fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// Where the host reaches the app.
pub(super) fn address_of(record: &InstanceRecord) -> Result<SocketAddr, String> {
    let address = record.ports.iter().find_map(reachable);
    address.ok_or_else(|| format!("{} has no port", record.spec.name))
}

/// A sentence of an error.
pub(super) fn told(e: AppError) -> String {
    e.to_string()
}

impl Bench<'_> {
    /// A name of this course.
    pub(super) fn name(&self, of: &str, lane: Lane, index: u32) -> String {
        let lane = lane.to_string().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("{}-{of}-{lane}-{index}", self.prefix)
    }

    /// The image in a lane, not run yet.
    pub(super) fn options(&self, lane: Lane, name: &str) -> RunOptions {
        RunOptions {
            profile: lane.profile,
            accelerator: lane.accelerator,
            name: Some(name.to_owned()),
            resources: self.resources,
            // Whatever becomes of us, it ends too.
            owner: identity(std::process::id()),
            options: InstanceOptions { template: lane.template, ..InstanceOptions::default() },
            ..RunOptions::new(self.image.reference.to_string(), lane.backend)
        }
    }

    /// Launches the app, its port on a free one unless the options publish
    /// another, and waits for its first answer.
    pub(super) async fn launch(&self, mut options: RunOptions) -> Result<Launched, String> {
        let port = self.port.ok_or("the image exposes no port that could be asked")?;
        if options.ports.is_empty() {
            options.ports = vec![PortMap::anywhere(port, Protocol::Tcp)];
        }
        let record = self.app.run(options, &mut |_| {}, &mut |_| {}).await.map_err(told)?;
        let (record, _, body) = self.answered(record).await?;
        Ok(Launched { record, body })
    }

    /// The app of a trial as it is, and its name.
    pub(super) async fn launch_app(
        &self,
        lane: Lane,
        index: u32,
    ) -> Result<(String, Launched), String> {
        let name = self.name("app", lane, index);
        let launched = self.launch(self.options(lane, &name)).await?;
        Ok((name, launched))
    }

    /// Waits until an instance answers; a restart gives it another port.
    pub(super) async fn answered(
        &self,
        record: InstanceRecord,
    ) -> Result<(InstanceRecord, tandem_model::HostInstant, Vec<u8>), String> {
        let name = record.spec.name.clone();
        let record = self.app.inspect(&name).map_err(told)?;
        let address = address_of(&record)?;
        let options = ReadyOptions { limit: self.limit, ..ReadyOptions::default() };
        let first = tokio::select! {
            first = wait_for_first_response(address, "/", options) => {
                first.map_err(|e| format!("{name} gave {e}"))?
            }
            () = self.ended(&name) => return Err(format!("{name} ended before it answered")),
        };
        Ok((record, first.at, first.body))
    }

    /// Resolves when nothing will come of an instance any more: it has ended, or
    /// who looks after it was killed.
    async fn ended(&self, name: &str) {
        let gone = |record: InstanceRecord| {
            !record.state.is_up() || record.runtime.supervisor.is_some_and(|it| !alive(it))
        };
        while !self.app.inspect(name).is_ok_and(gone) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Makes a volume that goes with the run, by the next one if this is killed.
    pub(super) fn own_volume(&self, name: &str) -> Result<(), String> {
        let labels = BTreeMap::from([(RUN.to_owned(), std::process::id().to_string())]);
        self.app.create_volume(Some(name.to_owned()), labels).map(drop).map_err(told)
    }

    /// Opens an empty home in a scratch folder, which goes when the trial is
    /// over.
    pub(super) fn open_elsewhere(&self, scratch: Scratch) -> Result<Arc<App>, String> {
        let folder = scratch.path().join("elsewhere");
        let app = App::open(Some(&folder), self.app.program.clone()).map_err(told)?;
        self.homes().push(Elsewhere { app: Arc::clone(&app), _scratch: scratch });
        Ok(app)
    }

    /// The same bench in another home.
    pub(super) fn there<'b>(&self, other: &'b App) -> Bench<'b> {
        Bench {
            app: other,
            image: self.image.clone(),
            program: None,
            port: self.port,
            resources: self.resources,
            prefix: self.prefix.clone(),
            limit: self.limit,
            elsewhere: Mutex::default(),
        }
    }

    fn homes(&self) -> MutexGuard<'_, Vec<Elsewhere>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a line of shell inside.
    pub(super) async fn sh(&self, instance: &str, script: &str) -> Result<Said, String> {
        self.inside(instance, &["sh", "-c", script]).await
    }

    /// Runs a command inside.
    pub(super) async fn inside(&self, instance: &str, words: &[&str]) -> Result<Said, String> {
        let args = words.iter().map(|word| (*word).to_owned()).collect();
        let spec = ExecSpec { args, user: Some("0".to_owned()), ..ExecSpec::default() };
        let command = self.app.exec(instance, &spec).await.map_err(told)?;
        let mut command = tokio::process::Command::from(command);
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(self.limit, command.output())
            .await
            .map_err(|_| "a command inside does not end".to_owned())?
            .map_err(|e| format!("a command inside cannot be run: {e}"))?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    /// The same, and it must succeed.
    pub(super) async fn must(&self, instance: &str, script: &str) -> Result<String, String> {
        let said = self.sh(instance, script).await?;
        if said.is_ok() {
            return Ok(said.text);
        }
        Err(format!("`{script}` inside ended with code {}", said.code))
    }

    /// Runs it to its end; gives its exit and its lines with the host's times,
    /// nanoseconds since 1970.
    pub(super) async fn to_the_end(
        &self,
        options: RunOptions,
    ) -> Result<(Option<tandem_model::Exit>, Vec<(i128, String)>), String> {
        let name = options.name.clone().unwrap_or_default();
        self.app.run(options, &mut |_| {}, &mut |_| {}).await.map_err(told)?;
        let exit = tokio::time::timeout(self.limit, self.app.wait(&name))
            .await
            .map_err(|_| format!("{name} does not end"))?
            .map_err(told)?;
        let mut lines = Vec::new();
        let mut take = |line: tandem_backend::LogLine| {
            lines.push((line.time.as_nanosecond(), line.text.trim_end().to_owned()));
        };
        self.app.logs(&name, LogOptions::default(), &mut take).await.map_err(told)?;
        self.remove(&name).await;
        Ok((exit, lines))
    }

    pub(super) async fn remove(&self, name: &str) {
        // What cannot go now goes at the end, which says so.
        let _ = self.app.remove(name, true, true).await;
    }

    /// Removes everything whose name begins with ours, and second homes.
    pub(super) async fn clean_up(&self) -> Vec<String> {
        let mut lines = self.clean(self.app).await;
        let homes = std::mem::take(&mut *self.homes());
        for home in homes {
            lines.extend(self.clean(&home.app).await);
        }
        let own = name_of(REBUILT, &format!("{}-", self.prefix));
        // What is in use could not be removed, which was said.
        let gone = self.app.drop_names(&|name| name.starts_with(&own)).unwrap_or_default();
        lines.extend(gone.iter().map(|name| format!("image {name}")));
        lines
    }

    async fn clean(&self, app: &App) -> Vec<String> {
        let mut lines = Vec::new();
        let ours =
            |name: &str| name.strip_prefix(&self.prefix).is_some_and(|it| it.starts_with('-'));
        for record in app.instances.list().unwrap_or_default() {
            let name = &record.spec.name;
            if ours(name) {
                lines.push(match app.remove(name, true, true).await {
                    Ok(()) => format!("instance {name}"),
                    Err(e) => format!("instance {name} stays: {e}"),
                });
            }
        }
        for volume in app.volumes().unwrap_or_default() {
            if ours(&volume.name) && app.remove_volume(&volume.name, true).is_ok() {
                lines.push(format!("volume {}", volume.name));
            }
        }
        lines
    }
}
