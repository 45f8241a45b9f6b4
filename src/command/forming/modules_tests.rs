//! Forms of the commands of modules, by the table.

use super::tests::{list, map, ok, sent, word};
use super::*;

/// A list of lists of words, as the fields of an index are once their objects are arrays.
fn lists<'a>(lists: &[&[&'a str]]) -> Argument<'a> {
    Array(lists.iter().zip(0..).map(|(words, index)| (Key::Index(index), list(words))).collect())
}

fn all(rows: &[(&str, Vec<Argument>, &str)]) {
    for (command, arguments, expected) in rows {
        assert_eq!(sent(command, arguments), ok(expected), "{command} {arguments:?}");
    }
}

#[test]
fn filters_and_sketches_take_their_options_by_place() {
    all(&[
        ("BF.RESERVE", vec![word("b"), word("0.01"), word("100"), word("-1"), Yes], "b 0.01 100 NONSCALING"),
        (
            "BF.INSERT",
            vec![word("b"), word("-1"), word("0.1"), word("2"), Yes, Nothing, word("x"), word("y")],
            "b ERROR 0.1 EXPANSION 2 NOCREATE ITEMS x y",
        ),
        ("CF.INSERT", vec![word("b"), word("9"), Nothing, list(&["x", "y"])], "b CAPACITY 9 ITEMS x y"),
        ("CF.RESERVE", vec![word("c"), word("9")], "c 9"),
        ("CF.RESERVE", vec![word("c"), word("9"), word("-1"), word("5"), word("-1")], "c 9 MAXITERATIONS 5"),
        (
            "CF.RESERVE",
            vec![word("c"), word("9"), word("2"), word("5"), word("1")],
            "c 9 BUCKETSIZE 2 MAXITERATIONS 5 EXPANSION 1",
        ),
        ("BF.INFO", vec![word("b"), word("capacity")], "b CAPACITY"),
        ("BF.INFO", vec![word("b"), word("")], "b"),
        ("BF.INFO", vec![word("b"), Nothing], "b"),
        ("CMS.MERGE", vec![word("d"), list(&["a", "b"])], "d 2 a b"),
        ("CMS.MERGE", vec![word("d"), list(&["a", "b"]), list(&["1", "2"])], "d 2 a b WEIGHTS 1 2"),
        ("CMS.MERGE", vec![word("d"), list(&["a"]), list(&[])], "d 1 a"),
        ("TDIGEST.CREATE", vec![word("t"), word("100")], "t COMPRESSION 100"),
        ("TDIGEST.CREATE", vec![word("t"), word("0")], "t"),
        ("TDIGEST.CREATE", vec![word("t"), word("-5")], "t"),
        ("TDIGEST.MERGE", vec![word("d"), list(&["a", "b"])], "d 2 a b"),
        ("TDIGEST.MERGE", vec![word("d"), list(&["a"]), word("9"), Yes], "d 1 a COMPRESSION 9 OVERRIDE"),
        ("TDIGEST.MERGE", vec![word("d"), list(&["a"]), word("0"), Nothing], "d 1 a"),
        ("TDIGEST.MERGE", vec![word("d"), list(&["a"]), Yes], "d 1 a OVERRIDE"),
        ("TOPK.RESERVE", vec![word("t"), word("5")], "t 5"),
        ("TOPK.RESERVE", vec![word("t"), word("5"), word("50")], "t 5 50 7 0.9"),
        ("TOPK.RESERVE", vec![word("t"), word("5"), word("50"), word("3")], "t 5 50 3 0.9"),
        ("TOPK.RESERVE", vec![word("t"), word("5"), Nothing, word("3")], "t 5 8 3 0.9"),
        ("TOPK.RESERVE", vec![word("t"), word("5"), list(&["50", "3", "0.8"])], "t 5 50 3 0.8"),
        ("TOPK.LIST", vec![word("t"), Yes], "t WITHCOUNT"),
    ]);
}

#[test]
fn an_item_of_a_filter_may_be_called_as_an_option_is() {
    all(&[
        (
            "BF.INSERT",
            vec![word("b"), word("-1"), word("-1"), word("-1"), Nothing, Nothing, word("items"), word("capacity")],
            "b ITEMS items capacity",
        ),
        ("CF.INSERT", vec![word("c"), word("-1"), Nothing, word("nocreate")], "c ITEMS nocreate"),
    ]);
}

