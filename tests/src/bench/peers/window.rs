//! Our window and an empty one of the same toolkit, on a virtual display.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use tandem_probe::{clocks, cpu_ns_of, identity, pss_of, tree};

use crate::{
    Need, World,
    desktop::{Desktop, Look},
};

/// The one with nothing in it, an example of the window's crate.
pub(crate) const EMPTY: &str = "empty";

/// Ours.
pub(crate) const WINDOW: &str = "window";

/// Until there is something on the page, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// An open window in the bench's home.
pub(crate) struct Window {
    pub(crate) desktop: Desktop,
    // Its folders go after the window.
    world: World,
}

/// Why there is no such window here.
pub(crate) fn check(name: &str) -> Result<()> {
    let programs = ["Xvfb", "dbus-run-session", "WebKitWebDriver"].map(Need::Program);
    if let Some(why) = programs.into_iter().find_map(Need::missing) {
        bail!(why);
    }
    let path = crate::world::programs().join(program(name));
    if !path.is_file() {
        bail!("{} is not built: `cargo xtask bench` does it", path.display());
    }
    Ok(())
}

fn program(name: &str) -> &'static str {
    if name == EMPTY { "examples/tandem-empty" } else { "tandem-desktop" }
}

impl Window {
    /// Opens it and waits until it can be used.
    pub(crate) fn open(name: &str, home: &Path) -> Result<Self> {
        let world = World::around(home)?;
        let desktop = Desktop::open_program(&world, Look::Light, program(name))?;
        let own = Self { desktop, world };
        own.desktop.until("a window to use", SOON, async |page| {
            let script = "return performance.getEntriesByName('usable').length > 0";
            Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
        })?;
        Ok(own)
    }

    /// From the start of the program to the first frame that can be used, in
    /// nanoseconds: by the page's own clock, so that the driver's questions
    /// are not in it. The kernel counts the start in hundredths of a second.
    pub(crate) fn usable_after(&self) -> Result<f64> {
        self.after("performance.timeOrigin + performance.getEntriesByName('usable')[0].startTime")
    }

    /// The same to the moment in which the page begins to load: what the
    /// toolkit takes.
    pub(crate) fn page_after(&self) -> Result<f64> {
        self.after("performance.timeOrigin")
    }

    /// From the start of the program to a time of day in the page's words.
    fn after(&self, time_of_day: &str) -> Result<f64> {
        let found = self.desktop.script(&format!("return {time_of_day}"))?;
        let usable_ms = found.as_f64().context("the page has no mark")?;
        let start = identity(self.desktop.program()).context("the window is gone")?.start;
        let (clocks, tick) = (clocks(), 1e9 / ticks_per_second()?);
        let booted = clocks.time_of_day as f64 - clocks.since_boot as f64;
        Ok(usable_ms * 1e6 - (booted + start as f64 * tick))
    }

    /// Processor time of the program and the view's processes, nanoseconds.
    pub(crate) fn processor_time(&self) -> u64 {
        cpu_ns_of(&tree(self.desktop.program()))
    }

    /// Their proportional set size, bytes.
    pub(crate) fn memory(&self) -> Result<f64> {
        let bytes = pss_of(&tree(self.desktop.program()));
        Ok(bytes.context("the window is gone")? as f64)
    }

    /// Waits until a script of the page returns true.
    pub(crate) fn wait(&self, what: &str, script: &str, limit: Duration) -> Result<()> {
        self.desktop.until(what, limit, async |page| {
            Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
        })
    }

    /// The numbers that an asynchronous script hands over.
    pub(crate) fn numbers(&self, script: &str) -> Result<Vec<f64>> {
        let found = self.desktop.script_async(script)?;
        let list = found.as_array().with_context(|| format!("the page says {found}"))?;
        list.iter().map(|it| it.as_f64().with_context(|| format!("the page says {it}"))).collect()
    }

    /// Closes it and waits for its end.
    pub(crate) fn close(self) -> Result<()> {
        self.desktop.close(SOON)?;
        drop(self.world);
        Ok(())
    }
}

/// The unit of process times (`CLK_TCK`, sysconf(3)).
fn ticks_per_second() -> Result<f64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    Ok(ticks.context("the kernel has no tick")? as f64)
}
