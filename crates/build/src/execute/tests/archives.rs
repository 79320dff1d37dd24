use std::{fs, io::Write as _};

use tar::{Builder, EntryType, Header};

use super::{Bench, bench::files};

/// An archive of (name, kind, content or link target).
fn archive(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, text) in members {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o750 } else { 0o640 });
        header.set_mtime(1_000_000);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = if *kind == EntryType::Regular { text.as_bytes() } else { b"" };
        if *kind != EntryType::Regular {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn add_unpacks_archives_and_copies_the_rest() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let bench = Bench::new();
    let tar = archive(&[
        ("d/", Directory, ""),
        ("d/f", Regular, "F"),
        ("d/s", Symlink, "f"),
        ("h", Link, "d/f"),
        ("deep/er/g", Regular, "G"),
    ]);
    for (name, bytes) in [
        ("a.tar", tar.clone()),
        ("a.tgz", gzip(&tar)),
        ("a.tzst", zstd::encode_all(tar.as_slice(), 1).unwrap()),
        ("plain.gz", gzip(b"no archive")),
    ] {
        fs::write(bench.context().join(name), bytes).unwrap();
    }
    let expected = files(&[
        ("o", "755 /"),
        ("o/d", "750 /"),
        ("o/d/f", "640 F"),
        ("o/d/s", "-> f"),
        ("o/deep", "755 /"),
        ("o/deep/er", "755 /"),
        ("o/deep/er/g", "640 G"),
        ("o/h", "640 F"),
    ]);
    for name in ["a.tar", "a.tgz", "a.tzst"] {
        let built = bench.build(&format!("FROM scratch\nADD {name} /o")).await;
        assert_eq!(bench.files(&built), expected, "{name}");
    }
    for instruction in ["ADD plain.gz /o/", "COPY a.tar /o/"] {
        let built = bench.build(&format!("FROM scratch\n{instruction}")).await;
        let copied =
            fs::read(bench.context().join(instruction.split(' ').nth(1).unwrap())).unwrap();
        let dirs = bench.store.layer_dirs(&built.image, &|_| ()).unwrap();
        let name = instruction.split(' ').nth(1).unwrap();
        assert_eq!(fs::read(dirs[0].join("o").join(name)).unwrap(), copied);
    }
}

#[tokio::test]
async fn no_name_in_an_archive_leads_outside() {
    use EntryType::{Link, Regular, Symlink};
    let bench = Bench::new();
    let canary = bench.canary();
    let outside = canary.parent().unwrap().to_str().unwrap();
    let tar = archive(&[
        ("../../up", Regular, "1"),
        ("/absolute", Regular, "2"),
        ("out", Symlink, outside),
        ("out/canary", Regular, "3"),
        ("climb", Symlink, "../../../../../../../.."),
        ("climb/top", Regular, "4"),
    ]);
    fs::write(bench.context().join("a.tar"), tar).unwrap();
    let built = bench.build("FROM scratch\nADD a.tar /o/").await;
    let found = bench.files(&built);
    assert_eq!(found["o/up"], "640 1");
    assert_eq!(found["o/absolute"], "640 2");
    assert_eq!(found[&format!("o{outside}/canary")], "640 3");
    assert_eq!(found["o/top"], "640 4");
    assert!(found.keys().all(|path| path == "o" || path.starts_with("o/")));
    assert_eq!(fs::read_to_string(&canary).unwrap(), "untouched");
    let link = archive(&[("l", Link, &format!("../../../../../..{}", canary.display()))]);
    fs::write(bench.context().join("a.tar"), link).unwrap();
    bench.refused("FROM scratch\nADD a.tar /o/").await;
}

#[tokio::test]
async fn bombs_end_at_the_limit_of_the_home() {
    use EntryType::{Regular, XHeader};
    let bench = Bench::new();
    let names: Vec<String> = (0..40).map(|at| format!("f{at}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), Regular, "x")).collect();
    fs::write(bench.context().join("many.tar"), archive(&many)).unwrap();
    // A header of megabytes that packs to nothing.
    let record = format!("{} comment={}\n", 3_000_017, "x".repeat(3_000_000));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_entry_type(XHeader);
    header.as_old_mut().name[..3].copy_from_slice(b"pax");
    header.set_size(record.len() as u64);
    header.set_cksum();
    builder.append(&header, record.as_bytes()).unwrap();
    let long = [builder.into_inner().unwrap(), archive(&[("f", Regular, "x")])].concat();
    fs::write(bench.context().join("long.tgz"), gzip(&long)).unwrap();
    let error = bench.refused("FROM scratch\nADD long.tgz /o/").await.to_string();
    assert!(error.contains("`header_bytes` in limits.json"), "{error}");
    bench.build("FROM scratch\nADD many.tar /o/").await;
    fs::write(bench.home.root().join("limits.json"), r#"{"entries": 10}"#).unwrap();
    let error = bench.refused("FROM scratch\nADD many.tar /o/new/").await.to_string();
    assert!(error.contains("more than 10 entries"), "{error}");
}

#[tokio::test]
async fn files_and_folders_replace_each_other() {
    use EntryType::{Directory, Regular};
    let bench = Bench::new();
    bench.file("one/a/in", "A").file("one/b", "B");
    let tar = archive(&[
        ("a", Regular, "now a file"),
        ("b/", Directory, ""),
        ("b/in", Regular, "now a folder"),
    ]);
    fs::write(bench.context().join("a.tar"), tar).unwrap();
    let twice = archive(&[("a", Regular, "x"), ("a/", Directory, ""), ("a/new", Regular, "N")]);
    fs::write(bench.context().join("twice.tar"), twice).unwrap();
    let built = bench.build("FROM scratch\nCOPY one /\nADD a.tar /").await;
    assert_eq!(
        bench.files(&built),
        files(&[("a", "640 now a file"), ("b", "750 /"), ("b/in", "640 now a folder")])
    );
    // What the archive's file hid does not come back with its folder.
    let built = bench.build("FROM scratch\nCOPY one /\nADD twice.tar /").await;
    assert_eq!(bench.files(&built), files(&[("a", "750 /"), ("a/new", "640 N"), ("b", "644 B")]));
}
