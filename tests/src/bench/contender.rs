use std::{
    net::SocketAddr,
    process::{Child, Command},
};

use anyhow::Result;

/// Somebody who can launch the image. Preparing it is its constructor.
pub(crate) trait Contender {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Whether a launch takes seconds: such contenders get fewer trials.
    fn is_machine(&self) -> bool;

    /// What a person would type, and where the app will answer. The clock
    /// starts when this command is started.
    fn launch(&mut self) -> Result<(Command, SocketAddr)>;

    /// Takes away what the last launch made. `command` is what was started;
    /// it may have ended long ago.
    fn stop(&mut self, command: &mut Child) -> Result<()>;

    /// Takes away everything else.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