#[test]
fn argument_objects_are_lists_of_words_at_the_end_and_null_is_none() {
    let given = || list(&["COUNT", "5"]);
    for (command, count) in [
        ("FT.DROPINDEX", 1),
        ("FT.PROFILE", 1),
        ("FT.HYBRID", 1),
        ("FT.SUGGET", 2),
        ("FT.SUGADD", 3),
        ("FT.CURSOR", 3),
        ("TS.CREATE", 1),
        ("TS.ALTER", 1),
        ("TS.GET", 1),
        ("TS.INFO", 1),
        ("TS.INCRBY", 2),
        ("TS.DECRBY", 2),
        ("TS.READ", 2),
        ("TS.MRANGE", 2),
        ("TS.MREVRANGE", 2),
        ("TS.ADD", 3),
        ("TS.RANGE", 3),
        ("TS.REVRANGE", 3),
    ] {
        let fixed: Vec<_> = ["a", "b", "c"].iter().take(count).map(|text| word(text)).collect();
        let before = ["a", "b", "c"][..count].join(" ");
        let with = |argument| [fixed.clone(), vec![argument]].concat();
        assert_eq!(sent(command, &with(given())), Ok(format!("{before} COUNT 5")), "{command}");
        assert_eq!(sent(command, &with(Nothing)), ok(&before), "{command}");
        let words = [fixed.clone(), vec![word("COUNT"), word("5")]].concat();
        assert_eq!(sent(command, &words), Ok(format!("{before} COUNT 5")), "{command}");
        let wrong = sent(command, &with(Yes)).unwrap_err();
        assert!(wrong.starts_with("true was given; accepted are objects with toArray"), "{command}: {wrong}");
        let named = sent(command, &with(map(&[("count", word("5"))]))).unwrap_err();
        assert!(named.contains("an array with the key 'count'"), "{command}: {named}");
    }
    all(&[
        ("TS.NRANGE", vec![list(&["a", "b"]), word("-"), word("+"), given()], "2 a b - + COUNT 5"),
        ("TS.NREVRANGE", vec![list(&["a", "b"]), word("-"), word("+"), Nothing], "2 a b - +"),
        ("FT.SYNUPDATE", vec![word("i"), word("g"), Nothing, word("a"), word("b")], "i g a b"),
        ("FT.SYNUPDATE", vec![word("i"), word("g"), list(&["SKIPINITIALSCAN"]), word("a")], "i g SKIPINITIALSCAN a"),
    ]);
}

#[test]
fn queries_are_of_the_second_dialect_unless_they_name_another() {
    for command in ["FT.SEARCH", "FT.AGGREGATE", "FT.EXPLAIN", "FT.SPELLCHECK"] {
        all(&[
            (command, vec![word("i"), word("q")], "i q DIALECT 2"),
            (command, vec![word("i"), word("q"), Nothing], "i q DIALECT 2"),
            (command, vec![word("i"), word("q"), list(&["LIMIT", "0", "5"])], "i q LIMIT 0 5 DIALECT 2"),
            (command, vec![word("i"), word("q"), list(&["DIALECT", "3"])], "i q DIALECT 3"),
            (command, vec![word("i"), word("q"), word("dialect"), word("1")], "i q dialect 1"),
            (command, vec![word("i"), word("dialect")], "i dialect DIALECT 2"),
            (command, vec![word("i")], "i"),
        ]);
    }
}

#[test]
fn fields_stand_behind_the_options_of_an_index() {
    let fields = || lists(&[&["t", "TEXT"], &["n", "NUMERIC", "SORTABLE"]]);
    all(&[
        ("FT.CREATE", vec![word("i"), fields()], "i SCHEMA t TEXT n NUMERIC SORTABLE"),
        ("FT.CREATE", vec![word("i"), fields(), list(&["ON", "HASH"])], "i ON HASH SCHEMA t TEXT n NUMERIC SORTABLE"),
        ("FT.ALTER", vec![word("i"), fields(), Nothing], "i SCHEMA ADD t TEXT n NUMERIC SORTABLE"),
        (
            "FT.ALTER",
            vec![word("i"), lists(&[&["t", "TEXT"]]), list(&["SKIPINITIALSCAN"])],
            "i SKIPINITIALSCAN SCHEMA ADD t TEXT",
        ),
        ("FT.CREATE", vec![word("i"), list(&["t", "TEXT"])], "i SCHEMA t TEXT"),
        ("FT.CREATE", vec![word("i"), list(&["ON", "JSON", "SCHEMA", "t", "TEXT"])], "i ON JSON SCHEMA t TEXT"),
        ("FT.CREATE", vec![word("i"), word("SCHEMA"), word("t"), word("TEXT")], "i SCHEMA t TEXT"),
    ]);
    let wrong = sent("FT.CREATE", &[word("i"), map(&[("t", word("TEXT"))])]).unwrap_err();
    assert_eq!(wrong, "fields with the key 't' were given; accepted is a list of fields");
}

