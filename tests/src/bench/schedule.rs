use std::{
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::ChaCha12Rng};
use tandem_probe::{FirstResponse, ReadyOptions, now, wait_for_first_response};

use super::{Options, contender::Contender};

/// Time to the first answer, in nanoseconds, by contender, in the order in
/// which they ran.
pub(crate) type Trials = Vec<(&'static str, f64)>;

/// What hello-flask answers; anything else is not the same app.
const BODY: &[u8] = b"Hello flask, it's me Bill!";

/// One unmeasured launch of each warms the page cache and shows who can; the
/// others are `absent` with the reason. Then the shuffled run.
pub(crate) fn run(
    contenders: &mut [Box<dyn Contender>],
    absent: &mut Vec<String>,
    options: &Options,
) -> Result<Trials> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut sizes = Vec::new();
    for contender in contenders.iter_mut() {
        let name = contender.name();
        let size = if contender.is_machine() { options.vm_trials } else { options.trials };
        match trial(contender.as_mut(), &runtime) {
            Ok(None) => bail!("interrupted"),
            Ok(Some(elapsed)) => {
                eprintln!("{name}: {:.1} ms (warm-up)", elapsed / 1e6);
                sizes.push(size);
            }
            Err(error) => {
                eprintln!("{name}: not measured: {error:#}");
                absent.push(format!("{name}: {error:#}"));
                sizes.push(0);
            }
        }
    }
    let mut trials = Trials::new();
    let order = order(&sizes, options.seed);
    for (number, at) in order.iter().enumerate() {
        let contender = contenders[*at].as_mut();
        let name = contender.name();
        let elapsed = trial(contender, &runtime).with_context(|| format!("launching {name}"))?;
        let Some(elapsed) = elapsed else { bail!("interrupted") };
        eprintln!("{:>3}/{} {name}: {:.1} ms", number + 1, order.len(), elapsed / 1e6);
        trials.push((name, elapsed));
    }
    Ok(trials)
}

/// Every index as often as its size says, shuffled (Fisher and Yates).
fn order(sizes: &[usize], seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> =
        sizes.iter().enumerate().flat_map(|(at, size)| vec![at; *size]).collect();
    let mut generator = ChaCha12Rng::seed_from_u64(seed);
    for last in (1..order.len()).rev() {
        let scaled = u64::from(generator.next_u32()) * (last as u64 + 1);
        order.swap(last, usize::try_from(scaled >> 32).unwrap_or_default());
    }
    order
}

/// How the wait for an answer ended.
enum Ending {
    Answered(FirstResponse),
    Failed(String),
    Interrupted,
}

/// Nanoseconds to the first answer; `None` when a person interrupted.
fn trial(contender: &mut dyn Contender, runtime: &tokio::runtime::Runtime) -> Result<Option<f64>> {
    let (mut command, address) = contender.launch()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let options = ReadyOptions { limit: Duration::from_mins(3), ..ReadyOptions::default() };
    let begin = now();
    let mut child = command.spawn()?;
    let ending = runtime.block_on(async {
        tokio::select! {
            first = wait_for_first_response(address, "/", options) => match first {
                Ok(first) => Ending::Answered(first),
                Err(error) => Ending::Failed(error.to_string()),
            },
            () = failure(&mut child) => Ending::Failed("the command failed".to_owned()),
            _ = tokio::signal::ctrl_c() => Ending::Interrupted,
        }
    });
    let stopped = contender.stop(&mut child);
    reap(&mut child);
    let first = match ending {
        Ending::Answered(first) => first,
        Ending::Failed(why) => bail!("{why}: {}", last_words(&mut child)),
        Ending::Interrupted => return stopped.map(|()| None),
    };
    stopped?;
    if first.body != BODY {
        bail!("it answered {:?}", String::from_utf8_lossy(&first.body));
    }
    Ok(Some(first.at.since(begin) as f64))
}

/// Resolves when the command has ended with a failure.
async fn failure(child: &mut Child) {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if matches!(child.try_wait(), Ok(Some(status)) if !status.success()) {
            return;
        }
    }
}

/// A command that is still there after its instance was stopped is ended.
fn reap(child: &mut Child) {
    let gone = crate::poll::until("the end", Duration::from_secs(5), || child.try_wait().ok()?);
    if gone.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn last_words(child: &mut Child) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    if let Some(pipe) = child.stderr.as_mut() {
        let _ = pipe.take(4096).read_to_string(&mut text);
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_a_shuffle_that_the_seed_repeats() {
        let first = order(&[20, 5, 20], 7);
        assert_eq!(first, order(&[20, 5, 20], 7));
        assert_ne!(first, order(&[20, 5, 20], 8));
        let count = |at| first.iter().filter(|other| **other == at).count();
        assert_eq!((count(0), count(1), count(2)), (20, 5, 20));
        // Interleaved: neither half holds all of anybody.
        assert!(first[..22].contains(&0) && first[22..].contains(&0));
    }
}
