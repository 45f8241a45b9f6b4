//! Every expected place was computed with Predis.

use super::*;

fn ring(members: &[(&str, u32, u16)]) -> Ring {
    let member = |&(name, weight, endpoint): &(&str, u32, u16)| RingMember { name: name.to_owned(), weight, endpoint };
    Ring::of(&members.iter().map(member).collect::<Vec<_>>())
}

const KEYS: [&[u8]; 14] = [
    b"foo",
    b"bar",
    b"user:1",
    b"{user:1}:name",
    b"a{}b",
    b"",
    b"\0\xff\xfe",
    b"k1",
    b"k2",
    b"k3",
    b"k4",
    b"k5",
    b"k6",
    b"k7",
];

fn places(ring: &Ring) -> [u16; 14] {
    KEYS.map(|key| ring.place_of(key))
}

#[test]
fn the_check_value_of_the_crc_holds_also_in_two_steps() {
    assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(crc32(0, b"12345"), b"6789"), 0xcbf4_3926);
    assert_eq!(crc32(0, b""), 0);
}

#[test]
fn keys_are_where_predis_has_put_them() {
    let three = ring(&[("10.0.0.1:6379", 100, 0), ("10.0.0.2:6379", 100, 1), ("10.0.0.3:6379", 100, 2)]);
    assert_eq!(places(&three), [1, 1, 0, 0, 1, 2, 1, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!([0, 1, 2].map(|place| three.points_of(place)), [128; 3]);
}

#[test]
fn weights_count_as_they_do_in_predis_and_halves_go_up() {
    let weighted = ring(&[("10.0.0.1:6379", 1, 0), ("10.0.0.2:6379", 2, 1), ("10.0.0.3:6379", 7, 2)]);
    assert_eq!(places(&weighted), [2, 1, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0]);
    assert_eq!([0, 1, 2].map(|place| weighted.points_of(place)), [38, 77, 269]);
    let halves = ring(&[("a:1", 1, 0), ("b:2", 1, 1), ("c:3", 766, 2)]);
    assert_eq!([0, 1, 2].map(|place| halves.points_of(place)), [1, 1, 383]);
}

#[test]
fn a_server_that_is_named_twice_has_the_points_of_both() {
    let twice = ring(&[("a:1", 100, 0), ("a:1", 300, 0), ("b:2", 100, 1), ("/run/redis.sock", 100, 2)]);
    assert_eq!(places(&twice), [2, 1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1, 1, 0]);
    assert_eq!([0, 1, 2].map(|place| twice.points_of(place)), [256, 85, 85]);
}

#[test]
fn where_two_nodes_meet_at_one_point_the_later_one_has_it() {
    let [a, b] = [("node1360.example:6381", 100, 0), ("node797.example:6385", 100, 1)];
    let key = b"k1258";
    assert_eq!(ring(&[a, b]).place_of(key), 1);
    assert_eq!(ring(&[b, a]).place_of(key), 0);
}

#[test]
fn a_ring_of_nobody_is_no_reason_to_panic() {
    assert_eq!(ring(&[]).place_of(b"k"), 0);
}
