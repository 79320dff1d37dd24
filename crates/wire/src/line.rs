use std::{
    io::{self, BufReader, BufWriter, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, mpsc},
    thread,
};

use crate::Message;

/// Sends messages, in the order in which they are given.
#[derive(Debug, Clone)]
pub struct Sender {
    queue: mpsc::Sender<Message>,
    socket: Arc<UnixStream>,
}

impl Sender {
    /// Sends a message; false when the other side is gone.
    pub fn send(&self, message: Message) -> bool {
        self.queue.send(message).is_ok()
    }

    /// Ends the conversation: the other side hears nothing more.
    pub fn end(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Begins to write and to read, each in a thread. `on_message` is given what
/// comes, in its order; `on_end` follows when the other side is gone.
pub fn connect(
    socket: UnixStream,
    mut on_message: impl FnMut(Message) + Send + 'static,
    on_end: impl FnOnce() + Send + 'static,
) -> io::Result<Sender> {
    let (send, queue) = mpsc::channel();
    let (reading, socket) = (socket.try_clone()?, Arc::new(socket));
    let writing = Arc::clone(&socket);
    thread::Builder::new().name("wire-write".to_owned()).spawn(move || {
        let _ = write(&writing, &queue);
        // Whoever waits for a message on this side is told as well.
        let _ = writing.shutdown(Shutdown::Both);
    })?;
    thread::Builder::new().name("wire-read".to_owned()).spawn(move || {
        let mut from = BufReader::new(reading);
        // A message without sense cannot be followed by one with sense.
        while let Ok(Some(message)) = Message::read(&mut from) {
            on_message(message);
        }
        let _ = from.get_ref().shutdown(Shutdown::Both);
        on_end();
    })?;
    Ok(Sender { queue: send, socket })
}

/// Writes until all senders are gone.
fn write(socket: &UnixStream, queue: &mpsc::Receiver<Message>) -> io::Result<()> {
    let mut to = BufWriter::new(socket);
    while let Ok(first) = queue.recv() {
        first.write(&mut to)?;
        for next in queue.try_iter() {
            next.write(&mut to)?;
        }
        to.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn both_sides_are_heard_and_an_end_is_told() {
        let (here, there) = UnixStream::pair().unwrap();
        let (heard, hears) = mpsc::channel();
        let ended = heard.clone();
        let near = connect(
            here,
            move |message| heard.send(Some(message)).unwrap(),
            move || ended.send(None).unwrap(),
        )
        .unwrap();
        let far = connect(there, |_| {}, || {}).unwrap();
        for number in 0..100 {
            assert!(far.send(Message::new(Kind::Told, number, vec![1; 10_000])));
        }
        for number in 0..100 {
            assert_eq!(hears.recv().unwrap().map(|message| message.number), Some(number));
        }
        drop(far);
        assert_eq!(hears.recv().unwrap(), None);
        // The thread that writes notices at the latest with its next message.
        while near.send(Message::new(Kind::Call, 0, Vec::new())) {
            thread::yield_now();
        }
    }
}
