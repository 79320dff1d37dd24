//! What an appliance's descriptor says (DMTF DSP0243, OVF 1.x), as far as we
//! ask.

use roxmltree::{Document, Node};

/// A longer descriptor is none, bytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// A disk as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Described {
    /// The member with its bytes.
    File(String),
    /// So many bytes with nothing on them.
    Empty(u64),
}

/// The most disks of a machine: it has one SATA controller.
pub(crate) const MOST_DISKS: usize = 6;

/// A machine as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Its disks; it starts from the first.
    pub(crate) disks: Vec<Described>,
    /// Memory in bytes.
    pub(crate) memory: Option<u64>,
    /// Processors.
    pub(crate) cpus: Option<u32>,
}

/// Reads a descriptor. Entities of a document's own are not taken, so that it
/// cannot grow. An error is the end of a sentence about the file.
pub(crate) fn read(text: &str) -> Result<Machine, String> {
    let document =
        Document::parse(text).map_err(|e| format!("has a descriptor that is no XML ({e})"))?;
    let all = |name: &'static str| {
        document.descendants().filter(move |it: &Node<'_, '_>| it.tag_name().name() == name)
    };
    if document.root_element().tag_name().name() != "Envelope" {
        return Err("has a descriptor that is no OVF envelope".to_owned());
    }
    let machines = all("VirtualSystem").count();
    if machines != 1 {
        return Err(format!("describes {machines} machines, and one at a time is imported"));
    }
    let mut disks = Vec::new();
    for disk in in_order(&document) {
        disks.push(described(&document, disk)?);
    }
    match disks.len() {
        0 => return Err("has no disk".to_owned()),
        1..=MOST_DISKS => {}
        count => {
            return Err(format!("has {count} disks, and a machine here has {MOST_DISKS} at most"));
        }
    }
    let amount = |kind: &str| {
        let item = all("Item").find(|it| child(*it, "ResourceType") == Some(kind))?;
        Some((child(item, "VirtualQuantity")?.parse::<u64>().ok()?, child(item, "AllocationUnits")))
    };
    let memory = amount("4").and_then(|(count, unit)| count.checked_mul(unit_of(unit)?));
    let cpus = amount("3").and_then(|(count, _)| u32::try_from(count).ok());
    Ok(Machine { disks, memory, cpus })
}

/// The disks as they are attached: in the order of the machine's items, then
/// those that no item names.
fn in_order<'a, 'i>(document: &'a Document<'i>) -> Vec<Node<'a, 'i>> {
    let all = |name: &'static str| {
        document.descendants().filter(move |it: &Node<'_, '_>| it.tag_name().name() == name)
    };
    let named = |item: &Node<'_, '_>| {
        let place = child(*item, "HostResource")?;
        Some(place.rsplit_once("disk/")?.1.to_owned())
    };
    let hard_disk = |item: &Node<'_, '_>| child(*item, "ResourceType") == Some("17");
    let order: Vec<String> =
        all("Item").filter(hard_disk).filter_map(|item| named(&item)).collect();
    let mut disks: Vec<_> = all("Disk").collect();
    // The sort keeps the order of equals.
    disks.sort_by_key(|disk| {
        let id = attribute(*disk, "diskId").unwrap_or_default();
        order.iter().position(|other| other == id).unwrap_or(order.len())
    });
    disks
}

fn described(document: &Document<'_>, disk: Node<'_, '_>) -> Result<Described, String> {
    if attribute(disk, "parentRef").is_some() {
        return Err("has a disk that is only the difference to another one; export it again without its snapshots".to_owned());
    }
    let Some(id) = attribute(disk, "fileRef") else {
        let capacity = attribute(disk, "capacity").and_then(|it| it.parse::<u64>().ok());
        let unit = unit_of(Some(attribute(disk, "capacityAllocationUnits").unwrap_or("byte")));
        let bytes = capacity.zip(unit).and_then(|(count, unit)| count.checked_mul(unit));
        let bytes =
            bytes.filter(|bytes| *bytes > 0).and_then(|it| it.checked_next_multiple_of(512));
        return bytes
            .map(Described::Empty)
            .ok_or("has a disk without a file and without a size".to_owned());
    };
    let files = document.descendants().filter(|it| it.tag_name().name() == "File");
    let file = files.into_iter().find(|file| attribute(*file, "id") == Some(id));
    let file = file.ok_or("names a file that it does not list")?;
    if attribute(file, "chunkSize").is_some()
        || attribute(file, "compression").is_some_and(|it| it != "identity")
    {
        return Err("has a disk in pieces or compressed; export it again without".to_owned());
    }
    Ok(Described::File(attribute(file, "href").unwrap_or_default().to_owned()))
}

