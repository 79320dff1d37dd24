//! A bad neighbour.

use std::{
    hint::black_box,
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{Problem, compute, disk, guard, say};

/// Longest that it lasts, whoever forgot to end it.
const LONGEST: u64 = 600;

/// Memory that is gone through, and the part of the disk that is written over
/// and over.
const BLOCK: usize = 32 << 20;

/// Keeps the processors, the memory or the disk busy for so long.
pub(crate) fn run(kind: &str, seconds: u64) -> Result<(), Problem> {
    if seconds > LONGEST {
        return Err(Problem::Refused(format!("{seconds} s are refused: {LONGEST} s at most")));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match kind {
        "cpu" => {
            say("burning")?;
            together(threads, || {
                while Instant::now() < end {
                    black_box(compute::work(1_000_000));
                }
            });
            Ok(())
        }
        "memory" => {
            let wanted = threads * BLOCK * 2;
            if guard::available_memory().is_some_and(|free| free < wanted as u64 * 2) {
                let text = "too little memory is free to be a neighbour that needs some";
                return Err(Problem::Refused(text.to_owned()));
            }
            say("burning")?;
            together(threads, || {
                let (from, mut to) = (vec![1_u8; BLOCK], vec![2_u8; BLOCK]);
                while Instant::now() < end {
                    to.copy_from_slice(black_box(&from));
                    black_box(&mut to);
                }
            });
            Ok(())
        }
        "disk" => {
            let folder = Path::new("/tmp");
            let file = disk::nameless(folder)?;
            guard::disk_has_room(folder, BLOCK as u64)?;
            let block = vec![0x5a_u8; BLOCK];
            say("burning")?;
            while Instant::now() < end {
                file.write_all_at(&block, 0).map_err(Problem::io("write"))?;
                file.sync_all().map_err(Problem::io("force the file to the disk"))?;
            }
            Ok(())
        }
        _ => Err(Problem::Usage(format!("`{kind}` cannot be burnt: cpu, memory or disk can"))),
    }
}

fn together(threads: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}