#[test]
fn series_are_filtered_behind_their_options() {
    all(&[
        ("TS.MGET", vec![list(&["WITHLABELS"]), word("a=b"), word("c!=")], "WITHLABELS FILTER a=b c!="),
        ("TS.MGET", vec![Nothing, list(&["a=b", "c!="])], "FILTER a=b c!="),
        ("TS.MGET", vec![list(&["LATEST", "FILTER", "a=b"])], "LATEST FILTER a=b"),
        ("TS.MGET", vec![word("WITHLABELS"), word("FILTER"), word("a=b")], "WITHLABELS FILTER a=b"),
        ("TS.QUERYLABELS", vec![], "LABELS"),
        ("TS.QUERYLABELS", vec![Nothing, word("a=b")], "LABELS FILTER a=b"),
        ("TS.QUERYLABELS", vec![word("room"), word("a=b"), word("c=")], "VALUES room FILTER a=b c="),
        ("TS.QUERYLABELS", vec![word("VALUES"), word("room"), word("FILTER"), word("a=b")], "VALUES room FILTER a=b"),
        ("TS.QUERYLABELS", vec![word("values"), word("a=b")], "VALUES values FILTER a=b"),
        ("TS.CREATERULE", vec![word("a"), word("b"), word("avg"), word("60")], "a b AGGREGATION avg 60"),
        ("TS.CREATERULE", vec![word("a"), word("b"), word("avg"), word("60"), Nothing], "a b AGGREGATION avg 60"),
        ("TS.CREATERULE", vec![word("a"), word("b"), word("avg"), word("60"), word("0")], "a b AGGREGATION avg 60 0"),
    ]);
    assert!(sent("TS.QUERYLABELS", &[Yes]).unwrap_err().contains("accepted are a name and null"));
}

#[test]
fn documents_take_their_options_by_place() {
    all(&[
        ("JSON.GET", vec![word("j"), word(" "), Nothing, word(""), word("$.a"), word("$.b")], "j INDENT   $.a $.b"),
        ("JSON.SET", vec![word("j"), word("$"), word("1")], "j $ 1"),
        ("JSON.SET", vec![word("j"), word("$"), word("1"), word("nx")], "j $ 1 NX"),
        ("JSON.SET", vec![word("j"), word("$"), word("1"), Nothing], "j $ 1"),
    ]);
    let wrong = sent("JSON.SET", &[word("j"), word("$"), word("1"), word("yy")]).unwrap_err();
    assert_eq!(wrong, "'yy' was given; accepted are NX and XX");
}

#[test]
fn the_servers_own_words_are_taken_where_places_are_known() {
    for words in [
        "BF.INSERT b CAPACITY 9 ITEMS x",
        "BF.INSERT b ITEMS x",
        "CF.RESERVE c 9 MAXITERATIONS 5",
        "CMS.MERGE d 2 a b WEIGHTS 1 2",
        "TDIGEST.CREATE t COMPRESSION 100",
        "TDIGEST.MERGE d 1 a COMPRESSION 9 OVERRIDE",
        "JSON.GET j INDENT x $.a",
        "TS.CREATERULE a b AGGREGATION avg 60 5",
        "TS.NRANGE 2 a b - + COUNT 5",
    ] {
        let all: Vec<_> = words.split(' ').map(word).collect();
        let Some((Word(command), arguments)) = all.split_first() else { panic!("{words}") };
        let command = str::from_utf8(command).unwrap();
        assert_eq!(sent(command, arguments), ok(&words[command.len() + 1..]), "{words}");
    }
}

#[test]
fn wrong_shapes_are_told_with_what_is_accepted() {
    for (command, arguments, expected) in [
        (
            "BF.INFO",
            vec![word("b"), word("colour")],
            "accepted are CAPACITY and SIZE and FILTERS and ITEMS and EXPANSION",
        ),
        ("CF.RESERVE", vec![word("c"), word("9"), list(&["5"])], "an array was given for BUCKETSIZE"),
        ("TDIGEST.MERGE", vec![word("d"), list(&["a"]), list(&["5"])], "accepted are a compression and whether"),
        ("CMS.MERGE", vec![word("d"), list(&["a"]), map(&[("w", word("5"))])], "an array with the key 'w'"),
        ("TS.ADD", vec![word("k"), word("1"), word("2"), lists(&[&["a"]])], "an array inside of an array"),
    ] {
        let wrong = sent(command, &arguments).unwrap_err();
        assert!(wrong.contains(expected), "{command}: {wrong}");
    }
}

#[test]
fn words_that_stand_as_they_are_need_no_form() {
    let by_words = |command: &str, count| match super::super::find(command.as_bytes()).unwrap().arguments {
        super::super::Arguments::Form(form) => form.is_by_words(count),
        _ => true,
    };
    for (command, count, expected) in [
        ("JSON.SET", 3, true),
        ("JSON.SET", 4, false),
        ("JSON.GET", 1, true),
        ("BF.INFO", 1, true),
        ("BF.INFO", 2, false),
        ("TS.ADD", 9, true),
        ("TS.MGET", 9, true),
        ("FT.CREATE", 9, true),
        ("FT.SEARCH", 2, false),
        ("FT.SEARCH", 0, false),
        ("TS.QUERYLABELS", 0, false),
        ("TS.QUERYLABELS", 1, false),
        ("SET", 9, true),
    ] {
        assert_eq!(by_words(command, count), expected, "{command} with {count}");
    }
}
