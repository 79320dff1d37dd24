//! The real window on a virtual display, driven through WebDriver.
//!
//! Xvfb gives the display, a private D-Bus session keeps the desktop's
//! services away, and WebKitWebDriver starts the window's program itself.

use std::{
    future::Future,
    io::{BufRead as _, BufReader},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};
use serde_json::{Value, json};

use crate::{Person, World, poll, world::programs};

/// How long the window may take to open on a busy machine.
const OPENING: Duration = Duration::from_mins(2);

/// The window's program.
const WINDOW: &str = "tandem-desktop";

/// Keys that have no letter (WebDriver, 17.4.2).
const ENTER: char = '\u{e006}';
const CONTROL: char = '\u{e009}';

/// Light or dark, as the desktop's settings would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Dark on white.
    Light,
    /// Light on near black.
    Dark,
}

/// An open window.
pub struct Desktop {
    client: Client,
    /// The window's program.
    program: Pid,
    runtime: tokio::runtime::Runtime,
    // Ended in this order: the driver with the window, then the display.
    _driver: Group,
    _display: Group,
}

/// For what the page shows by itself, on a machine with much else to do.
const HERE: Duration = Duration::from_mins(1);

/// A process and its descendants, which end with the value.
struct Group(Child);

impl Desktop {
    /// Opens the window in this world.
    pub fn open(world: &World, look: Look) -> Result<Self> {
        Self::open_program(world, look, WINDOW)
    }

    /// Opens the window of another program among those built.
    pub(crate) fn open_program(world: &World, look: Look, name: &str) -> Result<Self> {
        Self::open_for(world, None, look, name)
    }

    /// Opens the window as an ordinary user does.
    pub(crate) fn open_as(world: &World, person: &Person<'_>, look: Look) -> Result<Self> {
        Self::open_for(world, Some(person), look, WINDOW)
    }

    fn open_for(
        world: &World,
        person: Option<&Person<'_>>,
        look: Look,
        name: &str,
    ) -> Result<Self> {
        let (display, number) = start_display(world)?;
        let port = world.free_port()?;
        let driver = start_driver(world, person, look, number, port)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let path = world.program(name);
        let client = runtime.block_on(connect(&path, port))?;
        let program = program_of(&driver, &path)?;
        Ok(Self { client, program, runtime, _driver: driver, _display: display })
    }

    /// The window's program, which the view's own processes descend from.
    pub(crate) fn program(&self) -> u32 {
        self.program.as_raw().unsigned_abs()
    }

