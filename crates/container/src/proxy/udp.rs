//! UDP: a socket to the app for each client, so that answers find their way.

use std::{cell::Cell, collections::HashMap, net::SocketAddr, rc::Rc, time::Duration};

use tokio::{net::UdpSocket, task::JoinSet, time::Instant};

use super::Way;

/// Clients of one published port at a time. One more takes the place of the
/// one that has been silent for longest.
const MOST_CLIENTS: usize = 256;

/// How long neither side may say anything until a client is forgotten (moby
/// `userland proxy`: 90 s).
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// The longest datagram (RFC 768 over IPv4).
const LONGEST: usize = 65_535;

/// A client and its way to the app.
struct Session {
    app: Rc<UdpSocket>,
    last: Rc<Cell<Instant>>,
    task: tokio::task::AbortHandle,
}

/// Passes datagrams on to the app, and answers back.
pub(super) async fn serve(host: UdpSocket, app: Way, idle: Duration) {
    let host = Rc::new(host);
    let mut sessions: HashMap<SocketAddr, Session> = HashMap::new();
    // Ends every session with the proxy. Each tells its client when it ends.
    let mut answers = JoinSet::new();
    let mut datagram = vec![0; LONGEST];
    loop {
        let received = tokio::select! {
            received = host.recv_from(&mut datagram) => received,
            Some(ended) = answers.join_next() => {
                // One that was pushed out has given its place away already.
                if let Ok(client) = ended {
                    sessions.remove(&client);
                }
                continue;
            }
        };
        let Ok((length, client)) = received else {
            // An earlier answer could not be delivered, or memory is short.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        if !sessions.contains_key(&client) {
            if sessions.len() >= MOST_CLIENTS {
                push_out(&mut sessions);
            }
            let Some(session) = open(client, &app, &host, idle, &mut answers).await else {
                continue;
            };
            sessions.insert(client, session);
        }
        if let Some(session) = sessions.get(&client) {
            session.last.set(Instant::now());
            // What cannot be delivered is lost, as datagrams may be.
            let _ = session.app.send(&datagram[..length]).await;
        }
    }
}

async fn open(
    client: SocketAddr,
    app: &Way,
    host: &Rc<UdpSocket>,
    idle: Duration,
    answers: &mut JoinSet<SocketAddr>,
) -> Option<Session> {
    let socket = Rc::new(app.datagrams().await.ok()?);
    let last = Rc::new(Cell::new(Instant::now()));
    let (from, to, spoke) = (socket.clone(), host.clone(), last.clone());
    let task = answers.spawn_local(async move {
        answer(&from, &to, client, &spoke, idle).await;
        client
    });
    Some(Session { app: socket, last, task })
}

/// Passes answers on until nobody has said anything for so long.
async fn answer(
    app: &UdpSocket,
    host: &UdpSocket,
    client: SocketAddr,
    last: &Cell<Instant>,
    idle: Duration,
) {
    let mut datagram = vec![0; LONGEST];
    loop {
        match tokio::time::timeout_at(last.get() + idle, app.recv(&mut datagram)).await {
            Ok(Ok(length)) => {
                last.set(Instant::now());
                let _ = host.send_to(&datagram[..length], client).await;
            }
            // Nothing listens there yet: the client may try again.
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(_) if last.get().elapsed() >= idle => return,
            Err(_) => {}
        }
    }
}

/// Forgets the client that has been silent for longest.
fn push_out(sessions: &mut HashMap<SocketAddr, Session>) {
    let silent = sessions.iter().min_by_key(|(_, session)| session.last.get());
    if let Some(session) = silent.map(|(client, _)| *client).and_then(|it| sessions.remove(&it)) {
        session.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::task::Task;

    async fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    async fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
        let mut datagram = [0; 64];
        let limit = Duration::from_secs(20);
        let (length, from) =
            tokio::time::timeout(limit, socket.recv_from(&mut datagram)).await.unwrap().unwrap();
        (String::from_utf8_lossy(&datagram[..length]).into_owned(), from)
    }

    #[tokio::test]
    async fn answers_go_to_the_client_that_asked() {
        LocalSet::new()
            .run_until(async {
                let (app, app_address) = socket().await;
                let (host, published) = socket().await;
                let proxy = Task::spawn(serve(host, Way::new(app_address, None), IDLE_LIMIT));
                let [(first, _), (second, _)] = [socket().await, socket().await];
                first.send_to(b"one", published).await.unwrap();
                let (text, first_seen) = receive(&app).await;
                assert_eq!(text, "one");
                second.send_to(b"two", published).await.unwrap();
                let (text, second_seen) = receive(&app).await;
                assert_eq!(text, "two");
                assert_ne!(first_seen, second_seen);
                app.send_to(b"for two", second_seen).await.unwrap();
                app.send_to(b"for one", first_seen).await.unwrap();
                assert_eq!(receive(&first).await, ("for one".to_owned(), published));
                assert_eq!(receive(&second).await, ("for two".to_owned(), published));
                // The same way again.
                first.send_to(b"more", published).await.unwrap();
                assert_eq!(receive(&app).await, ("more".to_owned(), first_seen));
                drop(proxy);
            })
            .await;
    }

    #[tokio::test]
    async fn a_silent_client_is_forgotten() {
        LocalSet::new()
            .run_until(async {
                let (app, app_address) = socket().await;
                let (host, published) = socket().await;
                let _proxy = Task::spawn(serve(
                    host,
                    Way::new(app_address, None),
                    Duration::from_millis(30),
                ));
                let (client, _) = socket().await;
                client.send_to(b"a", published).await.unwrap();
                let (_, before) = receive(&app).await;
                // Its socket is gone once the kernel refuses what is sent there.
                let gone = async {
                    let probe = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    probe.connect(("127.0.0.1", before.port())).await.unwrap();
                    loop {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        if probe.send(b"x").await.is_err() {
                            return;
                        }
                    }
                };
                tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
                client.send_to(b"b", published).await.unwrap();
                assert_eq!(receive(&app).await.0, "b");
            })
            .await;
    }

    #[tokio::test]
    async fn one_client_too_many_pushes_the_most_silent_out() {
        LocalSet::new()
            .run_until(async {
                let (app, app_address) = socket().await;
                let (host, published) = socket().await;
                let _proxy = Task::spawn(serve(host, Way::new(app_address, None), IDLE_LIMIT));
                let mut clients = Vec::new();
                for _ in 0..=MOST_CLIENTS {
                    let (client, _) = socket().await;
                    client.send_to(b"hello", published).await.unwrap();
                    let (_, seen) = receive(&app).await;
                    clients.push((client, seen));
                }
                let (last, seen) = clients.last().unwrap();
                app.send_to(b"still here", *seen).await.unwrap();
                assert_eq!(receive(last).await.0, "still here");
                let (first, before) = &clients[0];
                first.send_to(b"again", published).await.unwrap();
                assert_ne!(receive(&app).await.1, *before);
            })
            .await;
    }
}
