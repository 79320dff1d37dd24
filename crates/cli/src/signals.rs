use tandem_app::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// A token that Ctrl-C and SIGTERM cancel. The second one ends the program at
/// once; supervisors then clean up what belonged to it.
pub(crate) fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        interrupted().await;
        token.cancel();
        interrupted().await;
        std::process::exit(130);
    });
    cancel
}

/// Resolves at the next Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
