use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::fs::symlink};

use super::{Bench, bench::files};

async fn copied(bench: &Bench, dockerfile: &str) -> std::collections::BTreeMap<String, String> {
    bench.files(&bench.build(dockerfile).await)
}

#[tokio::test]
async fn files_and_folders_go_where_docker_puts_them() {
    let bench = Bench::new();
    bench.file("a.txt", "A").file("b.txt", "B").file("dir/x", "X").file("dir/deep/y", "Y");
    for (instruction, expected) in [
        ("COPY a.txt /to", &[("to", "644 A")][..]),
        ("COPY a.txt /to/", &[("to", "755 /"), ("to/a.txt", "644 A")]),
        ("COPY a.txt /p/q/to", &[("p", "755 /"), ("p/q", "755 /"), ("p/q/to", "644 A")]),
        ("COPY *.txt /to/", &[("to", "755 /"), ("to/a.txt", "644 A"), ("to/b.txt", "644 B")]),
        (
            "COPY dir /to",
            &[("to", "755 /"), ("to/deep", "755 /"), ("to/deep/y", "644 Y"), ("to/x", "644 X")],
        ),
        ("COPY dir/ /", &[("deep", "755 /"), ("deep/y", "644 Y"), ("x", "644 X")]),
        ("COPY d*/d* /to/", &[("to", "755 /"), ("to/y", "644 Y")]),
        ("COPY [\"a.txt\", \"./\"]", &[("a.txt", "644 A")]),
        ("COPY --chmod=4750 a.txt /to", &[("to", "4750 A")]),
        (
            "COPY <<EOF /to\nx $PATH\nEOF",
            &[("to", "644 x /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")],
        ),
        ("WORKDIR /w\nCOPY a.txt .", &[("w", "755 /"), ("w/a.txt", "644 A")]),
        (
            "WORKDIR /w/v\nWORKDIR ../u\nCOPY a.txt x",
            &[("w", "755 /"), ("w/u", "755 /"), ("w/u/x", "644 A"), ("w/v", "755 /")],
        ),
    ] {
        let found = copied(&bench, &format!("FROM scratch\n{instruction}")).await;
        assert_eq!(found, files(expected), "{instruction}");
    }
}

#[tokio::test]
async fn a_copy_adds_to_what_is_there_and_replaces_files() {
    let bench = Bench::new();
    bench.file("one/a", "1").file("one/keep", "1").file("two/a", "2").file("two/sub/b", "2");
    fs::set_permissions(bench.context().join("two/sub"), fs::Permissions::from_mode(0o700))
        .unwrap();
    let found = copied(&bench, "FROM scratch\nCOPY one /d\nCOPY two /d\nCOPY one/a /d/sub/b").await;
    assert_eq!(
        found,
        files(&[
            ("d", "755 /"),
            ("d/a", "644 2"),
            ("d/keep", "644 1"),
            ("d/sub", "700 /"),
            ("d/sub/b", "644 1")
        ])
    );
    for (instruction, problem) in [
        ("COPY one/a /d/\nCOPY one /d/a", "/d/a is not a folder"),
        ("COPY two /d\nCOPY one/a /d/sub/b/c", "/d/sub/b is not a folder"),
        ("COPY two /d\nCOPY one/a /x/sub\nCOPY x /d", "`x` is not in the build context"),
        ("COPY one/a one/keep /d", "expected a destination that ends with `/`"),
        ("COPY one* /d/\nCOPY one/* /e", "2 files fit"),
    ] {
        let error = bench.refused(&format!("FROM scratch\n{instruction}")).await.to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn links_in_the_image_are_followed_inside_it_only() {
    let bench = Bench::new();
    let canary = bench.canary();
    bench.file("tool", "T").file("usr/bin/old", "O");
    symlink("usr/bin", bench.context().join("bin")).unwrap();
    symlink(canary.parent().unwrap(), bench.context().join("out")).unwrap();
    symlink("../../../../../../..", bench.context().join("up")).unwrap();
    let found = copied(
        &bench,
        "FROM scratch\nCOPY . /\nCOPY tool /bin/\nCOPY tool /out/canary\nCOPY tool /up/top\nWORKDIR /bin/more",
    )
    .await;
    assert_eq!(found["usr/bin/tool"], "644 T");
    assert_eq!(found["bin"], "-> usr/bin");
    assert_eq!(found["top"], "644 T");
    assert_eq!(found["usr/bin/more"], "755 /");
    // The absolute link led to the same path inside the image.
    let inside = canary.strip_prefix("/").unwrap().to_str().unwrap();
    assert_eq!(found[inside], "644 T");
    assert_eq!(fs::read_to_string(canary).unwrap(), "untouched");
}

#[tokio::test]
async fn links_in_the_context_stay_links_but_a_named_one_is_followed() {
    let bench = Bench::new();
    let canary = bench.canary();
    bench.file("dir/real", "R");
    symlink("real", bench.context().join("dir/link")).unwrap();
    symlink(&canary, bench.context().join("escape")).unwrap();
    let found = copied(&bench, "FROM scratch\nCOPY dir /d\nCOPY dir/link /followed").await;
    assert_eq!(
        found,
        files(&[("d", "755 /"), ("d/link", "-> real"), ("d/real", "644 R"), ("followed", "644 R")])
    );
    let error = bench.refused("FROM scratch\nCOPY escape /x").await.to_string();
    assert!(
        error.starts_with("Dockerfile:2:6: `COPY escape /x`: `escape` is not in the build context"),
        "{error}"
    );
}

#[tokio::test]
async fn hard_links_and_modes_survive() {
    let bench = Bench::new();
    bench.file("d/one", "same");
    fs::hard_link(bench.context().join("d/one"), bench.context().join("d/two")).unwrap();
    let tool = bench.context().join("d/one");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o6711)).unwrap();
    let built = bench.build("FROM scratch\nCOPY d /d").await;
    assert_eq!(bench.files(&built)["d/two"], "6711 same");
    let dirs = bench.store.layer_dirs(&built.image, &|_| ()).unwrap();
    let links =
        std::os::unix::fs::MetadataExt::nlink(&fs::metadata(dirs[0].join("d/one")).unwrap());
    assert_eq!(links, 2);
}

