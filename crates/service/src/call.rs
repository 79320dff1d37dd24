//! What the page asked for, and where it is told of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tandem_model::{ErrorCode, Failure};
use tandem_wire::{Kind, Message, Sender};

use crate::journal::Tell;

/// A call, as the page has made it.
#[derive(Deserialize)]
pub(crate) struct Call {
    command: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    /// Where its outlets lead to.
    #[serde(skip)]
    page: Option<Sender>,
}

/// Takes what is told while a call goes on to the page that made it.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<Inner>);

struct Inner {
    number: u64,
    page: Sender,
}

impl Call {
    /// Reads a call.
    pub(crate) fn read(body: &[u8], page: &Sender) -> Result<Self, Failure> {
        let call: Self = serde_json::from_slice(body).map_err(|e| odd("call", &e))?;
        Ok(Self { page: Some(page.clone()), ..call })
    }

    /// What is asked for.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// An argument; one that is missing is `null`.
    pub(crate) fn take<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let value = self.arguments.get(name).unwrap_or(&Value::Null);
        T::deserialize(value).map_err(|e| odd(name, &e))
    }

    /// An argument that is an outlet.
    pub(crate) fn outlet(&self, name: &str) -> Result<Outlet, Failure> {
        let number = self.take(name)?;
        let page = self.page.clone().ok_or_else(|| odd(name, &"there is no page"))?;
        Ok(Outlet(Arc::new(Inner { number, page })))
    }
}

impl Outlet {
    /// Tells the page something; false when it is gone.
    pub(crate) fn send(&self, value: &impl Serialize) -> bool {
        serde_json::to_vec(value).is_ok_and(|body| self.pass(Kind::Told, body))
    }

    /// The same, for work that outlives the page.
    pub(crate) fn teller(self) -> Tell {
        Box::new(move |message| _ = self.send(&message))
    }

    /// The same with bytes as they are.
    pub(crate) fn send_bytes(&self, bytes: Vec<u8>) -> bool {
        self.pass(Kind::Bytes, bytes)
    }

    fn pass(&self, kind: Kind, body: Vec<u8>) -> bool {
        self.0.page.send(Message::new(kind, self.0.number, body))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.page.send(Message::new(Kind::Over, self.number, Vec::new()));
    }
}

/// The page and this program are made from one source: what does not fit is
/// their fault, not a person's.
fn odd(what: &str, why: &impl ToString) -> Failure {
    let text = format!("the window asked for something unreadable ({what}: {})", why.to_string());
    Failure::new(ErrorCode::Internal, text)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, sync::mpsc};

    use super::*;

    #[test]
    fn arguments_are_read_and_outlets_tell_their_end() {
        let (here, there) = UnixStream::pair().unwrap();
        let (heard, hears) = mpsc::channel();
        let page = tandem_wire::connect(here, |_| {}, || {}).unwrap();
        let hear = move |message| heard.send(message).unwrap();
        let _window = tandem_wire::connect(there, hear, || {}).unwrap();

        let body = br#"{"command": "x", "arguments": {"name": "web", "into": null, "told": 5}}"#;
        let call = Call::read(body, &page).unwrap();
        assert_eq!(call.take::<String>("name").unwrap(), "web");
        assert_eq!(call.take::<Option<String>>("into").unwrap(), None);
        assert_eq!(call.take::<Option<String>>("absent").unwrap(), None);
        let failure = call.take::<u32>("name").unwrap_err();
        assert_eq!(failure.code, ErrorCode::Internal);
        assert!(call.outlet("name").is_err() && Call::read(b"[", &page).is_err());

        let outlet = call.outlet("told").unwrap();
        assert!(outlet.clone().send(&[1, 2]) && outlet.send_bytes(vec![0]));
        drop(outlet);
        let got: Vec<_> = hears.iter().take(3).collect();
        assert_eq!(
            got,
            [
                Message::new(Kind::Told, 5, b"[1,2]".to_vec()),
                Message::new(Kind::Bytes, 5, vec![0]),
                Message::new(Kind::Over, 5, Vec::new()),
            ]
        );
    }
}
