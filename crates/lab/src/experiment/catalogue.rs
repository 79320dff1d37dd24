use serde::Serialize;

/// What an experiment is, in words. Metric ids are those of its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Description {
    /// Its id.
    pub id: &'static str,
    /// What a person wonders.
    pub question: &'static str,
    /// The claim of the article that it judges.
    pub claim: &'static str,
    /// How it measures.
    pub method: &'static str,
    /// The metrics that matter most.
    pub metrics: &'static [&'static str],
    /// The picture that shows it.
    pub picture: &'static str,
    /// What goes with every verdict.
    pub caveat: &'static str,
    /// Why it comes out as it does.
    pub explanation: &'static str,
    /// What to ask before it runs.
    pub prediction: &'static str,
    /// Trials a lane when nobody says how many.
    pub trials: u32,
    /// Why this version cannot run it; null when it can.
    pub missing: Option<&'static str>,
}

/// The entry with this id.
pub fn describe(id: &str) -> Option<&'static Description> {
    CATALOGUE.iter().find(|description| description.id == id)
}

/// All experiments, in the order of a lesson.
pub const CATALOGUE: &[Description] = &[
    Description {
        id: "startup",
        question: "How long does it take from the request to the first answer?",
        claim: "Containers are faster to spin up than a VM",
        method: "Each trial creates an instance, starts it and asks it until the last byte of the first HTTP 200 has come; lanes take turns in a random order. With a cold cache the files that the lane reads are dropped from the page cache before each launch.",
        metrics: &["first_response", "tenth_response", "phase.*"],
        picture: "race with stacked phases, distribution",
        caveat: "Speed says nothing about isolation. Without KVM the machine is emulated, and the ratio is not the hypervisor's.",
        explanation: "A container is a process with a view of its own: the kernel already runs. A virtual machine first boots a kernel and its own user space.",
        prediction: "How many times as long will the VM take as the container?",
        trials: 10,
        missing: None,
    },
    Description {
        id: "size",
        question: "What does an instance take on disk and in memory?",
        claim: "Virtual machines are heavy (GB), containers are lightweight (MB)",
        method: "After the first ten answers the disk and the memory of the instance are read as ledgers that add up: image and own files in allocated bytes, memory as proportional set size.",
        metrics: &[
            "image_bytes",
            "instance_bytes",
            "memory_host",
            "memory_ledger.*",
            "disk_ledger.*",
        ],
        picture: "stacked ledgers side by side",
        caveat: "The gigabytes of the claim are those of a whole operating system; a small machine holds only a kernel and the app's files. The container's page cache is the host's and not counted.",
        explanation: "Layers are shared between containers; a machine has a disk of its own, and a kernel and a page cache in its memory.",
        prediction: "How many megabytes of memory will the VM take, and how many the container?",
        trials: 10,
        missing: None,
    },
    Description {
        id: "density",
        question: "How many fit on this machine?",
        claim: "Containers are lightweight: more of them fit on one machine",
        method: "Instances are added one at a time and all keep running, up to a limit and to a guard that leaves a part of the memory free. After each the launch time and the memory of all of them are taken down.",
        metrics: &["marginal_memory", "marginal_disk", "launch_first", "launch_last", "fits"],
        picture: "growth lines",
        caveat: "How many fit is reckoned from the memory that each further instance took while idle; under load they need more, and processors are shared.",
        explanation: "Containers of one image share their files in the page cache; each machine brings a kernel and reads the same files into a memory of its own.",
        prediction: "How many containers fit on this machine for each VM?",
        trials: 3,
        missing: None,
    },
    Description {
        id: "build",
        question: "How long from an edited line to the new answer?",
        claim: "Containers are faster to build",
        method: "Builds without a cache, again with it, then changes one line and takes the time until the changed app answers, a VM's disk included.",
        metrics: &["build_cold", "build_cached", "edit_to_response"],
        picture: "bars",
        caveat: "Most of a cold build is the network and the package manager, which both lanes share.",
        explanation: "A build keeps a layer for each step and repeats only what changed.",
        prediction: "How many seconds pass from an edited line to the new answer?",
        trials: 3,
        missing: None,
    },
    Description {
        id: "resize",
        question: "Does the app stay up when its memory and processors change?",
        claim: "Reallocating resources takes a VM offline, a container stays up",
        method: "Under a steady open-loop load memory and processors are raised and lowered while the app runs (hot), and then raised with a stop and a start (cold, the article's way). Every request counts from the moment in which it was to be sent.",
        metrics: &[
            "resize_lag",
            "failed_requests",
            "longest_gap",
            "cold_resize_downtime",
            "cold_failed_requests",
            "memory_returned",
        ],
        picture: "load line with the moment of change and the gap",
        caveat: "A VM stays up too when it was started with room to grow; the claim holds for the cold way. `resize_lag` ends when the kernel or the hypervisor confirmed the limit, not when the app noticed it.",
        explanation: "A container's limits are two numbers in its control group. A machine's memory is hardware to its guest: it must be plugged in or boot with it.",
        prediction: "How many requests are lost while the VM gets more memory?",
        trials: 3,
        missing: None,
    },
    Description {
        id: "elasticity",
        question: "Who gets more when the app wants more?",
        claim: "A container gets resources automatically, a VM needs them allocated",
        method: "A small static program of ours, added to the image, takes more and more memory and touches it, within a limit and, where there can be none, without; what it reached is compared with what it asked for.",
        metrics: &["reached_bytes", "reached_without_limit_bytes", "killed_for_memory"],
        picture: "demand against supply",
        caveat: "A container without a limit can take the whole machine with it.",
        explanation: "Processes draw from the host's memory as they touch it; a guest sees only what it was given.",
        prediction: "Which lane is the first to be killed for want of memory?",
        trials: 1,
        missing: None,
    },
    Description {
        id: "snapshot",
        question: "What survives a snapshot and a restore?",
        claim: "VMs take snapshots that restore on another server; containers are ephemeral",
        method: "A mark on disk and one in memory are written, a snapshot is taken (of a VM with its memory; of a container with a checkpoint where CRIU works), both marks are changed, the instance is killed and restored: which marks came back?",
        metrics: &[
            "survives.disk",
            "survives.memory",
            "snapshot_time",
            "restore_time",
            "snapshot_pause",
        ],
        picture: "truth table",
        caveat: "A saved memory holds secrets and stale connections too.",
        explanation: "A hypervisor sees the whole machine as memory and disk; a container's state is spread over the host's kernel.",
        prediction: "Does a counter in the app's memory go on after a restore?",
        trials: 1,
        missing: None,
    },
    Description {
        id: "persistence",
        question: "What is still there after a restart and after a new start from the image?",
        claim: "VM storage persists in its disk file, container storage is ephemeral unless a volume is added",
        method: "Writes a file inside, and one in a volume where the lane has volumes; restarts, looks, makes the instance anew from the image, looks again.",
        metrics: &["survives.layer_restart", "survives.layer_anew", "survives.volume_anew"],
        picture: "matrix",
        caveat: "A stopped container keeps its layer until it is removed: ephemeral means that a new one begins anew.",
        explanation: "A container's changes lie in its own layer and go with it; a volume belongs to the home.",
        prediction: "Is a file in the container still there after a restart?",
        trials: 1,
        missing: None,
    },
    Description {
        id: "portability",
        question: "Does it run elsewhere as it ran here?",
        claim: "Both are portable",
        method: "Exports the stopped instance to one file, imports it into an empty home, starts it there, and compares digest, answer and a file that was written before.",
        metrics: &["export_bytes", "export_time", "import_time"],
        picture: "flow with sizes",
        caveat: "A container needs a host kernel that fits; a VM needs a hypervisor of the same processor family.",
        explanation: "An image is a list of archives with digests; a machine is a disk.",
        prediction: "Which is the larger file to carry?",
        trials: 1,
        missing: None,
    },
    Description {
        id: "isolation",
        question: "What can one see and do to the other?",
        claim: "A VM is partitioned by the hypervisor, a container by the engine",
        method: "Looks from inside for the host's kernel, processes and files, tries to mount, and lets a bomb of processes (a small static program of ours) go off within its limit.",
        metrics: &["own_kernel", "sees_host_processes", "sees_host_files", "contained.bomb"],
        picture: "matrix",
        caveat: "What was contained here is no proof against an attack nobody tried; under software emulation QEMU gives no isolation guarantee.",
        explanation: "A container asks the host's kernel for everything; a guest asks a kernel of its own.",
        prediction: "How many processes does a bomb get to start?",
        trials: 1,
        missing: None,
    },
    Description {
        id: "overhead",
        question: "What does the wrapping cost while the app works?",
        claim: "Containers are lightweight",
        method: "A small static program of ours, added to the image as one more layer, computes, copies memory, writes, reads and forces a file to the disk, and answers requests, as a process, in a container and in a VM; the host's clock takes the times, and each lane tells the digest of the program that it ran. Name the lanes process,container,vm.",
        metrics: &["cpu_time", "memory_time", "disk_time", "throughput", "latency_p99"],
        picture: "dot plot with intervals",
        caveat: "Without KVM the machine is emulated, and the ratio is not the hypervisor's.",
        explanation: "A container's instructions are the host's; a guest's devices are programs.",
        prediction: "How many percent of the native speed does the VM reach?",
        trials: 5,
        missing: None,
    },
    Description {
        id: "neighbour",
        question: "How much does a busy neighbour slow the app?",
        claim: "Both offer a secure sandbox",
        method: "The app's answers at a fixed rate, alone and while a second instance of the same kind keeps the processors, then the memory, then the disk busy.",
        metrics: &["latency_p50", "latency_p99", "latency_p99_beside"],
        picture: "before and during lines",
        caveat: "Sharing fairly is not the same as keeping secrets. Without KVM the machine is emulated.",
        explanation: "Both kinds share the processors, caches and disks of one host.",
        prediction: "By how much does the 99th percentile rise?",
        trials: 3,
        missing: None,
    },
];