/// An attribute, whatever its name space: descriptors differ there.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|it| it.name() == name).map(|it| it.value())
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let found = node.children().find(|it| it.tag_name().name() == name)?;
    found.text().map(str::trim)
}

/// Bytes of a unit as DSP0004 writes it, or as old descriptors do.
fn unit_of(unit: Option<&str>) -> Option<u64> {
    let text: String = unit.unwrap_or("MegaBytes").split_whitespace().collect();
    Some(match text.to_ascii_lowercase().as_str() {
        "byte" | "bytes" => 1,
        "byte*2^10" | "kilobytes" => 1 << 10,
        "byte*2^20" | "megabytes" | "mb" => 1 << 20,
        "byte*2^30" | "gigabytes" => 1 << 30,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
<References><File ovf:id="f1" ovf:href="box-disk1.vmdk"/></References>
<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f1"/></DiskSection>
<VirtualSystem ovf:id="box"><VirtualHardwareSection>
<Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>768</rasd:VirtualQuantity></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>"#;

    #[test]
    fn disk_and_size_are_found() {
        let found = read(TEXT).unwrap();
        assert_eq!(found.disks, [Described::File("box-disk1.vmdk".to_owned())]);
        assert_eq!((found.memory, found.cpus), (Some(768 << 20), Some(2)));
        assert_eq!(read(&TEXT.replace("byte * 2^20", "bushels")).unwrap().memory, None);
    }

    #[test]
    fn disks_come_as_they_are_attached() {
        let more = "<Disk ovf:diskId=\"e\" ovf:capacity=\"2\" ovf:capacityAllocationUnits=\"byte * 2^30\"/><Disk ovf:diskId=\"b\" ovf:fileRef=\"f2\"/></DiskSection>";
        let item = |id: &str| {
            format!(
                "<Item><rasd:HostResource>ovf:/disk/{id}</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>"
            )
        };
        let file = "<File ovf:id=\"f2\" ovf:href=\"boot.vmdk\"/></References>";
        let text = TEXT.replace("</DiskSection>", more).replace("</References>", file).replace(
            "</VirtualHardwareSection>",
            &format!("{}{}</VirtualHardwareSection>", item("b"), item("d")),
        );
        let file = |name: &str| Described::File(name.to_owned());
        let expected = [file("boot.vmdk"), file("box-disk1.vmdk"), Described::Empty(2 << 30)];
        assert_eq!(read(&text).unwrap().disks, expected);
        let difference = text.replace("ovf:diskId=\"b\"", "ovf:diskId=\"b\" ovf:parentRef=\"d\"");
        assert!(read(&difference).unwrap_err().contains("difference"));
        let nothing = text.replace("ovf:capacity=\"2\"", "ovf:capacity=\"${x}\"");
        assert!(read(&nothing).unwrap_err().contains("without a size"));
        let none = text.replace("ovf:capacity=\"2\"", "ovf:capacity=\"0\"");
        assert!(read(&none).unwrap_err().contains("without a size"));
        let many = TEXT.replace(
            "</DiskSection>",
            &format!("{}</DiskSection>", "<Disk ovf:fileRef=\"f1\"/>".repeat(6)),
        );
        assert!(read(&many).unwrap_err().contains("7 disks"));
    }

    #[test]
    fn what_is_not_one_machine_is_refused() {
        let said = |text: &str| read(text).unwrap_err();
        assert!(said("<a").contains("no XML"));
        assert!(said("<a/>").contains("no OVF"));
        let none = TEXT.replace("<Disk ovf:diskId=\"d\" ovf:fileRef=\"f1\"/>", "");
        assert!(said(&none).contains("no disk"));
        let two = TEXT.replace("</Envelope>", "<VirtualSystem/></Envelope>");
        assert!(said(&two).contains("2 machines"));
        assert!(
            said(
                &TEXT
                    .replace("\"f1\"/></R", "\"f2\"/></R")
                    .replace("ovf:id=\"f1\"", "ovf:id=\"f9\"")
            )
            .contains("does not list")
        );
        assert!(
            said(&TEXT.replace("href=", "compression=\"gzip\" ovf:href=")).contains("compressed")
        );
        assert!(said(&TEXT.replace("href=", "chunkSize=\"9\" ovf:href=")).contains("in pieces"));
        // Only a file is one, whatever else bears its name.
        let other = TEXT.replace("<References>", "<References><Note id=\"f1\" href=\"x\"/>");
        assert_eq!(read(&other).unwrap(), read(TEXT).unwrap());
        let bomb = format!("<!DOCTYPE a [<!ENTITY b \"bb\">]>{TEXT}");
        assert!(said(&bomb).contains("no XML"), "entities of its own");
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in ".{0,300}") {
            prop_assert!(read(&text).is_err());
        }
    }
}
