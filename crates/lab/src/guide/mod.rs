//! How much fits on this machine, by its own measurements.
//!
//! Only results of this machine and subject count (the caller leaves imported
//! ones out), of one image and under the same limits, and a lane whose memory was
//! measured less than [`ENOUGH`] times is left out with the command that
//! measures it. All reckoning takes the upper end of the 95 % interval of what
//! one instance needs, so that chance does not promise too much.

mod advice;
mod evidence;

use jiff::Timestamp;
use serde::Serialize;
use tandem_model::{Accelerator, BackendKind, ResultDocument};

use evidence::{Evidence, of_lanes};

/// Trials behind a number that is reckoned with.
pub const ENOUGH: usize = 3;

/// The part of the free memory that stays free, as in `density`.
const MEMORY_RESERVE: f64 = 0.3;

/// The part of the free disk space that stays free.
const DISK_RESERVE: f64 = 0.1;

/// Within which time all instances should have started.
const STARTING_NS: f64 = 60e9;

/// What a machine has to give.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Room {
    /// Whose results count.
    pub fingerprint: String,
    /// Memory that programs can have now, bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_bytes: u64,
    /// Free space of the home's file system, bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub disk_bytes: u64,
    /// Logical processors.
    pub cores: u32,
}

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Scarce {
    /// Memory.
    Memory,
    /// Disk space.
    Disk,
    /// Processors: more would not have started within a minute.
    Processors,
}

/// How many instances one kind of room allows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Bound {
    /// The kind of room.
    pub what: Scarce,
    /// What each instance takes of it: bytes, or nanoseconds of one
    /// processor; the upper end of the interval.
    pub each: f64,
    /// Trials behind that.
    pub n: u32,
    /// So many.
    pub fits: u32,
}

/// What a class needs of one machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassNeed {
    /// Instances.
    pub count: u32,
    /// Whether this machine has the room.
    pub fits: bool,
    /// Memory of all, bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_bytes: u64,
    /// Disk space of all, with the image once, bytes; null where it was not
    /// measured.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub disk_bytes: Option<u64>,
    /// Until all have started when they start at once, by the processor time
    /// of a launch, nanoseconds; null where that was not measured.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub start_ns: Option<u64>,
}

/// How much of one lane fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LaneFit {
    /// Lane text.
    pub lane: String,
    /// What kind of instance it is.
    pub backend: BackendKind,
    /// `kvm` or `tcg`; null for lanes without a virtual machine.
    pub accelerator: Option<Accelerator>,
    /// So many instances at a time: the least of the bounds.
    pub fits: u32,
    /// What runs out first.
    pub binding: Scarce,
    /// All bounds that were measured, memory first.
    pub bounds: Vec<Bound>,
    /// Median of the time to the first answer, nanoseconds.
    pub first_response_ns: Option<f64>,
    /// What a class needs.
    pub class: ClassNeed,
}

/// A result that the guide rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct UsedResult {
    /// Its id.
    pub id: String,
    /// Its experiment.
    pub experiment: String,
    /// When it was measured.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: Timestamp,
}

/// What one's own measurements say of this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Guide {
    /// What would run.
    pub subject: String,
    /// What the machine has now.
    pub room: Room,
    /// The lanes with enough measurements.
    pub lanes: Vec<LaneFit>,
    /// Lanes without, a sentence each.
    pub left_out: Vec<String>,
    /// When to choose which, a sentence each.
    pub advice: Vec<String>,
    /// What it rests on, the latest first.
    pub results: Vec<UsedResult>,
}

/// There is too little to say anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotEnough(pub String);