    /// The process that does the window's work, which the window has started.
    pub(crate) fn service(&self) -> Result<Pid> {
        let file = format!("/proc/{0}/task/{0}/children", self.program);
        let children = std::fs::read_to_string(&file).with_context(|| file.clone())?;
        let serves = |pid: &&str| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == b"__window")
        };
        let found = children.split_whitespace().find(serves).context("nobody does the work")?;
        Ok(Pid::from_raw(found.parse()?))
    }

    /// The element with this `data-testid`, once it is there.
    pub fn wait(&self, id: &str, limit: Duration) -> Result<Element> {
        self.until(&format!("`{id}`"), limit, async |page| find(page, id).await)
    }

    /// Whether there is an element with this `data-testid` now.
    pub fn has(&self, id: &str) -> Result<bool> {
        Ok(self.run(find(&self.client, id))?.is_some())
    }

    /// The text that a reader sees in an element.
    pub fn text(&self, id: &str) -> Result<String> {
        let element = self.wait(id, HERE)?;
        Ok(self.run(element.text())?)
    }

    /// An attribute of an element.
    pub fn attribute(&self, id: &str, name: &str) -> Result<Option<String>> {
        let element = self.wait(id, HERE)?;
        Ok(self.run(element.attr(name))?)
    }

    /// Clicks an element, and again when the page grew under the pointer so
    /// that the click went elsewhere.
    pub fn click(&self, id: &str) -> Result<()> {
        let mut failure = None;
        for _ in 0..3 {
            let element = self.wait(id, HERE)?;
            let clicked = self.run(async {
                let listen = "window.clicked = false;
                    arguments[0].addEventListener(
                      'click', () => { window.clicked = true }, { capture: true, once: true })";
                self.client.execute(listen, vec![serde_json::to_value(&element)?]).await?;
                Ok::<_, anyhow::Error>(element.click().await?)
            });
            // The page may have drawn it anew just now, or it is half under the
            // foot, where a person would scroll.
            if let Err(why) = clicked {
                failure = Some(why);
                self.script(&format!(
                    "document.querySelector('[data-testid={id}]')?.scrollIntoView({{ block: 'center' }})"
                ))?;
                std::thread::sleep(Duration::from_millis(500));
                continue;
            }
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(3) {
                if self.script("return window.clicked")? == true {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.screenshot("timeout");
        let unfelt = || anyhow!("it did not feel any of three clicks");
        Err(failure.unwrap_or_else(unfelt)).with_context(|| format!("cannot click `{id}`"))
    }

    /// Replaces what stands in an input, and again when the page moved it away
    /// meanwhile.
    pub fn fill(&self, id: &str, text: &str) -> Result<()> {
        let mut failure = None;
        for _ in 0..3 {
            let element = self.wait(id, HERE)?;
            let filled = self.run(async {
                element.clear().await?;
                element.send_keys(text).await?;
                element.prop("value").await
            });
            match filled {
                Ok(Some(value)) if value == text => return Ok(()),
                Ok(value) => failure = Some(anyhow!("it holds {value:?}")),
                Err(e) => failure = Some(anyhow!("{e:?}")),
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        let _ = self.screenshot("timeout");
        Err(failure.unwrap_or_else(|| anyhow!("?"))).with_context(|| format!("cannot fill `{id}`"))
    }

    /// Presses the keys of this text, one after the other, wherever the focus
    /// is; a control character is its letter with the control key.
    pub fn keys(&self, text: &str) -> Result<()> {
        let mut keys = KeyActions::new("keyboard".to_owned());
        for value in text.chars() {
            let control = value.is_control() && value != '\n';
            let letter = u8::try_from(value).map_or(value, |code| char::from(code | 0x60));
            let pressed = match value {
                '\n' => ENTER,
                _ if control => letter,
                other => other,
            };
            let held = if control { vec![CONTROL] } else { Vec::new() };
            for value in held.iter().copied().chain([pressed]) {
                keys = keys.then(KeyAction::Down { value });
            }
            for value in [pressed].into_iter().chain(held) {
                keys = keys.then(KeyAction::Up { value });
            }
        }
        self.run(self.client.perform_actions(keys)).context("cannot press keys")
    }

    /// Runs a script in the page and returns what it returns.
    pub fn script(&self, script: &str) -> Result<Value> {
        Ok(self.run(self.client.execute(script, Vec::new()))?)
    }

    /// Runs a script that ends by calling its last argument with its value.
    pub fn script_async(&self, script: &str) -> Result<Value> {
        Ok(self.run(self.client.execute_async(script, Vec::new()))?)
    }

    /// Types into an element as a keyboard does; a path into a file input
    /// chooses the file.
    pub fn send(&self, id: &str, keys: &str) -> Result<()> {
        let element = self.wait(id, HERE)?;
        self.run(element.send_keys(keys)).with_context(|| format!("cannot type into `{id}`"))
    }

    /// Asks until `probe` finds something or the limit is over.
    pub fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        probe: impl AsyncFn(&Client) -> Result<Option<T>>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.run(probe(&self.client))? {
                return Ok(found);
            }
            if begin.elapsed() > limit {
                let _ = self.screenshot("timeout");
                bail!("{what}: not within {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Keeps a picture of the page as `target/screenshots/NAME.png`.
    pub fn screenshot(&self, name: &str) -> Result<()> {
        // On a busy machine the last frame may be older than the page.
        let painted = "const done = arguments[0];
            setTimeout(done, 1000);
            requestAnimationFrame(() => requestAnimationFrame(() => done()));";
        self.run(self.client.execute_async(painted, Vec::new()))?;
        let picture = self.run(self.client.screenshot())?;
        ensure!(picture.starts_with(b"\x89PNG"), "the screenshot is not a PNG");
        let folder = screenshots();
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(format!("{name}.png")), picture)?)
    }

    /// Makes the window this large.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        Ok(self.run(self.client.set_window_size(width, height))?)
    }

    /// Asks the window's program to end, as a desktop does when its session
    /// ends, and waits until it has cleaned up and gone.
    pub fn close(self, limit: Duration) -> Result<()> {
        kill(self.program, Signal::SIGTERM)?;
        let folder = PathBuf::from(format!("/proc/{}", self.program));
        poll::until("the end of the window", limit, || (!folder.exists()).then_some(()))
    }

    /// Takes the display away under the window, and waits until its program
    /// has gone.
    pub fn lose_display(self, limit: Duration) -> Result<()> {
        let Self { program, _driver: driver, _display: display, .. } = self;
        drop(display);
        let folder = PathBuf::from(format!("/proc/{program}"));
        let gone = poll::until("the end of the window", limit, || (!folder.exists()).then_some(()));
        drop(driver);
        gone
    }

    fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

async fn find(page: &Client, id: &str) -> Result<Option<Element>> {
    let css = format!("[data-testid='{id}']");
    Ok(page.find_all(Locator::Css(&css)).await?.into_iter().next())
}

/// Below the target folder that the programs were built in.
fn screenshots() -> PathBuf {
    let target = programs().parent().map(PathBuf::from).unwrap_or_default();
    target.join("screenshots")
}

/// Xvfb picks a free number itself and tells it.
fn start_display(world: &World) -> Result<(Group, u32)> {
    let mut command = Command::new("Xvfb");
    world.prepare(&mut command);
    command.args(["-displayfd", "1", "-screen", "0", "3840x2400x24", "-nolisten", "tcp"]);
    let mut display = spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let stdout = display.0.stdout.take().context("Xvfb has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let number = line.trim().parse().with_context(|| format!("Xvfb said `{}`", line.trim()))?;
    Ok((display, number))
}

fn start_driver(
    world: &World,
    person: Option<&Person<'_>>,
    look: Look,
    display: u32,
    port: u16,
) -> Result<Group> {
    const PROGRAM: &str = "dbus-run-session";
    let mut command = match person {
        Some(person) => person.program(PROGRAM),
        None => Command::new(PROGRAM),
    };
    if person.is_none() {
        world.prepare(&mut command);
    }
    let own = person.map_or(world.scratch(), Person::folder);
    command.args(["--", "WebKitWebDriver", "--host=127.0.0.1"]).arg(format!("--port={port}"));
    command
        .env("DISPLAY", format!(":{display}"))
        .env_remove("WAYLAND_DISPLAY")
        .env("GDK_BACKEND", "x11")
        .env("NO_AT_BRIDGE", "1")
        // The window speaks English, whatever this machine's language is.
        .env("LANG", "C.UTF-8")
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES")
        .env_remove("LANGUAGE")
        .env("TAURI_WEBVIEW_AUTOMATION", "true")
        .env("GTK_THEME", if look == Look::Dark { "Adwaita:dark" } else { "Adwaita" });
    // What a desktop program writes for itself belongs to this world too.
    for (variable, folder) in [
        ("HOME", "user"),
        ("XDG_DATA_HOME", "user/data"),
        ("XDG_CACHE_HOME", "user/cache"),
        ("XDG_CONFIG_HOME", "user/config"),
        ("XDG_RUNTIME_DIR", "user/run"),
        // The view's own temporary files are not Tandem's.
        ("TMPDIR", "user/tmp"),
    ] {
        let folder = own.join(folder);
        std::fs::create_dir_all(&folder)?;
        if let Some(person) = person {
            let user = own.join("user");
            for it in [&user, &folder] {
                chown(it, Some(person.uid()), Some(person.uid()))?;
            }
        }
        command.env(variable, folder);
    }
    // Programs of a case's own, such as a credential helper, come first.
    let own = own.join("user/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders)?);
    spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn spawn(command: &mut Command) -> Result<Group> {
    let child = command
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(Group(child))
}

/// Waits for the driver, and lets it start the window.
async fn connect(program: &Path, port: u16) -> Result<Client> {
    let capabilities = json!({
        "webkitgtk:browserOptions": { "binary": program, "args": [] },
    });
    let Value::Object(capabilities) = capabilities else { bail!("not an object") };
    let address = format!("http://127.0.0.1:{port}");
    let begin = Instant::now();
    poll::until("the driver", OPENING, || std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
    loop {
        let asked = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.clone())
            .connect(&address)
            .await;
        match asked {
            Ok(client) => return Ok(client),
            Err(error) if begin.elapsed() > OPENING => {
                return Err(error).context("the window did not open");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// The window's program, which the driver has started in its own group.
fn program_of(driver: &Group, program: &Path) -> Result<Pid> {
    let group = Pid::from_raw(i32::try_from(driver.0.id())?);
    let wanted = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(Ok(pid)) = entry.file_name().to_str().map(str::parse) else { continue };
        let pid = Pid::from_raw(pid);
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim_end() == wanted && getpgid(Some(pid)) == Ok(group) {
            return Ok(pid);
        }
    }
    bail!("the driver runs no {wanted}")
}

impl Drop for Group {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.0.id()) else { return };
        let group = Pid::from_raw(pid);
        let _ = killpg(group, Signal::SIGTERM);
        let ended = poll::until("the end", Duration::from_secs(10), || self.0.try_wait().ok()?);
        if ended.is_err() {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}
