use std::io::ErrorKind;
use std::mem::MaybeUninit;

use super::super::super::{Patience, Quiet, Transport};
use super::super::TlsTransport;
use super::peer::{Authority, BOTH, Wire, opened, policy, received, server, trusting};
use crate::resp::Space;

fn connected() -> (TlsTransport, Wire) {
    let authority = Authority::new();
    let wire = Wire::to(&server(&authority.signs(&["h.example"]), None, BOTH));
    let transport = opened(&policy(trusting(&authority), &["h.example"]), &wire);
    (transport, wire)
}

/// The handshake's last flight is with the peer, and its tickets are here.
fn settled() -> (TlsTransport, Wire) {
    let (mut transport, wire) = connected();
    assert_eq!(transport.send(b"PING").unwrap(), 4);
    wire.say(b"+PONG\r\n");
    assert_eq!(received(&mut transport).unwrap(), b"+PONG\r\n");
    wire.change(|peer| peer.received.clear());
    (transport, wire)
}

#[test]
fn what_is_sent_first_goes_out_together_with_the_end_of_the_handshake() {
    let (mut transport, wire) = connected();
    let before = wire.change(|peer| peer.sends);
    transport.send(b"HELLO").unwrap();
    assert_eq!(wire.change(|peer| (peer.sends - before, peer.received.clone())), (1, b"HELLO".to_vec()));
}

#[test]
fn large_values_go_both_ways_whole() {
    let (mut transport, wire) = settled();
    let value: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    assert_eq!(transport.send(&value).unwrap(), value.len());
    assert!(wire.change(|peer| peer.received == value), "what arrived is something else");
    let mut received = Vec::new();
    for piece in value.chunks(50_000) {
        wire.say(piece);
        received.extend(super::peer::received(&mut transport).unwrap());
    }
    assert!(received == value, "what came is something else");
}

#[test]
fn a_record_that_comes_in_any_number_of_pieces_is_opened_with_the_last_one() {
    for pieces in 1..12 {
        let (mut transport, wire) = settled();
        wire.say(&[b'x'; 2_000]);
        wire.change(|peer| peer.piece = Some(peer.toward.len().div_ceil(pieces)));
        let mut seen = Vec::new();
        while wire.change(|peer| !peer.toward.is_empty()) {
            seen.extend(received(&mut transport).unwrap());
        }
        assert_eq!(seen.len(), 2_000, "{pieces} pieces");
    }
}

#[test]
fn what_has_no_room_is_kept_and_comes_before_anything_else() {
    let (mut transport, wire) = settled();
    wire.say(b"0123456789");
    wire.say(b"abc");
    let mut fresh = [MaybeUninit::<u8>::uninit(); 4];
    assert_eq!(transport.receive(Space::Fresh(&mut fresh), Patience::None).unwrap(), 4);
    let mut room = [0; 2];
    assert_eq!(transport.receive(Space::Used(&mut room), Patience::None).unwrap(), 2);
    assert_eq!(&room, b"45");
    let mut rest = [0; 64];
    assert_eq!(transport.receive(Space::Used(&mut rest), Patience::None).unwrap(), 7);
    assert_eq!(&rest[..7], b"6789abc");
    assert_eq!(transport.peek(), Quiet::Yes);
}

#[test]
fn a_record_counts_as_sent_when_the_kernel_has_all_of_it() {
    let (mut transport, wire) = settled();
    wire.change(|peer| peer.room = Some(10));
    assert_eq!(transport.send(b"0123456789").unwrap(), 9, "the last byte is kept back");
    assert_eq!(wire.change(|peer| peer.received.clone()), b"", "a part of a record is none");
    assert_eq!(transport.send(b"9").unwrap_err().kind(), ErrorKind::WouldBlock);
    wire.change(|peer| peer.room = None);
    assert_eq!(transport.send(b"9").unwrap(), 1);
    assert_eq!(transport.send(b"ab").unwrap(), 2);
    assert_eq!(wire.change(|peer| peer.received.clone()), b"0123456789ab");
}

