use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
};
use tandem_guest::wire::{
    APP, Body, Confinement, Execute, Failure, Frame, FromGuest, MOST_TASKS, Stream, ToGuest,
    VERSION,
};

use super::{
    confine::{self, Group},
    link::Link,
    service::{News, Service},
    spawn::spawn,
    step,
    system::{self, Renewal},
    task::{Streams, Task},
};

/// How long the host may take to read the last of it.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait while nobody listens at the other end, or while a program
/// is at its end, in milliseconds.
const RETRY: u16 = 5;

/// What every new process does at first.
type Before = fn();

/// All that the agent has in hand.
pub(crate) struct Session {
    link: Link,
    tasks: BTreeMap<u32, Task>,
    children: SignalFd,
    before: Before,
    confinement: Confinement,
    /// The control group of the app and of what is executed beside it.
    group: Group,
    /// The app, where another first process runs it.
    service: Option<Service>,
    /// Processes killed for want of memory before the app started.
    killed_before: u64,
    /// What is at hand for the moment in which a saved machine goes on.
    renewal: Option<Renewal>,
}

/// Something that is waited for.
#[derive(Clone, Copy)]
enum Source {
    Children,
    Channel,
    Service,
    Output(u32, usize),
    Input(u32),
}

impl Session {
    /// A session without a channel yet. `before` runs in each new process at
    /// first; it must not allocate.
    pub(crate) fn new(before: Before, confinement: Confinement) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        come_first();
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            link: Link::new(None),
            tasks: BTreeMap::new(),
            children,
            before,
            confinement,
            group: confine::OWN_GROUP,
            service: None,
            killed_before: 0,
            renewal: None,
        })
    }

    /// Executes the app.
    pub(crate) fn start_app(&mut self, app: &Execute) -> Result<(), Failure> {
        self.killed_before = out_of_memory_kills();
        let (pid, streams) = self.spawn(app)?;
        self.tasks.insert(APP, Task::unlimited(pid, streams));
        Ok(())
    }

    /// Expects the app from another first process, which has put it into this
    /// control group.
    pub(crate) fn expect_app(&mut self, service: Service, group: Group) {
        self.killed_before = out_of_memory_kills();
        self.service = Some(service);
        self.group = group;
    }

    /// Hears of the app that another first process runs.
    fn hear(&mut self) {
        let Some(service) = &mut self.service else { return };
        for news in service.read() {
            match news {
                News::Started { pid, streams } => {
                    self.tasks.insert(APP, Task::unlimited(pid, streams));
                }
                News::Ended { code } => {
                    let killed = code == 137 && out_of_memory_kills() > self.killed_before;
                    let exit = FromGuest::Exited { code, out_of_memory: killed };
                    let nothing = || Task::unlimited(0, Streams::default());
                    self.tasks.entry(APP).or_insert_with(nothing).has_ended(exit);
                }
            }
        }
    }

    fn spawn(&self, wanted: &Execute) -> Result<(i32, Streams), Failure> {
        let (before, confinement, group) = (self.before, self.confinement.clone(), self.group);
        spawn(wanted, move || {
            before();
            confine::apply(&confinement, group)
        })
    }

    /// Listens to the host from now on.
    pub(crate) fn connect(&mut self, channel: Option<File>) {
        self.link = Link::new(channel);
    }

    /// Serves until the app has ended; tells how, with all its output handed
    /// over. Without an app it serves for ever.
    ///
    /// # Errors
    /// When the kernel does not let it wait.
    pub(crate) fn run(&mut self) -> io::Result<FromGuest> {
        loop {
            while let Ok(Some(_)) = self.children.read_signal() {}
            self.reap();
            let over: Vec<(u32, FromGuest)> =
                self.tasks.iter_mut().filter_map(|(id, task)| Some((*id, task.end()?))).collect();
            for (id, exit) in over {
                self.tasks.remove(&id);
                if id == APP {
                    self.flush();
                    return Ok(exit);
                }
                self.link.say(id, exit);
            }
            let draining = self.tasks.values().any(Task::is_draining);
            self.turn(draining.then_some(RETRY))?;
        }
    }

    /// Tells the host how the app ended, and waits until it was taken.
    pub(crate) fn tell(&mut self, exit: FromGuest) {
        self.link.talk(false);
        self.link.say(APP, exit);
        self.flush();
    }

    fn flush(&mut self) {
        let limit = Instant::now() + FLUSH_LIMIT;
        while !self.link.is_empty() && Instant::now() < limit {
            if self.turn(Some(RETRY)).is_err() {
                return;
            }
        }
    }

    /// Collects every process that has ended.
    fn reap(&mut self) {
        loop {
            let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Err(Errno::EINTR) => continue,
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            let found = self.tasks.iter_mut().find(|(_, task)| task.pid == pid.as_raw());
            let Some((id, task)) = found else { continue };
            let killed = *id == APP && code == 137;
            let out_of_memory = killed && out_of_memory_kills() > self.killed_before;
            task.has_ended(FromGuest::Exited { code, out_of_memory });
            if *id == APP {
                // What it started ends with it, as in a container. A service's
                // rest is ended by who runs it.
                end_everybody();
            }
        }
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self, milliseconds: Option<u16>) -> io::Result<()> {
        let mut host = PollFlags::empty();
        for (source, flags) in self.wait(milliseconds)? {
            match source {
                Source::Children => {}
                Source::Service => self.hear(),
                Source::Channel => host = flags,
                Source::Output(id, index) => {
                    if let Some(task) = self.tasks.get_mut(&id) {
                        task.read(id, index, &mut self.link);
                    }
                }
                Source::Input(id) => {
                    if let Some(task) = self.tasks.get_mut(&id) {
                        task.write(id, &mut self.link);
                    }
                }
            }
        }
        if host.contains(PollFlags::POLLIN) {
            for frame in self.link.receive() {
                self.take(frame);
            }
        }
        // A port without a host reports POLLHUP all the time.
        self.link.alone = host.contains(PollFlags::POLLHUP);
        if !self.link.alone {
            self.link.write();
        }
        Ok(())
    }

    fn wait(&self, milliseconds: Option<u16>) -> io::Result<Vec<(Source, PollFlags)>> {
        let input = PollFlags::POLLIN;
        let mut sources = vec![Source::Children];
        let mut polled = vec![PollFd::new(self.children.as_fd(), input)];
        if let Some(service) = &self.service {
            sources.push(Source::Service);
            polled.push(PollFd::new(service.as_fd(), input));
        }
        if let Some(port) = self.link.port() {
            let output = if self.link.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            sources.push(Source::Channel);
            polled.push(PollFd::new(port.as_fd(), input | output));
        }
        for (id, task) in &self.tasks {
            for index in [0, 1] {
                if let Some(output) = task.reads(index).filter(|_| self.link.takes_data()) {
                    sources.push(Source::Output(*id, index));
                    polled.push(PollFd::new(output.as_fd(), input));
                }
            }
            if let Some(writable) = task.writes() {
                sources.push(Source::Input(*id));
                polled.push(PollFd::new(writable.as_fd(), PollFlags::POLLOUT));
            }
        }
        let limit = if self.link.alone { Some(RETRY) } else { milliseconds };
        match poll(&mut polled, limit.map_or(PollTimeout::NONE, PollTimeout::from)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = polled.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(sources.into_iter().zip(flags).filter(|(_, flags)| !flags.is_empty()).collect())
    }

    /// Does what the host asks.
    fn take(&mut self, frame: Frame<ToGuest>) {
        let id = frame.task;
        match frame.body {
            Body::Data(Stream::Stdin, bytes) => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.input(&bytes);
                    task.write(id, &mut self.link);
                }
            }
            Body::Data(..) => {}
            Body::Message(request) => {
                if let Some(answer) = self.answer(id, request) {
                    self.link.say(id, answer);
                }
            }
        }
    }

    /// Answers a request; `None` when nothing is to be said.
    fn answer(&mut self, id: u32, request: ToGuest) -> Option<FromGuest> {
        let refused = |failure| FromGuest::Failed { failure };
        Some(match request {
            ToGuest::Hello { .. } => {
                FromGuest::Hello { version: VERSION, kernel: system::kernel() }
            }
            ToGuest::Ping => FromGuest::Done,
            ToGuest::Execute(wanted) => self.execute(id, &wanted).unwrap_or_else(refused),
            ToGuest::Online => system::online(),
            ToGuest::Refresh { clock_ns, entropy, hostname, mac } => {
                let renewed = self.renewal().and_then(|renewal| {
                    renewal.renew(clock_ns, &entropy, hostname.as_deref(), mac)
                });
                renewed.map_or_else(refused, |()| FromGuest::Done)
            }
            ToGuest::Quiesce => {
                // What is missing will be said when it is wanted.
                self.renewal = Renewal::prepare().ok();
                system::sync();
                self.link.say(id, FromGuest::Done);
                self.link.be_silent();
                return None;
            }
            ToGuest::Resume { fresh } => {
                self.link.talk(fresh);
                if fresh {
                    self.end_tasks();
                }
                FromGuest::Done
            }
            ToGuest::Stats => FromGuest::Stats(system::stats()),
            ToGuest::Unknown => refused(Failure::Refused {
                reason: "this guest is older than the program that asks".to_owned(),
            }),
            ToGuest::Shutdown => {
                self.tasks.get(&APP)?.signal(libc::SIGKILL);
                return None;
            }
            ToGuest::Signal { number } => {
                self.tasks.get(&id)?.signal(number);
                return None;
            }
            ToGuest::Resize(size) => {
                self.tasks.get(&id)?.resize(size);
                return None;
            }
            ToGuest::EndOfInput => {
                self.tasks.get_mut(&id)?.end_input();
                return None;
            }
            ToGuest::Credit { cost } => {
                self.tasks.get_mut(&id)?.grant(cost);
                return None;
            }
            ToGuest::Cancel => {
                if id != APP
                    && let Some(task) = self.tasks.remove(&id)
                {
                    task.kill();
                }
                return None;
            }
        })
    }

    fn renewal(&mut self) -> Result<&mut Renewal, Failure> {
        match &mut self.renewal {
            Some(renewal) => Ok(renewal),
            none => {
                Ok(none.insert(Renewal::prepare().map_err(step("preparing for another life"))?))
            }
        }
    }

    fn execute(&mut self, id: u32, wanted: &Execute) -> Result<FromGuest, Failure> {
        let reason = if self.tasks.contains_key(&id) {
            "the number is taken".to_owned()
        } else if self.tasks.len() > MOST_TASKS {
            format!("{MOST_TASKS} commands run already")
        } else {
            let (pid, streams) = self.spawn(wanted)?;
            if !wanted.detach {
                self.tasks.insert(id, Task::new(pid, streams));
            }
            return Ok(FromGuest::Executed);
        };
        Err(Failure::Refused { reason })
    }

    /// Ends everything that a former host asked for.
    fn end_tasks(&mut self) {
        let others = self.tasks.split_off(&(APP + 1));
        others.values().for_each(Task::kill);
    }
}

/// Has this process run before any other that wants to, but not those that it
/// starts (sched(7)): a busy app does not keep the host waiting, and a machine
/// that goes on from a saved state has its new identity before the app runs.
fn come_first() {
    let parameter = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: one valid structure is passed to be read. Refused, it is slower.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
}

/// Ends every process but this one.
fn end_everybody() {
    let everybody = nix::unistd::Pid::from_raw(-1);
    let _ = nix::sys::signal::kill(everybody, Signal::SIGKILL);
}

/// How many processes this kernel has killed for want of memory.
fn out_of_memory_kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
