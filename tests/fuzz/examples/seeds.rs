//! Makes the seeds that are no text, always the same bytes:
//!
//! ```sh
//! cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds
//! ```

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tandem_guest::wire::{APP, Frame, FromGuest, GuestStats, Stream};
use tar::{EntryType, Header};

fn main() {
    layers();
    archives();
    channels();
    kernels();
    disks();
}

fn seed(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder for seeds");
    fs::write(folder.join(name), bytes).expect("a seed");
}

/// An archive under construction.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn add(mut self, kind: EntryType, path: &str, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        let names = header.as_old_mut();
        names.name[..path.len()].copy_from_slice(path.as_bytes());
        names.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_mode(0o755);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, data: &[u8]) -> Self {
        self.add(EntryType::Regular, path, "", data)
    }

    fn symlink(self, path: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, path, target, b"")
    }

    fn hard_link(self, path: &str, target: &str) -> Self {
        self.add(EntryType::Link, path, target, b"")
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.add(EntryType::XHeader, "pax", "", records.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (1..4).map(|digits| rest + digits).find(|it| it.to_string().len() + rest == *it);
    format!("{} {key}={value}\n", length.expect("a short record"))
}

const FAR: &str = "/tmp/tandem-fuzz-outside";

fn layers() {
    let tar = Tar::default;
    let all: [(&str, Tar); 9] = [
        (
            "plain",
            tar()
                .add(EntryType::Directory, "d/", "", b"")
                .file("d/f", b"text")
                .symlink("d/s", "f")
                .hard_link("d/h", "d/f"),
        ),
        ("deletions", tar().file("d/.wh.f", b"").file("d/.wh..wh..opq", b"").file("d/g", b"x")),
        ("dots", tar().file("../outside/file", b"evil").file("a/../../outside/new", b"evil")),
        ("link-beside", tar().symlink("l", "../outside").file("l/file", b"evil")),
        ("link-far", tar().symlink("l", FAR).file("l/file", b"evil").file("l/new", b"evil")),
        ("absolute", tar().file(&format!("{FAR}/file"), b"evil")),
        ("hard-link", tar().hard_link("h", "../outside/file").file("h", b"evil")),
        (
            "pax",
            tar()
                .pax(&[
                    ("path", "long/name"),
                    ("mtime", "1.5"),
                    ("uid", "7"),
                    ("SCHILY.xattr.user.a", "b"),
                ])
                .file("short", b"text"),
        ),
        (
            "sparse",
            tar()
                .pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "holes"),
                    ("GNU.sparse.realsize", "9000"),
                ])
                .file("GNUSparseFile/holes", &leading_map()),
        ),
    ];
    for (name, tar) in all {
        let bytes = tar.end();
        seed("layer", name, &bytes);
        seed("extract", name, &bytes);
    }
    let nodes = tar()
        .add(EntryType::Fifo, "pipe", "", b"")
        .add(EntryType::Char, "null", "", b"")
        .add(EntryType::GNULongName, "././@LongLink", "", b"another/name\0")
        .file("f", b"x");
    seed("layer", "nodes", &nodes.end());
    seed("pax", "records", (record("path", "a/b") + &record("size", "12")).as_bytes());

    let small = tar().file("f", b"text text text text").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&small).expect("gzip");
    seed("packed", "gzip", &gzip.finish().expect("gzip"));
    seed("packed", "zstd", &zstd::encode_all(&small[..], 3).expect("zstd"));
    seed("packed", "xz", &through("xz", &small));
    seed("packed", "bzip2", &through("bzip2", &small));
}

/// One piece of three bytes at 4096.
fn leading_map() -> Vec<u8> {
    let mut map = b"1\n4096\n3\n".to_vec();
    map.resize(512, 0);
    map.extend(b"abc");
    map
}

