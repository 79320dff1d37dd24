//! What an instance's specification comes to in a machine.

use std::net::{IpAddr, Ipv4Addr};

use tandem_backend::BackendError;
use tandem_guest::wire::{
    Boot, Confinement, Execute, Limit, MemoryMount, Mount, Network, SharedMount, VolumeMount,
    Window,
};
use tandem_model::{
    CAPABILITIES, HostAddress, InstanceOptions, InstanceRecord, MountSource, NetworkChoice,
    Profile, SeccompChoice, SecurityOptions,
};

use super::identity::{DEVICE, hostname_of};
use crate::{
    kernel::Kernel,
    machine::{Board, volume_name},
    share::{Share, share_tag, shares},
    volume::{VolumeDisks, Wanted},
};

/// Why a machine cannot honour one of these options; `None` when it honours
/// all.
pub(crate) fn refusal(options: &InstanceOptions, profile: Option<Profile>) -> Option<BackendError> {
    let unavailable = |what: &str, why: &str, fix: &str| {
        let [what, why, fix] = [what, why, fix].map(str::to_owned);
        Some(BackendError::Unavailable { what, why, fix })
    };
    if options.template && profile == Some(Profile::Full) {
        return unavailable(
            "a template of a full machine",
            "its operating system has more of an identity than is made anew: keys, leases, a journal",
            "leave out --template, or use --profile micro",
        );
    }
    if options.template && VolumeDisks::wanted(options).next().is_some() {
        return unavailable(
            "a template of a virtual machine with volumes",
            "what its memory knows of a disk does not hold once the disk has changed",
            "leave out --template or the volumes",
        );
    }
    if options.template && shares(options).next().is_some() {
        return unavailable(
            "a template of a virtual machine with folders of the host",
            "its memory would know of open files that are another instance's",
            "leave out --template or the folders",
        );
    }
    match options.network {
        NetworkChoice::Bridge | NetworkChoice::None => {}
        NetworkChoice::Host => {
            return unavailable(
                "the host's network in a virtual machine",
                "a machine has a network device of its own",
                "publish ports with -p, or use --backend container",
            );
        }
        NetworkChoice::Named(_) => {
            return unavailable(
                "a named network for a virtual machine",
                "each machine has QEMU's user network, which no other instance can join",
                "publish ports with -p, or use --backend container",
            );
        }
    }
    let asks_gateway = || options.hosts.iter().any(|(at, _)| matches!(at, HostAddress::Gateway));
    if !has_network(options) && asks_gateway() {
        return unavailable(
            "--add-host with host-gateway",
            "without a network the machine does not reach its host",
            "leave out --network none, or write an address instead",
        );
    }
    if options.shm_bytes.is_some() {
        return unavailable(
            "--shm-size in a virtual machine",
            "/dev/shm is bounded by the machine's memory",
            "give more with --memory, or use --backend container",
        );
    }
    if let SeccompChoice::Profile { .. } = options.security.seccomp {
        return unavailable(
            "a seccomp profile in a virtual machine",
            "the app has a kernel of its own, and system calls to it are not filtered",
            "leave the profile out, or use --backend container",
        );
    }
    None
}

/// What the guest is to do. Its address is the one that QEMU's user network
/// gives the first guest, always.
pub(super) fn boot_of(record: &InstanceRecord, kernel: &Kernel, board: Board) -> Boot {
    let spec = &record.spec;
    let options = &spec.options;
    let forwarder = vec![[10, 0, 2, 3].into()];
    let network = Network {
        device: DEVICE.to_owned(),
        address: [10, 0, 2, 15].into(),
        mask: [255, 255, 255, 0].into(),
        gateway: GATEWAY,
        dns: if options.dns.is_empty() { forwarder } else { options.dns.clone() },
    };
    Boot {
        modules: kernel.modules_on(board),
        disk: "/dev/vda".to_owned(),
        network: has_network(options).then_some(network),
        app: Execute {
            args: spec.args.clone(),
            env: knows_terminal(environment(record, &[]), options.terminal),
            cwd: spec.cwd.clone(),
            user: spec.user.clone(),
            stdin: options.stdin,
            terminal: options.terminal.then_some(USUAL_SIZE),
            detach: false,
        },
        hostname: hostname_of(record),
        hosts: hosts(options),
        has_room: options.room.memory_bytes.is_some(),
        confinement: Confinement {
            no_new_privileges: options.security.no_new_privileges,
            capabilities: capabilities(&options.security),
            limits: limits(options),
            pids: spec.resources.pids.map(Into::into),
        },
        mounts: mounts(options),
        read_only: options.security.read_only,
    }
}

