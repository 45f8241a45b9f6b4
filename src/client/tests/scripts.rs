//! Scripts by their digest and by their text: single, in batches, and continued at another node.

use redis::Value;

use super::batches::{executed, faulty, says};
use super::*;
use crate::client::{Batch, Digests};
use crate::command::Shape;
use crate::connection::scripted::Fault;
use crate::resp::{ValueSink, frame_of};

const TEXT: &[u8] = b"return 1";
const DIGEST: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
const UNKNOWN: &str = "NOSCRIPT No matching script. Please use EVAL.";

fn run_script(bench: &mut Bench, line: &str) -> Result<Value, String> {
    let words: Vec<&str> = line.split(' ').collect();
    bench.desk.frame.load(frame_of(&words).bytes());
    let mut sink = ValueSink::default();
    let command = bench.client.take_script(&mut bench.desk, TEXT);
    let result = bench.client.run(&mut bench.desk, command, &mut sink);
    bench.desk.end_manner();
    result.map_err(|failure| failure.message.clone())?;
    Ok(sink.take().expect("a value"))
}

/// What is sent for each of the lines; those that begin with EVALSHA are scripts with the text above.
fn batch_of_scripts(lines: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut frame = frame_of(&words);
        if words[0].starts_with("EVALSHA") {
            batch.push_script(&mut frame, TEXT, Shape::Plain).unwrap();
        } else {
            batch.push(&frame, crate::command::find(words[0].as_bytes()), Shape::Plain).unwrap();
        }
    }
    batch
}

fn names(lines: &[&str]) -> String {
    let batch = batch_of_scripts(lines);
    (0..batch.len()).map(|index| batch.name(index)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_digest_is_that_of_sha1() {
    let mut digests = Digests::default();
    assert_eq!(digests.of(TEXT), DIGEST);
    assert_eq!(digests.of(TEXT), DIGEST, "also the second time");
}

#[test]
fn a_script_that_the_server_has_is_sent_by_its_digest_alone() {
    let mut bench = faulty(&[]);
    assert!(run_script(&mut bench, "EVALSHA d 0").is_ok());
    assert_eq!(executed(&bench, 1), "EVALSHA");
}

#[test]
fn a_script_that_the_server_has_not_is_sent_by_its_text_in_the_same_call() {
    let mut bench = faulty(&[("EVALSHA", says(UNKNOWN)), ("EVALSHA_RO", says(UNKNOWN))]);
    let answer = run_script(&mut bench, "EVALSHA d 1 k v");
    assert!(answer.is_ok(), "{answer:?}");
    let answer = run_script(&mut bench, "EVALSHA_RO d 1 k v");
    assert!(answer.is_ok(), "{answer:?}");
    let sent = executed(&bench, 1);
    assert!(sent.contains("EVAL") && sent.contains("EVAL_RO"), "{sent}");
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn who_sends_a_digest_himself_is_told_that_the_server_does_not_know_it() {
    let mut bench = faulty(&[("EVALSHA", says(UNKNOWN))]);
    let failure = bench.run("EVALSHA d 0").expect_err("no text is at hand");
    assert_eq!(failure.message, UNKNOWN);
}

#[test]
fn the_first_use_in_a_batch_carries_the_text() {
    assert_eq!(names(&["EVALSHA d 0", "GET k", "EVALSHA d 0", "EVALSHA e 0"]), "EVAL GET EVALSHA EVAL");
    assert_eq!(names(&["EVALSHA d 0", "SCRIPT FLUSH", "EVALSHA d 0"]), "EVAL SCRIPT EVAL");
    assert_eq!(
        names(&["EVALSHA d 9", "EVALSHA d 0"]),
        "EVAL EVAL",
        "too few keys: refused before the text is looked at"
    );
}

#[test]
fn a_transaction_within_a_batch_brings_what_it_needs_and_nothing_beyond() {
    let lines = ["EVALSHA d 0", "MULTI", "EVALSHA d 0", "EVALSHA d 0", "EXEC", "EVALSHA d 0"];
    assert_eq!(names(&lines), "EVAL MULTI EVAL EVALSHA EXEC EVALSHA");
    let lines = ["MULTI", "EVALSHA d 0", "DISCARD", "EVALSHA d 0"];
    assert_eq!(names(&lines), "MULTI EVAL DISCARD EVAL");
}

#[test]
fn what_is_continued_at_another_node_brings_the_scripts_of_the_settled_part() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.demote_after = Some((1, node(2))));
    bench.network.server(2, |server| server.promote());
    let batch = batch_of_scripts(&["EVALSHA d 0", "SET a 1", "EVALSHA d 0"]);
    let mut answers = Answers::default();
    let result = bench.client.run_batch(&mut bench.desk, &batch, &mut answers);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(executed(&bench, 1), "SET EVAL", "the others were refused");
    assert!(executed(&bench, 2).ends_with("SCRIPT SET EVALSHA"), "{}", executed(&bench, 2));
}

#[test]
fn what_is_continued_on_another_connection_brings_them_too() {
    let mut bench = faulty(&[("EVALSHA_RO", Fault::CloseAfter)]);
    let batch = batch_of_scripts(&["EVALSHA d 0", "EVALSHA_RO d 0"]);
    let mut answers = Answers::default();
    let result = bench.client.run_batch(&mut bench.desk, &batch, &mut answers);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(executed(&bench, 1), "EVAL EVALSHA_RO SCRIPT EVALSHA_RO");
}
