//! A guest that keeps to the protocol, and those that do not.

use std::time::Duration;

use proptest::prelude::*;
use tandem_guest::wire::{Execute, Failure, INPUT_WINDOW, LONGEST, OUTPUT_WINDOW, ToGuest, cost};
use tokio::{
    io::{AsyncReadExt as _, DuplexStream, duplex},
    net::UnixStream,
    task::LocalSet,
    time::timeout,
};

use super::{
    super::{AgentError, Event},
    *,
};

const SOON: Duration = Duration::from_secs(20);

fn open() -> (Session<DuplexStream>, Agent, UnixStream, [DuplexStream; 2]) {
    let (ours, guest) = UnixStream::pair().unwrap();
    let ((out, log), (err, errors)) = (duplex(1 << 20), duplex(1 << 20));
    let (session, agent) = Session::open(ours, [out, err]);
    (session, agent, guest, [log, errors])
}

fn message(task: u32, message: FromGuest) -> Vec<u8> {
    Frame::message(task, message).to_bytes().unwrap()
}

fn data(task: u32, length: usize) -> Vec<u8> {
    Frame::<FromGuest>::data(task, Stream::Stdout, vec![b'x'; length]).to_bytes().unwrap()
}

/// Reads the next request.
async fn request(guest: &mut UnixStream, frames: &mut Frames) -> Frame<ToGuest> {
    loop {
        if let Some(frame) = frames.next_frame() {
            return frame.unwrap();
        }
        let mut buffer = vec![0; 4096];
        let count = guest.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the host closed the channel");
        frames.push(&buffer[..count]);
    }
}

fn command() -> Execute {
    Execute { args: vec!["x".to_owned()], ..Execute::default() }
}

/// Sends `bytes` to a host that has begun task 1, and tells how it ended.
async fn ends_with(bytes: Vec<u8>) -> End {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, mut guest, _logs) = open();
            let task = agent.start(ToGuest::Execute(command())).await.unwrap();
            let flood = tokio::task::spawn_local(async move {
                let _ = guest.write_all(&bytes).await;
            });
            let end = timeout(SOON, session.listen()).await.unwrap();
            drop((task, flood.await));
            end
        })
        .await
}

#[tokio::test]
async fn room_that_was_never_taken_is_not_given_back() {
    let more = message(1, FromGuest::Credit { cost: 1 });
    let end = ends_with([message(1, FromGuest::Executed), more].concat()).await;
    assert!(matches!(end, End::Broken(_)), "a guest could have the host send without end");
}

#[tokio::test]
async fn requests_find_their_answers_and_failures() {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, mut guest, _logs) = open();
            tokio::task::spawn_local(async move { session.listen().await });
            let guest = tokio::task::spawn_local(async move {
                let mut frames = Frames::default();
                let first = request(&mut guest, &mut frames).await;
                let second = request(&mut guest, &mut frames).await;
                // Answered in another order than asked.
                let refused =
                    FromGuest::Failed { failure: Failure::Refused { reason: "no".to_owned() } };
                guest.write_all(&message(second.task, refused)).await.unwrap();
                guest.write_all(&message(first.task, FromGuest::Done)).await.unwrap();
                guest
            });
            let (ping, quiet) = tokio::join!(agent.ping(), agent.quiesce());
            ping.unwrap();
            assert_eq!(quiet.unwrap_err().to_string(), "the guest refused: no");
            drop(guest.await);
            assert!(matches!(agent.ping().await, Err(AgentError::Gone)));
        })
        .await;
}

#[tokio::test]
async fn a_command_has_output_and_an_end() {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, mut guest, _logs) = open();
            tokio::task::spawn_local(async move { session.listen().await });
            tokio::task::spawn_local(async move {
                let mut frames = Frames::default();
                let asked = request(&mut guest, &mut frames).await;
                guest.write_all(&message(asked.task, FromGuest::Executed)).await.unwrap();
                // More than a window in all, each after room was given.
                for _ in 0..2 * OUTPUT_WINDOW / LONGEST {
                    guest.write_all(&data(asked.task, LONGEST)).await.unwrap();
                    let room = request(&mut guest, &mut frames).await;
                    let cost = cost(LONGEST);
                    assert_eq!(room.body, Body::Message(ToGuest::Credit { cost }));
                }
                let exited = FromGuest::Exited { code: 7, out_of_memory: false };
                guest.write_all(&message(asked.task, exited)).await.unwrap();
                std::future::pending::<()>().await;
            });
            let (code, output) = agent.run(command(), SOON).await.unwrap();
            assert_eq!((code, output.len()), (7, 2 * OUTPUT_WINDOW));
        })
        .await;
}