/// The host, as QEMU's user network shows it to every guest.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Further names of `/etc/hosts`.
fn hosts(options: &InstanceOptions) -> Vec<(IpAddr, String)> {
    let line = |(address, name): &(HostAddress, String)| match address {
        HostAddress::Address(address) => (*address, name.clone()),
        HostAddress::Gateway => (GATEWAY.into(), name.clone()),
    };
    options.hosts.iter().map(line).collect()
}

/// The size of a terminal until somebody looks at it.
const USUAL_SIZE: Window = Window { rows: 24, columns: 80 };

/// What a program must know of its terminal, unless the image says otherwise.
pub(crate) fn knows_terminal(mut env: Vec<String>, terminal: bool) -> Vec<String> {
    if terminal && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    env
}

/// Whether the machine has a network device.
pub(super) fn has_network(options: &InstanceOptions) -> bool {
    options.network != NetworkChoice::None
}

/// The environment of a program in the instance; later entries win.
pub(crate) fn environment(record: &InstanceRecord, more: &[String]) -> Vec<String> {
    let hostname = format!("HOSTNAME={}", hostname_of(record));
    [hostname].into_iter().chain(record.spec.env.iter().chain(more).cloned()).collect()
}

/// The capabilities at most. The machine is the boundary, so that none is
/// taken from the app unless a person says so.
fn capabilities(security: &SecurityOptions) -> Option<u64> {
    let all = |names: &[String]| names.iter().any(|name| name == "ALL");
    let mask = |names: &[String]| {
        let number = |name: &String| CAPABILITIES.iter().position(|known| known == name);
        names.iter().filter_map(number).fold(0_u64, |mask, number| mask | 1 << number)
    };
    let (added, dropped) = (mask(&security.cap_add), mask(&security.cap_drop));
    if all(&security.cap_drop) && !all(&security.cap_add) {
        return Some(added);
    }
    (dropped != 0).then_some(!dropped | added)
}

fn limits(options: &InstanceOptions) -> Vec<Limit> {
    let limit = |wanted: &tandem_model::Ulimit| {
        let resource = tandem_model::ulimit_number(&wanted.name)?;
        Some(Limit { resource, soft: wanted.soft, hard: wanted.hard })
    };
    options.ulimits.iter().filter_map(limit).collect()
}

