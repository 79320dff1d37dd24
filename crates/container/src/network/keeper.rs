//! The process that keeps the network namespace of an ordinary user's home.

use std::{fs, io, io::Write as _, os::fd::AsRawFd as _, path::Path, process::ExitCode};

use nix::sched::{CloneFlags, setns};
use tandem_home::{Home, Lock, write_json_volatile};
use tandem_probe::identity;

use super::{
    ground::{Kept, Places},
    namespace,
    nat::Nft,
    outbound,
};

/// Pasta of 2023 sends segments without any flag. Nobody knows whose they are,
/// and this namespace would answer them with a reset.
const TIDY: &str = "table ip tandem_tidy {
  chain input {
    type filter hook input priority 0; policy accept;
    ct state invalid drop
  }
}
";

/// First argument of the hidden entry point that keeps a home's network.
pub const NETWORK: &str = "__network";

/// The hidden entry point `tandem __network HOME`. It says `ready` once the
/// namespace is, or else why not, and ends when nobody uses it any more. Must
/// be called while the process has a single thread.
pub fn network_main(home: &Path) -> ExitCode {
    let _ = rustix::process::setsid();
    let home = Home::opened(home);
    let places = Places::of(&home);
    let kept = namespace::make_empty().and_then(|namespace| {
        let way_out = outbound::choose(&home)
            .and_then(|program| program.start(&namespace, false).map_err(|e| e.to_string()));
        // From now on this process is how others find the namespace.
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        // Without it bridges say themselves that nothing gets out.
        let _ = Nft::start(TIDY).and_then(Nft::finish);
        let keeper = identity(std::process::id())
            .ok_or_else(|| io::Error::other("/proc does not show this process"))?;
        let kept = Kept { keeper, cut_off: way_out.as_ref().err().cloned() };
        write_json_volatile(&places.kept, &kept).map_err(io::Error::other)?;
        Ok(way_out)
    });
    let way_out = match kept {
        Ok(way_out) => way_out,
        Err(e) => {
            say(&e.to_string());
            return ExitCode::FAILURE;
        }
    };
    say("ready");
    // Granted when the last user has ended, in whatever way.
    let ended = Lock::exclusive(&places.users);
    let forgotten = fs::remove_file(&places.kept);
    drop(way_out);
    ExitCode::from(u8::from(ended.is_err() || forgotten.is_err()))
}

/// Tells the waiting supervisor, and leaves its pipe.
fn say(line: &str) {
    let mut line = line.replace('\n', " ");
    line.push('\n');
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
    if let Ok(null) = fs::File::options().write(true).open("/dev/null") {
        // SAFETY: both are open descriptors; from here on nothing is said.
        unsafe { libc::dup2(null.as_raw_fd(), 1) };
    }
}
