//! What clients and name servers send.

use std::net::Ipv4Addr;

use super::message::{Names, Refusal, Verdict, is_answer_to, judge, refusal};

/// The one container that there is.
pub const NAME: &str = "web";
/// Its address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);

struct Web;

impl Names for Web {
    fn addresses(&self, name: &str) -> Vec<Ipv4Addr> {
        (name == NAME).then_some(ADDRESS).into_iter().collect()
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        (address == ADDRESS).then(|| NAME.to_owned())
    }
}

/// What a message gets: an answer of ours, or nothing and whether others are
/// asked.
pub fn judged(message: &[u8]) -> Result<Vec<u8>, bool> {
    match judge(message, &Web) {
        Verdict::Answer(answer) => Ok(answer),
        Verdict::Forward => Err(true),
        Verdict::Drop => Err(false),
    }
}

/// The answer that there is no such name, or that nobody knew.
pub fn refused(question: &[u8], no_name: bool) -> Vec<u8> {
    refusal(question, if no_name { Refusal::NoName } else { Refusal::Failure })
}

/// Whether what a name server sends is passed on.
pub fn answers(answer: &[u8], question: &[u8]) -> bool {
    is_answer_to(answer, question)
}
