use super::*;

/// A folder in which the files of machines are.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
        path
    }
}

fn qemu() -> Qemu {
    Qemu { program: "qemu".into(), firmware: "/fw/qboot.rom".into() }
}

/// A machine with nothing of its own but how it boots.
fn plain<'a>(qemu: &'a Qemu, boot: Boot<'a>) -> Arguments<'a> {
    Arguments {
        qemu,
        accelerator: Accelerator::Tcg,
        board: Board::Q35,
        shape: Shape { memory: 256 << 20, cpus: 1, ..Shape::default() },
        name: "tandem-0123",
        boot,
        disk: None,
        shares: &[],
        memory: Memory::Own,
        mac: "52:54:00:00:00:01",
        ports: &[],
        network: false,
        descriptors: Descriptors { qmp: 5, debug: 6, console: 7, channel: 8 },
    }
}

fn words(arguments: &Arguments<'_>) -> Vec<OsString> {
    arguments.to_vec(&mut Handed::to(None)).unwrap()
}

fn line(disk: Option<Disk<'_>>, ports: &[PortMap]) -> Vec<String> {
    let qemu = qemu();
    let files = Files::new();
    let (kernel, initrd) = (files.file("vmlinux"), files.file("initrd"));
    let arguments = Arguments {
        shape: Shape { memory: 256 << 20, cpus: 2, ..Shape::default() },
        disk,
        ports,
        network: disk.is_some(),
        ..plain(&qemu, Boot::Kernel { kernel: &kernel, initrd: Some(&initrd) })
    };
    words(&arguments).into_iter().map(|one| one.into_string().unwrap()).collect()
}

fn line_of(line: &[OsString]) -> Vec<String> {
    line.iter().filter_map(|one| one.to_str().map(str::to_owned)).collect()
}

fn after<'a>(line: &'a [String], option: &str) -> Vec<&'a str> {
    line.windows(2).filter(|two| two[0] == option).map(|two| two[1].as_str()).collect()
}

#[test]
fn formats_are_explicit_and_paths_are_only_paths() {
    let files = Files::new();
    let odd = files.file("a,b:c=\"d\"/disk.qcow2");
    let layers = [odd.clone(), files.file("disk-4.qcow2")];
    let volumes = [files.file("v,1/disk.raw")];
    let base = files.file("base.ext4");
    let disk =
        Disk { base: Some(&base), layers: &layers, volumes: &volumes, parts: &[], locks: true };
    let line = line(Some(disk), &[]);
    let node: serde_json::Value = serde_json::from_str(after(&line, "-blockdev")[0]).unwrap();
    assert_eq!(node["driver"], "qcow2");
    assert_eq!((&node["node-name"], &node["read-only"]), (&json!("disk-4"), &Value::Null));
    let below = &node["backing"];
    // They are open: nothing is looked for by name.
    assert_eq!(node["file"]["filename"], "/dev/fdset/5");
    assert_eq!(below["file"]["filename"], "/dev/fdset/1");
    let open = after(&line, "-add-fd");
    let escaped = odd.to_str().unwrap().replace(',', ",,");
    let of = |set: &str| open.iter().filter(|one| one.contains(set)).count();
    assert!(open.iter().any(|one| one.ends_with(&format!("set=1,opaque={escaped}"))));
    assert_eq!((of(",set=1,"), of(",set=5,")), (1, 2), "the top one will be read alone");
    assert_eq!((&below["driver"], &below["read-only"]), (&json!("qcow2"), &json!(true)));
    assert_eq!(below["backing"]["driver"], "raw");
    assert_eq!(below["backing"]["read-only"], true);
    let volume: Value = serde_json::from_str(after(&line, "-blockdev")[1]).unwrap();
    assert_eq!((&volume["driver"], &volume["node-name"]), (&json!("raw"), &json!("volume0")));
    let volume = volume["file"]["filename"].as_str().unwrap();
    assert_eq!(of(&format!(",{},", volume.replace("/dev/fdset/", "set="))), 2);
    assert!(!line.iter().any(|one| one == "-drive" || one == "-hda"));
}

