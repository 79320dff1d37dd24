use std::io::{self, Read, Write};

/// Tells whether long work should stop; asked again and again.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// A stream that fails once `stop` says so, and with it whoever copies it.
pub struct Stoppable<'a, T> {
    inner: T,
    stop: Stop<'a>,
}

impl<'a, T> Stoppable<'a, T> {
    /// A stream around another one.
    pub fn new(inner: T, stop: Stop<'a>) -> Self {
        Self { inner, stop }
    }
}

impl<T: Read> Read for Stoppable<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        go_on(self.stop)?;
        self.inner.read(bytes)
    }
}

impl<T: Write> Write for Stoppable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        go_on(self.stop)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// An error when the work should stop. Its kind is none that is tried again.
pub(crate) fn go_on(stop: Stop<'_>) -> io::Result<()> {
    if stop() { Err(io::Error::other("the work was stopped")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_copy_ends_when_it_should() {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) == 3;
        let endless = Stoppable::new(io::repeat(7), &stop);
        let error = io::copy(&mut { endless }, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("stopped"), "{error}");
        let mut written = Vec::new();
        let mut out = Stoppable::new(&mut written, &|| false);
        out.write_all(b"all of it").unwrap();
        out.flush().unwrap();
        assert_eq!(written, b"all of it");
        let mut out = Stoppable::new(Vec::new(), &|| true);
        assert!(out.write_all(b"nothing").is_err() && out.inner.is_empty());
    }
}
