//! The part of a scripted server that publishes.

use super::server::{Session, array, bulk};

/// Serves a connection that listens. `None` if the command is another one.
pub(super) fn serve(session: &mut Session, name: &str, arguments: &[String]) -> Option<Vec<u8>> {
    let kind = name.to_ascii_lowercase();
    match name {
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => {
            let mut reply = Vec::new();
            for channel in arguments {
                if name.contains("UNSUB") {
                    session.channels.remove(channel);
                } else {
                    session.channels.insert(channel.clone());
                }
                let count = format!(":{}\r\n", session.channels.len()).into_bytes();
                reply.extend(array(&[bulk(&kind), bulk(channel), count]));
            }
            if arguments.is_empty() {
                reply = array(&[bulk(&kind), b"$-1\r\n".to_vec(), b":0\r\n".to_vec()]);
            }
            Some(reply)
        }
        "PING" if !session.channels.is_empty() => {
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
    session.channels.contains(channel).then(|| array(&[bulk("message"), bulk(channel), bulk(payload)]))
}
