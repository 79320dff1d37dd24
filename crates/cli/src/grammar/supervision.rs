use std::time::Duration;

use clap::Args;
use tandem_app::HealthWishes;
use tandem_model::{
    LogLimits, LogOption, RestartPolicy, parse_duration, parse_log_option, parse_restart_policy,
};

use crate::attach::DetachKeys;

/// Options of `run` and `create` about the app's standard streams.
#[derive(Debug, Args)]
pub(crate) struct StreamOptions {
    /// Keep the app's standard input open, and pass ours on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the app a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Keys that leave the app alone
    #[arg(long, default_value = DetachKeys::DEFAULT, value_name = "KEYS")]
    pub(crate) detach_keys: DetachKeys,
}

/// Options of `run` and `create` about what happens to the app later on.
#[derive(Debug, Args)]
pub(crate) struct SupervisionOptions {
    /// When to start the app again: no, always, unless-stopped or on-failure[:N]; not after a reboot of the machine
    #[arg(long, default_value = "no", value_parser = parse_restart_policy, value_name = "POLICY", hide_default_value = true)]
    pub(crate) restart: RestartPolicy,
    /// How much output is kept: max-size=SIZE or max-file=N [default: 10m, 3]
    #[arg(long, value_parser = parse_log_option, value_name = "OPTION")]
    log_opt: Vec<LogOption>,
    /// Command for a shell inside that tells whether the app is well
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time from one check to the next [default: the image's, or 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    health_interval: Option<Duration>,
    /// Time after which a check is killed and counts as failed [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    health_timeout: Option<Duration>,
    /// Time at the start in which failures do not count
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    health_start_period: Option<Duration>,
    /// Time from one check to the next in that time [default: 5s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    health_start_interval: Option<Duration>,
    /// Failures in a row that make the app unhealthy [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    health_retries: Option<u32>,
    /// Do not check the app, whatever the image says
    #[arg(long)]
    no_healthcheck: bool,
}

impl SupervisionOptions {
    /// How much of the output is kept; a later option wins.
    pub(crate) fn log(&self) -> LogLimits {
        let mut limits = LogLimits::default();
        for option in &self.log_opt {
            match option {
                LogOption::MaxSize(bytes) => limits.max_size_bytes = *bytes,
                LogOption::MaxFiles(count) => limits.max_files = *count,
            }
        }
        limits
    }

    /// The health checks.
    pub(crate) fn health(&self) -> HealthWishes {
        let ms = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
        };
        HealthWishes {
            none: self.no_healthcheck,
            command: self.health_cmd.clone(),
            interval_ms: ms(self.health_interval),
            timeout_ms: ms(self.health_timeout),
            start_period_ms: ms(self.health_start_period),
            start_interval_ms: ms(self.health_start_interval),
            retries: self.health_retries,
        }
    }
}