#[tokio::test]
async fn input_waits_for_the_guest() {
    LocalSet::new()
        .run_until(Box::pin(async {
            let (mut session, agent, mut guest, _logs) = open();
            tokio::task::spawn_local(async move { session.listen().await });
            let task = agent.start(ToGuest::Execute(command())).await.unwrap();
            let much = vec![0; 2 * INPUT_WINDOW];
            let sending = task.input(&much);
            tokio::pin!(sending);
            let mut frames = Frames::default();
            let mut seen = 0;
            // A guest that takes nothing is sent a window's worth at most.
            let quiet = async {
                loop {
                    let frame = request(&mut guest, &mut frames).await;
                    if let Body::Data(_, bytes) = frame.body {
                        seen += cost(bytes.len());
                    }
                }
            };
            let waited = timeout(Duration::from_millis(300), async {
                tokio::select! { sent = &mut sending => sent.map(|()| true), () = quiet => Ok(false) }
            });
            assert!(waited.await.is_err(), "nobody gave room");
            assert!(seen <= INPUT_WINDOW, "{seen}");
            guest.write_all(&message(1, FromGuest::Credit { cost: seen })).await.unwrap();
            let next = request(&mut guest, &mut frames);
            tokio::select! { sent = &mut sending => sent.unwrap(), _ = next => {} }
        }))
        .await;
}

#[tokio::test]
async fn what_is_dropped_is_ended_in_the_guest_unless_it_has_ended() {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, mut guest, _logs) = open();
            tokio::task::spawn_local(async move { session.listen().await });
            let mut frames = Frames::default();
            drop(agent.app());
            let lives = agent.start(ToGuest::Ping).await.unwrap();
            assert_eq!(request(&mut guest, &mut frames).await.task, 1);
            drop(lives);
            let said = request(&mut guest, &mut frames).await;
            assert_eq!((said.task, said.body), (1, Body::Message(ToGuest::Cancel)));

            let ended = agent.start(ToGuest::Ping).await.unwrap();
            assert_eq!(request(&mut guest, &mut frames).await.task, 2);
            let exited = FromGuest::Exited { code: 0, out_of_memory: false };
            guest.write_all(&message(2, exited)).await.unwrap();
            assert_eq!(ended.next().await, Event::Exited(0));
            let input = timeout(SOON, ended.input(&vec![0; 2 * INPUT_WINDOW])).await.unwrap();
            assert!(matches!(input, Err(AgentError::Gone)), "nobody is there to take it");
            drop(ended);
            let last = agent.start(ToGuest::Ping).await.unwrap();
            let said = request(&mut guest, &mut frames).await;
            assert_eq!((said.task, said.body), (3, Body::Message(ToGuest::Ping)));

            drop(guest);
            assert_eq!(last.next().await, Event::Gone);
            assert!(matches!(last.input(b"x").await, Err(AgentError::Gone)));
        })
        .await;
}

#[tokio::test]
async fn a_guest_that_floods_or_lies_ends_its_machine() {
    let flood: Vec<u8> = (0..=OUTPUT_WINDOW / LONGEST).flat_map(|_| data(1, LONGEST)).collect();
    let tiny: Vec<u8> = (0..=OUTPUT_WINDOW / cost(0)).flat_map(|_| data(1, 0)).collect();
    let twice = [message(1, FromGuest::Executed), message(1, FromGuest::Done)].concat();
    let credit = message(1, FromGuest::Credit { cost: usize::MAX });
    let exited = FromGuest::Exited { code: 0, out_of_memory: false };
    let after_end = [message(1, exited.clone()), data(1, 1)].concat();
    let cases = [
        ("a flood", flood),
        ("many empty frames", tiny),
        ("two answers", twice),
        ("endless credit", credit),
        ("output after the end", after_end),
        ("two ends", [message(1, exited.clone()), message(1, exited)].concat()),
        ("a command's input for the host", {
            Frame::<FromGuest>::data(1, Stream::Stdin, vec![1]).to_bytes().unwrap()
        }),
        ("a task that nobody began", data(2, 1)),
        ("an answer from the app", message(APP, FromGuest::Done)),
        ("input for the host", {
            Frame::<FromGuest>::data(APP, Stream::Stdin, vec![1]).to_bytes().unwrap()
        }),
        ("a frame without end", [vec![2; 5], vec![0xff; 4]].concat()),
    ];
    for (what, bytes) in cases {
        assert!(matches!(ends_with(bytes).await, End::Broken(_)), "{what}");
    }
}

