//! A disk with a description of its machine, for other programs: OVF 1.x in a
//! tar archive (DMTF DSP0243), with the disk as a compressed VMDK and a
//! manifest of digests.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Seek as _, Write as _},
    path::Path,
};

use serde_json::Value;
use tandem_backend::BackendError;
use tandem_model::InstanceRecord;

use super::{
    digest::sha256,
    flat::{Target, convert},
    foreign::header,
};
use crate::machine::DEFAULT_MEMORY;

/// A member's name has a hundred characters at most.
const LONGEST_NAME: usize = 64;

/// What is described.
struct Machine<'a> {
    name: &'a str,
    memory_mib: u64,
    cpus: u32,
    disks: Vec<Disk>,
}

/// A disk in a file of its own.
struct Disk {
    file: File,
    /// Bytes as a guest sees it.
    size: u64,
    /// Bytes of the file.
    length: u64,
}

/// Writes the appliance of disks, each with its bytes as a guest sees it; the
/// machine starts from the first.
pub(super) async fn write(
    disks: &[(Value, u64)],
    record: &InstanceRecord,
    scratch: &Path,
    to: &File,
) -> Result<(), BackendError> {
    let name: String = record.spec.name.chars().take(LONGEST_NAME).collect();
    let resources = record.spec.resources;
    let mut machine = Machine {
        name: &name,
        memory_mib: resources.memory_bytes.unwrap_or(DEFAULT_MEMORY) >> 20,
        cpus: resources.milli_cpus.unwrap_or(1000).div_ceil(1000),
        disks: Vec::new(),
    };
    for (at, (node, size)) in disks.iter().enumerate() {
        let path = scratch.join(disk_name(&name, at));
        let failed = |e| BackendError::io("write", &path, e);
        convert(node, "vmdk", &["-o", "subformat=streamOptimized"], Target::Named(&path)).await?;
        let file = File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        machine.disks.push(Disk { file, size: *size, length });
    }
    pack(&machine, to).map_err(|e| BackendError::io("write", scratch, e))
}

/// The member with a disk of the machine `name`, counted from 0.
fn disk_name(name: &str, at: usize) -> String {
    format!("{name}-disk{}.vmdk", at + 1)
}

/// The descriptor comes first, then the digests, then what they are of.
fn pack(machine: &Machine<'_>, mut to: &File) -> io::Result<()> {
    let name = machine.name;
    let descriptor = descriptor(machine);
    let mut manifest = format!("SHA256({name}.ovf)= {}\n", sha256(descriptor.as_bytes())?);
    for (at, disk) in machine.disks.iter().enumerate() {
        (&disk.file).rewind()?;
        let _ = writeln!(manifest, "SHA256({})= {}", disk_name(name, at), sha256(&disk.file)?);
    }
    for (member, text) in [(format!("{name}.ovf"), &descriptor), (format!("{name}.mf"), &manifest)]
    {
        to.write_all(&header(&member, text.len() as u64))?;
        to.write_all(text.as_bytes())?;
        pad(to, text.len() as u64)?;
    }
    for (at, disk) in machine.disks.iter().enumerate() {
        to.write_all(&header(&disk_name(name, at), disk.length))?;
        (&disk.file).rewind()?;
        io::copy(&mut &disk.file, &mut to)?;
        pad(to, disk.length)?;
    }
    to.write_all(&[0; 1024])
}

fn pad(mut to: &File, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(512) - length;
    to.write_all(&vec![0; usize::try_from(missing).unwrap_or_default()])
}

/// The elements of an item stand in the order of the alphabet: the schema asks
/// for that.
fn descriptor(machine: &Machine<'_>) -> String {
    let Machine { name, memory_mib, cpus, disks } = machine;
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
    let net = "<rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection>";
    let sub = |name: &str| format!("|<rasd:ResourceSubType>{name}</rasd:ResourceSubType>");
    let mut items = vec![
        item(1, 3, "processors", "", "", &count(cpus)),
        item(2, 4, "memory", unit, "", &count(memory_mib)),
        item(3, 20, "SATA controller", "", &sub("AHCI"), ""),
        item(4, 10, "network", net, &sub("E1000"), ""),
    ];
    let (mut files, mut sections) = (String::new(), String::new());
    for (at, (disk, id)) in disks.iter().zip(5_u32..).enumerate() {
        let (number, Disk { size, length, .. }) = (at + 1, disk);
        let place = format!("<rasd:AddressOnParent>{at}</rasd:AddressOnParent>");
        let middle = format!(
            "<rasd:HostResource>ovf:/disk/vmdisk{number}</rasd:HostResource>|<rasd:Parent>3</rasd:Parent>"
        );
        items.push(item(id, 17, "disk", &place, &middle, ""));
        let href = disk_name(name, at);
        let _ = writeln!(
            files,
            "    <File ovf:href=\"{href}\" ovf:id=\"file{number}\" ovf:size=\"{length}\"/>"
        );
        let _ = writeln!(
            sections,
            "    <Disk ovf:capacity=\"{size}\" ovf:diskId=\"vmdisk{number}\" ovf:fileRef=\"file{number}\" ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
{files}  </References>
  <DiskSection>
    <Info>The machine's disks</Info>
{sections}  </DiskSection>
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
    use crate::disk::foreign::{Described, members, read_ovf};

    #[test]
    fn an_appliance_is_read_as_it_was_written() {
        let disk = |text: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text).unwrap();
            Disk { file, size: 1 << 30, length: text.len() as u64 }
        };
        let disks = vec![disk(b"KDMV and so on"), disk(b"KDMV")];
        let machine = Machine { name: "box_1.a", memory_mib: 512, cpus: 2, disks };
        let archive = tempfile::tempfile().unwrap();
        pack(&machine, &archive).unwrap();
        let found = members(&archive).unwrap();
        let names: Vec<_> = found.iter().map(|member| member.name.as_str()).collect();
        let expected = ["box_1.a.ovf", "box_1.a.mf", "box_1.a-disk1.vmdk", "box_1.a-disk2.vmdk"];
        assert_eq!(names, expected);
        assert_eq!((found[2].length, found[3].length), (14, 4));
        let described = read_ovf(&descriptor(&machine)).unwrap();
        let disks = [names[2], names[3]].map(|name| Described::File(name.to_owned()));
        assert_eq!(described.disks, disks);
        assert_eq!((described.memory, described.cpus), (Some(512 << 20), Some(2)));
        assert_eq!(archive.metadata().unwrap().len() % 512, 0);
    }
}
