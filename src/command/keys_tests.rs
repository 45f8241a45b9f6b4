use super::super::lookup::{all, find};
use super::*;

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(|word| if word == "\"\"" { &b""[..] } else { word.as_bytes() }).collect()
}

/// The words that are keys.
fn keys_of(line: &str) -> String {
    let words = words(line);
    let row = find(words[0]).unwrap_or_else(|| panic!("{line}: no row"));
    at(&words, &key_positions(row, &words))
}

/// The words that are prefixed.
fn prefixed(line: &str) -> String {
    let words = words(line);
    at(&words, &prefixed_positions(find(words[0]).unwrap(), &words))
}

fn at(words: &[&[u8]], positions: &[usize]) -> String {
    let found: Vec<_> = positions.iter().map(|place| String::from_utf8_lossy(words[*place])).collect();
    found.join(" ")
}

#[test]
fn keys_at_fixed_places_are_found() {
    let lines = [
        ("GET k", "k"),
        ("SET k v EX 5", "k"),
        ("DEL a b c", "a b c"),
        ("MSET a 1 b 2", "a b"),
        ("MSETNX a 1 b 2", "a b"),
        ("WATCH a b", "a b"),
        ("RENAME a b", "a b"),
        ("COPY a b DB 1", "a b"),
        ("BITOP AND d a b", "d a b"),
        ("BITOP NOT d a", "d a"),
        ("SINTERSTORE d a b", "d a b"),
        ("PFMERGE d a b", "d a b"),
        ("SMOVE a b member", "a b"),
        ("BLMOVE a b LEFT RIGHT 1", "a b"),
        ("BLPOP a b 1", "a b"),
        ("BZPOPMIN a b 1", "a b"),
        ("ZRANGESTORE d s 0 -1", "d s"),
        ("GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 km", "d s"),
        ("LCS a b LEN", "a b"),
        ("RESTORE k 0 data", "k"),
        ("SSUBSCRIBE a b", "a b"),
        ("SPUBLISH a message", "a"),
    ];
    for (line, expected) in lines {
        assert_eq!(keys_of(line), expected, "{line}");
    }
}

#[test]
fn keys_of_subcommands_are_found() {
    let lines = [
        ("OBJECT ENCODING k", "k"),
        ("object freq k", "k"),
        ("MEMORY USAGE k SAMPLES 5", "k"),
        ("MEMORY DOCTOR", ""),
        ("XINFO STREAM s FULL", "s"),
        ("XINFO CONSUMERS s g", "s"),
        ("XGROUP CREATE s g $", "s"),
        ("XGROUP CREATECONSUMER s g c", "s"),
        ("XINFO HELP", ""),
        ("CONFIG GET maxmemory", ""),
        ("OBJECT", ""),
        ("OBJECT NOTHING k", ""),
    ];
    for (line, expected) in lines {
        assert_eq!(keys_of(line), expected, "{line}");
    }
}

#[test]
fn keys_behind_their_number_are_found() {
    let lines = [
        ("EVAL script 2 a b c", "a b"),
        ("EVAL script 0 a", ""),
        ("EVALSHA_RO sha 1 a b", "a"),
        ("FCALL f 1 a b", "a"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b"),
        ("ZDIFFSTORE d 1 a", "d a"),
        ("ZINTER 2 a b WITHSCORES", "a b"),
        ("ZINTERCARD 2 a b LIMIT 1", "a b"),
        ("SINTERCARD 1 a LIMIT 1", "a"),
        ("LMPOP 2 a b LEFT", "a b"),
        ("ZMPOP 1 a MIN", "a"),
        ("BLMPOP 0 2 a b LEFT", "a b"),
        ("BZMPOP 0.5 1 a MAX", "a"),
    ];
    for (line, expected) in lines {
        assert_eq!(keys_of(line), expected, "{line}");
    }
}

#[test]
fn keys_behind_a_word_are_found() {
    let lines = [
        ("XREAD STREAMS a b 0 0", "a b"),
        ("xread count 1 block 5 streams a 0", "a"),
        ("XREADGROUP GROUP g c COUNT 1 STREAMS a b > >", "a b"),
        ("XREADGROUP GROUP STREAMS STREAMS STREAMS a >", "a"),
        ("GEORADIUS k 1 2 3 km STORE d", "k d"),
        ("GEORADIUS k 1 2 3 km WITHDIST storedist d", "k d"),
        ("GEORADIUS k 1 2 3 km STOREDIST d STORE e", "k d e"),
        ("GEORADIUSBYMEMBER k STORE 3 km STORE d", "k d"),
        ("MIGRATE host 1 k 0 10", "k"),
        ("MIGRATE host 1 \"\" 0 10 COPY KEYS a b", "a b"),
        ("MIGRATE host 1 \"\" 0 10 AUTH KEYS KEYS a b", "a b"),
        ("MIGRATE host 1 \"\" 0 10 AUTH2 KEYS KEYS KEYS a", "a"),
        ("SORT k", "k"),
        ("SORT k BY STORE LIMIT 0 1 GET STORE GET # STORE d", "k d"),
        ("SORT_RO k BY w_* GET #", "k"),
    ];
    for (line, expected) in lines {
        assert_eq!(keys_of(line), expected, "{line}");
    }
}

#[test]
fn what_the_server_will_refuse_has_no_keys_outside_of_its_words() {
    for row in all() {
        for count in 1..9 {
            for filler in ["", "x", "1", "99", "-1", "STREAMS", "STORE", "KEYS", "BY", "USAGE", "*"] {
                let words: Vec<&[u8]> =
                    (0..count).map(|at| if at == 0 { row.name.as_bytes() } else { filler.as_bytes() }).collect();
                let positions = prefixed_positions(row, &words);
                let inside = positions.iter().all(|place| (1..count).contains(place));
                assert!(inside, "{} with {count} words {filler}: {positions:?}", row.name);
                let ordered = positions.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(ordered, "{} with {count} words {filler}: {positions:?}", row.name);
            }
        }
    }
}

#[test]
fn patterns_of_keys_and_channels_are_prefixed_though_they_are_no_keys() {
    let lines = [
        ("KEYS a*", "a*"),
        ("SUBSCRIBE a b", "a b"),
        ("PSUBSCRIBE a* b", "a* b"),
        ("UNSUBSCRIBE", ""),
        ("PUNSUBSCRIBE a*", "a*"),
        ("PUBLISH a message", "a"),
        ("SORT k BY w_*->f GET # GET o_* LIMIT 0 5 STORE d", "k w_*->f o_* d"),
        ("SORT_RO k BY nosort GET o_*", "k o_*"),
        ("SCAN 0 MATCH a*", ""),
        ("PUBSUB NUMSUB a", ""),
        ("RANDOMKEY", ""),
    ];
    for (line, expected) in lines {
        assert_eq!(prefixed(line), expected, "{line}");
        assert!(keys_of(line).split(' ').all(|key| !key.contains('*')), "{line}");
    }
    assert_eq!(keys_of("PUBLISH a message"), "");
    assert_eq!(prefixed("XREAD STREAMS a 0"), keys_of("XREAD STREAMS a 0"));
}
