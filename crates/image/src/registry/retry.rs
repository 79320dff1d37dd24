//! Patience: what fails in passing is tried again, later and later.

use std::time::Duration;

use super::{Notice, RegistryError, progress::Transfer};

/// Times that one request is tried.
const ATTEMPTS: u32 = 5;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);

/// Counts failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// Something went well: failures before it count no more.
    pub(crate) fn restore(&mut self) {
        self.failures = 0;
    }

    /// Waits as long as this failure asks for, or gives it back when it is to
    /// be the last.
    pub(crate) async fn after(
        &mut self,
        error: RegistryError,
        notice: &Notice,
    ) -> Result<(), RegistryError> {
        let (reason, wait) = self.next(error)?;
        notice(Transfer::Again { reason, wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// What happened, and how long to wait before the next attempt.
    fn next(&mut self, error: RegistryError) -> Result<(String, Duration), RegistryError> {
        self.failures += 1;
        if self.failures >= ATTEMPTS || !error.is_passing() {
            return Err(error);
        }
        let wait = match &error {
            RegistryError::TooManyRequests { wait: Some(wait), .. } => (*wait).max(FIRST),
            _ => back_off(self.failures, rand::random_range(0.5..1.0)),
        };
        Ok((cause(&error), wait))
    }
}

/// Twice as long each time, up to a limit, and never the same for everybody.
fn back_off(failures: u32, jitter: f64) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST).mul_f64(jitter)
}

/// What happened, without the advice.
fn cause(error: &RegistryError) -> String {
    match error {
        RegistryError::TooManyRequests { registry, .. } => format!("{registry} asks to wait"),
        RegistryError::Broken { registry, reason }
        | RegistryError::Trouble { registry, reason } => {
            format!("{registry}: {reason}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_vary() {
        let waits: Vec<_> = (1..9).map(|n| back_off(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(back_off(40, 0.5), Duration::from_secs(4));
    }

    #[test]
    fn what_will_not_pass_is_given_back_at_once() {
        let mut patience = Patience::default();
        let many = |seconds| RegistryError::TooManyRequests {
            registry: "r".into(),
            wait: Some(Duration::from_secs(seconds)),
        };
        assert!(patience.next(many(3600)).is_err());
        assert_eq!(patience.next(many(7)).unwrap().1, Duration::from_secs(7));
        patience.restore();
        let broken = || RegistryError::Broken { registry: "r".into(), reason: "cut".into() };
        for _ in 1..ATTEMPTS {
            patience.next(broken()).unwrap();
        }
        assert!(patience.next(broken()).is_err());
        patience.restore();
        patience.next(broken()).unwrap();
    }
}
