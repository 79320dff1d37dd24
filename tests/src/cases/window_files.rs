//! Folders that take nothing, and a window that is closed while it fetches:
//! nothing that was typed is lost, and nothing is left.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use super::window::{ENDING, NEEDS, SOON, case, open, says, tests};
use crate::{
    Case, Start, World,
    desktop::{Desktop, Look},
    poll,
};

pub(super) const CASES: &[Case] = &[
    case("window::a_full_disk_and_a_closed_folder_keep_what_was_typed", full),
    Case {
        name: "window::one_closed_while_it_fetches_its_first_kernel_leaves_nothing",
        needs: NEEDS,
        start: Start::Empty,
        run: early,
    },
];

/// A file system of a person's own, until the value goes.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(folder: &'a Path) -> Result<Self> {
        fs::create_dir(folder)?;
        let none = None::<&str>;
        mount(Some("small"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))?;
        mount(none, folder, none, MsFlags::MS_PRIVATE, none)?;
        Ok(Self(folder))
    }

    fn close(&self) -> Result<()> {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        Ok(mount(None::<&str>, self.0, None::<&str>, flags, None::<&str>)?)
    }

    /// Leaves no byte free.
    fn fill(&self) -> Result<()> {
        let ballast = vec![0; 2 << 20];
        ensure!(fs::write(self.0.join("ballast"), ballast).is_err(), "two megabytes fit into one");
        Ok(())
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

fn full(world: &World) -> Result<()> {
    let folder = world.scratch().join("small");
    let small = Small::mount(&folder)?;
    let project = folder.join("app");
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    desktop.fill("project-folder", &project.display().to_string())?;
    desktop.click("project-new")?;
    desktop.wait("editor", SOON)?;
    let before = fs::read_to_string(project.join("app.py"))?;

    small.fill()?;
    write(&desktop, "app.py", "# first\n")?;
    refused(&desktop, "No space left")?;
    desktop.screenshot("full-disk-light")?;
    ensure!(fs::read_to_string(project.join("app.py"))? == before, "half a file was written");
    fs::remove_file(folder.join("ballast"))?;
    desktop.click("project-save")?;
    let saved =
        || fs::read_to_string(project.join("app.py")).ok()?.contains("# first").then_some(());
    poll::until("the file to be saved", SOON, saved)?;

    small.close()?;
    write(&desktop, "app.py", "# second\n")?;
    refused(&desktop, "Read-only")?;
    // A folder that takes nothing cannot be made a project either.
    let other = folder.join("other").display().to_string();
    desktop.click("project-other")?;
    desktop.fill("project-folder", &other)?;
    desktop.click("project-new")?;
    says(&desktop, "error-banner", &other)?;
    let kept =
        desktop.script("return document.querySelector('[data-testid=project-folder]').value")?;
    ensure!(kept == other.as_str(), "{kept}");
    // What could not be saved is there when its project is opened again.
    desktop.fill("project-folder", &project.display().to_string())?;
    desktop.click("project-open")?;
    tests(&desktop, "what was typed before", &format!("{CODE}?.includes('# second')"))?;
    desktop.close(ENDING)
}

/// Types at the beginning of a file.
fn write(desktop: &Desktop, file: &str, text: &str) -> Result<()> {
    desktop.click(&format!("file-{file}"))?;
    let focus = "const root = document.querySelector('[data-testid=editor]').shadowRoot;
        const content = root?.querySelector('.cm-content');
        content?.focus();
        return root?.activeElement === content && !!content";
    tests(desktop, "the editor's focus", focus)?;
    desktop.keys(text)?;
    let typed = format!("{CODE}?.includes({})", Value::from(text.trim_end()));
    tests(desktop, "what was typed", &typed)
}

const CODE: &str = "return document.querySelector('[data-testid=editor]')?.shadowRoot?.querySelector('.cm-content')?.innerText";

/// Saving says why not, and keeps what was typed.
fn refused(desktop: &Desktop, why: &str) -> Result<()> {
    let before = desktop.script(CODE)?;
    desktop.click("project-save")?;
    says(desktop, "error-banner", why)?;
    ensure!(desktop.script(CODE)? == before, "what was typed is gone");
    Ok(())
}

/// Probing the machine wants a kernel, which is fetched: nobody can ask that
/// to stop.
fn early(world: &World) -> Result<()> {
    let desktop = Desktop::open(world, Look::Light)?;
    let fetches = || {
        let names = fs::read_dir(world.home().join("tmp")).ok()?.flatten();
        let mut names = names.map(|it| it.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with("kernel-")).then_some(())
    };
    poll::until("the fetch of a kernel", Duration::from_mins(2), fetches)?;
    desktop.close(ENDING)?;
    ensure!(fetches().is_none(), "its work folder is there still");
    Ok(())
}