/// Reckons what fits from results of any machine and subject; only those of
/// this `room` and `subject` count.
///
/// # Errors
///
/// [`NotEnough`] when no lane was measured often enough.
pub fn guide(
    results: &[ResultDocument],
    room: Room,
    subject: &str,
    class: u32,
) -> Result<Guide, NotEnough> {
    let useful = ["density", "size", "compare", "startup"];
    let mut used: Vec<&ResultDocument> = results
        .iter()
        .filter(|it| it.machine.fingerprint == room.fingerprint && it.subject.name == subject)
        .filter(|it| useful.contains(&it.experiment.as_str()))
        .collect();
    used.sort_by_key(|it| std::cmp::Reverse(it.started_at));
    let (mut lanes, mut left_out) = (Vec::new(), Vec::new());
    let mut counted = Vec::new();
    for evidence in of_lanes(&used) {
        left_out.extend(evidence.apart());
        match fit(&evidence, &room, class) {
            Some(fit) => {
                lanes.push(fit);
                counted.push(evidence);
            }
            None => left_out.push(evidence.too_little(subject)),
        }
    }
    if lanes.is_empty() {
        let why = if left_out.is_empty() {
            format!("no result of this machine measured {subject}")
        } else {
            left_out.join("; ")
        };
        return Err(NotEnough(format!(
            "there is nothing to reckon with: {why}. Next: tandem experiment run density size --subject {subject} --lanes container,vm --trials {ENOUGH}"
        )));
    }
    let results = used
        .iter()
        .filter(|it| counted.iter().any(|evidence| evidence.rests_on(&it.id)))
        .map(|it| UsedResult {
            id: it.id.clone(),
            experiment: it.experiment.clone(),
            started_at: it.started_at,
        })
        .collect();
    let advice = advice::of(&lanes);
    Ok(Guide { subject: subject.to_owned(), room, lanes, left_out, advice, results })
}

