//! Questions read and answers written (RFC 1035). Whatever is not about a
//! container of the network is left as the bytes that came.

use std::net::Ipv4Addr;

use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
    rdata::{A, PTR, RData},
};

/// Who knows the containers of a network.
pub(super) trait Names {
    /// The addresses of the containers with a name, which is in lower case.
    fn addresses(&self, name: &str) -> Vec<Ipv4Addr>;
    /// The name of the container with this address.
    fn name(&self, address: Ipv4Addr) -> Option<String>;
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is the answer.
    Answer(Vec<u8>),
    /// Others may know.
    Forward,
    /// It is no question.
    Drop,
}

/// Seconds for which an answer may be kept: a container's address may be
/// another's soon.
const LIFETIME: u32 = 1;

/// Length of a header (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// Reads a message of a client.
pub(super) fn judge(message: &[u8], names: &dyn Names) -> Verdict {
    if !is_question(message) {
        return Verdict::Drop;
    }
    // What cannot be read here, a new type of question say, others may read.
    let Ok(query) = Packet::parse(message) else { return Verdict::Forward };
    let [question] = &query.questions[..] else { return Verdict::Forward };
    let internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
    if query.opcode() != OPCODE::StandardQuery || !internet {
        return Verdict::Forward;
    }
    let name = question.qname.to_string().to_ascii_lowercase();
    let answers: Vec<RData<'_>> = if let Some(address) = reversed(&name) {
        let Some(found) = names.name(address) else { return Verdict::Forward };
        let wanted = matches!(question.qtype, QTYPE::TYPE(TYPE::PTR) | QTYPE::ANY);
        let found = wanted.then(|| Name::new(&found).map(Name::into_owned).ok()).flatten();
        found.map(|found| RData::PTR(PTR(found))).into_iter().collect()
    } else {
        let mut found = names.addresses(&name);
        if found.is_empty() {
            return Verdict::Forward;
        }
        // Most take the first: with each question, whose number is random, it
        // is another's turn.
        let turn = usize::from(query.id()) % found.len();
        found.rotate_left(turn);
        // It has no address of version 6 and nothing else either, and that is
        // an answer too.
        let wanted = matches!(question.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY);
        found.retain(|_| wanted);
        found.iter().map(|address| RData::A(A { address: address.to_bits() })).collect()
    };
    let mut reply = reply_to(&query, question);
    for data in answers {
        let name = question.qname.clone();
        reply.answers.push(ResourceRecord::new(name, CLASS::IN, LIFETIME, data));
    }
    match reply.build_bytes_vec_compressed() {
        Ok(bytes) => Verdict::Answer(bytes),
        Err(_) => Verdict::Drop,
    }
}

fn reply_to<'a>(query: &Packet<'a>, question: &Question<'a>) -> Packet<'a> {
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER | PacketFlag::RECURSION_AVAILABLE);
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    reply.questions.push(question.clone());
    reply
}

/// Whether it has a header that says so.
fn is_question(message: &[u8]) -> bool {
    message.len() >= HEADER && message[2] & 0x80 == 0
}

/// Whether `answer` answers `question`, as far as their headers tell.
pub(super) fn is_answer_to(answer: &[u8], question: &[u8]) -> bool {
    answer.len() >= HEADER && question.get(..2) == Some(&answer[..2]) && answer[2] & 0x80 != 0
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody who was asked knew it.
    Failure = 2,
    /// There is no such name.
    NoName = 3,
}

/// The answer that there is none.
pub(super) fn refusal(question: &[u8], why: Refusal) -> Vec<u8> {
    let parsed = Packet::parse(question).ok();
    let whole = parsed.as_ref().and_then(|query| {
        let mut reply = reply_to(query, query.questions.first()?);
        reply.remove_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        *reply.rcode_mut() = match why {
            Refusal::Failure => RCODE::ServerFailure,
            Refusal::NoName => RCODE::NameError,
        };
        reply.build_bytes_vec_compressed().ok()
    });
    whole.unwrap_or_else(|| {
        let mut header = question.get(..HEADER).unwrap_or(&[0; HEADER]).to_vec();
        // An answer, recursion available, nothing behind the header.
        header[2] |= 0x80;
        header[3] = 0x80 | why as u8;
        header[4..].fill(0);
        header
    })
}

