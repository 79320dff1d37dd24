//! A machine started by hand whose state was saved into its disk with
//! `savevm`, and comes back with `loadvm`.

use std::{net::SocketAddr, path::PathBuf, rc::Rc};

use anyhow::Result;
use tandem_probe::{ReadyOptions, wait_for_first_response};

use super::{monitor::Hand, qemu::Qemu, same::Same};
use crate::bench::{ground::Ground, stage::Stage};

/// Its name in the table.
pub(crate) const NAME: &str = "loadvm";

/// A booted app in a disk.
pub(crate) struct SavedMachine {
    qemu: Qemu,
    folder: PathBuf,
    is_saved: bool,
}

impl SavedMachine {
    pub(crate) fn prepare(ground: &Ground, same: Rc<Same>) -> Result<Self> {
        let qemu = Qemu::prepare(ground, same, NAME)?;
        let folder = qemu.folder().to_owned();
        Ok(Self { qemu, folder, is_saved: false })
    }

    /// Boots once and saves.
    pub(crate) fn save(&mut self, stage: &Stage) -> Result<()> {
        if self.is_saved {
            return Ok(());
        }
        let (command, address) = self.qemu.boot()?;
        let mut hand = Hand::start(command, &self.folder)?;
        hand.go()?;
        stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
        hand.say("savevm booted")?;
        self.is_saved = true;
        Ok(())
    }

    /// The machine as it is before its state is back.
    pub(crate) fn start(&self) -> Result<(Hand, SocketAddr)> {
        let (command, address) = self.qemu.again()?;
        Ok((Hand::start(command, &self.folder)?, address))
    }
}

/// An emulated boot on a busy machine.
pub(crate) fn patient() -> ReadyOptions {
    ReadyOptions { limit: std::time::Duration::from_mins(3), ..ReadyOptions::default() }
}
