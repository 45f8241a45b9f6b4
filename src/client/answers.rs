//! What a primary answers when it is asked for its replicas.

use redis::{FromRedisValue, Value};

use crate::config::NodeAddress;
use crate::pool::{Answer, Question};
use crate::topology::{MAX_REPLICAS, Report, Role};

/// What an answer says; `None` if it is none.
pub fn read(question: Question, value: &Value) -> Option<Answer> {
    match question {
        Question::Role => read_role(value),
        Question::Info => Report::read(None, Some(value)).map(|report| match report.role {
            Role::Primary => Answer::Primary(report.online),
            Role::Replica => Answer::Replica,
        }),
    }
}

/// `master`, an offset and `[[ip, port, offset], ...]`, or `slave`, ...
fn read_role(value: &Value) -> Option<Answer> {
    let fields = value.as_sequence()?;
    match String::from_redis_value_ref(fields.first()?).ok()?.as_str() {
        "slave" | "replica" => Some(Answer::Replica),
        "master" => {
            let replicas = fields.get(2)?.as_sequence()?.iter().take(MAX_REPLICAS).filter_map(|replica| {
                let fields = replica.as_sequence()?;
                let host = String::from_redis_value_ref(fields.first()?).ok()?;
                let port = u16::from_redis_value_ref(fields.get(1)?).ok()?;
                NodeAddress::announced(&host, port)
            });
            Some(Answer::Primary(replicas.collect()))
        }
        _ => None,
    }
}

/// Whether the server will not be asked this, by this user or at all. Other errors pass: LOADING, BUSY.
pub fn is_denial(text: &[u8]) -> bool {
    text.starts_with(b"NOPERM") || text.to_ascii_lowercase().starts_with(b"err unknown command")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Limits, decode_all};

    fn role(bytes: &[u8]) -> Option<Answer> {
        read(Question::Role, &decode_all(bytes, Limits::default()).unwrap()[0])
    }

    #[test]
    fn a_primary_names_the_replicas_that_are_attached() {
        let two = b"*3\r\n$6\r\nmaster\r\n:7\r\n*2\r\n*3\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n$1\r\n7\r\n*3\r\n$7\r\nfd00::3\r\n$4\r\n6380\r\n$1\r\n5\r\n";
        let nodes = vec![NodeAddress::tcp("10.0.0.2", 6379), NodeAddress::tcp("fd00::3", 6380)];
        assert_eq!(role(two), Some(Answer::Primary(nodes)));
        assert_eq!(role(b"*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n"), Some(Answer::Primary(Vec::new())));
    }

    #[test]
    fn a_replica_says_so_and_anything_else_says_nothing() {
        assert_eq!(
            role(b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:7\r\n"),
            Some(Answer::Replica)
        );
        for other in [&b"+OK\r\n"[..], b"*0\r\n", b"*1\r\n$6\r\nmaster\r\n", b"*2\r\n$8\r\nsentinel\r\n*0\r\n"] {
            assert_eq!(role(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn only_a_denial_ends_the_asking() {
        assert!(is_denial(b"NOPERM this user has no permissions to run the 'role' command"));
        assert!(is_denial(b"ERR unknown command 'ROLE', with args beginning with: "));
        assert!(!is_denial(b"LOADING Redis is loading the dataset in memory"));
    }
}
