//! The part of a scripted server that publishes.

use super::server::{Session, array, bulk};

/// Serves a connection that listens. `None` if the command is another one.
pub(super) fn serve(session: &mut Session, name: &str, arguments: &[String]) -> Option<Vec<u8>> {
    let kind = name.to_ascii_lowercase();
    match name {
        "HELLO" => {
            session.pushes |= arguments.first().is_some_and(|version| version == "3");
            None
        }
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => {
            let mut reply = Vec::new();
            for channel in arguments {
                if name.contains("UNSUB") {
                    session.channels.remove(channel);
                } else {
                    session.channels.insert(channel.clone());
                }
                let count = format!(":{}\r\n", session.channels.len()).into_bytes();
                reply.extend(unasked(session, &[bulk(&kind), bulk(channel), count]));
            }
            if arguments.is_empty() {
                reply = unasked(session, &[bulk(&kind), b"$-1\r\n".to_vec(), b":0\r\n".to_vec()]);
            }
            Some(reply)
        }
        "PING" if !session.channels.is_empty() && !session.pushes => {
            Some(array(&[bulk("pong"), bulk(arguments.first().map_or("", String::as_str))]))
        }
        "MONITOR" => {
            session.monitors = true;
            Some(b"+OK\r\n".to_vec())
        }
        _ => None,
    }
}

/// What a connection gets of a message.
pub(super) fn message(session: &Session, channel: &str, payload: &str) -> Option<Vec<u8>> {
    session.channels.contains(channel).then(|| unasked(session, &[bulk("message"), bulk(channel), bulk(payload)]))
}

fn unasked(session: &Session, items: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = array(items);
    if session.pushes {
        bytes[0] = b'>';
    }
    bytes
}
