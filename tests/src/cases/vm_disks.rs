//! Disks of machines that others made: several in one appliance, and a system
//! that gives up. What boots is a boot sector of a few bytes, which takes a
//! second.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{container::row, vm_full::case};
use crate::{Case, World, poll};

pub(super) const CASES: &[Case] =
    &[case("vm_disks::an_appliance_of_several_disks_keeps_them_and_tells_a_panic", several)];

const LIMIT: Duration = Duration::from_mins(2);

/// What is on the second disk.
const MARK: &[u8; 16] = b"the second disk\n";

/// Reads the first sector of the second disk, says 16 bytes of it at the serial
/// port, writes it to the second sector, and tells pvpanic that it gives up.
const BOOT: &[u8] = &[
    0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, // segments, stack
    0xb8, 0x01, 0x02, 0xbb, 0x00, 0x7e, 0xb9, 0x01, 0x00, 0xba, 0x81, 0x00, 0xcd,
    0x13, // read
    0xbe, 0x00, 0x7e, 0xb9, 0x10, 0x00, 0xba, 0xf8, 0x03, 0xac, 0xee, 0xe2, 0xfc, // say
    0xb8, 0x01, 0x03, 0xbb, 0x00, 0x7e, 0xb9, 0x02, 0x00, 0xba, 0x81, 0x00, 0xcd,
    0x13, // write
    0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, // give up
    0xf4, 0xeb, 0xfd,
];

/// The data disk stands first in the list, and the other is attached first.
const DESCRIPTOR: &str = r#"<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References><File ovf:id="f1" ovf:href="data.vmdk"/><File ovf:id="f2" ovf:href="boot.vmdk"/></References>
<DiskSection><Info/><Disk ovf:diskId="data" ovf:fileRef="f1"/><Disk ovf:diskId="boot" ovf:fileRef="f2"/>
<Disk ovf:diskId="blank" ovf:capacity="3" ovf:capacityAllocationUnits="byte * 2^20"/></DiskSection>
<VirtualSystem ovf:id="box"><VirtualHardwareSection>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
<Item><rasd:HostResource>ovf:/disk/boot</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:HostResource>ovf:/disk/data</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:HostResource>ovf:/disk/blank</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
"#;

fn several(world: &World) -> Result<()> {
    let tool = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(world.scratch());
        world.prepare(&mut command);
        world.finish(command)?.ok()
    };
    appliance(world, &tool)?;
    let import = ["import", "--disk", "--name", "pair", "--accelerator", "tcg", "pair.ova"];
    world.tandem_within(LIMIT, import)?.ok()?;
    let id = row(world, "pair")?["id"].as_str().context("no id")?.to_owned();
    let dir = world.home().join("instances").join(id);
    world.tandem(["snapshot", "create", "pair", "before"])?.ok()?;

    world.tandem_within(LIMIT, ["start", "pair"])?.ok()?;
    poll::until("the system to give up", LIMIT, || {
        (row(world, "pair").ok()?["state"] == "exited").then_some(())
    })?;
    let record = world.tandem(["inspect", "pair"])?.ok()?.json()?;
    let said = record[0]["exit"]["error"]["message"].as_str().context("no reason")?;
    ensure!(said.contains("its kernel panicked"), "{said}");
    let boot = world.tandem(["logs", "--boot", "pair"])?.ok()?;
    ensure!(boot.stdout.contains("the second disk"), "{boot}");
    for layer in ["disk.qcow2", "disk-1.qcow2"] {
        let layer = dir.join(layer).display().to_string();
        tool(&["qemu-img", "check", "-f", "qcow2", &layer])?;
    }

    // All of them go on: what was written is in what is carried away.
    let sectors = |name: &str| -> Result<Vec<u8>> {
        let ova = format!("{name}.ova");
        world.tandem_within(LIMIT, ["export", "--disk", "ova", "-o", &ova, name])?.ok()?;
        let members = tool(&["tar", "-tf", &ova])?;
        ensure!(members.stdout.lines().count() == 5, "{members}");
        let disk = format!("{name}-disk2.vmdk");
        tool(&["tar", "-xf", &ova, &disk])?;
        tool(&["qemu-img", "convert", "-f", "vmdk", "-O", "raw", &disk, "out.raw"])?;
        Ok(fs::read(world.scratch().join("out.raw"))?)
    };
    let after = sectors("pair")?;
    ensure!(after[..16] == *MARK && after[512..528] == *MARK, "another disk came out");
    let whole = world.tandem(["export", "--disk", "raw", "-o", "whole.raw", "pair"])?;
    whole.code_is(125)?.is_one_sentence(&["3 disks", "--disk ova"])?;

    // As it was before, in place and as another one.
    world.tandem(["snapshot", "restore", "pair", "before", "--as", "again"])?.ok()?;
    world.tandem(["snapshot", "restore", "pair", "before"])?.ok()?;
    for name in ["pair", "again"] {
        let before = sectors(name)?;
        ensure!(before[..16] == *MARK && before[512..528] == [0; 16], "{name} is not as before");
        world.tandem(["rm", name])?.ok()?;
    }
    Ok(())
}

/// Makes the appliance `pair.ova`.
fn appliance(world: &World, tool: &dyn Fn(&[&str]) -> Result<crate::Output>) -> Result<()> {
    let mut sector = vec![0; 1 << 20];
    sector[..BOOT.len()].copy_from_slice(BOOT);
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut data = vec![0; 2 << 20];
    data[..MARK.len()].copy_from_slice(MARK);
    for (name, bytes) in [("boot", sector), ("data", data)] {
        let (raw, vmdk) = (format!("{name}.raw"), format!("{name}.vmdk"));
        fs::write(world.scratch().join(&raw), bytes)?;
        let convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o"];
        tool(&[&convert[..], &["subformat=streamOptimized", &raw, &vmdk]].concat())?;
    }
    fs::write(world.scratch().join("box.ovf"), DESCRIPTOR)?;
    tool(&["tar", "--format=ustar", "-cf", "pair.ova", "box.ovf", "data.vmdk", "boot.vmdk"])?;
    Ok(())
}
