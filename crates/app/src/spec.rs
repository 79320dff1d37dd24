use std::{collections::BTreeMap, env};

use oci_spec::image::ImageConfiguration;
use tandem_backend::signal_number;
use tandem_image::Image;
use tandem_model::{
    AcceleratorChoice, BackendKind, InstanceOptions, InstanceSpec, NetworkChoice, PortMap,
    ProcessIdentity, Profile, Protocol, Resources, RestartPolicy,
};

use crate::{AppError, HealthWishes};

/// What a person asks of `run`; the image's own settings fill the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// Name or reference of the image.
    pub image: String,
    /// `OS/ARCH[/VARIANT]` that the image must be for; what is here, or else
    /// this machine's, when `None`.
    pub platform: Option<String>,
    /// When the image is fetched from its registry.
    pub pull: PullWhen,
    /// Program arguments in place of the image's CMD.
    pub command: Vec<String>,
    /// Program in place of the image's ENTRYPOINT.
    pub entrypoint: Option<String>,
    /// What runs it.
    pub backend: BackendKind,
    /// Kind of virtual machine.
    pub profile: Option<Profile>,
    /// Accelerator of a virtual machine.
    pub accelerator: AcceleratorChoice,
    /// The instance's name; made from the image's when `None`.
    pub name: Option<String>,
    /// `NAME=value`, or `NAME` alone for the caller's own value.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// `USER[:GROUP]`.
    pub user: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Published ports.
    pub ports: Vec<PortMap>,
    /// Publish every other port that the image exposes, each on a free one.
    pub publish_all: bool,
    /// Limits.
    pub resources: Resources,
    /// Signal that asks the app to stop.
    pub stop_signal: Option<String>,
    /// Seconds from that signal to SIGKILL.
    pub stop_timeout_s: Option<u32>,
    /// Remove the instance when it ends.
    pub remove: bool,
    /// Process with which it ends.
    pub owner: Option<ProcessIdentity>,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// Mounts, network, security, streams, supervision.
    pub options: InstanceOptions,
    /// Health checks.
    pub health: HealthWishes,
}

/// When the image of a run is fetched from its registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullWhen {
    /// Each time.
    Always,
    /// When it is not here.
    #[default]
    Missing,
    /// By nobody but the person.
    Never,
}

impl RunOptions {
    /// A plain run of the image in this backend.
    pub fn new(image: impl Into<String>, backend: BackendKind) -> Self {
        Self {
            image: image.into(),
            platform: None,
            pull: PullWhen::default(),
            command: Vec::new(),
            entrypoint: None,
            backend,
            profile: (backend == BackendKind::Vm).then_some(Profile::Micro),
            accelerator: AcceleratorChoice::Auto,
            name: None,
            env: Vec::new(),
            cwd: None,
            user: None,
            hostname: None,
            ports: Vec::new(),
            publish_all: false,
            resources: Resources::default(),
            stop_signal: None,
            stop_timeout_s: None,
            remove: false,
            owner: None,
            labels: BTreeMap::new(),
            options: InstanceOptions::default(),
            health: HealthWishes::default(),
        }
    }
}

/// Merges the image's configuration with the person's wishes, as `docker run`
/// does: another entry point drops the image's CMD, a later variable wins.
pub(crate) fn merge(
    image: &Image,
    name: String,
    options: RunOptions,
) -> Result<InstanceSpec, AppError> {
    let config = image.config.config().clone().unwrap_or_default();
    let image_cmd = config.cmd().clone().unwrap_or_default();
    let (entrypoint, cmd) = match options.entrypoint {
        Some(program) => (vec![program], Vec::new()),
        None => (config.entrypoint().clone().unwrap_or_default(), image_cmd),
    };
    let arguments = if options.command.is_empty() { cmd } else { options.command };
    let args: Vec<String> =
        entrypoint.into_iter().filter(|word| !word.is_empty()).chain(arguments).collect();
    if args.is_empty() {
        return Err(AppError::NoCommand(image.reference.to_string()));
    }
    let cwd = options.cwd.or_else(|| config.working_dir().clone());
    let cwd = cwd.filter(|cwd| !cwd.is_empty()).unwrap_or_else(|| "/".to_owned());
    if !cwd.starts_with('/') {
        return Err(AppError::Usage(format!(
            "the working directory `{cwd}` is not absolute: begin it with /"
        )));
    }
    if options.remove && options.options.restart != RestartPolicy::No {
        let text = "--rm and --restart exclude each other: an instance that is removed at its end cannot be started again";
        return Err(AppError::Usage(text.to_owned()));
    }
    if !options.options.aliases.is_empty()
        && !matches!(options.options.network, NetworkChoice::Named(_))
    {
        let text = "--network-alias needs a network of your own, on which names are known: make one with `tandem network create NAME` and add --network NAME";
        return Err(AppError::Usage(text.to_owned()));
    }
    if let Some(signal) = &options.stop_signal
        && signal_number(signal).is_none()
    {
        return Err(not_a_signal(signal));
    }
    if let Some(milli) = options.resources.milli_cpus.filter(|_| options.backend != BackendKind::Vm)
        && let Some(cores) = cores().filter(|cores| i64::from(milli) > cores * 1000)
    {
        return Err(AppError::Usage(format!(
            "this machine has {cores} processors: ask for at most that with --cpus"
        )));
    }
    let mut ports = options.ports;
    if options.publish_all {
        for (port, protocol) in exposed_ports(&image.config) {
            if !ports.iter().any(|map| (map.port, map.protocol) == (port, protocol)) {
                ports.push(PortMap::anywhere(port, protocol));
            }
        }
    }
    Ok(InstanceSpec {
        name,
        backend: options.backend,
        profile: options.profile,
        accelerator: options.accelerator,
        image: image.reference.to_string(),
        digest: image.digest.clone(),
        args,
        env: merge_env(config.env().clone().unwrap_or_default(), &options.env)?,
        cwd,
        user: options.user.or_else(|| config.user().clone()).unwrap_or_default(),
        stop_signal: options
            .stop_signal
            .or_else(|| config.stop_signal().clone())
            .unwrap_or_else(|| "SIGTERM".to_owned()),
        stop_timeout_s: options.stop_timeout_s.unwrap_or(match options.profile {
            Some(Profile::Full) => SYSTEM_STOP,
            _ => APP_STOP,
        }),
        ports,
        resources: options.resources,
        hostname: options.hostname,
        remove: options.remove,
        owner: options.owner,
        labels: options.labels,
        options: options.options,
    })
}

