//! Forms of real commands, by the table.

use super::super::{Arguments, find};
use super::*;

pub(super) fn word(text: &str) -> Argument<'_> {
    Word(Cow::Borrowed(text.as_bytes()))
}

pub(super) fn list<'a>(words: &[&'a str]) -> Argument<'a> {
    Array(words.iter().zip(0..).map(|(text, index)| (Key::Index(index), word(text))).collect())
}

pub(super) fn map<'a>(entries: &[(&'a str, Argument<'a>)]) -> Argument<'a> {
    Array(entries.iter().map(|(name, value)| (Key::Name(name.as_bytes()), value.clone())).collect())
}

/// The words of a command's arguments with blanks between them, or what is wrong.
pub(super) fn sent(command: &str, arguments: &[Argument]) -> Result<String, String> {
    let row = find(command.as_bytes()).expect("a command of the table");
    let Arguments::Form(form) = row.arguments else { panic!("{command} has no form") };
    let words = form.words(arguments)?;
    Ok(words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" "))
}

pub(super) fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[test]
fn members_with_scores_are_sent_score_first_behind_the_flags() {
    let scores = map(&[("a", word("1")), ("b", word("2.5"))]);
    assert_eq!(sent("ZADD", &[word("z"), scores.clone()]), ok("z 1 a 2.5 b"));
    assert_eq!(sent("ZADD", &[word("z"), word("NX"), word("CH"), scores]), ok("z NX CH 1 a 2.5 b"));
    assert_eq!(sent("ZADD", &[word("z"), word("1"), word("a")]), ok("z 1 a"));
    let numbers = Array(vec![(Key::Index(7), word("1"))]);
    assert_eq!(sent("ZADD", &[word("z"), numbers]), ok("z 1 7"));
}

#[test]
fn options_of_an_array_are_sent_by_their_names_in_any_letter_case() {
    let range = |options| sent("ZRANGEBYSCORE", &[word("z"), word("-inf"), word("+inf"), options]);
    let limit = map(&[("withscores", Yes), ("limit", list(&["0", "2"]))]);
    assert_eq!(range(limit), ok("z -inf +inf WITHSCORES LIMIT 0 2"));
    let swapped = map(&[("COUNT", word("2")), ("Offset", word("1"))]);
    assert_eq!(range(map(&[("LIMIT", swapped), ("WITHSCORES", Nothing)])), ok("z -inf +inf LIMIT 1 2"));
    assert_eq!(range(word("WITHSCORES")), ok("z -inf +inf WITHSCORES"));
    assert_eq!(range(list(&["WITHSCORES"])), ok("z -inf +inf WITHSCORES"));
    let get = map(&[("BY", word("w_*")), ("GET", list(&["#", "o_*"])), ("sort", word("desc")), ("ALPHA", Yes)]);
    assert_eq!(sent("SORT", &[word("l"), get]), ok("l BY w_* GET # GET o_* desc ALPHA"));
    assert_eq!(sent("SCAN", &[word("0"), map(&[("match", word("a*")), ("count", Nothing)])]), ok("0 MATCH a*"));
}

#[test]
fn what_says_nothing_is_left_out_of_options_and_kept_as_a_value() {
    assert_eq!(sent("SET", &[word("k"), Nothing, word("EX"), word("5"), Nothing, Nothing]), ok("k  EX 5"));
    let options = Array(vec![(Key::Name(b"ex"), word("5")), (Key::Index(0), word("NX"))]);
    assert_eq!(sent("SET", &[word("k"), word("v"), options]), ok("k v EX 5 NX"));
}

#[test]
fn nothing_in_the_place_of_a_word_that_may_be_missing_is_no_word() {
    for (command, arguments, expected) in [
        ("LPOP", vec![word("l"), Nothing], "l"),
        ("LPOP", vec![word("l"), word("2")], "l 2"),
        ("PING", vec![Nothing], ""),
        ("BITCOUNT", vec![word("k"), word("0"), word("1"), Nothing], "k 0 1"),
        ("EXPIRE", vec![word("k"), word("5"), Nothing], "k 5"),
        ("HRANDFIELD", vec![word("h"), Nothing, Nothing], "h"),
        ("AUTH", vec![word("secret"), Nothing], "secret"),
    ] {
        assert_eq!(sent(command, &arguments), ok(expected), "{command} {arguments:?}");
    }
}

