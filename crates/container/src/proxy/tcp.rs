//! TCP: a connection to the app for each client's.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::Way;

/// Connections through one published port at a time. More wait in the
/// kernel's queue, so descriptors never run out.
const MOST_CONNECTIONS: usize = 400;

/// Bytes copied at once, each way.
const BUFFER: usize = 32 * 1024;

/// How long the app's side may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Passes connections on to the app's address. While nothing listens there,
/// clients are reset at once, so that whoever waits for the app learns quickly
/// that it is not ready yet.
pub(super) async fn serve(listener: TcpListener, app: Way) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Ends every connection with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let client = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((client, _)) = client else {
            // The client left again, or descriptors are short for a moment.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let app = app.clone();
        connections.spawn_local(async move {
            pass_on(client, &app).await;
            drop(permit);
        });
    }
}

/// Serves one client to its end.
async fn pass_on(mut client: TcpStream, app: &Way) {
    let connected = tokio::time::timeout(CONNECT_LIMIT, app.connect()).await;
    let Ok(Ok(mut app)) = connected else {
        reset(&client);
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = app.set_nodelay(true);
    // The end of one direction is passed on and the other goes on.
    if copy_bidirectional_with_sizes(&mut client, &mut app, BUFFER, BUFFER).await.is_err() {
        reset(&client);
        reset(&app);
    }
}

/// Makes the close that follows a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
