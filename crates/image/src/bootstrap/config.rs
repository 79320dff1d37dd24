use oci_spec::{
    OciSpecError,
    image::{Config, ConfigBuilder, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder},
};

use super::{BaseKind, tidy::Made};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration of a base image, as the official image of that name has
/// it.
pub(super) fn configuration(
    kind: BaseKind,
    made: &Made,
) -> Result<ImageConfiguration, OciSpecError> {
    let created = jiff::Timestamp::from_second(made.newest).unwrap_or_default().to_string();
    let architecture = oci_spec::image::Arch::default();
    let history = HistoryBuilder::default()
        .created(created.clone())
        .created_by("mmdebstrap".to_owned())
        .build()?;
    ImageConfigurationBuilder::default()
        .created(created)
        .architecture(architecture)
        .os(oci_spec::image::Os::Linux)
        .config(run_config(kind, made)?)
        .history(vec![history])
        .build()
}

fn run_config(kind: BaseKind, made: &Made) -> Result<Config, OciSpecError> {
    let mut env = vec![PATH.to_owned()];
    let command = match kind {
        BaseKind::Python => {
            env.push("LANG=C.UTF-8".to_owned());
            env.extend(made.python_version.iter().map(|v| format!("PYTHON_VERSION={v}")));
            "python3"
        }
        BaseKind::Debian => "bash",
    };
    ConfigBuilder::default().env(env).cmd(vec![command.to_owned()]).build()
}
