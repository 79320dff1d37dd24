use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};

use super::{BASE, Builder, compare, files, recipe::Recipe, result};
use crate::{Output, World};

/// Both builders, as a worker uses them.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) world: &'a World,
    pub(super) peer: &'a dyn Builder,
    pub(super) context: &'a Path,
    pub(super) number: usize,
}

impl Both<'_> {
    /// Makes the base of recipes that run something, in both.
    pub(super) fn base(&self) -> Result<()> {
        let recipe = Recipe {
            text: format!("FROM scratch\nCOPY rootfs /\nENV PATH=/bin\n{}", self.peer.base()),
            ..Recipe::default()
        };
        self.theirs(&recipe, BASE, &[])?.ok()?;
        self.ours(&recipe, BASE, &[])?.ok()?;
        Ok(())
    }

    /// Fails when they do not make the same of it.
    pub(super) fn compare(&self, recipe: &Recipe) -> Result<()> {
        let (result, peer) = (&result(self.number), self.peer.name());
        let (ours, theirs) = (self.ours(recipe, result, &[])?, self.theirs(recipe, result, &[])?);
        self.peer.is_ill(&theirs)?;
        match (ours.code, theirs.code) {
            (Some(0), Some(0)) if recipe.fails => bail!("both build it, and it must fail"),
            (Some(0), Some(0)) => {}
            (Some(0), _) => bail!("only {peer} refuses it: {}", last_line(&theirs)),
            (_, Some(0)) => bail!("only Tandem refuses it: {}", last_line(&ours)),
            _ if recipe.fails => return Ok(()),
            _ => bail!("both refuse it: {} / {}", last_line(&ours), last_line(&theirs)),
        }
        let (our_tar, their_tar) = (self.place("ours.tar"), self.place("theirs.tar"));
        let to = |path: &Path| format!("type=tar,dest={}", path.display());
        self.ours(recipe, result, &["-o", &to(&our_tar)])?.ok()?;
        self.theirs(recipe, result, &["-o", &to(&their_tar)])?.ok()?;
        let (our_files, their_files) = (files::read(&our_tar)?, files::read(&their_tar)?);
        let mut differences = compare::files(&our_files, &their_files, peer);
        let ours = self.world.tandem(["image", "inspect", result])?.ok()?.json()?;
        differences.extend(compare::settings(&ours["config"], &self.peer.settings(result)?));
        ensure!(differences.is_empty(), "\n    {}", differences.join("\n    "));
        Ok(())
    }

    /// A file of this worker's.
    fn place(&self, name: &str) -> PathBuf {
        self.world.scratch().join(format!("{}-{name}", self.number))
    }

    /// Writes the recipe beside the context, so that it is not in it.
    fn write(&self, recipe: &Recipe) -> Result<String> {
        let path = self.place("Dockerfile");
        fs::write(&path, &recipe.text)?;
        let ignore = self.place("Dockerfile.dockerignore");
        match &recipe.ignore {
            Some(text) => fs::write(&ignore, text)?,
            None => drop(fs::remove_file(&ignore)),
        }
        Ok(path.to_string_lossy().into_owned())
    }

    fn arguments(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Vec<String>> {
        let mut arguments: Vec<String> = ["build", "-q", "-t", tag].map(str::to_owned).into();
        arguments.extend(["-f".to_owned(), self.write(recipe)?]);
        for argument in &recipe.arguments {
            arguments.extend(["--build-arg".to_owned(), argument.clone()]);
        }
        for label in &recipe.labels {
            arguments.extend(["--label".to_owned(), label.clone()]);
        }
        if let Some(target) = &recipe.target {
            arguments.extend(["--target".to_owned(), target.clone()]);
        }
        let context = self.context.to_string_lossy();
        for (option, value) in &recipe.options {
            arguments.extend([format!("--{option}"), value.replace("{context}", &context)]);
        }
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        arguments.push(context.into_owned());
        Ok(arguments)
    }

    fn ours(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Output> {
        let mut command = self.world.command(self.arguments(recipe, tag, more)?);
        command.args(["--network", "none"]).env("FROM_HOST", "of the host");
        self.world.finish(command)
    }

    fn theirs(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Output> {
        self.peer.build(self.world, &self.arguments(recipe, tag, more)?)
    }
}

fn last_line(output: &Output) -> String {
    let text = output.stderr.trim();
    text.lines().last().unwrap_or_default().to_owned()
}
