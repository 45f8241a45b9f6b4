//! One DNS message out, one in (RFC 1035). What comes in is hostile: it is looked at byte by byte before a parser is.

use std::io;
use std::net::IpAddr;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

/// The largest message that is looked at: more than a thousand addresses.
pub const LARGEST: usize = 16 * 1024;
/// The most addresses of one answer, and the most aliases that are followed in it.
const MOST_ADDRESSES: usize = 128;
const MOST_ALIASES: usize = 16;

const HEADER: usize = 12;
/// A record without data and with the shortest name.
const SHORTEST_RECORD: usize = 11;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl Kind {
    fn record(self) -> TYPE {
        match self {
            Kind::A => TYPE::A,
            Kind::Aaaa => TYPE::AAAA,
        }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to us: it does not belong to the question.
    Foreign,
    /// The answer did not fit: it is to be asked for over TCP.
    Truncated,
    /// The addresses, at least one, each once, in the server's order.
    Addresses(Vec<IpAddr>),
    /// The name exists, without addresses of this kind.
    NoAddress,
    /// The name does not exist.
    NoName,
    /// The server cannot answer, and why: another one may.
    Trouble(String),
}

/// A question, ready to be sent. `name` is absolute, without the dot at its end.
///
/// # Errors
/// The name does not fit into a message.
pub fn question(name: &str, kind: Kind, id: u16) -> io::Result<Vec<u8>> {
    let unfit = |error: simple_dns::SimpleDnsError| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(unfit)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind.record()), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(unfit)
}

/// Reads the answer to `question(name, kind, id)`. The bytes are changed: what is of no use is cut off.
pub fn read(bytes: &mut [u8], name: &str, kind: Kind, id: u16) -> Reply {
    let Some(header) = Header::of(bytes) else { return Reply::Foreign };
    if header.id != id || !header.is_answer {
        return Reply::Foreign;
    }
    let trouble = match header.code {
        0 | 3 => None,
        1 => Some("FORMERR".to_owned()),
        2 => Some("SERVFAIL".to_owned()),
        4 => Some("NOTIMP".to_owned()),
        5 => Some("REFUSED".to_owned()),
        other => Some(format!("error {other}")),
    };
    match (header.questions, &trouble) {
        (1, _) => {
            if !repeats_question(bytes, name, kind) {
                return Reply::Foreign;
            }
        }
        // A server that could not read the question need not repeat it.
        (0, Some(_)) => {}
        _ => return Reply::Foreign,
    }
    if let Some(trouble) = trouble {
        return Reply::Trouble(trouble);
    }
    if header.code == 3 {
        return Reply::NoName;
    }
    if header.is_truncated {
        return Reply::Truncated;
    }
    if header.answers == 0 && !header.is_authoritative && !header.recurses {
        return Reply::Trouble("it knows nothing of the name and asks nobody".to_owned());
    }
    let nonsense = || Reply::Trouble("its answer cannot be read".to_owned());
    // The parser makes room for as many records as the header claims: no more than can be there.
    if usize::from(header.answers) * SHORTEST_RECORD > bytes.len() - HEADER {
        return nonsense();
    }
    keep_sections(bytes, header.answers);
    let (Ok(packet), Ok(name)) = (Packet::parse(bytes), Name::new(name)) else { return nonsense() };
    let addresses = addresses(&packet.answers, &name, kind);
    if addresses.is_empty() { Reply::NoAddress } else { Reply::Addresses(addresses) }
}

struct Header {
    id: u16,
    is_answer: bool,
    is_authoritative: bool,
    is_truncated: bool,
    recurses: bool,
    code: u8,
    questions: u16,
    answers: u16,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Header> {
        let &[id0, id1, flags0, flags1, questions0, questions1, answers0, answers1, ..] =
            bytes.first_chunk::<HEADER>()?;
        let operation = (flags0 >> 3) & 0xf;
        Some(Header {
            id: u16::from_be_bytes([id0, id1]),
            is_answer: flags0 & 0x80 != 0 && operation == 0,
            is_authoritative: flags0 & 0x04 != 0,
            is_truncated: flags0 & 0x02 != 0,
            recurses: flags1 & 0x80 != 0,
            code: flags1 & 0xf,
            questions: u16::from_be_bytes([questions0, questions1]),
            answers: u16::from_be_bytes([answers0, answers1]),
        })
    }
}

/// Tells the parser of the question and of so many answers only, and of no reserved flag: nothing else is of use, and
/// nothing else can be wrong then.
fn keep_sections(bytes: &mut [u8], answers: u16) {
    if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
        header[3] &= !0x40;
        header[6..8].copy_from_slice(&answers.to_be_bytes());
        header[8..].fill(0);
    }
}

fn repeats_question(bytes: &mut [u8], name: &str, kind: Kind) -> bool {
    let answers = [bytes[6], bytes[7]];
    keep_sections(bytes, 0);
    let (Ok(packet), Ok(name)) = (Packet::parse(bytes), Name::new(name)) else { return false };
    let [asked] = &packet.questions[..] else { return false };
    // Names are compared without regard to case (RFC 4343).
    let repeats =
        asked.qname == name && asked.qtype == QTYPE::TYPE(kind.record()) && asked.qclass == QCLASS::CLASS(CLASS::IN);
    bytes[6..8].copy_from_slice(&answers);
    repeats
}

/// The addresses of `name`, or of what it is an alias of.
fn addresses(records: &[ResourceRecord<'_>], name: &Name<'_>, kind: Kind) -> Vec<IpAddr> {
    let mut owner = name;
    for _ in 0..=MOST_ALIASES {
        let mut found = Vec::new();
        let mut alias = None;
        for record in records.iter().filter(|record| record.class == CLASS::IN && record.name == *owner) {
            let address = match (&record.rdata, kind) {
                (RData::A(a), Kind::A) => IpAddr::from(a.address.to_be_bytes()),
                (RData::AAAA(aaaa), Kind::Aaaa) => IpAddr::from(aaaa.address.to_be_bytes()),
                (RData::CNAME(target), _) => {
                    alias = Some(&target.0);
                    continue;
                }
                _ => continue,
            };
            if found.len() < MOST_ADDRESSES && !found.contains(&address) {
                found.push(address);
            }
        }
        match alias {
            Some(target) if found.is_empty() => owner = target,
            _ => return found,
        }
    }
    Vec::new()
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