#[test]
fn an_older_qemu_does_not_stand_in_its_own_way() {
    let files = Files::new();
    let layers = ["disk", "disk-1", "disk-2"].map(|name| files.file(name));
    let base = files.file("base");
    let node = |locks| -> Value {
        let disk = Disk { base: Some(&base), layers: &layers, volumes: &[], parts: &[], locks };
        serde_json::from_str(after(&line(Some(disk), &[]), "-blockdev")[0]).unwrap()
    };
    let off = |node: &Value| node["file"]["locking"] == "off";
    let old = node(false);
    let (second, lowest) = (&old["backing"], &old["backing"]["backing"]);
    assert!(off(&old) && off(second) && off(lowest));
    let raw = &lowest["backing"];
    assert!(off(raw) && raw.get("backing").is_none(), "it has nothing beneath: {raw}");
    assert!(!node(true).to_string().contains("locking"));
}

#[test]
fn memory_from_a_template_is_shared_or_a_copy() {
    let files = Files::new();
    let memory = files.file("memory");
    let qemu = qemu();
    let ram = |memory| {
        Arguments { memory, ..plain(&qemu, Boot::Loader { item: None }) }
            .ram(&mut Handed::to(None))
            .unwrap()
    };
    let shared = ram(Memory::CopyOnWrite(&memory));
    assert_eq!((&shared["readonly"], &shared["share"]), (&json!(true), &json!(false)));
    let own = ram(Memory::Copy(&memory));
    assert_eq!((&own["readonly"], &own["share"]), (&Value::Null, &json!(false)));
    assert!(own["rom"].is_null(), "an older QEMU does not know it");
}

#[test]
fn nothing_listens_but_the_published_ports() {
    let ports = ["8080:80".parse().unwrap(), "0.0.0.0:90:91/udp".parse().unwrap()];
    let files = Files::new();
    let (layers, base) = ([files.file("d")], files.file("b"));
    let line = line(
        Some(Disk { base: Some(&base), layers: &layers, volumes: &[], parts: &[], locks: true }),
        &ports,
    );
    assert_eq!(
        after(&line, "-netdev"),
        [
            "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80,hostfwd=udp:0.0.0.0:90-10.0.2.15:91"
        ]
    );
    assert!(after(&line, "-chardev").iter().all(|one| one.contains(",fd=")), "{line:?}");
    assert!(line.contains(&"-nodefaults".to_owned()) && line.contains(&"-S".to_owned()));
    assert!(after(&line, "-sandbox")[0].starts_with("on,"));
}

#[test]
fn a_disk_that_boots_itself_gets_no_kernel_and_its_boot_file_by_name() {
    let mut text = Line::default();
    let qemu = qemu();
    let files = Files::new();
    let (layers, base, item) = ([files.file("d")], files.file("b"), files.file("h,1/boot"));
    let mut arguments = Arguments {
        disk: Some(Disk {
            base: Some(&base),
            layers: &layers,
            volumes: &[],
            parts: &[],
            locks: true,
        }),
        network: true,
        ..plain(&qemu, Boot::Loader { item: Some(&item) })
    };
    let mut handed = Handed::to(None);
    arguments.boot(&mut text, &mut handed).unwrap();
    let own = format!("name=opt/tandem/boot,file=/proc/self/fd/{}", handed.descriptors()[0]);
    assert_eq!(text.0, ["-fw_cfg", own.as_str()]);
    let has = |line: Vec<OsString>, word: &str| line.iter().any(|one| one == word);
    assert!(!has(words(&arguments), "-incoming") && !has(words(&arguments), "-kernel"));
    assert!(has(words(&arguments), "-no-reboot"), "a new life is the supervisor's");
    assert!(after(&line_of(&words(&arguments)), "-device")[1].starts_with("virtio-net-pci,"));
    arguments.boot = Boot::Loader { item: None };
    assert!(has(words(&arguments), "-incoming") && !has(words(&arguments), "-fw_cfg"));

    // A disk from elsewhere: with devices that all know, and no agent.
    arguments.boot = Boot::Foreign { uefi: None };
    arguments.disk =
        Some(Disk { base: None, layers: &layers, volumes: &[], parts: &[], locks: true });
    let line = words(&arguments);
    assert!(!has(line.clone(), "-incoming") && !has(line.clone(), "-no-reboot"));
    let all: Vec<_> = line.iter().filter_map(|one| one.to_str()).collect();
    assert!(all.iter().any(|one| one.starts_with("ide-hd,bus=ide.0,drive=d")));
    assert!(all.iter().any(|one| one.starts_with("e1000,netdev=net,")));
    assert!(!all.iter().any(|one| one.contains("virtserialport") || one.contains("sata=off")));
    assert!(!all.iter().any(|one| one.contains("pflash")) && all.contains(&"pvpanic"));
    let disk = all.iter().find(|one| one.contains("qcow2")).unwrap();
    assert!(disk.contains("\"backing\":null"), "QEMU believes no name in a header: {disk}");
    let parts = [(0, 10 << 20), (10 << 20, 5 << 20)];
    arguments.disk =
        Some(Disk { base: None, layers: &layers, volumes: &[], parts: &parts, locks: true });
    let line = line_of(&words(&arguments));
    let second: Value = serde_json::from_str(after(&line, "-blockdev")[2]).unwrap();
    assert_eq!((&second["file"], &second["offset"]), (&json!("d"), &json!(10 << 20)));
    let drives: Vec<_> =
        after(&line, "-device").into_iter().filter(|one| one.starts_with("ide-hd")).collect();
    assert!(drives.len() == 2 && drives[1].starts_with("ide-hd,bus=ide.1,drive=part1"));
    let (code, variables) = (files.file("c,1"), files.file("v"));
    arguments.boot = Boot::Foreign { uefi: Some((&code, &variables)) };
    let line = words(&arguments);
    let all: Vec<_> = line.iter().filter_map(|one| one.to_str()).collect();
    assert!(
        after(&line_of(&line), "-machine")[0]
            .ends_with(",pflash0=uefi-code,pflash1=uefi-variables")
    );
    let code = all.iter().find(|one| one.contains("uefi-code") && one.starts_with('{')).unwrap();
    assert!(code.contains("\"read-only\":true") && code.contains("/dev/fdset/"), "{code}");
}

