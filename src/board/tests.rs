use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pause};

use super::lease::LEASE_AGE;
use super::*;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
const NOW: u64 = 1_000 * SECOND;

fn place() -> Place {
    Board::alone().place(&"deployment")
}

fn said(place: &Place) -> Option<Vec<u8>> {
    place.read().map(|published| published.bytes)
}

/// A board as the master makes it, not claimed yet.
fn unclaimed() -> Board {
    Board::shared(usize::try_from(LEAST_SIZE).unwrap()).unwrap()
}

/// Runs `body` in a forked process, as the only thread there.
fn child(body: impl FnOnce() -> bool) -> Pid {
    // SAFETY: the child does nothing that another thread's lock could hold up for ever: it works on the board, which
    // only this thread uses, and leaves without running anybody's destructors. The C library mends its own allocator.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let code = i32::from(!std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false));
            // SAFETY: ends the process at once.
            unsafe { nix::libc::_exit(code) }
        }
    }
}

fn ended_well(pid: Pid) -> bool {
    waitpid(pid, None).unwrap() == WaitStatus::Exited(pid, 0)
}

#[test]
fn what_is_published_is_read_until_the_next_publication() {
    let place = place();
    assert_eq!(said(&place), None);
    let news = place.news();
    let Publication::Done(stamp) = place.publish(0, true, b"one", NOW) else { panic!("not published") };
    assert_ne!(place.news(), news);
    assert_eq!(place.read(), Some(Published { stamp, bytes: b"one".to_vec() }));
    let longest = vec![7; ROOM];
    assert!(matches!(place.publish(stamp, true, &longest, NOW), Publication::Done(_)));
    assert_eq!(said(&place), Some(longest));
    assert_eq!(place.publish(place.stamp(), true, &[0; ROOM + 1], NOW), Publication::Unheard);
}

#[test]
fn of_two_findings_from_one_epoch_the_second_is_dropped() {
    let place = place();
    let before = place.stamp();
    assert!(matches!(place.publish(before, true, b"first", NOW), Publication::Done(_)));
    assert_eq!(place.publish(before, true, b"second", NOW), Publication::Lost);
    assert_eq!(place.publish(before, false, b"detail", NOW), Publication::Lost);
    assert_eq!(said(&place).unwrap(), b"first");
}

#[test]
fn details_of_the_same_primary_do_not_make_a_finding_late() {
    let place = place();
    place.publish(0, true, b"primary", NOW);
    let before = place.stamp();
    for _ in 0..3 {
        assert!(matches!(place.publish(before, false, b"replicas", NOW), Publication::Done(_)));
    }
    assert!(matches!(place.publish(before, true, b"another primary", NOW), Publication::Done(_)));
    assert_eq!(said(&place).unwrap(), b"another primary");
}

#[test]
fn a_writer_that_is_killed_at_any_step_leaves_what_was_published_and_holds_up_nobody() {
    for steps in 0..2 {
        let place = place();
        place.publish(0, true, b"before", NOW);
        let writing = place.begin(place.stamp(), true, NOW).ok().unwrap();
        if steps > 0 {
            writing.fill(&place.seal, b"half");
        }
        // Here it ends: nothing is committed or given up.
        assert_eq!(said(&place).unwrap(), b"before", "after {steps} steps");
        let stamp = place.stamp();
        assert_eq!(place.publish(stamp, true, b"next", NOW + MILLI), Publication::Unheard, "it may be alive still");
        assert!(matches!(place.publish(stamp, true, b"next", NOW + SECOND), Publication::Done(_)));
        assert_eq!(said(&place).unwrap(), b"next", "after {steps} steps");
    }
}

#[test]
fn a_writer_that_was_stopped_and_goes_on_later_does_not_win() {
    let place = place();
    let slow = place.begin(0, true, NOW).ok().unwrap();
    place.publish(0, true, b"faster", NOW + SECOND);
    assert_eq!(slow.commit(), Publication::Lost);
    assert_eq!(said(&place).unwrap(), b"faster");
}

#[test]
fn what_was_scribbled_over_is_not_believed() {
    let place = place();
    let slow = place.begin(0, true, NOW).ok().unwrap();
    for second in 1..4 {
        place.publish(place.stamp(), true, b"faster", NOW + second * SECOND);
    }
    // The page that it began to write is the published one by now.
    slow.fill(&place.seal, b"scribble");
    assert_eq!(said(&place), None, "the checksum covers the stamp");
    assert!(matches!(place.publish(place.stamp(), false, b"mended", NOW + SECOND), Publication::Done(_)));
    assert_eq!(said(&place).unwrap(), b"mended");
}

