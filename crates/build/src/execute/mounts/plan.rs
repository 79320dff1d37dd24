//! What the mounts of a step are, before anything is made for them.

use std::sync::Arc;

use tandem_model::ErrorCode;

use super::{
    super::{builder::Builder, select::digest, state::State},
    Mounts, Planned, Seed, What,
};
use crate::{
    BuildError,
    parse::{Instruction, MountKind, RunMount},
};

impl Builder<'_> {
    /// Finds out what the mounts of a step are.
    pub(in crate::execute) async fn plan_mounts(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mounts: &[RunMount],
    ) -> Result<Mounts, BuildError> {
        let mut planned = Mounts::default();
        for (at, mount) in mounts.iter().enumerate() {
            match mount.kind {
                MountKind::Bind => {
                    self.plan_bind(stage, state, instruction, mount, &mut planned).await?;
                }
                MountKind::Cache => {
                    self.plan_cache(stage, state, instruction, mount, &mut planned).await?;
                }
                MountKind::Tmpfs => {
                    let target = self.target(state, instruction, mount.target.as_ref(), "")?;
                    let size = self.word(state, mount.size.as_ref())?;
                    let size = size.map(|text| self.size(instruction, &text)).transpose()?;
                    planned.add(
                        "tmpfs",
                        &target,
                        &size,
                        Planned {
                            target: target.clone(),
                            read_only: false,
                            what: What::Tmpfs { size },
                        },
                    );
                }
                MountKind::Secret => self.plan_secret(state, instruction, mount, &mut planned)?,
                MountKind::Ssh => self.plan_agent(state, instruction, mount, at, &mut planned)?,
            }
        }
        Ok(planned)
    }

    async fn plan_bind(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let target = self.target(state, instruction, mount.target.as_ref(), "")?;
        let read_only = !mount.writable.unwrap_or(false);
        let from = self.origin(stage, instruction, mount.from.as_ref()).await?;
        let path = self.word(state, mount.source.as_ref())?.unwrap_or_else(|| "/".to_owned());
        if let Some(layers) = &from.layers {
            let facts = (&layers.chain, &path, read_only);
            let what = What::Layers { dirs: layers.dirs.clone(), path: path.clone() };
            // Said here and not by the kernel.
            self.found(instruction, &from, mount, &path).await?;
            planned.add(
                "bind",
                &target,
                &facts,
                Planned { target: target.clone(), read_only, what },
            );
            return Ok(());
        }
        let sources = self.found(instruction, &from, mount, &path).await?;
        let single = sources.iter().all(|source| !source.is_dir);
        let (tree, interrupt) = (Arc::clone(&from.tree), self.interrupt.clone());
        let (sources, content) = self
            .blocking(move || {
                let content = digest(&*tree, &sources, false, &interrupt)
                    .map_err(BuildError::io("read", "the build context"))?;
                Ok((sources, content))
            })
            .await?;
        let what = What::Files { tree: from.tree, sources, single };
        planned.add(
            "bind",
            &target,
            &(content, read_only),
            Planned { target: target.clone(), read_only, what },
        );
        Ok(())
    }

    async fn plan_cache(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let target = self.target(state, instruction, mount.target.as_ref(), "")?;
        let id = self.word(state, mount.id.as_ref())?.unwrap_or_else(|| target.clone());
        let (mode, owner) = self.access(state, instruction, mount, 0o755)?;
        let seed = match &mount.from {
            None => None,
            Some(_) => {
                let from = self.origin(stage, instruction, mount.from.as_ref()).await?;
                let path = self.word(state, mount.source.as_ref())?.unwrap_or_else(|| "/".into());
                let sources = self.found(instruction, &from, mount, &path).await?;
                Some(Seed { tree: from.tree, sources })
            }
        };
        let read_only = mount.writable == Some(false);
        let what = What::Cache { id: id.clone(), sharing: mount.sharing, mode, owner, seed };
        planned.add("cache", &target, &id, Planned { target: target.clone(), read_only, what });
        Ok(())
    }

    fn plan_secret(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let (target, env) =
            (self.word(state, mount.target.as_ref())?, self.word(state, mount.env.as_ref())?);
        let named = self.word(state, mount.id.as_ref())?;
        let last = target.as_deref().and_then(|it| it.rsplit('/').next()).map(str::to_owned);
        let id = named.or(last).unwrap_or_default();
        let Some(secret) = self.options.secrets.get(&id) else {
            if mount.required {
                return Err(self.stuck(instruction, ErrorCode::Usage, format!(
                    "the secret `{id}` was not given: build with --secret id={id},src=FILE or --secret id={id},env=VARIABLE"
                )));
            }
            return Ok(());
        };
        if let Some(name) = &env {
            let text = String::from_utf8(secret.0.clone()).ok().filter(|it| !it.contains('\0'));
            let text = text.ok_or_else(|| {
                let problem = format!("the secret `{id}` is no text and cannot be a variable");
                self.stuck(instruction, ErrorCode::Usage, problem)
            })?;
            planned.env.push(format!("{name}={text}"));
            if target.is_none() {
                planned.facts.push(format!("secret {id} env {name}"));
                return Ok(());
            }
        }
        let usual = format!("/run/secrets/{id}");
        let target = self.target(state, instruction, mount.target.as_ref(), &usual)?;
        let (mode, owner) = self.access(state, instruction, mount, 0o400)?;
        let what = What::Secret { content: secret.0.clone(), mode, owner };
        planned.add(
            "secret",
            &target,
            &(&id, mode, owner, env),
            Planned { target: target.clone(), read_only: true, what },
        );
        Ok(())
    }

    fn plan_agent(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        at: usize,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let id = self.word(state, mount.id.as_ref())?.unwrap_or_else(|| "default".to_owned());
        let Some(socket) = self.options.agents.get(&id) else {
            if mount.required {
                return Err(self.stuck(
                    instruction,
                    ErrorCode::Usage,
                    format!("the SSH agent `{id}` was not given: build with --ssh {id}"),
                ));
            }
            return Ok(());
        };
        let usual = format!("/run/buildkit/ssh_agent.{at}");
        let target = self.target(state, instruction, mount.target.as_ref(), &usual)?;
        planned.env.push(format!("SSH_AUTH_SOCK={target}"));
        let what = What::Agent(socket.clone());
        // One can connect to it all the same, but nobody inside changes whose
        // the person's own socket is.
        planned.add("ssh", &target, &id, Planned { target: target.clone(), read_only: true, what });
        Ok(())
    }
}