#[test]
fn lists_of_keys_are_counted_and_what_follows_has_its_place() {
    let keys = list(&["a", "b"]);
    let weights = list(&["2", "3"]);
    let all = [keys.clone(), weights.clone(), word("sum"), Yes];
    assert_eq!(sent("ZUNION", &all), ok("2 a b WEIGHTS 2 3 AGGREGATE sum WITHSCORES"));
    assert_eq!(sent("ZUNION", &[keys.clone(), list(&[]), word("sum"), Nothing]), ok("2 a b AGGREGATE sum"));
    let old = map(&[("weights", weights), ("aggregate", word("max"))]);
    assert_eq!(sent("ZINTERSTORE", &[word("d"), keys.clone(), old]), ok("d 2 a b WEIGHTS 2 3 AGGREGATE max"));
    assert_eq!(sent("LMPOP", std::slice::from_ref(&keys)), ok("2 a b LEFT"));
    assert_eq!(sent("BZMPOP", &[word("0"), keys.clone(), word("max"), word("3")]), ok("0 2 a b MAX COUNT 3"));
    assert_eq!(sent("SINTERCARD", &[keys.clone(), word("5")]), ok("2 a b LIMIT 5"));
    assert_eq!(sent("FCALL", &[word("f"), keys, word("x"), Nothing]), ok("f 2 a b x "));
}

#[test]
fn commands_written_as_words_stay_as_they_are() {
    let words = |text: &'static str| -> Vec<_> { text.split(' ').map(word).collect() };
    for (command, text) in [
        ("ZUNION", "2 a b WEIGHTS 2 3 AGGREGATE SUM WITHSCORES"),
        ("ZUNIONSTORE", "d 2 a b AGGREGATE MIN"),
        ("LMPOP", "1 l RIGHT COUNT 2"),
        ("COPY", "a b DB 2 REPLACE"),
        ("COPY", "a b REPLACE"),
        ("LCS", "a b IDX MINMATCHLEN 4 WITHMATCHLEN"),
        ("XRANGE", "x - + COUNT 2"),
        ("XAUTOCLAIM", "x g c 0 0 COUNT 2 JUSTID"),
        ("ZRANDMEMBER", "z 2 WITHSCORES"),
        ("FCALL", "f 1 k a"),
        ("SET", "k v EX 5 NX GET"),
        ("XADD", "x NOMKSTREAM MAXLEN ~ 10 * f v"),
        ("XREAD", "COUNT 1 BLOCK 5 STREAMS x 0"),
        ("XREADGROUP", "GROUP g c COUNT 1 STREAMS x >"),
        ("XCLAIM", "x g c 0 1-1 2-1 IDLE 5 JUSTID"),
        ("XPENDING", "x g"),
        ("XPENDING", "x g - + 10 c"),
        ("XPENDING", "x g IDLE 5 - + 10 c"),
        ("XTRIM", "x MAXLEN ~ 10 LIMIT 5"),
        ("XGROUP", "CREATE x g $ MKSTREAM ENTRIESREAD 3"),
        ("XGROUP", "SETID x g 0 ENTRIESREAD 3"),
        ("XGROUP", "DESTROY x g"),
        ("GEOADD", "g NX 1 2 a 3 4 b"),
        ("BITFIELD_RO", "k GET u8 0"),
        ("GEOSEARCH", "g FROMMEMBER m BYRADIUS 200 km ASC COUNT 1 ANY WITHDIST"),
        ("GEOSEARCHSTORE", "d g FROMLONLAT 1 2 BYBOX 2 2 km STOREDIST"),
        ("FUNCTION", "LOAD REPLACE code"),
    ] {
        assert_eq!(sent(command, &words(text)), ok(text), "{command}");
    }
}