fn through(program: &str, bytes: &[u8]) -> Vec<u8> {
    let piped = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = piped.expect("the program is there");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    child.wait_with_output().expect("it ends").stdout
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn archives() {
    let layer = Tar::default().file("f", b"text").end();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/f"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))]}
    })
    .to_string();
    let docker = json!([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}]);
    let archive = Tar::default()
        .file("l/layer.tar", &layer)
        .file("config.json", config.as_bytes())
        .file("manifest.json", docker.to_string().as_bytes());
    seed("archive", "docker", &archive.end());

    let descriptor = |kind: &str, bytes: &[u8]| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{}", digest(bytes)), "size": bytes.len()
        })
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config.as_bytes()),
        "layers": [descriptor("layer.v1.tar", &layer)]
    })
    .to_string();
    let mut entry = descriptor("manifest.v1+json", manifest.as_bytes());
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "a:1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", digest(bytes));
    let archive = Tar::default()
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", index.as_bytes())
        .file(&blob(manifest.as_bytes()), manifest.as_bytes())
        .file(&blob(config.as_bytes()), config.as_bytes())
        .file(&blob(&layer), &layer);
    seed("archive", "oci", &archive.end());
    seed("manifests", "manifest", format!("{manifest}\n{config}").as_bytes());
    entry["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let list = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    seed("manifests", "list", list.as_bytes());
}

fn channels() {
    let frames = [
        Frame::message(0, FromGuest::Hello { version: 1, kernel: "6.1".to_owned() }),
        Frame::data(APP, Stream::Stdout, b"text\n".to_vec()),
        Frame::message(2, FromGuest::Stats(GuestStats::default())),
        Frame::message(APP, FromGuest::Exited { code: 0, out_of_memory: false }),
    ];
    let bytes = frames.iter().filter_map(Frame::to_bytes).flatten();
    seed("guest_channel", "frames", &[7].into_iter().chain(bytes).collect::<Vec<u8>>());
    let failure = br#"i!{"failure":"no_user","name":"app"}"#;
    seed("guest_channel", "marks", &[b"\x01irnx\n", &failure[..], b"\n"].concat());

    let frame = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len()).expect("a short body").to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    let said = [frame(b'i', b"ls\n"), frame(b'w', &[0, 40, 1, 0]), frame(b'e', b"")].concat();
    seed("attach", "requests", &said);
    let end = br#"{"code":3,"out_of_memory":false,"error":null}"#;
    let said = [frame(b'o', b"text"), frame(b'r', b"oh"), frame(b'x', end)].concat();
    seed("attach", "events", &said);
    let piece = |kind: u8, text: &[u8]| [&[kind, 0, 0][..], &frame(0, text)].concat();
    let said = [&[5][..], &piece(1, b"text"), &piece(2, b"oh"), &piece(0, b"?")].concat();
    seed("engine_output", "both", &said);
}

fn kernels() {
    let mut kernel = b"\x7fELF\x02\x01".to_vec();
    kernel.extend([7; 90]);
    kernel.extend([4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]);
    kernel.extend(b"Xen\0");
    let image = |payload: &[u8]| {
        let mut image = vec![0; 5 * 512];
        image[0x1f1] = 4;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        let length = u32::try_from(payload.len() + 4).expect("a short payload");
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend(payload);
        image.extend([0; 4]);
        [&[0][..], &image].concat()
    };
    // One block of literals.
    let mut lz4 = vec![2, 0x21, 0x4c, 0x18];
    let block = [&[0xf0, u8::try_from(kernel.len() - 15).expect("short")][..], &kernel].concat();
    lz4.extend(u32::try_from(block.len()).expect("short").to_le_bytes());
    lz4.extend(block);
    seed("kernel", "plain", &image(&kernel));
    seed("kernel", "zstd", &image(&zstd::encode_all(&kernel[..], 3).expect("zstd")));
    seed("kernel", "image-lz4", &image(&lz4));
    seed("kernel", "lz4", &[&[1][..], &lz4].concat());
    // "abc", then nine bytes from three back, then "z".
    let block = [0x35, b'a', b'b', b'c', 3, 0, 0x10, b'z'];
    seed("kernel", "lz4-matches", &[&[1, 2, 0x21, 0x4c, 0x18, 8, 0, 0, 0][..], &block].concat());
    let module = module(b"license=GPL\0depends=virtio,virtio-ring\0");
    seed("kernel", "elf", &[&[2][..], &module].concat());
    let signed = [&[3][..], &module, &[0; 11], &[3], b"~Module signature appended~\n"].concat();
    seed("kernel", "module", &signed);
    let told = "\x04Package: x\nDepends: linux-image-6.1.0-1-cloud-amd64 (= 6.1)\n";
    seed("kernel", "package", told.as_bytes());
}

