//! Very many ways in which what lies on the wire can be changed: nothing panics or hangs, and what comes out is what
//! was said.

use std::io::ErrorKind;

use super::super::super::{Patience, Quiet, Transport};
use super::super::TlsTransport;
use super::peer::{Authority, BOTH, Wire, node, opened, policy, server, trusting};
use crate::dice::{Dice, cases};
use crate::resp::Space;

/// No connection needs more looks than this before everything has come, or it has failed.
const MOST_LOOKS: usize = 20_000;

fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => drop(bytes.remove(at)),
            3 => {
                let piece = bytes[at..bytes.len().min(at + 1 + dice.below(200))].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let (kind, length) =
                    (dice.pick(&[20, 21, 22, 23, 24, 0, 255]), dice.pick(&[0, 1, 2, 300, 16_640, 65_535]));
                let [high, low] = u16::to_be_bytes(length);
                let content = dice.below(usize::from(length) + 1);
                let record = [&[kind, 3, dice.pick(&[1, 3, 4, 9]), high, low][..], &vec![7; content]].concat();
                bytes.splice(at..at, record);
            }
            5 => bytes.extend(b"+OK\r\n"),
            // Of a record of junk that is none, as many as fit.
            _ => bytes.extend([20, 3, 3, 0, 1, 1].repeat(dice.pick(&[1, 70, 5_000]))),
        }
    }
}

#[test]
fn what_comes_out_of_a_hostile_wire_is_what_was_said_or_the_end() {
    let authority = Authority::new();
    let config = server(&authority.signs(&["h.example"]), None, BOTH);
    let tls = policy(trusting(&authority), &["h.example"]);
    cases(400, |dice| {
        let wire = Wire::to(&config);
        let mut transport = opened(&tls, &wire);
        // The last flight of the handshake goes with it.
        transport.send(b"PING").unwrap();
        let mut said = Vec::new();
        let is_spoilt = !dice.once_in(4);
        for _ in 0..=dice.below(5) {
            let bytes = vec![b'a' + u8::try_from(dice.below(26)).unwrap(); dice.pick(&[1, 40, 3_000, 40_000])];
            wire.say(&bytes);
            said.extend(bytes);
        }
        wire.change(|peer| {
            if is_spoilt {
                spoil(dice, &mut peer.toward);
            }
            peer.piece = dice.once_in(2).then(|| 1 + dice.below(700));
            peer.closed = dice.once_in(2);
        });
        let most = dice.pick(&[1, 100, 5_000, 65_536]);
        let (mut came, mut failed) = (Vec::new(), false);
        for look in 0.. {
            assert!(look < MOST_LOOKS.max(2 * said.len()), "it does not end");
            let mut room = vec![0; 1 + dice.below(most)];
            match transport.receive(Space::Used(&mut room), Patience::None) {
                Ok(0) => break,
                Ok(count) => came.extend(&room[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if wire.change(|peer| peer.toward.is_empty()) {
                        break;
                    }
                }
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        assert!(said.starts_with(&came), "what came is something else");
        assert!(is_spoilt || came == said, "{} of {} came", came.len(), said.len());
        if failed {
            assert_eq!(transport.peek(), Quiet::Closed);
            assert!(transport.send(b"GET k").is_err());
        }
    });
}

#[test]
fn a_hostile_handshake_ends_or_waits_and_does_not_hang() {
    let authority = Authority::new();
    let config = server(&authority.signs(&["h.example"]), None, BOTH);
    let tls = policy(trusting(&authority), &["h.example"]);
    cases(400, |dice| {
        let wire = Wire::to(&config);
        let mut transport = TlsTransport::begin(&tls, &node(), Box::new(wire.clone())).unwrap();
        wire.change(|peer| peer.piece = Some(0));
        transport.step().unwrap();
        wire.change(|peer| {
            spoil(dice, &mut peer.toward);
            peer.piece = Some(1 + dice.below(700));
            peer.closed = dice.once_in(2);
        });
        for look in 0.. {
            assert!(look < MOST_LOOKS, "it does not end");
            match transport.step() {
                Ok(Some(_)) if wire.change(|peer| !peer.toward.is_empty()) => {}
                Ok(_) | Err(_) => break,
            }
        }
    });
}
