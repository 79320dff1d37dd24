//! A gzip writer for layers: on several processors, and quick where nothing
//! can be gained.
//!
//! The bytes are cut into units of a fixed size, each of which is packed on its
//! own and ends on a byte (RFC 1951, an empty stored block), so that they can
//! be packed side by side and put together as one member (RFC 1952). What comes
//! out depends on what goes in alone, never on the number of processors.

use std::{
    collections::VecDeque,
    io::{self, Write},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::behind::Behind;

/// Blobs are read back at once and seldom travel: speed before size.
const LEVEL: Compression = Compression::new(1);

/// Bytes packed at a time.
const UNIT: usize = 256 << 10;

/// Bytes that tell whether a unit can be made smaller.
const SAMPLE: usize = 16 << 10;

/// No time given, packed fastest, by no system in particular.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// An empty last block.
const END: [u8; 2] = [3, 0];

/// The most threads that pack.
const MOST: usize = 4;

/// Packs what is written to it.
pub(super) struct Gzip<W> {
    out: Out<W>,
    unit: Vec<u8>,
    crc: Crc,
    /// Begun with the second unit: most layers are small.
    workers: Option<Workers>,
    /// Units on their way, in order.
    pending: VecDeque<mpsc::Receiver<Packed>>,
}

/// Where packed bytes go: to a thread, as soon as there are workers.
enum Out<W> {
    Here(W),
    Behind(Behind<W>),
    /// It has failed, and that was told.
    Failed,
}

/// A packed unit, and the sum over what it was.
struct Packed {
    bytes: Vec<u8>,
    crc: Crc,
}

impl<W: Write + Send + 'static> Out<W> {
    fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let taken = match self {
            Self::Here(out) => return out.write_all(&bytes),
            Self::Behind(out) => out.write(bytes),
            Self::Failed => false,
        };
        if taken {
            return Ok(());
        }
        Err(std::mem::replace(self, Self::Failed).finish().err().unwrap_or_else(failed))
    }

    fn go_behind(&mut self) {
        if let Self::Here(out) = std::mem::replace(self, Self::Failed) {
            *self = Self::Behind(Behind::new(out));
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Here(out) => Ok(out),
            Self::Behind(out) => out.finish(),
            Self::Failed => Err(failed()),
        }
    }
}

fn failed() -> io::Error {
    io::Error::other("the writer has failed before")
}

impl<W: Write + Send + 'static> Gzip<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let (unit, crc) = (Vec::with_capacity(UNIT), Crc::new());
        Ok(Self { out: Out::Here(out), unit, crc, workers: None, pending: VecDeque::new() })
    }

    /// Writes all that is left, and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let last = std::mem::take(&mut self.unit);
        while !self.pending.is_empty() {
            self.write_next()?;
        }
        if !last.is_empty() {
            let packed = pack(&mut Compress::new(LEVEL, false), &last)?;
            self.write_packed(packed)?;
        }
        let mut end = END.to_vec();
        end.extend(self.crc.sum().to_le_bytes());
        end.extend(self.crc.amount().to_le_bytes());
        self.out.write(end)?;
        self.out.finish()
    }

    /// Gives a full unit to the workers.
    fn hand_over(&mut self) -> io::Result<()> {
        if self.workers.is_none() {
            self.out.go_behind();
        }
        let workers = self.workers.get_or_insert_with(Workers::begin);
        let unit = std::mem::replace(&mut self.unit, Vec::with_capacity(UNIT));
        let most = 2 * workers.count;
        self.pending.push_back(workers.pack(unit)?);
        while self.pending.len() > most {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> io::Result<()> {
        let Some(next) = self.pending.pop_front() else { return Ok(()) };
        let packed = next.recv().map_err(|_| io::Error::other("a thread that packs has ended"))?;
        self.write_packed(packed)
    }

    fn write_packed(&mut self, packed: Packed) -> io::Result<()> {
        self.crc.combine(&packed.crc);
        self.out.write(packed.bytes)
    }
}

impl<W: Write + Send + 'static> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unit.len() == UNIT {
            self.hand_over()?;
        }
        let count = bytes.len().min(UNIT - self.unit.len());
        self.unit.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// All comes out at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Threads that pack, as long as there is something to pack.
struct Workers {
    count: usize,
    jobs: mpsc::Sender<Job>,
}

type Job = (Vec<u8>, mpsc::SyncSender<Packed>);