#[tokio::test]
async fn a_stage_gives_files_to_another() {
    let bench = Bench::new();
    bench.file("a", "A");
    let built = bench
        .build("FROM scratch AS Build\nWORKDIR /out\nCOPY a b\nRUN write /out/made M\nFROM scratch\nCOPY --from=build /out/ /\nCOPY --from=0 /out/m* /m")
        .await;
    assert_eq!(bench.files(&built), files(&[("b", "644 A"), ("m", "644 M"), ("made", "644 M")]));
    assert_eq!(built.image.layers.len(), 2);
}

#[tokio::test]
async fn parents_are_kept_below_what_a_pattern_names() {
    let bench = Bench::new();
    for name in ["a/x.txt", "a/b/y.txt", "a/b/c/z.txt", "a/b/c/z.md", "a/e/n.md", "d/q.txt"] {
        bench.file(name, "");
    }
    symlink("a", bench.context().join("link")).unwrap();
    symlink("x.txt", bench.context().join("a/up")).unwrap();
    let all = ["a", "a/b", "a/b/c", "a/b/c/z.md", "a/b/c/z.txt", "a/b/y.txt"];
    for (sources, expected) in [
        // Any number of folders, none too.
        (
            "**/*.txt",
            &["a", "a/b", "a/b/c", "a/b/c/z.txt", "a/b/y.txt", "a/x.txt", "d", "d/q.txt"][..],
        ),
        ("a/**/z.*", &["a", "a/b", "a/b/c", "a/b/c/z.md", "a/b/c/z.txt"]),
        ("a/./**/*.md", &["b", "b/c", "b/c/z.md", "e", "e/n.md"]),
        // What is in a folder that fits comes along.
        ("*/b", &all),
        ("a/b/", &all),
        ("./a/./b/c", &["b", "b/c", "b/c/z.md", "b/c/z.txt"]),
        ("d/./", &["q.txt"]),
        // A link is taken as one, and followed before the point only.
        ("a/u*", &["a", "a/up"]),
        ("link/./x.txt", &["x.txt"]),
        // Left out by paths from where names begin.
        ("--exclude=a/b/c --exclude=**/y.* a/b d", &["a", "a/b", "d", "d/q.txt"]),
        ("--exclude=*.txt --exclude=b/c d/q.txt a/./b", &["b", "b/y.txt", "d", "d/q.txt"]),
        ("--exclude=** d/q.txt", &[]),
    ] {
        let found = copied(&bench, &format!("FROM scratch\nCOPY --parents {sources} /")).await;
        assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{sources}");
    }
    let found = copied(&bench, "FROM scratch\nCOPY --parents a/up /").await;
    assert_eq!(found["a/up"], "-> x.txt");
    for (source, part) in [
        ("a/none", "`a/none` is not in the build context"),
        ("link/x.txt", "--parents follows no link"),
        ("a/x.txt/./y", "is not in the build context"),
    ] {
        let text = format!("FROM scratch\nCOPY --parents {source} /");
        let message = bench.refused(&text).await.to_string();
        assert!(message.contains(part), "{source}: {message}");
    }
}
