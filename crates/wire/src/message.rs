use std::io::{self, Read, Write};

/// Kind and number.
const HEAD: usize = 9;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The window asks: `{"command": NAME, "arguments": {…}}`.
    Call = 1,
    /// What came of it.
    Answer = 2,
    /// Why nothing came of it, as a `Failure`.
    Fault = 3,
    /// Something for an outlet.
    Told = 4,
    /// The same, as it is.
    Bytes = 5,
    /// Nothing more comes for an outlet.
    Over = 6,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Of the call, or of the outlet.
    pub number: u64,
    /// See the crate.
    pub body: Vec<u8>,
}

impl Message {
    /// A message with a body.
    pub fn new(kind: Kind, number: u64, body: Vec<u8>) -> Self {
        Self { kind, number, body }
    }

    /// The next message; `None` where the other side has ended between two.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        let first = loop {
            match from.read(&mut length) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        from.read_exact(&mut length[first..])?;
        let length = u64::from(u32::from_le_bytes(length));
        let mut head = [0; HEAD];
        let Some(rest) = length.checked_sub(HEAD as u64) else { return Err(odd("length")) };
        from.read_exact(&mut head)?;
        let [kind, number @ ..] = head;
        let kind = Kind::of(kind).ok_or_else(|| odd("kind"))?;
        // Grows with what has come, whatever the length says.
        let mut body = Vec::new();
        if from.take(rest).read_to_end(&mut body)? as u64 != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self { kind, number: u64::from_le_bytes(number), body }))
    }

    /// Writes it.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(HEAD + self.body.len()).map_err(|_| odd("length"))?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&[self.kind as u8])?;
        to.write_all(&self.number.to_le_bytes())?;
        to.write_all(&self.body)
    }
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        [Self::Call, Self::Answer, Self::Fault, Self::Told, Self::Bytes, Self::Over]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message of an impossible {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(messages: &[Message]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            message.write(&mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn messages_come_as_they_went() {
        let sent = [
            Message::new(Kind::Call, 1, b"{}".to_vec()),
            Message::new(Kind::Over, u64::MAX, Vec::new()),
            Message::new(Kind::Bytes, 7, vec![0; 100_000]),
        ];
        let bytes = bytes(&sent);
        let mut left = bytes.as_slice();
        for message in sent {
            assert_eq!(Message::read(&mut left).unwrap(), Some(message));
        }
        assert_eq!(Message::read(&mut left).unwrap(), None);
    }

    #[test]
    fn a_cut_or_senseless_message_is_an_error() {
        let whole = bytes(&[Message::new(Kind::Told, 3, b"true".to_vec())]);
        for end in 1..whole.len() {
            assert!(Message::read(&mut &whole[..end]).is_err(), "cut at {end}");
        }
        let mut odd = whole.clone();
        odd[4] = 99;
        assert!(Message::read(&mut odd.as_slice()).is_err());
        // Shorter than its own head, and longer than any memory.
        assert!(Message::read(&mut [8, 0, 0, 0, 1].as_slice()).is_err());
        assert!(Message::read(&mut [0xff; 13].as_slice()).is_err());
    }
}