#[test]
fn a_kernel_that_takes_little_gets_every_byte_once() {
    let (mut transport, wire) = settled();
    let value: Vec<u8> = (0..100_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let mut sent = 0;
    while sent < value.len() {
        wire.change(|peer| peer.room = Some(5_000));
        match transport.send(&value[sent..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(wire.change(|peer| peer.received == value), "what arrived is something else");
}

#[test]
fn a_peek_opens_what_the_session_says_of_itself_before_it_judges() {
    let (mut transport, wire) = connected();
    transport.send(b"PING").unwrap();
    assert!(wire.change(|peer| !peer.toward.is_empty()), "tickets are on their way");
    assert_eq!(transport.peek(), Quiet::Yes);
    wire.say(b"+OK\r\n");
    assert_eq!(transport.peek(), Quiet::Bytes);
    assert_eq!(transport.peek(), Quiet::Bytes, "looking at it takes nothing away");
}

#[test]
fn the_end_is_seen_by_a_peek_in_both_its_forms() {
    let (mut transport, wire) = settled();
    wire.notify();
    assert_eq!(transport.peek(), Quiet::Closed);
    let (mut transport, wire) = settled();
    wire.change(|peer| peer.closed = true);
    assert_eq!(transport.peek(), Quiet::Closed);
}

#[test]
fn a_record_that_never_ends_is_no_good_sign() {
    let (mut transport, wire) = settled();
    wire.say(b"+OK\r\n");
    wire.change(|peer| peer.toward.truncate(10));
    assert_eq!(transport.peek(), Quiet::Bytes);
}

#[test]
fn a_peer_that_closes_with_or_without_its_leave_tells_what_did_not_arrive() {
    for says_so in [true, false] {
        let (mut transport, wire) = settled();
        transport.send(b"INCR a").unwrap();
        wire.change(|peer| peer.cut_off = true);
        transport.send(b"INCR bb").unwrap();
        if says_so {
            wire.notify();
        }
        wire.change(|peer| peer.closed = true);
        assert_eq!(received(&mut transport).unwrap(), b"");
        assert_eq!(transport.undelivered(), 7, "the record that was never acknowledged");
    }
}

#[test]
fn a_peer_that_takes_its_leave_and_keeps_its_socket_leaves_everything_in_doubt() {
    let (mut transport, wire) = settled();
    wire.change(|peer| peer.cut_off = true);
    transport.send(b"INCR a").unwrap();
    wire.notify();
    assert_eq!(received(&mut transport).unwrap(), b"");
    assert_eq!(transport.undelivered(), 0, "its socket is open still: the bytes may yet arrive");
}

#[test]
fn a_changed_byte_ends_the_connection() {
    let (mut transport, wire) = settled();
    wire.say(b"+OK\r\n");
    wire.change(|peer| *peer.toward.last_mut().unwrap() ^= 1);
    let error = received(&mut transport).unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[test]
fn a_reply_that_came_whole_is_handed_over_before_the_error_behind_it() {
    let garbage = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
    let no_record = b"HTTP/1.1 400 Bad Request\r\n".to_vec();
    for (what, behind) in [("a record of junk", Some(garbage)), ("no record", Some(no_record)), ("an alert", None)] {
        let (mut transport, wire) = settled();
        wire.say(b"+OK\r\n");
        match behind {
            Some(bytes) => wire.change(|peer| peer.toward.extend(bytes)),
            None => wire.change(|peer| peer.hear(b"what no client says, and is answered with an alert")),
        }
        let mut room = [0; 100];
        let count = transport.receive(Space::Used(&mut room), Patience::None);
        assert_eq!(count.as_ref().ok(), Some(&5), "{what}: {count:?}");
        assert_eq!(transport.peek(), Quiet::Closed, "{what}");
        let error = transport.send(b"GET k").unwrap_err();
        assert!(error.to_string().contains("TLS"), "{what}: {error}");
        let error = transport.receive(Space::Used(&mut room), Patience::None).unwrap_err();
        assert!(error.to_string().contains("TLS"), "{what}: {error}");
    }
}

#[test]
fn what_had_no_room_comes_before_the_error_behind_it() {
    let (mut transport, wire) = settled();
    wire.say(b"0123456789");
    wire.change(|peer| peer.toward.extend([23, 3, 3, 0, 2, 7, 7]));
    let mut room = [0; 6];
    assert_eq!(transport.receive(Space::Used(&mut room), Patience::None).unwrap(), 6);
    assert_eq!(transport.receive(Space::Used(&mut room), Patience::None).unwrap(), 4);
    assert!(transport.receive(Space::Used(&mut room), Patience::None).is_err());
}

#[test]
fn a_dropped_connection_says_nothing() {
    let (transport, wire) = settled();
    let before = wire.change(|peer| peer.carried);
    drop(transport);
    assert_eq!(wire.change(|peer| peer.carried), before);
}

#[test]
fn what_was_answered_before_the_connection_broke_has_been_answered() {
    let (mut transport, wire) = settled();
    wire.change(|peer| peer.room = Some(10));
    assert_eq!(transport.send(b"0123456789").unwrap(), 9);
    wire.say(b"+OK\r\n");
    wire.change(|peer| peer.broken = true);
    assert_eq!(received(&mut transport).unwrap(), b"+OK\r\n");
    assert!(transport.send(b"9").is_err());
}
