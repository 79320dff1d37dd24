//! What an appliance's descriptor says (DMTF DSP0243, OVF 1.x), as far as we
//! ask.

use roxmltree::{Document, Node};

/// A longer descriptor is none, bytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// A machine as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// The member with the disk.
    pub(crate) disk: String,
    /// Memory in bytes.
    pub(crate) memory: Option<u64>,
    /// Processors.
    pub(crate) cpus: Option<u32>,
}

/// Reads a descriptor. Entities of a document's own are not taken, so that it
/// cannot grow. An error is the end of a sentence about the file.
pub(crate) fn read(text: &str) -> Result<Described, String> {
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
    let disks: Vec<_> = all("Disk").collect();
    let [disk] = disks[..] else {
        return Err(format!("has {} disks, and a machine here has one", disks.len()));
    };
    let id = attribute(disk, "fileRef").ok_or("has a disk without a file")?;
    let file = all("File").find(|file| attribute(*file, "id") == Some(id));
    let file = file.ok_or("names a file that it does not list")?;
    if attribute(file, "chunkSize").is_some()
        || attribute(file, "compression").is_some_and(|it| it != "identity")
    {
        return Err("has its disk in pieces or compressed; export it again without".to_owned());
    }
    let disk = attribute(file, "href").unwrap_or_default().to_owned();
    let amount = |kind: &str| {
        let item = all("Item").find(|it| child(*it, "ResourceType") == Some(kind))?;
        Some((child(item, "VirtualQuantity")?.parse::<u64>().ok()?, child(item, "AllocationUnits")))
    };
    let memory = amount("4").and_then(|(count, unit)| count.checked_mul(unit_of(unit)?));
    let cpus = amount("3").and_then(|(count, _)| u32::try_from(count).ok());
    Ok(Described { disk, memory, cpus })
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
        assert_eq!(found.disk, "box-disk1.vmdk");
        assert_eq!((found.memory, found.cpus), (Some(768 << 20), Some(2)));
        assert_eq!(read(&TEXT.replace("byte * 2^20", "bushels")).unwrap().memory, None);
    }

    #[test]
    fn what_is_not_one_machine_with_one_disk_is_refused() {
        let said = |text: &str| read(text).unwrap_err();
        assert!(said("<a").contains("no XML"));
        assert!(said("<a/>").contains("no OVF"));
        let two = TEXT.replace("</DiskSection>", "<Disk ovf:fileRef=\"f1\"/></DiskSection>");
        assert!(said(&two).contains("2 disks"));
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