fn mounts(options: &InstanceOptions) -> Vec<Mount> {
    let memory = |wanted: &tandem_model::MountSpec| match wanted.source {
        MountSource::Tmpfs { size_bytes, mode, uid, gid, exec } => {
            Some(Mount::Memory(MemoryMount {
                target: wanted.target.clone(),
                size_bytes,
                mode,
                uid,
                gid,
                exec,
                read_only: wanted.read_only,
            }))
        }
        _ => None,
    };
    let volume = |(at, wanted): (usize, Wanted<'_>)| {
        Mount::Volume(VolumeMount {
            serial: volume_name(at),
            target: wanted.mount.target.clone(),
            read_only: wanted.mount.read_only,
            no_copy: wanted.no_copy,
        })
    };
    let volumes = VolumeDisks::wanted(options).enumerate().map(volume);
    let shared = |(at, (mount, share)): (usize, (&tandem_model::MountSpec, Share))| {
        Mount::Shared(SharedMount {
            tag: share_tag(at),
            target: mount.target.clone(),
            read_only: share.read_only,
        })
    };
    let shared = shares(options).enumerate().map(shared);
    options.mounts.iter().filter_map(memory).chain(volumes).chain(shared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_cannot_do_is_refused_with_a_reason() {
        assert!(refusal(&InstanceOptions::default(), None).is_none());
        let mut options = InstanceOptions { network: NetworkChoice::None, ..Default::default() };
        options.security.read_only = true;
        options.init = true;
        assert!(refusal(&options, None).is_none());
        options.network = NetworkChoice::Named("web".to_owned());
        let said = refusal(&options, None).unwrap().to_string();
        assert!(said.contains("named network") && said.contains("QEMU's user network"), "{said}");
        let said = |change: fn(&mut InstanceOptions)| {
            let mut options = InstanceOptions::default();
            change(&mut options);
            refusal(&options, None).unwrap().to_string()
        };
        assert!(said(|it| it.network = NetworkChoice::Host).contains("the host's network"));
        let gateway = said(|it| {
            it.hosts = vec![("host-gateway".parse().unwrap(), "host".to_owned())];
            it.network = NetworkChoice::None;
        });
        assert!(gateway.contains("--add-host with host-gateway"), "{gateway}");
        assert!(said(|it| it.shm_bytes = Some(1 << 20)).contains("--shm-size"));
    }

    #[test]
    fn further_names_are_known_and_the_host_is_where_qemu_shows_it() {
        let host = |address: &str, name: &str| (address.parse().unwrap(), name.to_owned());
        let mut options = InstanceOptions {
            hosts: vec![host("::1", "db"), host("host-gateway", "host")],
            ..Default::default()
        };
        assert!(refusal(&options, None).is_none());
        let found =
            [("::1".parse().unwrap(), "db".to_owned()), (GATEWAY.into(), "host".to_owned())];
        assert_eq!(hosts(&options), found);
        // An address needs nobody to be reached by name.
        options.network = NetworkChoice::None;
        options.hosts.pop();
        assert!(refusal(&options, Some(Profile::Full)).is_none());
    }

    #[test]
    fn volumes_are_disks_and_folders_of_the_host_have_tags() {
        let volume = |text| tandem_model::parse_volume(text).unwrap();
        let mut options = InstanceOptions {
            mounts: ["b:/var/b:ro", "a:/a:nocopy"].map(volume).to_vec(),
            ..Default::default()
        };
        assert!(refusal(&options, None).is_none());
        let found = mounts(&options);
        let Mount::Volume(first) = &found[0] else { panic!("{found:?}") };
        assert_eq!((first.serial.as_str(), first.target.as_str()), ("volume0", "/var/b"));
        assert!(first.read_only && !first.no_copy);
        assert!(matches!(&found[1], Mount::Volume(second) if second.no_copy));
        options.template = true;
        assert!(refusal(&options, None).unwrap().to_string().contains("machine with volumes"));
        options.mounts.clear();
        assert!(refusal(&options, Some(Profile::Micro)).is_none());
        let said = refusal(&options, Some(Profile::Full)).unwrap().to_string();
        assert!(said.contains("full machine"), "{said}");
        options.mounts = ["/tmp:/host:ro", "/srv:/srv"].map(volume).to_vec();
        let said = refusal(&options, Some(Profile::Micro)).unwrap().to_string();
        assert!(said.contains("folders of the host"), "{said}");
        options.template = false;
        assert!(refusal(&options, Some(Profile::Full)).is_none());
        let found = mounts(&options);
        let Mount::Shared(first) = &found[0] else { panic!("{found:?}") };
        assert!(first.tag == "share0" && first.target == "/host" && first.read_only);
        assert!(matches!(&found[1], Mount::Shared(second) if second.tag == "share1"));
    }

    #[test]
    fn capabilities_are_all_but_those_taken() {
        let of = |add: &[&str], drop: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (cap_add, cap_drop) = (texts(add), texts(drop));
            capabilities(&SecurityOptions { cap_add, cap_drop, ..SecurityOptions::default() })
        };
        assert_eq!(of(&[], &[]), None);
        assert_eq!(of(&["CAP_CHOWN"], &["ALL"]), Some(1));
        assert_eq!(of(&[], &["CAP_CHOWN"]), Some(!1));
        assert_eq!(of(&["ALL"], &["ALL"]), None);
    }
}
