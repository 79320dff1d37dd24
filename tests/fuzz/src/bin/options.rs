#![no_main]
//! What people type behind the options of `run`, and what goes with it.

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::survives_json;
use tandem_model::{
    InstanceId, Lane, MountSource, NetworkChoice, PortMaps, Subnet, check_volume_name,
    parse_capability, parse_cpus, parse_duration, parse_log_option, parse_moment, parse_mount,
    parse_restart_policy, parse_security_option, parse_size, parse_tmpfs, parse_ulimit,
    parse_volume,
};

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    for mount in [parse_volume(&text), parse_mount(&text), parse_tmpfs(&text)].into_iter().flatten()
    {
        assert!(mount.target.starts_with('/') && mount.target.len() > 1);
        assert!(!mount.target.split('/').any(|part| part == ".."));
        if let MountSource::Volume { name, .. } = &mount.source {
            assert!(name.is_empty() || check_volume_name(name).is_ok());
        }
        survives_json(&mount);
    }
    if let Ok(lane) = text.parse::<Lane>() {
        assert_eq!(lane.to_string().parse().as_ref(), Ok(&lane));
    }
    if let Ok(subnet) = text.parse::<Subnet>() {
        assert_eq!(subnet.to_string().parse().as_ref(), Ok(&subnet));
        assert!(subnet.contains(subnet.gateway()) && subnet.hosts().take(9).count() > 0);
    }
    let _ = text.parse::<NetworkChoice>().inspect(survives_json);
    let _ = text.parse::<PortMaps>().map(|maps| maps.0.iter().for_each(survives_json));
    let _ = text.parse::<InstanceId>().inspect(survives_json);
    let _ = parse_ulimit(&text).inspect(survives_json);
    let _ = parse_restart_policy(&text).inspect(survives_json);
    let _ = (parse_capability(&text), parse_duration(&text), parse_log_option(&text));
    let _ = (parse_moment(&text), parse_security_option(&text));
    let _ = (parse_size(&text), parse_cpus(&text));
});