/// A file with one section, `.modinfo`, and that of the sections' names.
fn module(info: &[u8]) -> Vec<u8> {
    let names = b"\0.modinfo\0.shstrtab\0";
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file.extend(info);
    file.extend(names);
    let headers = file.len() as u64;
    for (name, at, size) in [(1_u32, 64, info.len()), (10, 64 + info.len(), names.len())] {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
        header[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
        file.extend(header);
    }
    file[0x28..0x30].copy_from_slice(&headers.to_le_bytes());
    file[0x3a..0x40].copy_from_slice(&[64, 0, 2, 0, 1, 0]);
    file
}

fn disks() {
    let size: u64 = 10 << 30;
    let made = tandem_vm::fuzz::disk::overlay(Path::new("/base.ext4"), size).expect("a disk");
    seed("disk", "head", &made[..112]);
    seed("disk", "ours", &[&size.to_be_bytes()[..], b"/base.ext4"].concat());
    seed("disk", "chain", br#"["disk.qcow2","disk-1.qcow2"]"#);
    let mut packed = b"tandem-sparse-1\n".to_vec();
    for number in [20_000_u64, 8192, 4] {
        packed.extend(number.to_le_bytes());
    }
    packed.extend(b"text");
    packed.extend([0; 16]);
    seed("packed_disk", "plain", &packed);
    let packed = zstd::encode_all(&packed[..], 1).expect("zstd");
    seed("packed_disk", "packed", &[&[0][..], &packed].concat());
    foreign_disks();
}

/// A disk of each kind and an appliance.
fn foreign_disks() {
    // Clusters of 512 bytes: header, reference counts, tables.
    let mut plain = vec![0; 2048];
    plain[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    for (at, number) in [(20, 9_u32), (36, 32), (56, 1), (96, 4), (100, 104)] {
        plain[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    for (at, number) in [(24, 1_u64 << 20), (40, 1024), (48, 512)] {
        plain[at..at + 8].copy_from_slice(&number.to_be_bytes());
    }
    seed("foreign_disk", "qcow2", &plain);
    let mut vmdk = vec![0; 512 * 24];
    vmdk[..8].copy_from_slice(b"KDMV\x03\0\0\0");
    for (at, number) in [(12, 2048_u64), (20, 128), (28, 1), (36, 20), (56, 21)] {
        vmdk[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    vmdk[44..48].copy_from_slice(&512_u32.to_le_bytes());
    vmdk[77] = 1;
    let text = b"parentCID=ffffffff\ncreateType=\"streamOptimized\"\nRW 2048 SPARSE \"d.vmdk\"\n";
    vmdk[512..512 + text.len()].copy_from_slice(text);
    seed("foreign_disk", "vmdk", &vmdk);
    let descriptor =
        br#"<Envelope><File id="f" href="d.vmdk"/><Disk fileRef="f"/><VirtualSystem/></Envelope>"#;
    seed("foreign_disk", "ovf", descriptor);
    let appliance = Tar::default().file("d.ovf", descriptor).file("d.vmdk", &vmdk);
    seed("foreign_disk", "ova", &appliance.0);
}
