use super::*;

fn view() -> ChartView {
    let size = tandem_app::Size { width: 600, height: 160 };
    ChartView { theme: tandem_app::Theme::Light, race: size, cpu: size, memory: size }
}

/// A session whose frames are collected.
fn watched() -> (Arc<Session>, Arc<Mutex<Vec<Frame>>>) {
    let session = Arc::new(Session::default());
    let frames = Arc::new(Mutex::new(Vec::new()));
    watch(&session, &frames);
    (session, frames)
}

fn watch(session: &Session, frames: &Arc<Mutex<Vec<Frame>>>) -> Option<ExperimentRequest> {
    let frames = Arc::clone(frames);
    session.watch(Box::new(move |frame| frames.lock().unwrap().push(frame)))
}

fn log(line: &str) -> RunEvent {
    RunEvent::Log { step: "build".to_owned(), line: line.to_owned() }
}

#[test]
fn nothing_is_lost_and_a_second_run_is_refused() {
    let (session, frames) = watched();
    session.begin(&ExperimentRequest::compare("hello-flask"), view()).unwrap();
    assert_eq!(
        session.begin(&ExperimentRequest::compare("x"), view()).unwrap_err().code,
        ErrorCode::Conflict
    );
    session.record(log("one"));
    session.record(log("two"));
    session.send_frame();
    session.record(log("three"));
    session.send_frame();

    let frames = frames.lock().unwrap();
    let counts: Vec<_> = frames.iter().map(|frame| (frame.first, frame.events.len())).collect();
    assert_eq!(counts, [(true, 2), (false, 1)]);
    assert!(frames[1].now_ms >= frames[1].events[0].at_ms);
}

#[test]
fn no_experiment_is_measured_beside_a_comparison() {
    let (session, _) = watched();
    assert!(session.leaves_calm().is_ok());
    session.begin(&ExperimentRequest::compare("hello-flask"), view()).unwrap();
    assert_eq!(session.leaves_calm().map_err(|e| e.code), Err(ErrorCode::Conflict));
}

#[test]
fn a_page_that_is_loaded_again_sees_the_run_from_its_beginning() {
    let (session, _) = watched();
    session.begin(&ExperimentRequest::compare("hello-flask"), view()).unwrap();
    session.record(log("one"));
    session.send_frame();
    let frames = Arc::new(Mutex::new(Vec::new()));
    assert_eq!(watch(&session, &frames).unwrap().subject, "hello-flask");
    session.send_frame();
    let frames = frames.lock().unwrap();
    assert!(frames[0].first && frames[0].events.len() == 1);
}

#[tokio::test]
async fn the_end_is_told_once_and_waiters_go_on() {
    let (session, frames) = watched();
    session.begin(&ExperimentRequest::compare("hello-flask"), view()).unwrap();
    let stopped = |message: &str| RunEvent::Stopped {
        error: Failure::new(ErrorCode::Cancelled, message),
        cleaned: vec!["a container".to_owned()],
    };
    let waiter = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.settled().await }
    });
    session.record(stopped("by the run"));
    assert!(session.is_active());
    session.end(stopped("by the shell"));
    assert!(!session.is_active());
    tokio::time::timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
    session.send_frame();
    assert_eq!(frames.lock().unwrap()[0].events.len(), 1);
    // A new run may begin.
    session.begin(&ExperimentRequest::compare("hello-flask"), view()).unwrap();
}