#[tokio::test]
async fn a_guest_that_neither_reads_nor_answers_holds_up_nobody() {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, guest, _logs) = open();
            tokio::task::spawn_local(async move { session.listen().await });
            // More signals than any queue or socket takes.
            let full = (0..1_000_000).find_map(|_| agent.signal(15).err());
            assert!(full.is_some());
            let limit = Duration::from_millis(50);
            let told = agent.run(command(), limit).await.unwrap_err();
            assert!(matches!(told, AgentError::Timeout(_)), "{told}");
            drop(guest);
        })
        .await;
}

#[tokio::test]
async fn the_app_is_heard_to_its_end() {
    LocalSet::new()
        .run_until(async {
            let (mut session, _agent, mut guest, [mut log, _]) = open();
            guest.write_all(&data(APP, 5)).await.unwrap();
            let exited = FromGuest::Exited { code: 3, out_of_memory: true };
            guest.write_all(&message(APP, exited)).await.unwrap();
            let end = session.listen().await;
            assert_eq!(end, End::App { code: 3, out_of_memory: true });
            let mut text = [0; 5];
            log.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"xxxxx");
        })
        .await;
}

#[tokio::test]
async fn tasks_in_the_host_are_counted() {
    LocalSet::new()
        .run_until(async {
            let (_session, agent, _guest, _logs) = open();
            let mut tasks = Vec::new();
            let refused = loop {
                match agent.start(ToGuest::Ping).await {
                    Ok(task) => tasks.push(task),
                    Err(e) => break e,
                }
            };
            assert!(matches!(refused, AgentError::TooMany));
            assert_eq!(tasks.len(), tandem_guest::wire::MOST_TASKS);
            drop(tasks);
            assert!(agent.start(ToGuest::Ping).await.is_ok(), "room again");
        })
        .await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_bytes_make_the_host_panic_or_hoard(pieces in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            (0..3_u32, 0..500_usize).prop_map(|(task, length)| data(task, length)),
            (0..3_u32).prop_map(|task| message(task, FromGuest::Executed)),
        ], 0..40))
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let end = runtime.block_on(ends_with(pieces.concat()));
        prop_assert!(matches!(end, End::Broken(_) | End::Closed));
    }
}

#[tokio::test]
async fn the_apps_input_waits_for_room_and_a_guest_that_gives_too_much_gives_no_more() {
    LocalSet::new()
        .run_until(async {
            let (mut session, agent, mut guest, _logs) = open();
            let app = agent.app();
            let typing = tokio::task::spawn_local(async move {
                let typed = app.input(&vec![b'x'; 2 * INPUT_WINDOW]).await;
                (app, typed.is_ok())
            });
            let listening = tokio::task::spawn_local(async move { session.listen().await });
            let (mut frames, mut came) = (Frames::default(), 0);
            while came < 2 * INPUT_WINDOW {
                let frame = request(&mut guest, &mut frames).await;
                let Body::Data(Stream::Stdin, bytes) = frame.body else { panic!("no input") };
                assert_eq!(frame.task, APP);
                came += bytes.len();
                let credit = FromGuest::Credit { cost: 3 * cost(bytes.len()) };
                guest.write_all(&message(APP, credit)).await.unwrap();
            }
            assert!(timeout(SOON, typing).await.unwrap().unwrap().1);
            drop(guest);
            assert_eq!(listening.await.unwrap(), End::Closed);
        })
        .await;
}
