//! A disk with a description of its machine, for other programs: OVF 1.x in a
//! tar archive (DMTF DSP0243), with the disk as a compressed VMDK and a
//! manifest of digests.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tandem_backend::BackendError;
use tandem_model::InstanceRecord;

use super::{
    digest::sha256,
    flat::{Target, convert},
    foreign::header,
    qcow2::virtual_size,
};
use crate::machine::DEFAULT_MEMORY;

/// A member's name has a hundred characters at most.
const LONGEST_NAME: usize = 64;

/// What is described.
struct Machine<'a> {
    name: &'a str,
    memory_mib: u64,
    cpus: u32,
    /// Bytes of the disk as a guest sees it.
    size: u64,
    /// Bytes of the disk's file.
    length: u64,
}

/// Writes the appliance of a disk whose topmost layer is the last of `layers`.
pub(super) async fn write(
    node: &Value,
    layers: &[PathBuf],
    record: &InstanceRecord,
    scratch: &Path,
    to: &File,
) -> Result<(), BackendError> {
    let name: String = record.spec.name.chars().take(LONGEST_NAME).collect();
    let path = scratch.join(disk_name(&name));
    let failed = |e| BackendError::io("write", &path, e);
    convert(node, "vmdk", &["-o", "subformat=streamOptimized"], Target::Named(&path)).await?;
    let disk = File::open(&path).map_err(failed)?;
    let top = layers.last().map_or(scratch, PathBuf::as_path);
    let resources = record.spec.resources;
    let machine = Machine {
        name: &name,
        memory_mib: resources.memory_bytes.unwrap_or(DEFAULT_MEMORY) >> 20,
        cpus: resources.milli_cpus.unwrap_or(1000).div_ceil(1000),
        size: virtual_size(top).map_err(|e| BackendError::io("read", top, e))?,
        length: disk.metadata().map_err(failed)?.len(),
    };
    pack(&machine, disk, to).map_err(failed)
}

/// The member with the disk of the machine `name`.
fn disk_name(name: &str) -> String {
    format!("{name}-disk1.vmdk")
}

/// The descriptor comes first, then the digests, then what they are of.
fn pack(machine: &Machine<'_>, mut disk: File, mut to: &File) -> io::Result<()> {
    let name = machine.name;
    let (descriptor, member) = (descriptor(machine), disk_name(name));
    disk.rewind()?;
    let digests = [sha256(descriptor.as_bytes())?, sha256(&disk)?];
    let manifest =
        format!("SHA256({name}.ovf)= {}\nSHA256({member})= {}\n", digests[0], digests[1]);
    for (member, text) in [(format!("{name}.ovf"), &descriptor), (format!("{name}.mf"), &manifest)]
    {
        to.write_all(&header(&member, text.len() as u64))?;
        to.write_all(text.as_bytes())?;
        pad(to, text.len() as u64)?;
    }
    to.write_all(&header(&member, machine.length))?;
    disk.rewind()?;
    io::copy(&mut disk, &mut to)?;
    pad(to, machine.length)?;
    to.write_all(&[0; 1024])
}

fn pad(mut to: &File, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(512) - length;
    to.write_all(&vec![0; usize::try_from(missing).unwrap_or_default()])
}

/// The elements of an item stand in the order of the alphabet: the schema asks
/// for that.
fn descriptor(machine: &Machine<'_>) -> String {
    let Machine { name, memory_mib, cpus, size, length } = machine;
    let item = |id: u32, kind: u32, name: &str, before: &str, middle: &str, quantity: &str| {
        format!(
            "      <Item>{before}<rasd:ElementName>{name}</rasd:ElementName>{middle_first}<rasd:InstanceID>{id}</rasd:InstanceID>{rest}<rasd:ResourceType>{kind}</rasd:ResourceType>{quantity}</Item>\n",
            middle_first = middle.split('|').next().unwrap_or_default(),
            rest = middle.split('|').nth(1).unwrap_or_default(),
        )
    };
    let count = |count: &dyn std::fmt::Display| {
        format!("<rasd:VirtualQuantity>{count}</rasd:VirtualQuantity>")
    };
    let unit = "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>";
    let place = "<rasd:AddressOnParent>0</rasd:AddressOnParent>";
    let net = "<rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection>";
    let sub = |name: &str| format!("|<rasd:ResourceSubType>{name}</rasd:ResourceSubType>");
    let disk =
        "<rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>|<rasd:Parent>3</rasd:Parent>";
    let items = [
        item(1, 3, "processors", "", "", &count(cpus)),
        item(2, 4, "memory", unit, "", &count(memory_mib)),
        item(3, 20, "SATA controller", "", &sub("AHCI"), ""),
        item(4, 17, "disk", place, disk, ""),
        item(5, 10, "network", net, &sub("E1000"), ""),
    ];
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:href="{name}-disk1.vmdk" ovf:id="file1" ovf:size="{length}"/>
  </References>
  <DiskSection>
    <Info>The machine's disk</Info>
    <Disk ovf:capacity="{size}" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The way out</Info>
    <Network ovf:name="NAT"><Description>A network that is translated</Description></Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>A machine of Tandem's</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="96">
      <Info>The operating system</Info>
      <Description>Debian, 64 bit</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>What the machine is made of</Info>
      <System><vssd:ElementName>Virtual hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType></System>
{items}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#,
        items = items.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::foreign::{members, read_ovf};

    #[test]
    fn an_appliance_is_read_as_it_was_written() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(b"KDMV and so on").unwrap();
        let machine =
            Machine { name: "box_1.a", memory_mib: 512, cpus: 2, size: 1 << 30, length: 14 };
        let archive = tempfile::tempfile().unwrap();
        pack(&machine, disk, &archive).unwrap();
        let found = members(&archive).unwrap();
        let names: Vec<_> = found.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["box_1.a.ovf", "box_1.a.mf", "box_1.a-disk1.vmdk"]);
        assert_eq!(found[2].length, 14);
        let described = read_ovf(&descriptor(&machine)).unwrap();
        assert_eq!(described.disk, names[2]);
        assert_eq!((described.memory, described.cpus), (Some(512 << 20), Some(2)));
        assert_eq!(archive.metadata().unwrap().len() % 512, 0);
    }
}
