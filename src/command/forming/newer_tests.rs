//! Forms of commands that are newer than Redis 7.0, by the table.

use super::tests::{list, map, ok, sent, word};
use super::*;

#[test]
fn fields_are_counted_behind_what_is_said_of_their_end() {
    let fields = || list(&["f", "g"]);
    for (command, arguments, expected) in [
        ("HEXPIRE", vec![word("h"), word("10"), fields()], "h 10 FIELDS 2 f g"),
        ("HEXPIRE", vec![word("h"), word("10"), fields(), word("nx")], "h 10 NX FIELDS 2 f g"),
        ("HPEXPIREAT", vec![word("h"), word("10"), fields(), Nothing], "h 10 FIELDS 2 f g"),
        ("HEXPIRE", vec![word("h"), word("10"), word("FIELDS"), word("1"), word("f")], "h 10 FIELDS 1 f"),
        ("HTTL", vec![word("h"), fields()], "h FIELDS 2 f g"),
        ("HGETDEL", vec![word("h"), word("FIELDS"), word("1"), word("f")], "h FIELDS 1 f"),
        ("HGETEX", vec![word("h"), fields()], "h FIELDS 2 f g"),
        ("HGETEX", vec![word("h"), fields(), word("ex"), word("5")], "h EX 5 FIELDS 2 f g"),
        ("HGETEX", vec![word("h"), fields(), word("PERSIST")], "h PERSIST FIELDS 2 f g"),
        ("HSETEX", vec![word("h"), map(&[("f", word("1"))])], "h FIELDS 1 f 1"),
        (
            "HSETEX",
            vec![word("h"), map(&[("f", word("1"))]), word("fnx"), word("px"), word("9")],
            "h FNX PX 9 FIELDS 1 f 1",
        ),
        ("HSETEX", vec![word("h"), map(&[("f", word("1"))]), word(""), word("KEEPTTL")], "h KEEPTTL FIELDS 1 f 1"),
        ("MSETEX", vec![map(&[("a", word("1")), ("b", word("2"))])], "2 a 1 b 2"),
        ("MSETEX", vec![map(&[("a", word("1"))]), word("nx"), word("ex"), word("5")], "1 a 1 NX EX 5"),
        ("MSETEX", vec![map(&[("a", word("1"))]), Nothing, word("keepttl")], "1 a 1 KEEPTTL"),
        ("MSETEX", vec![word("1"), word("a"), word("1"), word("XX")], "1 a 1 XX"),
    ] {
        assert_eq!(sent(command, &arguments), ok(expected), "{command}");
    }
    let wrong = sent("HGETEX", &[word("h"), fields(), word("soon")]).unwrap_err();
    assert_eq!(wrong, "'soon' was given; accepted are EX, PX, EXAT, PXAT, PERSIST");
    assert_eq!(
        sent("HGETEX", &[word("h"), fields(), word("ex")]).unwrap_err(),
        "EX takes a number, which was not given"
    );
}