fn fit(evidence: &Evidence, room: &Room, class: u32) -> Option<LaneFit> {
    let memory = evidence.memory()?;
    let disk = evidence.disk();
    let launch = evidence.launch();
    let image = evidence.image();
    let bound = |what, each: (f64, usize), room: f64| Bound {
        what,
        each: each.0,
        n: u32::try_from(each.1).unwrap_or(u32::MAX),
        fits: whole(room / each.0.max(1.0)),
    };
    let free = room.memory_bytes as f64 * (1.0 - MEMORY_RESERVE);
    let mut bounds = vec![bound(Scarce::Memory, memory, free)];
    if let Some(disk) = disk {
        // The image is on this disk already, for it was measured here.
        let free = room.disk_bytes as f64 * (1.0 - DISK_RESERVE);
        bounds.push(bound(Scarce::Disk, disk, free));
    }
    if let Some(launch) = launch {
        let time = f64::from(room.cores) * STARTING_NS;
        bounds.push(bound(Scarce::Processors, launch, time));
    }
    let least = bounds.iter().min_by_key(|bound| bound.fits)?;
    let (fits, binding) = (least.fits, least.what);
    let all = f64::from(class);
    let bytes = |value: f64| u64::from(whole(value / 1024.0)) * 1024;
    let class = ClassNeed {
        count: class,
        fits: class <= fits,
        memory_bytes: bytes(all * memory.0),
        disk_bytes: disk.map(|disk| bytes(all * disk.0 + image.unwrap_or(0.0))),
        start_ns: launch.map(|launch| {
            u64::from(whole(all * launch.0 / f64::from(room.cores.max(1)) / 1e6)) * 1_000_000
        }),
    };
    Some(LaneFit {
        lane: evidence.lane.clone(),
        backend: evidence.backend,
        accelerator: evidence.accelerator,
        fits,
        binding,
        bounds,
        first_response_ns: evidence.first_response(),
        class,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` keeps within the range of the type, which is what is wanted"
)]
fn whole(value: f64) -> u32 {
    value.floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::{document, lane, trial};

    fn room() -> Room {
        Room { fingerprint: "f".into(), memory_bytes: 8 << 30, disk_bytes: 100 << 30, cores: 4 }
    }

    fn density(memory: [f64; 2], trials: u32) -> ResultDocument {
        let mut found = document(0);
        found.experiment = "density".to_owned();
        found.trials = Vec::new();
        for index in 1..=trials {
            for (id, bytes) in [("container", memory[0]), ("vm/micro", memory[1])] {
                let metrics = [("marginal_memory", bytes), ("marginal_disk", 1e6)];
                found.trials.push(trial(id, index, &metrics));
            }
        }
        found
    }

    #[test]
    fn what_fits_is_the_least_of_the_bounds_and_it_is_named() {
        let found = guide(&[density([50e6, 400e6], 3)], room(), "hello-flask", 30).unwrap();
        let [container, vm] = &found.lanes[..] else { panic!("{found:?}") };
        // Seven tenths of 8 GiB.
        assert_eq!((container.fits, container.binding), (120, Scarce::Memory));
        assert_eq!((vm.fits, vm.class.fits, container.class.fits), (15, false, true));
        assert_eq!(vm.class.memory_bytes / 1_000_000, 12_000);
        assert_eq!(found.results.len(), 1);
        let text = found.advice.join(" ");
        assert!(text.contains("share this machine's kernel"), "{text}");
        assert!(text.contains("kernel of its own"), "{text}");
        assert!(text.contains("no isolation guarantee"), "the VM was emulated: {text}");
        let mut small = room();
        small.disk_bytes = 20_000_000;
        let found = guide(&[density([50e6, 400e6], 3)], small, "hello-flask", 30).unwrap();
        assert_eq!((found.lanes[0].fits, found.lanes[0].binding), (18, Scarce::Disk));
    }

    #[test]
    fn too_few_trials_and_other_machines_say_nothing() {
        let why = |results: &[ResultDocument], subject: &str| {
            guide(results, room(), subject, 30).unwrap_err().to_string()
        };
        let text = why(&[density([50e6, 400e6], 2)], "hello-flask");
        assert!(text.contains("container: 2 trials") && text.contains("--trials 3"), "{text}");
        let mut other = density([50e6, 400e6], 5);
        other.machine.fingerprint = "g".to_owned();
        assert!(why(&[other], "hello-flask").contains("no result of this machine"));
        assert!(why(&[density([50e6, 400e6], 5)], "postgres").contains("postgres"));
        assert!(why(&[], "hello-flask").contains("tandem experiment run density"));
    }

    #[test]
    fn other_images_and_other_limits_are_never_pooled() {
        let with = |id: &str, memory: f64, at: i64, change: &dyn Fn(&mut ResultDocument)| {
            let mut found = density([50e6, memory], 3);
            found.id = id.to_owned();
            found.started_at = Timestamp::from_second(at).unwrap();
            change(&mut found);
            found
        };
        let small = |it: &mut ResultDocument| {
            it.lanes[1].resources.memory_bytes = Some(256 << 20);
        };
        let results = [
            with("old", 900e6, 1, &|it| {
                it.subject.digest = tandem_model::Digest::from_sha256(&[7; 32]);
            }),
            with("large", 400e6, 2, &|_| ()),
            with("small", 200e6, 3, &small),
            with("few", 100e6, 4, &|it| {
                it.subject.digest = tandem_model::Digest::from_sha256(&[8; 32]);
                it.trials.truncate(2);
            }),
            // It could not run there.
            with("none", 100e6, 5, &|it| {
                it.lanes[1].resources.memory_bytes = Some(1 << 20);
                it.trials.clear();
            }),
        ];
        let found = guide(&results, room(), "hello-flask", 30).unwrap();
        let of = |id: &str| found.lanes.iter().find(|lane| lane.lane == id).unwrap();
        // The same image and limits in two results, and the latest of a machine
        // that was measured often enough.
        assert_eq!((of("container").bounds[0].n, of("vm/micro").bounds[0].n), (6, 3));
        assert_eq!(of("vm/micro").fits, 30);
        assert_eq!(found.lanes.len(), 2);
        let [container, vm] = &found.left_out[..] else { panic!("{:?}", found.left_out) };
        assert!(container.contains("(few, old)"), "{container}");
        assert!(vm.contains("(few, large, old)"), "{vm}");
        let used: Vec<_> = found.results.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(used, ["small", "large"]);
    }

    #[test]
    fn accelerators_are_never_pooled() {
        let mut kvm = density([50e6, 300e6], 3);
        kvm.lanes[1] = lane("vm/micro", BackendKind::Vm, Some(Accelerator::Kvm));
        let found = guide(&[density([50e6, 400e6], 3), kvm], room(), "hello-flask", 30).unwrap();
        let vms: Vec<_> = found.lanes.iter().filter(|it| it.backend == BackendKind::Vm).collect();
        assert_eq!(vms.len(), 2);
        assert_ne!(vms[0].fits, vms[1].fits);
        assert_eq!(found.lanes[0].bounds[0].n, 6);
    }
}
