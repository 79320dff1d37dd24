//! The words of Tandem as types. Nothing here does I/O.
//!
//! Every other crate speaks in these terms, so that a lane, a phase or a
//! verdict means the same in the engine, the laboratory, the report and the
//! window.

mod capability;
mod digest;
mod error_code;
mod event;
mod exec;
pub mod format;
mod host_address;
mod image_ref;
mod instance;
mod lane;
mod ledger;
mod network;
mod option_text;
mod options;
mod outside;
mod phase;
mod ports;
mod resources;
mod result;
mod sample;
mod suggest;

pub use capability::{Capability, CapabilityStatus};
pub use digest::{Digest, ParseDigestError};
pub use error_code::{ErrorCode, Failure};
pub use event::{LaneInfo, RunEvent};
pub use exec::ExecSpec;
pub use host_address::HostAddress;
pub use image_ref::{ImageRef, ParseImageRefError};
pub use instance::{
    Exit, InstanceId, InstanceRecord, InstanceSpec, InstanceState, ProcessIdentity, Runtime,
};
pub use lane::{
    Accelerator, AcceleratorChoice, BackendKind, Lane, ParseLaneError, Profile, number_lanes,
};
pub use ledger::{Ledger, LedgerEntry};
pub use network::{NetworkRecord, ParseNetworkError, ParseSubnetError, Subnet};
pub use option_text::{
    CAPABILITIES, LogOption, ParseOptionError, SecurityOption, ULIMITS, check_volume_name,
    parse_address, parse_alias, parse_capability, parse_duration, parse_host, parse_hostname,
    parse_log_option, parse_moment, parse_mount, parse_restart_policy, parse_security_option,
    parse_tmpfs, parse_ulimit, parse_volume, ulimit_number,
};
pub use options::{
    CheckResult, Health, HealthCheck, HealthStatus, InstanceOptions, LogLimits, Membership,
    MountSource, MountSpec, NetworkChoice, RestartPolicy, SeccompChoice, SecurityOptions, Ulimit,
};
pub use outside::{OutsideKind, OutsideSetting};
pub use phase::{HostInstant, Phase};
pub use ports::{ParsePortError, PortMap, PortMaps, Protocol};
pub use resources::{ParseSizeError, Resources, parse_cpus, parse_size};
pub use result::{
    CacheState, Comparison, Design, LaneReport, Machine, OutcomeKind, Parity, Prediction,
    ResultDocument, SCHEMA, Subject, Summary, TrialPhase, TrialRecord, Unit, Verdict,
    VerdictOutcome,
};
pub use sample::{MemoryUse, Outcome, Sample};
pub use suggest::{closest, did_you_mean};
