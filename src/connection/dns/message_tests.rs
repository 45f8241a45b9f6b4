use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::dice::{Dice, cases};

const NAME: &str = "redis.example";
const ID: u16 = 0x1234;
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, 12];

/// The answer of a server: its flags, the question for `NAME`, and records.
fn answer(flags: u16, kind: Kind, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = question(NAME, kind, ID).unwrap();
    bytes[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    bytes.extend(records.concat());
    bytes
}

fn record(owner: &[u8], kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [owner, &kind.to_be_bytes(), &class.to_be_bytes(), &[0, 0, 0, 5], &length.to_be_bytes(), data].concat()
}

fn a(owner: &[u8], last: u8) -> Vec<u8> {
    record(owner, 1, 1, &[10, 0, 0, last])
}

fn cname(owner: &[u8], target: &[u8]) -> Vec<u8> {
    record(owner, 5, 1, target)
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn read_a(mut bytes: Vec<u8>) -> Reply {
    read(&mut bytes, NAME, Kind::A, ID)
}

fn is_trouble(reply: &Reply) -> bool {
    matches!(reply, Reply::Trouble(_))
}

#[test]
fn a_question_asks_for_one_name_and_for_recursion() {
    let bytes = question(NAME, Kind::Aaaa, ID).unwrap();
    let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05redis\x07example\x00\x00\x1c\x00\x01";
    assert_eq!(bytes, expected);
}

#[test]
fn addresses_come_in_the_servers_order_each_once() {
    let q = &POINTER_TO_QUESTION;
    let foreign = a(b"\x05other\xc0\x12", 9);
    let chaos = record(q, 1, 3, &[10, 0, 0, 8]);
    let text = record(q, 16, 1, b"\x03abc");
    let records = [a(q, 2), foreign, a(q, 1), chaos, a(q, 2), text, record(q, 1, 1, &[])];
    assert_eq!(read_a(answer(0, Kind::A, &records)), Reply::Addresses(vec![v4(2), v4(1)]));
    let long = [0xfd_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut bytes = answer(0, Kind::Aaaa, &[record(q, 28, 1, &long), a(q, 1)]);
    let address = Ipv6Addr::from(long).into();
    assert_eq!(read(&mut bytes, NAME, Kind::Aaaa, ID), Reply::Addresses(vec![address]));
}

#[test]
fn aliases_are_followed_within_the_message_in_any_order() {
    let (one, two) = (b"\x03one\x00", b"\x03two\x00");
    let records = [a(two, 1), cname(one, two), cname(&POINTER_TO_QUESTION, one), a(two, 2)];
    assert_eq!(read_a(answer(0, Kind::A, &records)), Reply::Addresses(vec![v4(1), v4(2)]));
    let dangling = [cname(&POINTER_TO_QUESTION, one)];
    assert_eq!(read_a(answer(0, Kind::A, &dangling)), Reply::NoAddress);
}

#[test]
fn aliases_that_go_round_lead_nowhere() {
    let one = b"\x03one\x00";
    let records = [cname(&POINTER_TO_QUESTION, one), cname(one, &POINTER_TO_QUESTION)];
    assert_eq!(read_a(answer(0, Kind::A, &records)), Reply::NoAddress);
}

#[test]
fn what_a_server_says_is_told_apart() {
    assert_eq!(read_a(answer(0, Kind::A, &[])), Reply::NoAddress);
    assert_eq!(read_a(answer(3, Kind::A, &[])), Reply::NoName);
    assert_eq!(read_a(answer(2, Kind::A, &[])), Reply::Trouble("SERVFAIL".to_owned()));
    assert_eq!(read_a(answer(5, Kind::A, &[])), Reply::Trouble("REFUSED".to_owned()));
    assert_eq!(read_a(answer(11, Kind::A, &[])), Reply::Trouble("error 11".to_owned()));
    assert_eq!(read_a(answer(0x200, Kind::A, &[a(&POINTER_TO_QUESTION, 1)])), Reply::Truncated);
    let mut referral = answer(0, Kind::A, &[]);
    referral[3] = 0;
    assert!(is_trouble(&read_a(referral)), "neither recursive nor authoritative");
    let mut unreadable = answer(1, Kind::A, &[]);
    unreadable.truncate(12);
    unreadable[4..6].fill(0);
    assert_eq!(read_a(unreadable), Reply::Trouble("FORMERR".to_owned()), "it need not repeat the question");
}

#[test]
fn what_does_not_belong_to_the_question_is_passed_over() {
    let good = || answer(0, Kind::A, &[a(&POINTER_TO_QUESTION, 1)]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good();
        bytes[at] = byte;
        read_a(bytes)
    };
    assert_eq!(changed(1, 0x35), Reply::Foreign, "another number");
    assert_eq!(changed(2, 0x01), Reply::Foreign, "a question");
    assert_eq!(changed(2, 0x89), Reply::Foreign, "another operation");
    assert_eq!(changed(13, b'x'), Reply::Foreign, "another name");
    assert_eq!(changed(28, 28), Reply::Foreign, "another kind");
    assert_eq!(changed(5, 2), Reply::Foreign, "two questions");
    assert_eq!(changed(5, 0), Reply::Foreign, "no question");
    assert_eq!(read_a(good()[..11].to_vec()), Reply::Foreign, "not even a header");
    assert_eq!(changed(13, b'R'), Reply::Addresses(vec![v4(1)]), "case does not matter");
    assert_eq!(changed(3, 0xc0), Reply::Addresses(vec![v4(1)]), "a reserved flag does not matter");
}

#[test]
fn sections_that_nobody_asked_for_cannot_spoil_an_answer() {
    let mut bytes = answer(0, Kind::A, &[a(&POINTER_TO_QUESTION, 1)]);
    bytes[8..12].copy_from_slice(&[0xff; 4]);
    bytes.extend([0xc0, 0xff, 0, 41, 9, 9, 9]);
    assert_eq!(read_a(bytes), Reply::Addresses(vec![v4(1)]));
}

#[test]
fn an_answer_that_claims_more_than_is_there_is_no_answer() {
    let mut bytes = answer(0, Kind::A, &[a(&POINTER_TO_QUESTION, 1)]);
    bytes[6..8].copy_from_slice(&[0xff, 0xff]);
    assert!(is_trouble(&read_a(bytes)));
    let mut bytes = answer(0, Kind::A, &[a(&POINTER_TO_QUESTION, 1)]);
    bytes.pop();
    assert!(is_trouble(&read_a(bytes)));
    // A record whose data is longer than the message.
    let mut bytes = answer(0, Kind::A, &[record(&POINTER_TO_QUESTION, 1, 1, &[10, 0, 0, 1])]);
    let length = bytes.len() - 5;
    bytes[length] = 200;
    assert!(is_trouble(&read_a(bytes)));
}

#[test]
fn names_that_point_at_themselves_or_forward_are_no_names() {
    let here = u8::try_from(answer(0, Kind::A, &[]).len()).unwrap();
    for owner in [[0xc0, here], [0xc0, here + 2], [0xff, 0xff]] {
        assert!(is_trouble(&read_a(answer(0, Kind::A, &[a(&owner, 1)]))), "{owner:?}");
    }
    let loops = cname(&POINTER_TO_QUESTION, &[1, b'x', 0xc0, here + 12]);
    assert!(is_trouble(&read_a(answer(0, Kind::A, &[loops]))));
    let mut question_loops = answer(0, Kind::A, &[]);
    question_loops[12..14].copy_from_slice(&[0xc0, 12]);
    assert_eq!(read_a(question_loops), Reply::Foreign);
}

#[test]
fn a_flood_of_addresses_is_cut() {
    let records: Vec<Vec<u8>> =
        (0..=255).flat_map(|b| [0, 1].map(|c| record(&POINTER_TO_QUESTION, 1, 1, &[10, 1, c, b]))).collect();
    let Reply::Addresses(addresses) = read_a(answer(0, Kind::A, &records)) else { panic!("no addresses") };
    assert_eq!(addresses.len(), MOST_ADDRESSES);
}

/// Messages with every kind of record that the parser knows how to read.
fn seeds() -> Vec<Vec<u8>> {
    let q = &POINTER_TO_QUESTION;
    let mut data = vec![3, b'o', b'n', b'e', 0xc0, 12, 0, 16, 0, 1, 2, 3];
    data.extend(0..40);
    let mut seeds = vec![
        answer(0, Kind::A, &[cname(q, b"\x03one\xc0\x0c"), a(b"\x03one\xc0\x0c", 1), a(q, 2)]),
        answer(3, Kind::A, &[]),
        answer(0, Kind::Aaaa, &[record(q, 28, 1, &[1; 16])]),
    ];
    let kinds = (1..=65).chain(99..=110).chain(249..=258);
    seeds.extend(kinds.map(|kind| answer(0, Kind::A, &[record(q, kind, 1, &data), a(q, 1)])));
    seeds
}

fn byte(dice: &mut Dice) -> u8 {
    u8::try_from(dice.below(256)).unwrap()
}

#[test]
fn no_mutation_of_a_message_makes_the_reader_panic_or_go_on_for_ever() {
    let seeds = seeds();
    cases(60_000, |dice| {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            let at = dice.below(bytes.len());
            match dice.below(6) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] ^= 1 << dice.below(8),
                2 => bytes.insert(at, byte(dice)),
                3 => bytes[at] = [0, 1, 63, 64, 0xbf, 0xc0, 0xff][dice.below(7)],
                4 => drop(bytes.remove(at)),
                _ => bytes[at] = byte(dice),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let kind = if dice.once_in(2) { Kind::A } else { Kind::Aaaa };
        if let Reply::Addresses(addresses) = read(&mut bytes, NAME, kind, ID) {
            assert!((1..=MOST_ADDRESSES).contains(&addresses.len()), "{addresses:?}");
        }
    });
}

#[test]
fn the_largest_hostile_message_is_read_in_bounded_time() {
    // Each record's name is as long as a name can be, by a chain of pointers.
    let mut label = Vec::new();
    (0..120).for_each(|_| label.extend([1, b'x']));
    label.push(0);
    let mut records = vec![record(&label, 1, 1, &[10, 0, 0, 1])];
    let start = u8::try_from(answer(0, Kind::A, &[]).len()).unwrap();
    records.extend((0..900).map(|_| a(&[0xc0, start], 1)));
    let bytes = answer(0, Kind::A, &records);
    assert!(bytes.len() < LARGEST, "{}", bytes.len());
    assert_eq!(read_a(bytes), Reply::NoAddress);
}
