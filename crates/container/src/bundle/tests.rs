use std::collections::BTreeMap;

use tandem_model::{AcceleratorChoice, BackendKind, Resources};

use super::*;
use crate::confine::wanted;

fn instance(resources: Resources) -> InstanceSpec {
    InstanceSpec {
        name: "web".into(),
        backend: BackendKind::Container,
        profile: None,
        accelerator: AcceleratorChoice::Auto,
        image: "hello-flask:latest".into(),
        digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
        args: vec!["python".into(), "app.py".into()],
        env: vec!["A=1".into()],
        cwd: "/srv".into(),
        user: String::new(),
        stop_signal: "SIGTERM".into(),
        stop_timeout_s: 10,
        ports: Vec::new(),
        resources,
        hostname: None,
        remove: false,
        owner: None,
        labels: BTreeMap::new(),
        options: tandem_model::InstanceOptions::default(),
    }
}

fn user(uid: u32) -> User {
    User { uid, gid: 7, groups: vec![10], home: "/home/app".into() }
}

fn layout(controllers: &[&str]) -> Layout {
    let mount = |name: &&str| ((*name).to_owned(), Path::new("/sys/fs/cgroup").join(name));
    Layout::Split {
        controllers: controllers.iter().map(mount).collect(),
        hybrid: true,
        lent: false,
    }
}

fn json(resources: Resources, uid: u32, layout: &Layout) -> serde_json::Value {
    let bundle = Bundle {
        spec: &instance(resources),
        rootfs: Path::new("/home/instances/1/rootfs"),
        user: &user(uid),
        env: &["PATH=/bin".into()],
        hostname: "abc",
        late: &[],
        capabilities: wanted(
            &tandem_model::SecurityOptions::default(),
            layout.folder("devices", "").is_some(),
        ),
        lent: 0,
        files: &[
            ("/home/instances/1/bundle/hosts".into(), "/etc/hosts"),
            ("/usr/libexec/tandem/tandem-guest".into(), crate::init::INIT),
        ],
        network: Some(Path::new("/proc/1/fd/9")),
        group: "tandem-1",
        layout,
    };
    serde_json::to_value(bundle.to_spec().unwrap()).unwrap()
}

#[test]
fn isolation_is_dockers_default() {
    let spec = json(Resources::default(), 0, &layout(&["devices", "memory"]));
    assert_eq!(spec["process"]["noNewPrivileges"], true);
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(spec["process"]["capabilities"]["effective"].as_array().unwrap().len(), 14);
    for set in ["inheritable", "ambient"] {
        let held = spec["process"]["capabilities"][set].as_array();
        assert!(held.is_none_or(Vec::is_empty), "{set}: {held:?}");
    }
    assert_eq!(spec["process"]["rlimits"], serde_json::Value::Null);
    let kinds: Vec<_> = spec["linux"]["namespaces"].as_array().unwrap().iter().collect();
    for kind in ["pid", "mount", "uts", "ipc", "network"] {
        assert!(kinds.iter().any(|namespace| namespace["type"] == kind), "{kind}");
    }
    let network = kinds.iter().find(|namespace| namespace["type"] == "network").unwrap();
    assert_eq!(network["path"], "/proc/1/fd/9");
    assert_eq!(spec["linux"]["cgroupsPath"], "/tandem-1");
    assert_eq!(spec["linux"]["resources"]["devices"][0]["allow"], false);
    // What Docker's own specification says, word by word.
    let masked = serde_json::json!([
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap"
    ]);
    assert_eq!(spec["linux"]["maskedPaths"], masked);
    // And the folder of the version 1 groups, which has to be made first.
    let read_only = serde_json::json!([
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/sys/fs/cgroup"
    ]);
    assert_eq!(spec["linux"]["readonlyPaths"], read_only);
}

