//! What metrics are called in the pictures of each experiment.

/// Metrics with what they are called in a picture.
pub(super) type Words = [(&'static str, &'static str)];

pub(super) const PERSISTENCE: &Words = &[
    ("survives.layer_restart", "a file of its own, after a restart"),
    ("survives.layer_anew", "a file of its own, after it was made anew"),
    ("survives.volume_restart", "a file in a volume, after a restart"),
    ("survives.volume_anew", "a file in a volume, after it was made anew"),
];

pub(super) const SNAPSHOT: &Words = &[
    ("survives.disk", "the mark on disk came back"),
    ("survives.memory", "the mark in memory came back"),
    ("survives.disk_elsewhere", "the mark on disk came back in a second home"),
    ("survives.memory_elsewhere", "the mark in memory came back in a second home"),
    ("survives.memory_from_files", "the mark in memory came back from the files alone"),
    ("survives.connection", "a client's connection from before went on"),
    ("survives.disk_from_commit", "the mark on disk came back from a committed image"),
    ("survives.memory_from_commit", "the mark in memory came back from a committed image"),
    ("survives.connection_from_commit", "a client's connection went on with a committed image"),
    ("survives.volume_from_copy", "the mark in a volume came back in a copy of it"),
    ("survives.disk_from_copy", "the mark on disk came back beside that copy"),
    ("survives.memory_from_copy", "the mark in memory came back beside that copy"),
];

pub(super) const ISOLATION: &Words = &[
    ("own_kernel", "it has a kernel of its own"),
    ("sees_host_processes", "it sees the host's processes"),
    ("sees_host_files", "it sees the host's files"),
    ("can_mount", "it can mount file systems"),
    ("contained.bomb", "a bomb of processes stayed within its limit"),
    ("contained.hog", "a program that takes more and more memory stayed within its limit"),
];

pub(super) const PORTABILITY: &Words = &[
    ("same_answer", "the answer is the same in the second home"),
    ("same_digest", "the digest is the same there"),
    ("file_came_along", "a file that was written before came along"),
];

pub(super) const CARRIED: &Words = &[("export_bytes", "the file to carry")];

pub(super) const CARRYING: &Words = &[
    ("export_time", "to write the file"),
    ("import_time", "to read it in the second home"),
    ("moved_response", "from reading it to the first answer"),
];

pub(super) const BUILDS: &Words = &[
    ("build_cold", "a build without a cache"),
    ("build_cached", "the same build again"),
    ("rebuild_time", "the build after a line was changed"),
    ("edit_to_response", "from the changed line to the new answer"),
];

pub(super) const SUPPLY: &Words = &[
    ("demand_bytes", "asked for"),
    ("limit_bytes", "given as a limit"),
    ("reached_bytes", "reached within the limit"),
    ("reached_when_given_bytes", "reached when more was given"),
    ("reached_without_limit_bytes", "reached without a limit"),
];

pub(super) const PROCESSORS: &Words = &[
    ("demand_cpus", "asked for"),
    ("limit_cpus", "given as a limit"),
    ("got_cpus", "got within the limit"),
    ("got_when_given_cpus", "got when more was given"),
    ("got_without_limit_cpus", "got without a limit"),
];

pub(super) const HELD: &Words = &[
    ("memory_host", "at most, within the limit"),
    ("memory_host_when_given", "at most, when more was given"),
    ("memory_host_freed", "then, when the app wanted it no more"),
    ("memory_host_taken_back", "then, when less was given"),
    ("memory_host_without_limit", "at most, without a limit"),
];

pub(super) const KILLED: &Words = &[
    ("killed_for_memory", "it was killed for want of memory"),
    ("throttled", "it was held back for want of processors (throttled)"),
];

pub(super) const BESIDE: &Words = &[
    ("latency_p50", "usual answer (median), alone"),
    ("latency_p50_beside", "usual answer, beside busy processors"),
    ("latency_p99", "slowest answers (p99), alone"),
    ("latency_p99_beside", "slowest answers, beside busy processors"),
    ("latency_p99_beside_memory", "slowest answers, beside busy memory"),
    ("latency_p99_beside_disk", "slowest answers, beside a busy disk"),
];

pub(super) const OVERHEAD: &Words = &[
    ("cpu_time", "time to compute"),
    ("memory_time", "time to copy memory"),
    ("disk_time", "time to write a file"),
    ("disk_read_time", "time to read a file"),
    ("disk_random_time", "time to read here and there"),
    ("disk_sync_time", "time to force a file to the disk"),
    ("throughput", "answers in a second"),
    ("latency_p50", "usual answer (median)"),
    ("latency_p99", "slowest answers (p99)"),
];

pub(super) const SNAPSHOTTING: &Words = &[
    ("snapshot_time", "to take the snapshot"),
    ("snapshot_pause", "of it standing still"),
    ("restore_time", "from the restore to the answer"),
    ("commit_time", "to commit it as an image"),
    ("volume_copy_time", "to copy its volume"),
];
