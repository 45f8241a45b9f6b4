//! Many random batches under many random faults: whatever happens, nothing is applied twice, nothing that was answered
//! is missing, nothing is claimed to be missing that was applied, and order is kept.

use super::*;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::dice::{Dice, cases};

/// A MULTI is not refused here: its commands would run by themselves.
fn fault(dice: &mut Dice, name: &str) -> Fault {
    let says = |text: &str| Fault::Say(format!("-{text}\r\n").into_bytes());
    match dice.below(if name == "MULTI" { 4 } else { 6 }) {
        0 | 1 => Fault::CloseAfter,
        2 | 3 => Fault::CloseBefore,
        4 => says("LOADING Redis is loading the dataset in memory"),
        _ => says("WRONGTYPE Operation against a key holding the wrong kind of value"),
    }
}

/// Each INCR has a key of its own, so that a second application shows; all SETs share one, so that order does.
fn batch(dice: &mut Dice) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = false;
    for _ in 0..=dice.below(12) {
        let number = lines.len();
        match dice.below(8) {
            0..=2 => lines.push(format!("INCR counter{number}")),
            3 | 4 => lines.push(format!("SET shared {number}")),
            5 | 6 => lines.push("GET shared".to_owned()),
            _ if open => {
                lines.push("EXEC".to_owned());
                open = false;
            }
            _ => {
                lines.push("MULTI".to_owned());
                open = true;
            }
        }
    }
    if open {
        lines.push("EXEC".to_owned());
    }
    lines
}

/// What a reply says about its item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Applied,
    NotApplied,
    Unknown,
}

/// What the replies say about each item, those of transactions included.
fn words(lines: &[String], seen: &[String], is_unknown: bool) -> Vec<Word> {
    let word = |index: usize| match seen.get(index).map(String::as_str) {
        None | Some("?") if is_unknown => Word::Unknown,
        None | Some("?" | "LOADING" | "WRONGTYPE" | "ERR" | "EXECABORT") => Word::NotApplied,
        Some(_) => Word::Applied,
    };
    let mut words: Vec<Word> = Vec::new();
    for index in 0..lines.len() {
        let exec = (index..lines.len()).find(|later| matches!(lines[*later].as_str(), "EXEC" | "MULTI"));
        // Within a transaction EXEC decides.
        let decided_by = exec.filter(|later| lines[*later] == "EXEC").unwrap_or(index);
        words.push(word(decided_by));
    }
    words
}

#[test]
fn no_storm_applies_twice_or_tells_a_lie() {
    let (mut unknown, mut repaired, mut count) = (0, 0, 0);
    cases(4_000, |dice| {
        let lines = batch(dice);
        let options = [("read_write_timeout", Setting::Float(0.5)), ("command_timeout", Setting::Float(4.0))];
        let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
        bench.run("SET shared before").unwrap();
        let faults: Vec<(String, Fault)> = (0..dice.below(4))
            .map(|_| {
                let name = dice.pick(&["INCR", "SET", "GET", "MULTI", "EXEC"]);
                (name.to_owned(), fault(dice, name))
            })
            .collect();
        bench.network.server(1, |server| server.faults.extend(faults.clone()));
        if dice.below(3) == 0 {
            let (send, buffer) = (dice.below(60) + 1, dice.below(80) + 1);
            bench.network.change(|state| {
                state.send_limit = Some(send);
                state.buffer = Some(buffer);
            });
        }
        let (seen, failure) = bench.run_batch(&lines.join(";"));
        let story = format!("{lines:?} under {faults:?} gave {seen:?} and {failure:?}");
        let is_unknown = failure.as_ref().is_some_and(Failure::is_outcome_unknown);
        unknown += usize::from(is_unknown);
        repaired += usize::from(failure.is_none() && !faults.is_empty());
        count += 1;
        assert!(failure.is_some() || seen.len() == lines.len(), "{story}");
        let data = bench.network.server(1, |server| server.data.clone());
        let words = words(&lines, &seen, is_unknown);
        let mut last_set = Some("before".to_owned());
        for (index, line) in lines.iter().enumerate() {
            if line.starts_with("INCR") {
                let times = data.get(&format!("counter{index}")).map_or(0, |value| value.parse::<u32>().unwrap());
                let fits = match words[index] {
                    Word::Applied => times == 1,
                    Word::NotApplied => times == 0,
                    Word::Unknown => times <= 1,
                };
                assert!(fits, "{story}: command {index} was applied {times} times and is {:?}", words[index]);
            } else if line.starts_with("SET") {
                match words[index] {
                    Word::Applied => last_set = Some(index.to_string()),
                    Word::NotApplied => {}
                    Word::Unknown => last_set = None,
                }
            }
        }
        if let Some(last) = last_set {
            assert_eq!(data["shared"], last, "{story}: the last SET that is known to be applied stands");
        }
        bench.network.change(|state| (state.send_limit, state.buffer) = (None, None));
        bench.network.server(1, |server| server.faults.clear());
        assert!(bench.run("INCR afterwards").is_ok(), "{story}: the client stays usable");
    });
    let mild = unknown * 40 < count || repaired * 8 < count;
    assert!(count < 4_000 || !mild, "{unknown} unknown, {repaired} repaired of {count}: the storms are too mild");
}