#[test]
fn a_record_cannot_be_read_under_another_key_even_if_the_names_collide() {
    let board = Board::alone();
    let mut place = board.place(&"one password");
    place.publish(0, true, b"secret", NOW);
    place.seal = board.place(&"another password").seal;
    assert_eq!(said(&place), None);
}

#[test]
fn readers_beside_busy_writers_see_whole_publications_only() {
    let place = place();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2_u8 {
            let (place, stop) = (&place, &stop);
            scope.spawn(move || {
                let mut number = writer;
                while !stop.load(Ordering::Relaxed) {
                    number = number.wrapping_add(1);
                    let length = 1 + usize::from(number) * 7;
                    place.publish(place.stamp(), number % 3 == 0, &vec![number; length], NOW);
                    (0..number).for_each(|_| std::hint::spin_loop());
                    std::thread::yield_now();
                }
            });
        }
        // A reader may be overtaken again and again; it gives up then, and tries at another time.
        let read = |_| {
            said(&place).or_else(|| {
                std::thread::yield_now();
                None
            })
        };
        let whole = (0..1_000_000).filter_map(read).take(300).inspect(|bytes| {
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn: {bytes:?}");
        });
        let seen = whole.count();
        stop.store(true, Ordering::Relaxed);
        assert!(seen > 0, "nothing was read");
    });
}

#[test]
fn one_searches_at_a_time_and_hands_over_when_it_stops() {
    let place = place();
    let turn = place.take_turn(NOW).expect("nobody searches");
    assert!(place.take_turn(NOW + MILLI).is_none());
    let bell = place.bell().load(Ordering::Relaxed);
    drop(turn);
    assert_ne!(place.bell().load(Ordering::Relaxed), bell, "those who wait are told");
    assert!(place.take_turn(NOW + MILLI).is_some());
}

#[test]
fn a_searcher_that_breathes_keeps_its_lease_and_one_that_does_not_loses_it() {
    let place = place();
    let mut turn = place.take_turn(NOW).unwrap();
    for step in 1..10 {
        assert!(turn.breathe(NOW + step * 100 * MILLI));
        assert!(place.take_turn(NOW + step * 100 * MILLI + 90 * MILLI).is_none());
    }
    let later = NOW + 2 * SECOND;
    let other = place.take_turn(later).expect("it has not breathed for a second");
    assert!(!turn.breathe(later), "it is told that it lost");
    drop(turn);
    assert!(place.take_turn(later).is_none(), "who lost the lease cannot give it up");
    drop(other);
}

#[test]
fn a_searcher_that_is_killed_between_two_steps_loses_the_lease_and_the_page() {
    let board = unclaimed();
    board.claim(|| 33, 0);
    let place = board.place(&"deployment");
    assert!(place.is_shared());
    let pid = child(|| {
        let _turn = place.take_turn(NOW);
        let _writing = place.begin(0, true, NOW);
        pause();
        false
    });
    while place.lease_left(NOW).is_none() {
        std::thread::yield_now();
    }
    kill(pid, Signal::SIGKILL).unwrap();
    waitpid(pid, None).unwrap();
    assert!(place.take_turn(NOW + MILLI).is_none());
    let later = NOW + u64::try_from(LEASE_AGE.as_nanos()).unwrap();
    assert!(place.take_turn(later).is_some());
    assert!(matches!(place.publish(0, true, b"found", later), Publication::Done(_)));
}

#[test]
fn workers_of_one_user_share_and_those_of_another_see_nothing() {
    let board = unclaimed();
    let worker = |uid: u32, body: fn(&Place) -> bool| {
        let pid = child(|| {
            board.claim(|| uid, 1);
            body(&board.place(&"deployment"))
        });
        assert!(ended_well(pid), "the worker of user {uid}");
    };
    worker(33, |place| place.publish(0, true, b"found", NOW) != Publication::Lost && place.is_shared());
    worker(34, |place| said(place).is_none() && place.is_shared());
    worker(33, |place| said(place).is_some_and(|bytes| bytes == b"found"));
    assert!(!board.status().shared, "the master claims nothing");
}

