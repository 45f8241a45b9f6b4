use super::*;
use crate::command::SLOTS;
use crate::topology::Shard;

fn node(port: u16) -> NodeAddress {
    NodeAddress::tcp("10.0.0.1", port)
}

/// Two shards: slots below 10 at the first, the others at the second.
fn map() -> SlotMap {
    let shards = [1, 2].map(|port| Shard { primary: node(port), replicas: vec![] });
    SlotMap::of(shards.to_vec(), |slot| usize::from(slot >= 10))
}

fn says(port: u16, epoch: u64, slots: impl IntoIterator<Item = u16>, leaving: &[(u16, u16)]) -> Ownership {
    let leaving = leaving.iter().map(|(slot, to)| (*slot, node(*to))).collect();
    Ownership { id: port.to_string(), epoch, whole: slots.into_iter().collect(), leaving }
}

fn walk() -> Walk {
    Walks::default().begin(SlotSet::default())
}

/// Ends the walk over the present node; `settled` as it is for [`Walk::arrive`].
fn end(walk: &mut Walk, said: Ownership, settled: bool) -> bool {
    let mut leg = walk.leg.take().unwrap();
    leg.turn(0);
    let counts = leg.look(said, 0) && leg.cursor().is_none();
    if counts {
        walk.arrive(leg, |_| settled);
    } else {
        walk.leg = Some(leg);
    }
    counts
}

fn undone(walk: &Walk) -> Vec<u16> {
    walk.done.missing().take_while(|slot| *slot < 20).collect()
}

#[test]
fn slots_that_stay_at_a_node_are_done_with_it() {
    let mut walk = walk();
    assert_eq!(walk.next_node(&map()), Some(node(1)));
    assert!(walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0));
    assert!(end(&mut walk, says(1, 1, 0..10, &[]), false));
    assert_eq!(walk.next_node(&map()), Some(node(2)));
    assert!(!walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0), "there is nothing more");
    assert!(walk.set_out(node(2), says(2, 2, 10..SLOTS as u16, &[]), 0, 0));
    assert!(end(&mut walk, says(2, 2, 10..SLOTS as u16, &[]), false));
    assert_eq!(walk.next_node(&map()), None);
}

#[test]
fn slots_that_left_or_came_meanwhile_are_not() {
    let mut walk = walk();
    walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
    assert!(end(&mut walk, says(1, 1, (0..8).chain(30..40), &[]), false));
    assert_eq!(undone(&walk)[..3], [8, 9, 10]);
    assert!(!walk.is_done(30));
}

#[test]
fn pages_before_which_slots_came_are_had_again_and_then_looked_at_soon() {
    let mut walk = walk();
    walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
    let leg = walk.leg.as_mut().unwrap();
    (1..=PAGES).for_each(|page| leg.turn(u64::from(page)));
    assert!(leg.needs_look() && leg.look(says(1, 1, 0..10, &[]), 0) && !leg.needs_look());
    leg.turn(99);
    assert!(!end(&mut walk, says(1, 2, 0..10, &[]), false));
    let leg = walk.leg.as_mut().unwrap();
    assert_eq!(leg.cursor(), Some(u64::from(PAGES)));
    leg.turn(77);
    assert!(leg.needs_look());
    assert!(end(&mut walk, says(1, 2, 0..10, &[]), false));
    assert_eq!(undone(&walk)[..2], [10, 11]);
}

#[test]
fn another_process_at_the_place_counts_for_nothing() {
    for (said, incarnation) in [(says(5, 1, 0..10, &[]), 0), (says(1, 1, 0..10, &[]), 1)] {
        let mut walk = walk();
        walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
        assert!(!walk.leg.take().unwrap().look(said, incarnation));
    }
}

#[test]
fn a_slot_that_is_half_moved_is_done_when_both_nodes_were_walked_in_that_order() {
    let half = || says(1, 1, 0..9, &[(9, 2)]);
    let mut walk = walk();
    walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
    assert!(end(&mut walk, half(), false));
    assert_eq!(undone(&walk)[..2], [9, 10]);
    assert_eq!(walk.next_node(&map()), Some(node(2)));
    walk.set_out(node(2), says(2, 2, 10..20, &[]), 0, 0);
    let left = walk.leg.as_ref().unwrap().arriving()[0].clone();
    assert!(left.is_settled(&half()) && !left.is_settled(&says(1, 3, 0..9, &[(9, 2)])));
    assert!(!left.is_settled(&says(1, 1, 0..9, &[])), "it went elsewhere");
    assert!(end(&mut walk, says(2, 2, 10..20, &[]), true));
    assert_eq!(undone(&walk), [0; 0]);
}

#[test]
fn a_slot_that_was_half_moved_and_came_back_is_walked_again() {
    let mut walk = walk();
    walk.set_out(node(1), says(1, 1, 0..9, &[(9, 2)]), 0, 0);
    assert!(!end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
    assert!(end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
    assert!(walk.left.is_empty());
    walk.set_out(node(1), says(1, 5, 0..9, &[(9, 2)]), 0, 0);
    assert!(end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
    walk.set_out(node(2), says(2, 6, 9..20, &[]), 0, 0);
    assert!(end(&mut walk, says(2, 6, 10..20, &[]), true));
    assert_eq!(undone(&walk), [9], "it had arrived, and went away");
}

#[test]
fn a_cursor_is_known_once_and_tells_the_place_to_others() {
    let mut walks = Walks::default();
    let mut walk = walks.begin(SlotSet::default());
    walk.set_out(node(2), says(2, 1, 10..20, &[]), 0, 0);
    walk.leg.as_mut().unwrap().turn(17);
    let handed = walk.hand(&map());
    assert!(handed > 0 && handed < u128::from(u32::MAX));
    walks.put(walk);
    let place = Place::of(handed, 2);
    assert_eq!((place.shard, place.cursor), (1, 17));
    assert!(walks.take(handed + 1).is_none() && walks.take(0).is_none());
    let walk = walks.take(handed).unwrap();
    assert!(walks.take(handed).is_none());
    walks.put(walk);
    for _ in 0..WALKS {
        let mut other = walks.begin(SlotSet::default());
        other.hand(&map());
        walks.put(other);
    }
    assert!(walks.take(handed).is_none(), "the oldest is forgotten");
}
