use super::*;

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn node(host: &str, port: i64) -> Value {
    Value::Array(vec![bulk(host), Value::Int(port), bulk("id"), Value::Array(vec![])])
}

fn range(first: i64, last: i64, nodes: &[Value]) -> Value {
    Value::Array([&[Value::Int(first), Value::Int(last)], nodes].concat())
}

fn at(port: u16) -> NodeAddress {
    NodeAddress::tcp("10.0.0.1", port)
}

fn read(ranges: Vec<Value>) -> Option<SlotMap> {
    SlotMap::read(&Value::Array(ranges), &Speaker::plain(at(9)), Instant::default(), |_| true)
}

#[test]
fn slots_belong_to_shards_and_a_shard_may_have_several_ranges() {
    let map = read(vec![
        range(0, 99, &[node("10.0.0.1", 1), node("10.0.0.1", 4)]),
        range(100, 16_000, &[node("10.0.0.1", 2)]),
        range(16_001, 16_383, &[node("10.0.0.1", 1), node("10.0.0.1", 4)]),
    ]);
    let map = map.unwrap();
    assert_eq!(map.shards().len(), 2);
    assert_eq!([0, 99, 100, 16_000, 16_001, 16_383].map(|slot| map.shard_of(slot)), [0, 0, 1, 1, 0, 0].map(Some));
    assert_eq!([1, 2, 4, 5].map(|port| map.shard_with(&at(port))), [Some(0), Some(1), Some(0), None]);
    assert_eq!(map.shards()[0].nodes(), [at(1), at(4)]);
    assert_eq!([0, 1].map(|shard| map.share_of(shard)), [483, 15_901]);
}

#[test]
fn a_node_without_a_host_is_where_was_asked_and_an_unknown_one_is_none() {
    let map = read(vec![range(0, 5, &[node("", 7), node("?", 8)]), range(6, 7, &[node("?", 3)])]).unwrap();
    assert_eq!(map.shards(), [Shard { primary: at(7), replicas: vec![] }]);
    assert_eq!([5, 6].map(|slot| map.shard_of(slot)), [Some(0), None]);
}

#[test]
fn what_may_not_be_reached_is_left_out() {
    let reply = Value::Array(vec![range(0, 5, &[node("10.0.0.1", 1), node("10.0.0.2", 2)])]);
    let map = SlotMap::read(&reply, &Speaker::plain(at(9)), Instant::default(), |node| *node == at(1)).unwrap();
    assert_eq!(map.shards(), [Shard { primary: at(1), replicas: vec![] }]);
    assert!(SlotMap::read(&reply, &Speaker::plain(at(9)), Instant::default(), |_| false).is_none());
}

#[test]
fn nonsense_is_no_map() {
    let nonsense = [
        Value::Nil,
        Value::Array(vec![]),
        Value::Array(vec![Value::Int(1)]),
        Value::Array(vec![range(0, 16_384, &[node("h", 1)])]),
        Value::Array(vec![range(7, 3, &[node("h", 1)])]),
        Value::Array(vec![range(-1, 3, &[node("h", 1)])]),
        Value::Array(vec![range(0, 3, &[node("h", 70_000)])]),
        Value::Array(vec![range(0, 3, &[])]),
    ];
    for reply in nonsense {
        assert!(SlotMap::read(&reply, &Speaker::plain(at(9)), Instant::default(), |_| true).is_none(), "{reply:?}");
    }
}

#[test]
fn of_two_maps_the_later_one_counts_but_for_what_moved_after_it() {
    let map = |asked| {
        let ranges = vec![range(0, 99, &[node("10.0.0.1", 1)]), range(100, 199, &[node("10.0.0.1", 2)])];
        SlotMap::read(&Value::Array(ranges), &Speaker::plain(at(9)), Instant::of_nanos(asked), |_| true).unwrap()
    };
    let (mut early, mut late) = (map(10), map(20));
    early.assign(1, 1, Instant::of_nanos(15));
    early.assign(2, 1, Instant::of_nanos(25));
    early.assign(3, 1, Instant::of_nanos(26));
    late.assign(3, 0, Instant::of_nanos(27));
    late.assign(101, 0, Instant::of_nanos(30));
    for joined in [early.joined(&late), late.joined(&early)] {
        assert_eq!(joined.asked(), Instant::of_nanos(20));
        let owners = [0, 1, 2, 3, 100, 101].map(|slot| joined.shard_of(slot).unwrap());
        assert_eq!(owners, [0, 0, 1, 0, 1, 0], "slot 1 moved before the later map was asked for");
        assert_eq!(joined.joined(&early), joined, "nothing of it is new any more");
    }
    assert_eq!(early.joined(&late), late.joined(&early));
}

#[test]
fn slots_that_moved_are_remembered_until_the_map_is_asked_for_anew() {
    let map = || read(vec![range(0, 16_383, &[node("h", 1)])]).unwrap();
    let mut worn = map();
    for slot in 0..2_000 {
        assert_eq!(worn.is_worn(), slot > 256, "{slot} slots");
        worn.assign(slot, 0, Instant::of_nanos(u64::from(slot) + 1));
    }
    assert_eq!(worn.moved.len(), 2_000);
    let fresh = SlotMap { asked: Instant::of_nanos(3_000), ..map() };
    let joined = worn.joined(&fresh);
    assert!(!joined.is_worn() && joined == fresh, "{} slots", joined.moved.len());
}

#[test]
fn of_what_was_heard_at_the_same_moment_everybody_takes_the_same() {
    let map = |first| read(vec![range(0, first, &[node("h", 1)]), range(first + 1, 99, &[node("h", 2)])]).unwrap();
    let (mut one, mut other) = (map(9), map(19));
    one.assign(50, 0, Instant::of_nanos(5));
    other.assign(50, 1, Instant::of_nanos(5));
    other.assign(51, 0, Instant::of_nanos(6));
    assert_eq!(one.joined(&other), other.joined(&one));
    let elsewhere = read(vec![range(0, 99, &[node("h", 3)])]).unwrap();
    assert_eq!(one.joined(&elsewhere), elsewhere.joined(&one));
}