/// How long an app may take for its end, seconds.
const APP_STOP: u32 = 10;

/// How long an operating system may take for its own, the app's among it,
/// seconds: software emulation on a busy machine is slow.
const SYSTEM_STOP: u32 = 60;

/// The number of a signal that a person wrote.
pub(crate) fn signal_of(text: Option<&str>) -> Result<Option<i32>, AppError> {
    text.map(|text| signal_number(text).ok_or_else(|| not_a_signal(text))).transpose()
}

/// What a person wrote that is no signal.
pub(crate) fn not_a_signal(text: &str) -> AppError {
    AppError::Usage(format!(
        "`{text}` is not a signal: write a name such as TERM, or a number from 1 to 64"
    ))
}

/// Logical processors that are online.
fn cores() -> Option<i64> {
    nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).ok().flatten()
}

/// The name of the variable that `NAME[=VALUE]` is about.
pub(crate) fn variable_name(wish: &str) -> Result<&str, AppError> {
    let name = wish.split('=').next().unwrap_or_default();
    if name.is_empty() || name.contains(char::is_whitespace) {
        // What stands behind the name may be a secret.
        return Err(AppError::Usage(format!(
            "`{name}=` sets no variable: write NAME=VALUE, with a name without spaces"
        )));
    }
    Ok(name)
}

fn merge_env(mut merged: Vec<String>, wishes: &[String]) -> Result<Vec<String>, AppError> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    for wish in wishes {
        variable_name(wish)?;
        let entry = if wish.contains('=') {
            wish.clone()
        } else {
            // A bare name takes the caller's value; without one it is unset.
            match env::var(wish) {
                Ok(value) => format!("{wish}={value}"),
                Err(_) => {
                    merged.retain(|other| key(other) != *wish);
                    continue;
                }
            }
        };
        match merged.iter_mut().find(|other| key(other) == key(&entry)) {
            Some(other) => *other = entry,
            None => merged.push(entry),
        }
    }
    Ok(merged)
}

/// The lowest TCP port that the image exposes.
pub(crate) fn exposed_port(config: &ImageConfiguration) -> Option<u16> {
    let tcp = |(port, protocol)| (protocol == Protocol::Tcp).then_some(port);
    exposed_ports(config).into_iter().find_map(tcp)
}

/// The ports that the image exposes, lowest first.
fn exposed_ports(config: &ImageConfiguration) -> Vec<(u16, Protocol)> {
    let exposed = config.config().as_ref().and_then(|config| config.exposed_ports().clone());
    let mut ports: Vec<_> = exposed
        .unwrap_or_default()
        .iter()
        .filter_map(|text| match text.split_once('/') {
            None => Some((text.parse().ok()?, Protocol::Tcp)),
            Some((port, "tcp")) => Some((port.parse().ok()?, Protocol::Tcp)),
            Some((port, "udp")) => Some((port.parse().ok()?, Protocol::Udp)),
            Some(_) => None,
        })
        .collect();
    ports.sort_by_key(|(port, _)| *port);
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_variable_wins_in_place() {
        let image = vec!["PATH=/bin".to_owned(), "LANG=C".to_owned()];
        let wishes = ["LANG=de".to_owned(), "NEW=1".to_owned(), "TANDEM_SURELY_UNSET".to_owned()];
        assert_eq!(merge_env(image, &wishes).unwrap(), ["PATH=/bin", "LANG=de", "NEW=1"]);
        for bad in ["=x", "", "A B=1"] {
            let error = merge_env(Vec::new(), &[bad.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("NAME=VALUE"), "{error}");
        }
    }
}
