//! A machine on QEMU's small board. It is for KVM; under software emulation it
//! runs for this test alone, so that its devices are tried everywhere.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::container::{published_port, row};
use crate::{Case, Need, Output, Start, World, poll};

pub(super) const CASES: &[Case] = &[Case {
    name: "vm_board::the_small_one_runs_stops_and_comes_back_and_names_are_found",
    needs: &[
        Need::Root,
        Need::Program("qemu-system-x86_64"),
        Need::Program("mke2fs"),
        Need::Program("unshare"),
        Need::UdpPort(NAMES),
    ],
    start: Start::Built,
    run: small,
}];

/// Where the host asks for names, for its guest.
const NAMES: u16 = 53;

/// An emulated boot on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// Answers with the address of the name that it is asked for, and with how
/// often it was asked.
const APP: &str = "import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
door, count = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
door.bind(('', 9000))
print('up', flush=True)
while True:
    name, who = door.recvfrom(999)
    count += 1
    try: found = socket.gethostbyname(name.decode())
    except OSError as e: found = repr(e)
    door.sendto(f'{found} {count}'.encode(), who)";

/// The address of every name.
const FOUND: [u8; 4] = [192, 0, 2, 7];

/// A command that may choose the board under software emulation, on a host
/// whose name server is ours.
fn tandem(world: &World, words: &[&str]) -> Result<Output> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("cpu MHz")).context("no frequency")?;
    let clock = line.split_once(':').context("no frequency")?.1.trim().replace('.', "");
    let host = world.scratch().join("resolv.conf");
    if !host.exists() {
        fs::write(&host, "nameserver 127.0.0.1\n")?;
    }
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(host);
    command.arg(world.program("tandem")).args(words);
    world.prepare(&mut command);
    command.env("TANDEM_TRY_MICROVM", clock);
    world.finish(command)?.ok()
}

fn small(world: &World) -> Result<()> {
    let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, NAMES))?;
    names.set_read_timeout(Some(Duration::from_millis(100)))?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = answer(&names);
            }
        });
        let seen = lives(world);
        done.store(true, Ordering::Relaxed);
        seen
    })
}

fn lives(world: &World) -> Result<()> {
    let head = ["run", "-d", "--name", "small", "--backend", "vm", "--accelerator", "tcg"];
    let more = ["-m", "192m", "-p", ":9000/udp", "--entrypoint", "python"];
    tandem(world, &[&head[..], &more, &["hello-flask", "-c", APP]].concat())?;
    let record = world.tandem(["inspect", "small"])?.ok()?.json()?;
    let reason = record[0]["runtime"]["accelerator_reason"].to_string();
    ensure!(reason.contains("on the microvm board"), "{reason}");
    let line = fs::read_to_string(format!("/proc/{}/cmdline", row(world, "small")?["pid"]))?;
    ensure!(line.contains("\0microvm,") && !line.contains("-pci"), "{line}");

    // A datagram that comes too early is lost.
    poll::until("the app to listen", LIMIT, || {
        let said = world.tandem(["logs", "small"]).ok()?;
        said.stdout.contains("up").then_some(())
    })?;
    ensure!(ask(world)? == ("192.0.2.7".to_owned(), 1), "another answer");
    let inside =
        world.tandem(["exec", "small", "sh", "-c", "nproc; cat /etc/resolv.conf"])?.ok()?;
    ensure!(inside.stdout == "1\nnameserver 10.0.2.3\n", "{inside}");
    tandem(world, &["snapshot", "create", "--memory", "small", "warm"])?;
    ensure!(ask(world)?.1 == 2, "it did not go on");
    tandem(world, &["snapshot", "restore", "small", "warm"])?;
    ensure!(ask(world)? == ("192.0.2.7".to_owned(), 2), "another state came back");
    let grown = world.tandem(["update", "--mode", "hot", "-m", "256m", "small"])?.code_is(125)?;
    grown.is_one_sentence(&["--max-memory", "cold"])?;
    tandem(world, &["stop", "small"])?;
    ensure!(row(world, "small")?["exit_code"] == 3, "it was not asked to end");
    tandem(world, &["rm", "small"])?;
    Ok(())
}

/// The app's answer, over its published port.
fn ask(world: &World) -> Result<(String, u32)> {
    let port = published_port(&row(world, "small")?)?;
    let door = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    door.connect((Ipv4Addr::LOCALHOST, port))?;
    door.set_read_timeout(Some(Duration::from_mins(1)))?;
    let mut bytes = [0; 200];
    door.send(b"tandem.test")?;
    let count = door.recv(&mut bytes).context("no answer by UDP")?;
    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
    let (found, count) = text.rsplit_once(' ').with_context(|| text.clone())?;
    Ok((found.to_owned(), count.parse()?))
}

/// Answers one question for a name (RFC 1035, 4.1).
fn answer(names: &UdpSocket) -> Result<()> {
    let mut bytes = [0; 512];
    let (count, who) = names.recv_from(&mut bytes)?;
    let question = bytes.get(12..count).context("too short")?;
    let end = question.iter().position(|byte| *byte == 0).context("no name")? + 5;
    let question = question.get(..end).context("too short")?;
    let is_address = question[end - 4..end - 2] == [0, 1];
    let mut reply =
        [&bytes[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]].concat();
    reply.extend(question);
    if is_address {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(FOUND);
    }
    names.send_to(&reply, who)?;
    Ok(())
}
