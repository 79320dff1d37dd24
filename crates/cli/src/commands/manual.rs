//! What is made of the grammar itself: completions and manual pages.

use std::{fs, io::Write as _, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::{grammar::Cli, output::raw};

pub(super) fn completion(shell: clap_complete::Shell) {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut text);
    raw(&String::from_utf8_lossy(&text));
}

pub(super) fn pages(dir: Option<&Path>) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    match dir {
        None => raw(&page(command)?),
        Some(dir) => {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            write_all(&command, "tandem", dir)?;
        }
    }
    Ok(())
}

fn page(command: clap::Command) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `tandem-run.1` and so on, as `git` names its pages.
fn write_all(command: &clap::Command, name: &str, dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.1"));
    let text = page(command.clone())?;
    fs::File::create(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    for inner in command.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set())
    {
        write_all(inner, &format!("{name}-{}", inner.get_name()), dir)?;
    }
    Ok(())
}