#[test]
fn places_of_arrays_are_searched_and_reckoned_over() {
    let pairs = |pairs: &[[&'static str; 2]]| {
        Array(pairs.iter().zip(0..).map(|(pair, index)| (Key::Index(index), list(pair))).collect())
    };
    let (key, start, end) = (word("a"), word("0"), word("9"));
    let grep = |more: &[Argument<'static>]| {
        let mut all = vec![word("a"), word("0"), word("9"), pairs(&[["match", "x"], ["GLOB", "y*"]])];
        all.extend_from_slice(more);
        sent("ARGREP", &all)
    };
    assert_eq!(grep(&[]), ok("a 0 9 match x GLOB y*"));
    assert_eq!(grep(&[word("or"), word("5"), Yes, Yes]), ok("a 0 9 match x GLOB y* OR LIMIT 5 WITHVALUES NOCASE"));
    assert_eq!(grep(&[Nothing, Nothing, Nothing, Yes]), ok("a 0 9 match x GLOB y* NOCASE"));
    assert!(grep(&[word("xor")]).unwrap_err().contains("accepted are AND and OR"));
    let wrong = sent("ARGREP", &[key.clone(), start.clone(), end.clone(), pairs(&[["like", "x"]])]).unwrap_err();
    assert!(wrong.contains("EXACT, MATCH, GLOB, RE"), "{wrong}");
    assert_eq!(sent("ARDELRANGE", &[key.clone(), pairs(&[["0", "1"], ["5", "6"]])]), ok("a 0 1 5 6"));
    assert_eq!(sent("ARDELRANGE", &[key.clone(), start.clone(), end.clone()]), ok("a 0 9"));
    assert_eq!(sent("ARSCAN", &[key.clone(), start.clone(), end.clone(), word("5")]), ok("a 0 9 LIMIT 5"));
    assert_eq!(sent("AROP", &[key.clone(), start.clone(), end.clone(), word("sum")]), ok("a 0 9 SUM"));
    assert_eq!(sent("AROP", &[key.clone(), start, end, word("match"), word("x")]), ok("a 0 9 MATCH x"));
    assert_eq!(sent("ARINFO", &[key.clone(), Yes]), ok("a FULL"));
    assert_eq!(sent("ARLASTITEMS", &[key, word("3"), Yes]), ok("a 3 REV"));
}

#[test]
fn vectors_are_lists_of_numbers_or_the_bytes_of_floats() {
    let vector = || list(&["1", "0.5"]);
    for (command, arguments, expected) in [
        ("VADD", vec![word("v"), vector(), word("e")], "v VALUES 2 1 0.5 e"),
        ("VADD", vec![word("v"), word("blob"), word("e")], "v FP32 blob e"),
        (
            "VADD",
            vec![word("v"), vector(), word("e"), word("8"), Yes, word("Q8"), word("9"), word("{}"), word("4")],
            "v REDUCE 8 VALUES 2 1 0.5 e CAS Q8 EF 9 SETATTR {} M 4",
        ),
        ("VADD", vec![word("v"), word("FP32"), word("blob"), word("e")], "v FP32 blob e"),
        ("VSIM", vec![word("v"), word("e"), Yes], "v ELE e"),
        ("VSIM", vec![word("v"), word("blob")], "v FP32 blob"),
        (
            "VSIM",
            vec![
                word("v"),
                vector(),
                Nothing,
                Yes,
                word("3"),
                word("0.2"),
                word("9"),
                word(".y > 1"),
                word("7"),
                Yes,
                Yes,
            ],
            "v VALUES 2 1 0.5 WITHSCORES COUNT 3 EPSILON 0.2 EF 9 FILTER .y > 1 FILTER-EF 7 TRUTH NOTHREAD",
        ),
        ("VSIM", vec![word("v"), word("ELE"), word("e"), word("WITHSCORES")], "v ELE e WITHSCORES"),
        ("VEMB", vec![word("v"), word("e"), Yes], "v e RAW"),
        ("VGETATTR", vec![word("v"), word("e"), Yes], "v e"),
        ("VLINKS", vec![word("v"), word("e"), Yes], "v e WITHSCORES"),
        ("VLINKS", vec![word("v"), word("e"), Nothing], "v e"),
        ("VRANDMEMBER", vec![word("v"), Nothing], "v"),
    ] {
        assert_eq!(sent(command, &arguments), ok(expected), "{command}");
    }
    assert!(sent("VADD", &[word("v"), Nothing, word("e")]).unwrap_err().contains("a vector is a list"));
}

#[test]
fn the_others_take_their_options_by_place() {
    for (command, arguments, expected) in [
        ("INCREX", vec![word("k"), word("5")], "k BYINT 5"),
        ("INCREX", vec![word("k"), word("1.5"), Nothing, word("9"), Yes], "k BYFLOAT 1.5 UBOUND 9 SATURATE"),
        (
            "INCREX",
            vec![word("k"), word("5"), word("0"), Nothing, Nothing, word("ex"), word("60"), Yes],
            "k BYINT 5 LBOUND 0 EX 60 ENX",
        ),
        ("INCREX", vec![word("k"), word("BYINT"), word("5"), word("EX"), word("9")], "k BYINT 5 EX 9"),
        (
            "LMOVEM",
            vec![word("a"), word("b"), word("LEFT"), word("RIGHT"), word("count"), word("2"), word("obo")],
            "a b LEFT RIGHT COUNT 2 OBO",
        ),
        ("BLMOVEM", vec![word("a"), word("b"), word("LEFT"), word("RIGHT"), word("1")], "a b LEFT RIGHT 1"),
        ("SDIFFCARD", vec![list(&["a", "b"]), word("5")], "2 a b LIMIT 5"),
        ("SUNIONCARD", vec![list(&["a", "b"]), Yes, word("5")], "2 a b APPROX LIMIT 5"),
        (
            "XNACK",
            vec![word("x"), word("g"), word("fail"), list(&["1-1"]), word("3"), Yes],
            "x g FAIL IDS 1 1-1 RETRYCOUNT 3 FORCE",
        ),
        ("XCFGSET", vec![word("x"), Nothing, word("9")], "x IDMP-MAXSIZE 9"),
        (
            "HOTKEYS",
            vec![word("START"), list(&["CPU", "NET"]), word("10"), Nothing, word("2"), list(&["1", "2"])],
            "START METRICS 2 CPU NET COUNT 10 SAMPLE 2 SLOTS 2 1 2",
        ),
        ("HOTKEYS", vec![word("GET")], "GET"),
        (
            "SORT_RO",
            vec![word("l"), word("w_*"), list(&["LIMIT", "0", "5"]), list(&["#", "o_*"]), word("desc"), Yes],
            "l BY w_* LIMIT 0 5 GET # GET o_* DESC ALPHA",
        ),
        ("SORT_RO", vec![word("l"), Nothing, list(&["0", "5"]), list(&[]), Nothing, Nothing], "l LIMIT 0 5"),
        ("SORT_RO", vec![word("l"), word("BY"), word("w_*"), word("ALPHA")], "l BY w_* ALPHA"),
        ("SORT_RO", vec![word("l"), word("ALPHA")], "l ALPHA"),
        ("SORT_RO", vec![word("l"), map(&[("by", word("w_*")), ("alpha", Yes)])], "l BY w_* ALPHA"),
        ("HSCAN", vec![word("h"), word("0"), map(&[("novalues", Yes)])], "h 0 NOVALUES"),
    ] {
        assert_eq!(sent(command, &arguments), ok(expected), "{command}");
    }
    assert!(sent("LMOVEM", &[word("a"), word("b"), word("LEFT"), word("LEFT"), word("all")]).is_err());
}

#[test]
fn streams_may_be_given_with_their_ids() {
    let form = |method: &str, arguments: &[Argument]| {
        let row = crate::command::all().iter().find(|row| row.method == method).unwrap();
        let crate::command::Arguments::Form(form) = row.arguments else { panic!("{method} has no form") };
        let words = form.words(arguments).unwrap();
        words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
    };
    let streams = map(&[("a", word("0")), ("b", word("5"))]);
    assert_eq!(form("xread_v4", std::slice::from_ref(&streams)), "STREAMS a b 0 5");
    let all = [streams.clone(), word("1"), word("9"), word("7"), word("8")];
    assert_eq!(form("xread_v4", &all), "COUNT 1 MAXCOUNT 7 MAXSIZE 8 BLOCK 9 STREAMS a b 0 5");
    let all = [word("g"), word("c"), streams, word("1"), Nothing, Yes, word("30")];
    assert_eq!(form("xreadgroup_claim", &all), "GROUP g c COUNT 1 NOACK CLAIM 30 STREAMS a b 0 5");
}