impl Workers {
    fn begin() -> Self {
        let count = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST);
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..count {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut state = Compress::new(LEVEL, false);
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((unit, answer)) = next else { return };
                    let Ok(packed) = pack(&mut state, &unit) else { return };
                    // Whoever wanted it may have given up.
                    let _ = answer.send(packed);
                }
            });
        }
        Self { count, jobs }
    }

    fn pack(&self, unit: Vec<u8>) -> io::Result<mpsc::Receiver<Packed>> {
        let (answer, packed) = mpsc::sync_channel(1);
        let sent = self.jobs.send((unit, answer));
        sent.map_err(|_| io::Error::other("the threads that pack have ended"))?;
        Ok(packed)
    }
}

/// Packs one unit.
fn pack(state: &mut Compress, unit: &[u8]) -> io::Result<Packed> {
    let mut crc = Crc::new();
    crc.update(unit);
    let bytes = if is_dense(state, unit)? { store(unit) } else { deflate(state, unit)? };
    Ok(Packed { bytes, crc })
}

/// Whether neither the beginning nor the middle gets smaller: pictures,
/// archives, what is packed already.
fn is_dense(state: &mut Compress, unit: &[u8]) -> io::Result<bool> {
    if unit.len() < 4 * SAMPLE {
        return Ok(false);
    }
    for start in [0, unit.len() / 2] {
        if deflate(state, &unit[start..start + SAMPLE])?.len() < SAMPLE - SAMPLE / 32 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes as they are (RFC 1951, 3.2.4).
fn store(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unit.len() + unit.len() / 1024 + 16);
    for block in unit.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        bytes.push(0);
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    bytes
}

/// The bytes packed, up to a whole byte.
fn deflate(state: &mut Compress, unit: &[u8]) -> io::Result<Vec<u8>> {
    state.reset();
    let mut bytes = Vec::with_capacity(unit.len() + unit.len() / 8 + 64);
    loop {
        let rest = &unit[usize::try_from(state.total_in()).unwrap_or(unit.len())..];
        let status = state.compress_vec(rest, &mut bytes, FlushCompress::Sync)?;
        let taken = state.total_in() == unit.len() as u64;
        // With room left all has come out.
        if taken && bytes.len() < bytes.capacity() {
            return Ok(bytes);
        }
        if status == Status::BufError && bytes.len() < bytes.capacity() {
            return Err(io::Error::other("bytes cannot be packed"));
        }
        bytes.reserve(unit.len() / 8 + 64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::bufread::GzDecoder;
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::ChaCha12Rng};

    use super::*;

    fn packed(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        for piece in bytes.chunks(piece.max(1)) {
            gzip.write_all(piece).unwrap();
        }
        gzip.finish().unwrap()
    }

    /// By a decoder that knows one member only.
    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut decoder = GzDecoder::new(bytes);
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        assert!(decoder.into_inner().is_empty(), "something follows the member");
        out
    }

    /// Text, noise and holes by turns.
    fn mixed(length: usize, seed: u64) -> Vec<u8> {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let mut piece = vec![0; 1 + random.next_u32() as usize % 300_000];
            match random.next_u32() % 3 {
                0 => random.fill_bytes(&mut piece),
                1 => piece.iter_mut().for_each(|it| *it = b'a' + (random.next_u32() % 4) as u8),
                _ => {}
            }
            bytes.extend(piece);
        }
        bytes.truncate(length);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_was_packed_comes_back(length in 0_usize..3_000_000, seed: u64, piece in 1_usize..700_000) {
            let bytes = mixed(length, seed);
            let one = packed(&bytes, piece);
            prop_assert_eq!(&unpacked(&one), &bytes);
            // However it was written, and whichever thread was quicker.
            prop_assert_eq!(one, packed(&bytes, 4096));
        }
    }

    #[test]
    fn the_edges_of_units_are_no_edges_of_the_bytes() {
        for length in [0, 1, UNIT - 1, UNIT, UNIT + 1, 3 * UNIT, 12 * UNIT + 5] {
            let bytes = mixed(length, 7);
            assert_eq!(unpacked(&packed(&bytes, 10_000)), bytes, "{length} bytes");
        }
    }

    #[test]
    fn text_gets_smaller_and_noise_hardly_larger() {
        let text = b"the same words again and again ".repeat(40_000);
        assert!(packed(&text, 4096).len() < text.len() / 10);
        let mut noise = vec![0; 2 << 20];
        ChaCha12Rng::seed_from_u64(3).fill_bytes(&mut noise);
        assert!(packed(&noise, 4096).len() < noise.len() + noise.len() / 1000);
    }

    #[test]
    fn a_writer_that_fails_is_heard() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if bytes == HEADER {
                    Ok(bytes.len())
                } else {
                    Err(io::ErrorKind::StorageFull.into())
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = Gzip::new(Full).unwrap();
        let result = gzip.write_all(&mixed(20 * UNIT, 1));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
