//! Asking the person at the terminal.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
};

use anyhow::Context as _;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Whether what is typed shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    On,
    Off,
}

/// Asks for one line. Dropping the future gives the terminal its echo back.
pub(crate) async fn ask(question: &str, echo: Echo) -> anyhow::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").context(
        "there is no terminal to ask for user name and password: give -u NAME and --password-stdin",
    )?;
    write!(terminal, "{question}")?;
    let hidden = (echo == Echo::Off).then(|| Hidden::new(terminal.try_clone()?)).transpose()?;
    // A thread of its own: the end of the program does not wait for it.
    let (send, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(terminal).read_line(&mut line);
        drop(send.send(read.map(|_| line)));
    });
    let line = answer.await.context("the answer cannot be read")??;
    drop(hidden);
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether the person agrees; `force` means that nobody needs to be asked.
pub(crate) async fn confirmed(question: &str, force: bool) -> anyhow::Result<bool> {
    if force {
        return Ok(true);
    }
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let text = "nobody can be asked without a terminal: agree beforehand with -f";
        return Err(tandem_app::AppError::Usage(text.to_owned()).into());
    }
    let answer = ask(&format!("{question} [y/N] "), Echo::On).await?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A terminal that shows nothing until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn new(terminal: File) -> anyhow::Result<Self> {
        let before = tcgetattr(&terminal).context("the terminal cannot be asked for its mode")?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)
            .context("the terminal cannot hide what is typed")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
        let _ = writeln!(self.terminal);
    }
}