#[test]
fn the_small_board_has_its_devices_at_fixed_places() {
    let qemu = qemu();
    let files = Files::new();
    let (kernel, layers, base) = (files.file("k"), [files.file("d")], files.file("b"));
    let volumes = [files.file("v"), files.file("w")];
    let arguments = Arguments {
        accelerator: Accelerator::Kvm,
        board: Board::Microvm,
        disk: Some(Disk {
            base: Some(&base),
            layers: &layers,
            volumes: &volumes,
            parts: &[],
            locks: true,
        }),
        network: true,
        ..plain(&qemu, Boot::Kernel { kernel: &kernel, initrd: Some(&kernel) })
    };
    let line = line_of(&words(&arguments));
    assert!(after(&line, "-machine")[0].starts_with("microvm,acpi=on,"));
    let devices = after(&line, "-device");
    let at = |kind: &str| -> Vec<String> {
        let of = devices.iter().filter_map(|one| one.strip_prefix(kind)?.strip_prefix("-device,"));
        of.map(|one| one.split(',').next().unwrap_or_default().to_owned()).collect()
    };
    let bus = |place: u32| format!("bus=virtio-mmio-bus.{place}");
    assert_eq!(at("virtio-blk"), [bus(7), bus(4), bus(3)]);
    assert_eq!((at("virtio-net"), at("virtio-serial")), (vec![bus(6)], vec![bus(5)]));
    assert!(!line.iter().any(|one| one.contains("-pci") || one.contains("romfile")), "{line:?}");
}

#[test]
fn a_folder_of_the_host_gives_no_privileges() {
    let mut line = Line::default();
    let shares = [
        Share { path: "/a,b".into(), read_only: true },
        Share { path: "/c".into(), read_only: false },
    ];
    let qemu = qemu();
    let arguments = Arguments { shares: &shares, ..plain(&qemu, Boot::Loader { item: None }) };
    arguments.shares(&mut line);
    let first = line.0[1].to_str().unwrap();
    assert!(first.contains("security_model=mapped-xattr"), "{first}");
    assert!(first.ends_with("path=/a,,b,readonly=on"), "{first}");
    assert_eq!(line.0[3], "virtio-9p-pci,fsdev=share0,mount_tag=share0");
    assert!(line.0[5].to_str().unwrap().ends_with("path=/c"));
}

#[test]
fn a_probe_has_neither_disk_nor_network() {
    let line = line(None, &[]);
    assert!(after(&line, "-blockdev").is_empty() && after(&line, "-netdev").is_empty());
    assert!(!line.iter().any(|one| one.contains("virtserialport")), "nobody would answer");
}