#[test]
fn mounts_are_as_closed_as_dockers() {
    // Word by word (moby `oci/defaults.go`), but for the groups of version 1.
    let common = [
        ("/proc", "nosuid noexec nodev"),
        ("/dev", "nosuid strictatime mode=755 size=65536k"),
        ("/dev/pts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
        ("/sys", "nosuid noexec nodev ro"),
        ("/dev/mqueue", "nosuid noexec nodev"),
        ("/dev/shm", "nosuid noexec nodev mode=1777 size=67108864"),
    ];
    let hosts = [("/etc/hosts", "rbind rprivate"), (crate::init::INIT, "rbind rprivate ro")];
    let split = [
        ("/sys/fs/cgroup", "nosuid noexec nodev mode=755 size=64k"),
        ("/sys/fs/cgroup/devices", "bind ro nosuid noexec nodev"),
        ("/sys/fs/cgroup/memory", "bind ro nosuid noexec nodev"),
    ];
    let unified = [("/sys/fs/cgroup", "ro nosuid noexec nodev")];
    let both = [
        (layout(&["devices", "memory"]), &split[..]),
        (Layout::Unified("/sys/fs/cgroup".into()), &unified[..]),
    ];
    for (layout, groups) in both {
        let spec = json(Resources::default(), 0, &layout);
        let mounts = spec["mounts"].as_array().unwrap().iter().map(|mount| {
            let options = mount["options"].as_array().unwrap();
            let options: Vec<_> = options.iter().filter_map(serde_json::Value::as_str).collect();
            (mount["destination"].as_str().unwrap(), options.join(" "))
        });
        let wanted = common.iter().chain(groups).chain(&hosts);
        let wanted: Vec<_> =
            wanted.map(|(place, options)| (*place, (*options).to_owned())).collect();
        assert_eq!(mounts.collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn control_groups_cannot_be_written_inside() {
    let spec = json(Resources::default(), 0, &layout(&["devices", "memory"]));
    let mounts = spec["mounts"].as_array().unwrap();
    let memory = mounts.iter().find(|m| m["destination"] == "/sys/fs/cgroup/memory").unwrap();
    assert_eq!(memory["source"], "/sys/fs/cgroup/memory/tandem-1");
    assert!(memory["options"].as_array().unwrap().iter().any(|option| option == "ro"));
}

#[test]
fn another_user_than_root_has_no_capabilities() {
    let spec = json(Resources::default(), 1000, &layout(&["devices"]));
    assert!(spec["process"]["capabilities"]["effective"].as_array().unwrap().is_empty());
    assert_eq!(spec["process"]["user"]["uid"], 1000);
    assert_eq!(spec["process"]["user"]["additionalGids"][0], 10);
}

#[test]
fn device_nodes_cannot_be_made_where_devices_are_not_filtered() {
    let spec = json(Resources::default(), 0, &layout(&["memory"]));
    let bounding = spec["process"]["capabilities"]["bounding"].as_array().unwrap().clone();
    assert!(!bounding.iter().any(|capability| capability == "CAP_MKNOD"));
}

#[test]
fn limits_reach_the_specification() {
    let limits =
        Resources { memory_bytes: Some(64 << 20), milli_cpus: Some(1500), pids: Some(100) };
    let spec = json(limits, 0, &layout(&["devices", "memory", "cpu", "pids"]));
    let resources = &spec["linux"]["resources"];
    assert_eq!(resources["memory"]["limit"], 64 << 20);
    assert_eq!(resources["cpu"]["quota"], 150_000);
    assert_eq!(resources["cpu"]["period"], 100_000);
    assert_eq!(resources["pids"]["limit"], 100);
}

#[test]
fn the_environment_is_merged_and_filled_in() {
    let given = ["A=1", "PATH=/x", "A=2", "EMPTY="].map(String::from);
    let env = environment(&given, &user(0), Some("host"));
    assert_eq!(env, ["A=2", "PATH=/x", "EMPTY=", "HOME=/home/app", "HOSTNAME=host"]);
    let env = environment(&[], &user(0), None);
    assert_eq!(env, [format!("PATH={DEFAULT_PATH}"), "HOME=/home/app".into()]);
}

#[test]
fn an_environment_is_pairs_and_takes_no_time() {
    let words = |env: &[&str]| {
        let env: Vec<String> = env.iter().map(|&it| it.to_owned()).collect();
        environment(&env, &user(7), Some("web"))
    };
    assert_eq!(
        words(&["A=1", "NOTHING", "=x", "", "A=2", "B=a\nC=b", "PATH=/x"]),
        ["A=2", "B=a\nC=b", "PATH=/x", "HOME=/home/app", "HOSTNAME=web"]
    );
    // Each against each would be minutes.
    let many: Vec<String> = (0..400_000).map(|number| format!("{number}=")).collect();
    let begun = std::time::Instant::now();
    assert_eq!(environment(&many, &user(7), None).len(), many.len() + 2);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
