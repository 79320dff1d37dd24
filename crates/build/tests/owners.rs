//! Owners in the image. Only root can give files away, so without it these
//! tests are counted as ignored.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::ExitCode,
};

use async_trait::async_trait;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tandem_backend::{BackendError, StepRunner, StepSpec, Stream};
use tandem_build::{BuildOptions, DockerfileSource, build};
use tandem_home::Home;
use tandem_image::Store;

fn main() -> ExitCode {
    let tests = vec![
        Trial::ignorable_test("owners_are_roots_the_flags_or_the_stages", || as_root(owners)),
        Trial::ignorable_test("a_workdir_belongs_to_the_user", || as_root(workdir)),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn as_root(test: fn() -> Result<(), Failed>) -> Result<Completion, Failed> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Completion::ignored_with("only root can give files away"));
    }
    test().map(|()| Completion::Completed)
}

fn owners() -> Result<(), Failed> {
    let text = "FROM scratch AS one\n\
        COPY etc /etc\n\
        COPY f /plain\n\
        COPY --chown=app f /new/named\n\
        COPY --chown=7 d /number/\n\
        COPY --chown=7:staff f /group\n\
        FROM scratch\n\
        COPY --from=one / /\n\
        COPY --from=one --chown=9:9 /group /given";
    let built = built(text, |context| {
        chown(context.join("f"), Some(1234), Some(1234))?;
        fs::set_permissions(context.join("d/sub"), Permissions::from_mode(0o6755))
    })?;
    for (path, owner) in [
        ("plain", (0, 0)),
        ("new", (5, 6)),
        ("new/named", (5, 6)),
        ("number", (7, 7)),
        ("number/sub", (7, 7)),
        ("group", (7, 50)),
        ("given", (9, 9)),
    ] {
        let found = built.owner(path)?;
        if found != owner {
            return Err(format!("/{path} belongs to {found:?}, not {owner:?}").into());
        }
    }
    // A change of owner must not have cost the setuid bit.
    match built.mode("number/sub")? {
        0o6755 => Ok(()),
        other => Err(format!("/number/sub has mode {other:o}").into()),
    }
}

fn workdir() -> Result<(), Failed> {
    let built = built("FROM scratch\nCOPY etc /etc\nUSER app\nWORKDIR /a/b", |_| Ok(()))?;
    match (built.owner("a")?, built.owner("a/b")?) {
        ((5, 6), (5, 6)) => Ok(()),
        other => Err(format!("/a and /a/b belong to {other:?}").into()),
    }
}

struct Image {
    _dir: tempfile::TempDir,
    layers: Vec<std::path::PathBuf>,
}

impl Image {
    fn metadata(&self, path: &str) -> Result<fs::Metadata, Failed> {
        let found = self.layers.iter().rev().find_map(|dir| fs::metadata(dir.join(path)).ok());
        found.ok_or_else(|| format!("/{path} is not in the image").into())
    }

    fn owner(&self, path: &str) -> Result<(u32, u32), Failed> {
        self.metadata(path).map(|metadata| (metadata.uid(), metadata.gid()))
    }

    fn mode(&self, path: &str) -> Result<u32, Failed> {
        self.metadata(path).map(|metadata| metadata.mode() & 0o7777)
    }
}

fn built(text: &str, prepare: fn(&Path) -> std::io::Result<()>) -> Result<Image, Failed> {
    let dir = tempfile::tempdir()?;
    let context = dir.path().join("context");
    fs::create_dir_all(context.join("etc"))?;
    fs::create_dir_all(context.join("d"))?;
    fs::write(context.join("etc/passwd"), "app:x:5:6::/:\n")?;
    fs::write(context.join("etc/group"), "staff:x:50:\n")?;
    fs::write(context.join("f"), "F")?;
    fs::write(context.join("d/sub"), "S")?;
    prepare(&context)?;
    let home = Home::open(Some(&dir.path().join("home")))?;
    let store = Store::open(&home)?;
    let options = BuildOptions {
        context,
        dockerfile: DockerfileSource::Text(text.to_owned()),
        tags: vec!["test".parse()?],
        ..BuildOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let built = runtime.block_on(build(&store, &home, &Nothing, &options, &mut |_| ()))?;
    let layers = store.layer_dirs(&built.image, &|_| ())?;
    Ok(Image { _dir: dir, layers })
}

/// No step of these tests runs anything.
struct Nothing;

#[async_trait]
impl StepRunner for Nothing {
    fn refusal(&self, _architecture: &str) -> Option<String> {
        None
    }

    async fn run_step(
        &self,
        _step: &StepSpec,
        _output: &mut (dyn for<'l> FnMut(Stream, &'l str) + Send),
    ) -> Result<i32, BackendError> {
        Ok(1)
    }
}
