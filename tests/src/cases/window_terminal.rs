//! Terminals in the real window.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::window::{ENDING, NEEDS, SOON, choose, open, tests};
use crate::{
    Case, Start, World,
    desktop::{Desktop, Look},
    poll,
};

pub(super) const CASES: &[Case] = &[
    case("window_terminal::a_shell_has_size_letters_and_colours_and_ends_with_its_pane", shell),
    case("window_terminal::a_machine_has_a_shell_and_its_console_from_the_boot_on", machine),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: NEEDS, start: Start::Built, run }
}

/// What a reader sees in the terminal.
const ROWS: &str = "return [...document.querySelectorAll('.xterm-rows > div')].map(e => '\\n' + e.textContent).join('')";
/// `80 × 24` under it.
const SIZE: &str =
    "return document.querySelector('[data-testid=terminal-state] .size')?.textContent";

fn shell(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--name", "shelled", "hello-flask"])?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, "shelled")?;
    desktop.click("instance-tab-shell")?;
    opened(&desktop)?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem exec -it shelled bash", "{command}");

    desktop.keys("echo $((6*7))\n")?;
    sees(&desktop, "\n42")?;
    desktop.keys("stty size\n")?;
    let before = agrees(&desktop)?;
    desktop.keys("clear; printf 'z\\303\\244hler \\342\\206\\222 \\033[32mgreen\\033[0m \\033[38;2;200;30;90mrose\\033[0m\\n'\n")?;
    sees(&desktop, "\nzähler → green rose")?;
    coloured(&desktop)?;
    desktop.screenshot("terminal-light")?;

    // The pane follows the window, and the shell follows the pane.
    desktop.resize(1700, 1100)?;
    desktop.until("another size", SOON, async |page| {
        let now = page.execute(SIZE, Vec::new()).await?;
        Ok((now.is_string() && now != before.as_str()).then_some(()))
    })?;
    desktop.keys("clear; stty size\n")?;
    let after = agrees(&desktop)?;
    ensure!(after != before, "{after}");

    flood(world, &desktop)?;

    desktop.keys("exit\n")?;
    desktop.until("the shell's end", SOON, ended).map(drop)?;
    no_shell(world)?;

    // Each way to leave takes the shell along.
    for (enter, leave) in
        [("terminal-again", "instance-tab-log"), ("instance-tab-shell", "nav-lab")]
    {
        desktop.click(enter)?;
        opened(&desktop)?;
        let there = shells(world)?;
        ensure!(there == 1, "{there} shells");
        desktop.click(leave)?;
        no_shell(world)?;
    }
    desktop.click("nav-workbench")?;
    opened(&desktop)?;
    desktop.close(ENDING)?;
    no_shell(world)?;
    world.tandem(["rm", "-f", "shelled"])?.ok()?;
    Ok(())
}

/// A program that writes without end neither stops the window nor fills it.
fn flood(world: &World, desktop: &Desktop) -> Result<()> {
    let size = || resident(world);
    desktop.keys("yes\n")?;
    std::thread::sleep(Duration::from_secs(2));
    let early = size()?;
    std::thread::sleep(Duration::from_secs(6));
    let begin = Instant::now();
    ensure!(desktop.script("return 1 + 1")? == 2);
    let answered = begin.elapsed();
    ensure!(answered < Duration::from_secs(10), "the page takes {answered:?} to answer");
    let late = size()?;
    ensure!(late < early + (200 << 20), "{early} bytes have become {late}");
    // Control-C is heard although much is under way.
    desktop.keys("\u{3}")?;
    desktop.keys("clear; echo $((40+2))x\n")?;
    sees(desktop, "\n42x")
}