/// The address in a name such as `2.0.200.10.in-addr.arpa` (RFC 1035, 3.5).
fn reversed(name: &str) -> Option<Ipv4Addr> {
    let octets = name.strip_suffix(".in-addr.arpa")?;
    let mut address = [0; 4];
    let mut parts = octets.split('.');
    for place in address.iter_mut().rev() {
        *place = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then(|| address.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Web;

    impl Names for Web {
        fn addresses(&self, name: &str) -> Vec<Ipv4Addr> {
            match name {
                "web" => vec![Ipv4Addr::new(10, 200, 0, 2)],
                "both" => vec![Ipv4Addr::new(10, 200, 0, 2), Ipv4Addr::new(10, 200, 0, 3)],
                _ => Vec::new(),
            }
        }

        fn name(&self, address: Ipv4Addr) -> Option<String> {
            (address == Ipv4Addr::new(10, 200, 0, 2)).then(|| "web".to_owned())
        }
    }

    fn query(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).unwrap();
        packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
        packet.build_bytes_vec().unwrap()
    }

    fn answers(name: &str, kind: TYPE) -> Vec<String> {
        let Verdict::Answer(bytes) = judge(&query(name, kind), &Web) else { panic!("no answer") };
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.id(), packet.rcode()), (7, RCODE::NoError));
        assert!(packet.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
        let text = |record: &ResourceRecord<'_>| match &record.rdata {
            RData::A(a) => Ipv4Addr::from_bits(a.address).to_string(),
            RData::PTR(PTR(name)) => name.to_string(),
            other => panic!("{other:?}"),
        };
        packet.answers.iter().map(text).collect()
    }

    #[test]
    fn a_container_is_found_by_name_and_address() {
        assert_eq!(answers("web", TYPE::A), ["10.200.0.2"]);
        assert_eq!(answers("WEB", TYPE::A), ["10.200.0.2"]);
        // By the question's number, 7, it is the second one's turn.
        assert_eq!(answers("both", TYPE::A), ["10.200.0.3", "10.200.0.2"]);
        assert_eq!(answers("web", TYPE::AAAA), Vec::<String>::new());
        assert_eq!(answers("2.0.200.10.in-addr.arpa", TYPE::PTR), ["web"]);
    }

    #[test]
    fn everything_else_is_for_others() {
        assert_eq!(judge(&query("example.org", TYPE::A), &Web), Verdict::Forward);
        assert_eq!(judge(&query("9.0.200.10.in-addr.arpa", TYPE::PTR), &Web), Verdict::Forward);
        let longer = query("2.0.200.10.7.in-addr.arpa", TYPE::PTR);
        assert_eq!(judge(&longer, &Web), Verdict::Forward);
        // Another class, another kind of question, two at once.
        let mut chaos = query("web", TYPE::A);
        let class = chaos.len() - 1;
        chaos[class] = 3;
        assert_eq!(judge(&chaos, &Web), Verdict::Forward);
        let mut update = query("web", TYPE::A);
        update[2] |= 5 << 3;
        assert_eq!(judge(&update, &Web), Verdict::Forward);
        let mut two = query("web", TYPE::A);
        two[5] = 2;
        two.extend_from_within(HEADER..);
        assert_eq!(judge(&two, &Web), Verdict::Forward);
        assert_eq!(judge(b"short", &Web), Verdict::Drop);
        let mut answer = query("web", TYPE::A);
        answer[2] |= 0x80;
        assert_eq!(judge(&answer, &Web), Verdict::Drop);
    }

    #[test]
    fn a_refusal_repeats_the_question() {
        let question = query("example.org", TYPE::A);
        let bytes = refusal(&question, Refusal::Failure);
        assert!(is_answer_to(&bytes, &question));
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.rcode(), packet.questions.len()), (RCODE::ServerFailure, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = judge(&bytes, &Web);
            let answer = refusal(&bytes, Refusal::NoName);
            prop_assert!(bytes.len() < HEADER || is_answer_to(&answer, &bytes));
        }

        #[test]
        fn a_damaged_question_is_judged(at in 0usize..21, to in any::<u8>(), keep in 0usize..22) {
            let mut bytes = query("web", TYPE::A);
            if let Some(byte) = bytes.get_mut(at) { *byte = to; }
            bytes.truncate(keep);
            let _ = judge(&bytes, &Web);
        }
    }
}
