use std::time::Duration;

use tandem_model::RestartPolicy;

/// Pauses before an app is started again (Docker's): each twice the one
/// before, and short again after the app has lived for a while.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(1);

/// A life that long begins the pauses anew.
const LIVED: Duration = Duration::from_secs(10);

impl BackOff {
    pub(super) fn new() -> Self {
        Self { next: SHORTEST }
    }

    /// The pause after a life of this length.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= LIVED {
            self.next = SHORTEST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

/// Whether an app that ended by itself with this code, and was started again
/// so often already, is started again.
pub(super) fn wanted(policy: RestartPolicy, code: i32, restarts: u32) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { most } => code != 0 && most.is_none_or(|most| restarts < most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew() {
        let mut pauses = BackOff::new();
        let short = Duration::from_secs(1);
        let seen: Vec<_> = (0..12).map(|_| pauses.after(short).as_millis()).collect();
        assert_eq!(
            seen,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]
        );
        assert_eq!(pauses.after(LIVED), SHORTEST);
        assert_eq!(pauses.after(short), SHORTEST * 2);
    }

    #[test]
    fn policies_are_dockers() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        assert!(!wanted(No, 1, 0));
        assert!(wanted(Always, 0, 1000) && wanted(UnlessStopped, 0, 1000));
        assert!(!wanted(OnFailure { most: None }, 0, 0));
        assert!(wanted(OnFailure { most: None }, 1, 1000));
        let thrice = OnFailure { most: Some(3) };
        assert!(wanted(thrice, 1, 2) && !wanted(thrice, 1, 3));
    }
}