/// Resident bytes of the window and its views.
fn resident(world: &World) -> Result<u64> {
    let mut pages = 0;
    for pid in world.processes() {
        let named = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        let (Ok(name), Ok(size)) = (named("comm"), named("statm")) else { continue };
        if name.starts_with("tandem-desktop") || name.starts_with("WebKitWebProces") {
            pages += size.split(' ').nth(1).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    ensure!(pages > 0, "the window's processes are not found");
    Ok(pages * 4096)
}

fn machine(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--backend", "vm", "--name", "boxed", "hello-flask"])?.ok()?;
    let desktop = open(world, Look::Dark)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, "boxed")?;
    desktop.click("instance-tab-shell")?;
    opened(&desktop)?;
    desktop.keys("echo $((6*7)); stty size\n")?;
    sees(&desktop, "\n42")?;
    agrees(&desktop)?;
    desktop.keys("clear; ls --color=always -l /; uname -a\n")?;
    sees(&desktop, "\nLinux")?;
    // The kernel is quiet unless something is wrong.
    desktop.keys("[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11; echo '<3>heard on the serial line' > /dev/kmsg\n")?;
    desktop.screenshot("terminal-dark")?;
    desktop.click("instance-tab-console")?;
    focused(&desktop)?;
    sees(&desktop, "heard on the serial line")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem console boxed", "{command}");
    desktop.screenshot("console-dark")?;
    world.tandem(["rm", "-f", "boxed"])?.ok()?;
    desktop.close(ENDING)
}

fn focused(desktop: &Desktop) -> Result<()> {
    let script = "const it = document.querySelector('[data-testid=terminal]');
        return it?.dataset.state === 'open' && it.contains(document.activeElement)";
    tests(desktop, "an open terminal", script)
}

/// Waits for the shell's first prompt.
fn opened(desktop: &Desktop) -> Result<()> {
    focused(desktop)?;
    desktop.until("a prompt", SOON, async |page| {
        let rows = page.execute(ROWS, Vec::new()).await?;
        Ok(rows.as_str().filter(|rows| !rows.trim().is_empty()).map(drop))
    })
}

async fn ended(page: &fantoccini::Client) -> Result<Option<()>> {
    let script = "return document.querySelector('[data-testid=terminal]').dataset.state";
    Ok((page.execute(script, Vec::new()).await? == "ended").then_some(()))
}

fn sees(desktop: &Desktop, words: &str) -> Result<()> {
    desktop.until(&format!("`{words}` in the terminal"), SOON, async |page| {
        let rows = page.execute(ROWS, Vec::new()).await?;
        Ok(rows.as_str().is_some_and(|rows| rows.contains(words)).then_some(()))
    })
}

/// What `stty size` wrote is what the window says.
fn agrees(desktop: &Desktop) -> Result<String> {
    desktop.until("the same size on both sides", SOON, async |page| {
        let size = page.execute(SIZE, Vec::new()).await?;
        let rows = page.execute(ROWS, Vec::new()).await?;
        let (Some(size), Some(rows)) = (size.as_str(), rows.as_str()) else { return Ok(None) };
        let (columns, lines) = size.split_once(" × ").context("no size")?;
        let said = format!("\n{lines} {columns}");
        Ok(rows.contains(&said).then(|| size.to_owned()))
    })
}

/// Colours come from the design's tokens, and any other as it was asked for;
/// the content security policy lets both through.
fn coloured(desktop: &Desktop) -> Result<()> {
    let script =
        "const of = text => getComputedStyle([...document.querySelectorAll('.xterm-rows span')]
            .findLast(it => it.textContent.trim() === text)).color;
        const probe = document.createElement('i');
        probe.style.color = 'var(--ansi-green)';
        document.body.append(probe);
        const green = getComputedStyle(probe).color;
        probe.remove();
        return [of('green') === green, of('rose')]";
    let found = desktop.script(script)?;
    ensure!(found[0] == true && found[1] == "rgb(200, 30, 90)", "{found}");
    Ok(())
}

fn shells(world: &World) -> Result<usize> {
    let script = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^bash$'; true";
    let said = world.tandem(["exec", "shelled", "sh", "-c", script])?.ok()?;
    said.line().parse().with_context(|| format!("{said}"))
}

fn no_shell(world: &World) -> Result<()> {
    let gone = || matches!(shells(world), Ok(0)).then_some(());
    poll::until("the shell's end in the container", SOON, gone)
}