#[test]
fn values_and_switches_at_their_places_get_their_names() {
    assert_eq!(sent("XRANGE", &[word("x"), word("-"), word("+"), word("2")]), ok("x - + COUNT 2"));
    assert_eq!(sent("COPY", &[word("a"), word("b"), word("-1"), Yes]), ok("a b REPLACE"));
    assert_eq!(sent("COPY", &[word("a"), word("b"), word("3")]), ok("a b DB 3"));
    assert_eq!(sent("LCS", &[word("a"), word("b"), Nothing, Yes, word("4")]), ok("a b IDX MINMATCHLEN 4"));
    assert_eq!(sent("ZRANDMEMBER", &[word("z"), word("-2"), Yes]), ok("z -2 WITHSCORES"));
}

#[test]
fn entries_of_streams_are_added_with_the_id_behind_the_options() {
    let fields = map(&[("f", word("v")), ("g", word("w"))]);
    let trim = map(&[("trim", list(&["MAXLEN", "~", "9"])), ("limit", word("5")), ("nomkstream", Yes)]);
    let add = |rest: &[Argument<'static>]| sent("XADD", &[&[word("x")], rest].concat());
    assert_eq!(add(std::slice::from_ref(&fields)), ok("x * f v g w"));
    assert_eq!(add(&[fields.clone(), word("9-1"), trim]), ok("x MAXLEN ~ 9 LIMIT 5 NOMKSTREAM 9-1 f v g w"));
    assert_eq!(add(&[word("*"), fields.clone()]), ok("x * f v g w"));
    assert!(add(&[fields.clone(), word("*"), word("MAXLEN")]).is_err_and(|text| text.contains("options are an array")));
    assert!(add(&[fields, list(&["*"])]).is_err_and(|text| text.contains("for the id")));
}

#[test]
fn groups_are_made_with_their_stream_and_with_entries_taken_for_read() {
    let create = |rest: &[Argument<'static>]| {
        sent("XGROUP", &[&[word("create"), word("x"), word("g"), word("0")], rest].concat())
    };
    assert_eq!(create(&[Yes]), ok("create x g 0 MKSTREAM"));
    assert_eq!(create(&[Nothing]), ok("create x g 0"));
    assert_eq!(create(&[Yes, Nothing]), ok("create x g 0 MKSTREAM"));
    assert_eq!(create(&[Yes, word("3")]), ok("create x g 0 MKSTREAM ENTRIESREAD 3"));
    assert_eq!(create(&[Nothing, word("3")]), ok("create x g 0 ENTRIESREAD 3"));
    let set = [word("SETID"), word("x"), word("g"), word("0"), word("3")];
    assert_eq!(sent("XGROUP", &set), ok("SETID x g 0 ENTRIESREAD 3"));
}

#[test]
fn places_are_added_as_a_list_of_lists_too() {
    let places = Array(vec![(Key::Index(0), list(&["1", "2", "a"])), (Key::Index(1), list(&["3", "4", "b"]))]);
    assert_eq!(sent("GEOADD", &[word("g"), places]), ok("g 1 2 a 3 4 b"));
    assert_eq!(sent("GEOADD", &[word("g"), list(&["1", "2", "a"])]), ok("g 1 2 a"));
}

#[test]
fn streams_are_read_by_place() {
    let streams = list(&["x", "y"]);
    assert_eq!(sent("XREAD", &[word("1"), Nothing, streams, word("0"), word("$")]), ok("COUNT 1 STREAMS x y 0 $"));
    let ids = [word("g"), word("c"), Nothing, word("50"), Yes, word("x"), word(">")];
    assert_eq!(sent("XREADGROUP", &ids), ok("GROUP g c BLOCK 50 NOACK STREAMS x >"));
    let claim =
        [word("x"), word("g"), word("c"), word("0"), list(&["1-1", "2-1"]), Nothing, word("7"), Nothing, Nothing, Yes];
    assert_eq!(sent("XCLAIM", &claim), ok("x g c 0 1-1 2-1 TIME 7 JUSTID"));
    let range = [word("-"), word("+"), word("10")];
    assert_eq!(sent("XPENDING", &[&[word("x"), word("g"), Nothing], &range[..]].concat()), ok("x g - + 10"));
    assert_eq!(sent("XPENDING", &[&[word("x"), word("g"), word("5")], &range[..]].concat()), ok("x g IDLE 5 - + 10"));
    let trim = [word("x"), list(&["MAXLEN", "~"]), word("9"), map(&[("limit", word("5"))])];
    assert_eq!(sent("XTRIM", &trim), ok("x MAXLEN ~ 9 LIMIT 5"));
}

#[test]
fn places_are_searched_from_a_centre_in_a_shape() {
    let (from, by) = (list(&["FROMMEMBER", "m"]), list(&["BYRADIUS", "200", "km"]));
    let search =
        |rest: &[Argument<'static>]| sent("GEOSEARCH", &[&[word("g"), from.clone(), by.clone()], rest].concat());
    assert_eq!(search(&[]), ok("g FROMMEMBER m BYRADIUS 200 km"));
    let nothing = [Nothing, word("-1"), Nothing, Yes, Yes, Yes];
    assert_eq!(search(&nothing), ok("g FROMMEMBER m BYRADIUS 200 km WITHCOORD WITHDIST WITHHASH"));
    assert_eq!(search(&[word("desc"), word("2"), Yes]), ok("g FROMMEMBER m BYRADIUS 200 km DESC COUNT 2 ANY"));
    assert_eq!(search(&[word("up")]), Err("'up' was given; accepted are ASC and DESC".to_owned()));
    let store = [word("d"), word("g"), from.clone(), by.clone(), Nothing, word("3"), Nothing, Yes];
    assert_eq!(sent("GEOSEARCHSTORE", &store), ok("d g FROMMEMBER m BYRADIUS 200 km COUNT 3 STOREDIST"));
}

#[test]
fn bits_are_read_by_encoding_and_libraries_replaced_by_a_switch() {
    assert_eq!(
        sent("BITFIELD_RO", &[word("k"), map(&[("u8", word("0")), ("i4", word("8"))])]),
        ok("k GET u8 0 GET i4 8")
    );
    assert_eq!(sent("FUNCTION", &[word("load"), word("code"), Yes]), ok("load REPLACE code"));
    assert_eq!(sent("FUNCTION", &[word("LOAD"), word("code"), Nothing]), ok("LOAD code"));
}

#[test]
fn a_word_does_not_take_the_place_of_one_that_was_left_out() {
    assert_eq!(sent("BITPOS", &[word("k"), word("1"), Nothing, Nothing]), ok("k 1"));
    assert_eq!(sent("BITPOS", &[word("k"), word("1"), word("0"), Nothing, Nothing]), ok("k 1 0"));
    let end = sent("BITPOS", &[word("k"), word("1"), Nothing, word("5")]);
    assert!(end.is_err_and(|text| text.contains("left out")));
    let unit = sent("BITCOUNT", &[word("k"), word("0"), Nothing, word("BIT")]);
    assert!(unit.is_err_and(|text| text.contains("left out")));
}

#[test]
fn a_wrong_shape_is_named_with_what_is_accepted() {
    let wrong = |command, arguments: &[Argument]| sent(command, arguments).expect_err("a wrong shape");
    let text = wrong("ZRANGEBYSCORE", &[word("z"), word("0"), word("1"), map(&[("withscore", Yes)])]);
    assert_eq!(text, "option 'withscore' is unknown; accepted are WITHSCORES, LIMIT");
    let text = wrong("ZRANGEBYSCORE", &[word("z"), word("0"), word("1"), map(&[("limit", word("3"))])]);
    assert!(text.starts_with("option LIMIT takes an offset and a count"), "{text}");
    assert_eq!(wrong("LMPOP", &[list(&["l"]), word("up")]), "'up' was given; accepted are LEFT and RIGHT");
    assert!(wrong("ZADD", &[word("z"), map(&[("m", list(&["1"]))])]).contains("inside of an array"));
    assert!(wrong("GEODIST", &[map(&[("k", word("v"))])]).contains("key 'k'"));
    let text = wrong("SET", &[word("k"), list(&["a", "b"])]);
    assert_eq!(text, "an array of 2 was given where one string, number, boolean or null is accepted");
    assert!(wrong("SET", &[map(&[("k", word("v"))])]).contains("an array of 1 was given"));
    assert!(wrong("ZDIFF", &[list(&["a"]), list(&["b"])]).contains("array was given for WITHSCORES"));
}