#[test]
fn a_claim_unmaps_what_belongs_to_others() {
    let board = unclaimed();
    let base = match &*board.state.lock() {
        State::Unclaimed(arenas) => arenas.range(),
        other => panic!("{other:?}"),
    };
    let mapped = move || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let bounds = maps.lines().filter_map(|line| line.split(' ').next()?.split_once('-'));
        let bounds =
            bounds.map(|(from, to)| (usize::from_str_radix(from, 16).unwrap(), usize::from_str_radix(to, 16).unwrap()));
        bounds.map(|(from, to)| to.min(base.end).saturating_sub(from.max(base.start))).sum::<usize>()
    };
    assert_eq!(mapped(), base.len());
    let each = base.len() / ARENAS;
    assert!(ended_well(child(|| {
        board.claim(|| 33, 1);
        mapped() == each
    })));
}

#[test]
fn users_beyond_the_arenas_and_deployments_beyond_the_records_keep_to_themselves() {
    let board = unclaimed();
    for uid in 0..u32::try_from(ARENAS).unwrap() {
        assert!(ended_well(child(|| {
            board.claim(|| uid, 1);
            let room = board.status().room;
            (0..room).all(|number| board.place(&number).is_shared()) && !board.place(&room).is_shared()
        })));
    }
    assert!(ended_well(child(|| {
        board.claim(|| 99, 1);
        let place = board.place(&0);
        let published = matches!(place.publish(0, true, b"mine", NOW), Publication::Done(_));
        published && !place.is_shared() && said(&place).is_some()
    })));
}

#[test]
fn a_child_inherits_the_claim_unless_it_runs_as_another_user() {
    let board = unclaimed();
    board.claim(|| 33, 0);
    let place = board.place(&"deployment");
    place.publish(0, true, b"found", NOW);
    assert!(ended_well(child(|| {
        board.claim(|| 33, 1);
        said(&place).is_some() && board.status().shared
    })));
    assert!(ended_well(child(|| {
        board.claim(|| 34, 1);
        place.publish(0, true, b"lie", NOW);
        !board.status().shared
    })));
    assert_eq!(said(&place).unwrap(), b"found", "the other user's child wrote into memory of its own");
}

#[test]
fn the_breaker_opens_when_searches_have_failed_for_its_time_without_a_pause() {
    let place = place();
    let limit = Duration::from_secs(5);
    assert!(!place.fail(NOW, limit, 0));
    assert_eq!(place.trouble(NOW), Trouble::Since(NOW));
    // One caller's failure, and nobody who asked since: that is no outage of a minute.
    let later = NOW + 60 * SECOND;
    assert!(!place.fail(later, limit, 0));
    assert_eq!(place.trouble(later), Trouble::Since(later));
    for second in 1..5 {
        assert!(!place.fail(later + second * SECOND, limit, 0), "after {second} s");
    }
    let news = place.news();
    let next_probe = later + 6 * SECOND;
    assert!(place.fail(later + 5 * SECOND, limit, next_probe));
    assert!(!place.fail(later + 5 * SECOND, limit, 1), "it opens once");
    assert_ne!(place.news(), news);
    assert_eq!(place.trouble(later + 5 * SECOND), Trouble::Open { since: later, next_probe });
    assert_eq!(place.trouble(later + 600 * SECOND), Trouble::None, "nobody has looked for minutes");
}

#[test]
fn a_success_ends_the_trouble_and_closes_the_breaker_for_all() {
    let place = place();
    let limit = Duration::from_secs(1);
    place.fail(NOW, limit, 0);
    let news = place.news();
    assert_eq!(place.recover(), None, "it was not open yet");
    assert_eq!(place.news(), news, "nobody has to look for that");
    place.fail(NOW, limit, 0);
    assert!(place.fail(NOW + SECOND, limit, 0));
    assert_eq!(place.recover(), Some(NOW));
    assert_eq!(place.trouble(NOW + SECOND), Trouble::None);
    assert_eq!(place.recover(), None);
}

#[test]
fn a_breaker_that_knew_nothing_any_more_opens_again_while_searches_go_on_failing() {
    let place = place();
    let limit = Duration::from_secs(1);
    place.fail(NOW, limit, 0);
    assert!(place.fail(NOW + SECOND, limit, NOW + 2 * SECOND));
    // Those who wait whatever the breaker says go on searching; nobody probes.
    for second in 2..=62 {
        assert!(!place.fail(NOW + second * SECOND, limit, NOW + second * SECOND), "after {second} s");
    }
    let later = NOW + 63 * SECOND;
    assert_eq!(place.trouble(later), Trouble::None);
    assert!(place.fail(later, limit, later + SECOND));
    assert_eq!(place.trouble(later), Trouble::Open { since: NOW, next_probe: later + SECOND });
}
