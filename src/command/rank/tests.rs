use super::super::find;
use super::*;

fn split(line: &str) -> (Option<&'static Command>, Vec<&[u8]>) {
    let mut words = line.split(' ').map(str::as_bytes);
    let command = find(words.next().unwrap());
    (command, words.collect())
}

fn hazard_of(line: &str) -> Hazard {
    let (command, arguments) = split(line);
    hazard(command, &arguments)
}

/// Asserts for every line, as it stands and in lower case.
#[track_caller]
fn assert_hazards(expected: Hazard, lines: &[&str]) {
    for line in lines {
        assert_eq!(hazard_of(line), expected, "{line}");
        assert_eq!(hazard_of(&line.to_lowercase()), expected, "{line} in lower case");
    }
}

#[track_caller]
fn assert_ranks(rank: Rank, lines: &[&str]) {
    assert_hazards(Hazard::of(rank), lines);
}

#[test]
fn the_examples_of_the_design_have_the_rank_that_it_gives_them() {
    assert_eq!(hazard_of("SET k v NX").rank, Rank::Checked);
    assert_eq!(hazard_of("SETNX k v").rank, Rank::Checked);
    assert_eq!(hazard_of("HSETNX h f v").rank, Rank::Checked);
    assert_ranks(Rank::LastWins, &["SET k v", "HSET h f v", "EXPIRE k 5", "DEL k"]);
    assert_ranks(Rank::Accumulating, &["INCR k", "LPUSH l a", "XADD s * f v", "APPEND k v", "LPOP l", "BRPOP l 1"]);
    assert_ranks(Rank::Accumulating, &["GETDEL k", "GETSET k v", "SET k v GET", "RENAME a b"]);
    assert_ranks(Rank::Never, &["EVAL s 0", "EVALSHA s 0", "FCALL f 0", "PUBLISH c m", "WAIT 1 0", "NOSUCH a b"]);
    assert_ranks(Rank::Never, &["XREADGROUP GROUP g c STREAMS s >"]);
}

#[test]
fn ranks_are_ordered_by_risk() {
    let ranks = [Rank::Read, Rank::Checked, Rank::LastWins, Rank::Accumulating, Rank::Never];
    assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn questions_to_the_server_are_reads() {
    assert_ranks(Rank::Read, &["PING", "ECHO a", "TIME", "INFO", "INFO server", "DBSIZE", "ROLE", "LASTSAVE"]);
    assert_ranks(Rank::Read, &["COMMAND", "COMMAND COUNT", "COMMAND DOCS GET", "CONFIG GET maxmemory", "CLIENT LIST"]);
    assert_ranks(
        Rank::Read,
        &["CLIENT INFO", "CLIENT GETNAME", "CLIENT ID", "ACL WHOAMI", "ACL LIST", "ACL GETUSER u"],
    );
    assert_ranks(
        Rank::Read,
        &["SLOWLOG GET 10", "LATENCY LATEST", "LATENCY HISTORY e", "MEMORY USAGE k", "MEMORY STATS"],
    );
    assert_ranks(
        Rank::Read,
        &["MEMORY DOCTOR", "OBJECT ENCODING k", "OBJECT FREQ k", "XINFO STREAM s", "XINFO GROUPS s"],
    );
    assert_ranks(
        Rank::Read,
        &["PUBSUB CHANNELS", "PUBSUB NUMSUB c", "SCRIPT EXISTS s", "FUNCTION LIST", "FUNCTION STATS"],
    );
    assert_ranks(Rank::Read, &["FUNCTION DUMP", "CLUSTER SLOTS", "CLUSTER NODES", "CLUSTER INFO", "CLUSTER KEYSLOT k"]);
    assert_ranks(
        Rank::Read,
        &["EVAL_RO s 0", "EVALSHA_RO s 0", "FCALL_RO f 0", "GET k", "XREAD STREAMS s 0", "SORT_RO l"],
    );
}

#[test]
fn the_acl_log_is_read_or_forgotten() {
    assert_ranks(Rank::Read, &["ACL LOG", "ACL LOG 5"]);
    assert_ranks(Rank::Never, &["ACL LOG RESET", "ACL LOG WHAT", "ACL LOG 5 6"]);
}

#[test]
fn what_is_made_only_once_is_checked() {
    let zero = Hazard::checked(Telltale::Zero);
    assert_hazards(zero, &["SETNX k v", "HSETNX h f v", "MSETNX a 1 b 2", "MOVE k 1", "SMOVE a b m", "COPY a b"]);
    assert_hazards(zero, &["COPY a b DB 3", "EXPIRE k 5 NX", "PEXPIRE k 5 GT", "EXPIREAT k 5 LT", "PEXPIREAT k 5 NX"]);
    assert_hazards(zero, &["EXPIRE k 5 XX GT"]);
    let error = Hazard::checked(Telltale::Error);
    assert_hazards(error, &["RESTORE k 0 v", "RESTORE k 5 v ABSTTL IDLETIME 3 FREQ 4", "RESTORE-ASKING k 0 v"]);
    assert_hazards(error, &["XGROUP CREATE s g $", "XGROUP CREATE s g 0 MKSTREAM", "FUNCTION LOAD code"]);
    assert_hazards(error, &["FUNCTION RESTORE dump", "FUNCTION RESTORE dump APPEND", "FUNCTION DELETE lib"]);
}

#[test]
fn what_is_replaced_or_unconditional_wins_last() {
    assert_ranks(Rank::LastWins, &["COPY a b REPLACE", "COPY a b DB 3 REPLACE", "RESTORE k 0 v REPLACE"]);
    assert_ranks(Rank::LastWins, &["RESTORE k 0 v ABSTTL REPLACE FREQ 3", "FUNCTION LOAD REPLACE code"]);
    assert_ranks(Rank::LastWins, &["FUNCTION RESTORE dump FLUSH", "FUNCTION RESTORE dump REPLACE", "EXPIRE k 5 XX"]);
    assert_ranks(Rank::LastWins, &["PEXPIRE k 5", "EXPIREAT k 5", "PEXPIREAT k 5", "CONFIG SET maxmemory 1"]);
}

#[test]
fn an_option_that_is_not_known_is_the_riskier_reading_and_keeps_its_telltale() {
    let zero = Hazard { rank: Rank::LastWins, telltale: Telltale::Zero };
    assert_hazards(zero, &["COPY a b NEW", "COPY a b DB", "COPY a", "EXPIRE k 5 NEW", "EXPIRE k"]);
    let error = Hazard { rank: Rank::LastWins, telltale: Telltale::Error };
    assert_hazards(error, &["RESTORE k 0 v NEW", "RESTORE k 0", "RESTORE k 0 v FREQ", "FUNCTION LOAD NEW code"]);
    assert_hazards(error, &["FUNCTION LOAD", "FUNCTION RESTORE", "FUNCTION RESTORE dump NEW"]);
    assert_ranks(Rank::Accumulating, &["SET k v NEW", "SET k v IFEQ", "SET k v EX", "SET k", "SET"]);
}

#[test]
fn conditions_that_the_first_application_makes_false_tell() {
    let nil = Hazard::checked(Telltale::Nil);
    assert_hazards(nil, &["JSON.SET k $ 1 NX", "SET k v IFEQ x", "SET k v IFNE x EX 5", "SET k v IFDEQ d"]);
    let zero = Hazard::checked(Telltale::Zero);
    assert_hazards(zero, &["DELEX k IFEQ v", "HSETEX h FNX EX 5 FIELDS 1 f v", "MSETEX 2 a 1 b 2 NX PX 9"]);
    assert_ranks(
        Rank::LastWins,
        &["HSETEX h FIELDS 1 FNX v", "HSETEX h FXX KEEPTTL FIELDS 1 f v", "MSETEX 1 NX NX EX 5"],
    );
    assert_ranks(Rank::LastWins, &["HEXPIRE h 10 FIELDS 1 f", "HPERSIST h FIELDS 1 f", "HGETEX h EX 5 FIELDS 1 f"]);
    assert_ranks(
        Rank::Accumulating,
        &["HEXPIRE h 10 NX FIELDS 1 f", "HSETEX h NEW FIELDS 1 f v", "HSETEX h", "HSETEX"],
    );
    assert_ranks(Rank::Accumulating, &["MSETEX 2 a 1", "MSETEX x a 1", "MSETEX 1 a 1 NEW", "MSETEX"]);
}

#[test]
fn commands_of_newer_servers_have_their_ranks() {
    assert_ranks(
        Rank::Read,
        &["DIGEST k", "HTTL h FIELDS 1 f", "VSIM v ELE e", "ARGET a 0", "SENTINEL MASTERS", "HOTKEYS GET"],
    );
    assert_ranks(Rank::LastWins, &["VADD v VALUES 1 1 e", "ARSET a 0 v", "XACKDEL x g IDS 1 1-1", "HIMPORT SET k f v"]);
    assert_ranks(Rank::Accumulating, &["INCREX k", "LMOVEM a b LEFT LEFT", "ARINSERT a v", "HGETDEL h FIELDS 1 f"]);
    assert_ranks(Rank::Read, &["JSON.GET k", "FT.SEARCH i q", "TS.RANGE k - +", "FT.CONFIG GET *", "BF.EXISTS k v"]);
    assert_ranks(Rank::LastWins, &["JSON.SET k $ 1", "BF.ADD k v", "FT.ALIASUPDATE a i", "CMS.MERGE a 1 b"]);
    assert_ranks(Rank::Accumulating, &["JSON.NUMINCRBY k $ 1", "CF.ADD k v", "TS.ADD k * 1", "CMS.MERGE a 1 a"]);
    // The element behind the one that was removed stands in its place the second time.
    assert_ranks(Rank::Accumulating, &["JSON.DEL k $.list[0]", "JSON.FORGET k $.list[0]"]);
    assert_ranks(Rank::Never, &["WAITAOF 1 0 0", "HOTKEYS START", "SENTINEL FAILOVER m"]);
}

#[test]
fn a_plain_set_wins_last_whatever_its_expiry() {
    assert_ranks(Rank::LastWins, &["SET k v", "SET k v EX 5", "SET k v PX 5 XX", "SET k v EXAT 5", "SET k v PXAT 5"]);
    assert_ranks(Rank::LastWins, &["SET k v KEEPTTL", "SET NX GET", "SET GET NX EX 5"]);
}

#[test]
fn a_set_that_must_not_exist_tells_by_nil_unless_it_replies_the_old_value() {
    let nil = Hazard::checked(Telltale::Nil);
    assert_hazards(nil, &["SET k v NX", "SET k v NX EX 5", "SET k v PX 5 NX", "SET k v KEEPTTL NX"]);
    assert_ranks(Rank::Accumulating, &["SET k v GET", "SET k v NX GET", "SET k v GET NX EX 5", "SET k v EX 5 GET"]);
}

#[test]
fn a_stream_entry_with_a_whole_id_is_refused_the_second_time() {
    let error = Hazard::checked(Telltale::Error);
    assert_hazards(error, &["XADD s 5-1 f v", "XADD s 5 f v", "XADD s NOMKSTREAM 5-1 f v", "XADD s MAXLEN 10 5-1 f v"]);
    assert_hazards(error, &["XADD s MAXLEN ~ 10 LIMIT 5 5-1 f v", "XADD s MINID = 3-0 NOMKSTREAM 5-1 f v"]);
}

#[test]
fn a_stream_entry_whose_id_the_server_makes_is_a_second_entry() {
    assert_ranks(Rank::Accumulating, &["XADD s * f v", "XADD s 5-* f v", "XADD s NOMKSTREAM * 5-1 v"]);
    assert_ranks(Rank::Accumulating, &["XADD s MAXLEN ~ 10 * f v", "XADD s MAXLEN 5-1 * f v", "XADD s LIMIT 5 * f v"]);
    assert_ranks(Rank::Accumulating, &["XADD s NEW 5-1 f v", "XADD s", "XADD s MAXLEN", "XADD s MAXLEN =", "XADD"]);
    assert_ranks(Rank::Accumulating, &["XADD s 5- f v", "XADD s -5 f v", "XADD s 5-1-2 f v", "XADD s - f v"]);
}

#[test]
fn writes_that_leave_the_same_data_win_last() {
    assert_ranks(Rank::LastWins, &["SETEX k 5 v", "PSETEX k 5 v", "MSET a 1", "HMSET h f v", "UNLINK k", "PERSIST k"]);
    assert_ranks(Rank::LastWins, &["GETEX k EX 5", "SADD s m", "SREM s m", "HDEL h f", "ZREM z m", "LSET l 0 v"]);
    assert_ranks(Rank::LastWins, &["ZREMRANGEBYSCORE z 0 1", "ZREMRANGEBYLEX z - +", "SETRANGE k 0 v", "PFADD p a"]);
    assert_ranks(Rank::LastWins, &["PFMERGE p q p", "XACK s g 5-1", "XDEL s 5-1", "XTRIM s MAXLEN 5", "XSETID s 5-1"]);
    assert_ranks(Rank::LastWins, &["XGROUP SETID s g 0", "XGROUP DESTROY s g", "XGROUP CREATECONSUMER s g c"]);
    assert_ranks(Rank::LastWins, &["XGROUP DELCONSUMER s g c", "GEOADD g 1 2 m", "GEOADD g NX 1 2 m", "SCRIPT LOAD s"]);
}

#[test]
fn a_sorted_set_wins_last_unless_it_increments() {
    assert_ranks(Rank::LastWins, &["ZADD z 1 m", "ZADD z NX CH 1.5 m", "ZADD z GT -inf m", "ZADD z XX LT 1e3 m 2 n"]);
    assert_ranks(Rank::LastWins, &["ZADD z 1 INCR"]);
    assert_ranks(Rank::Accumulating, &["ZADD z INCR 1 m", "ZADD z XX INCR 1 m", "ZADD z NEW 1 m", "ZADD z", "ZADD"]);
}

#[test]
fn a_store_wins_last_unless_it_starts_from_its_own_result() {
    assert_ranks(Rank::LastWins, &["SUNIONSTORE d a b", "SUNIONSTORE d d b", "SINTERSTORE d d b", "SDIFFSTORE d a b"]);
    assert_ranks(Rank::LastWins, &["ZUNIONSTORE d 2 a b", "ZINTERSTORE d 1 a WEIGHTS 2", "ZDIFFSTORE d 2 a b"]);
    assert_ranks(Rank::LastWins, &["ZUNIONSTORE SUM 1 a AGGREGATE SUM", "BITOP XOR d a b", "ZRANGESTORE d a 0 1"]);
    assert_ranks(Rank::LastWins, &["GEOSEARCHSTORE d a FROMMEMBER d BYRADIUS 1 m"]);
    assert_ranks(
        Rank::Accumulating,
        &["SDIFFSTORE d a d", "ZUNIONSTORE d 2 a d", "ZINTERSTORE d 1 d", "BITOP NOT d d"],
    );
    assert_ranks(Rank::Accumulating, &["ZRANGESTORE d d 0 1", "GEOSEARCHSTORE d d FROMMEMBER m BYRADIUS 1 m"]);
    assert_ranks(
        Rank::Accumulating,
        &["ZUNIONSTORE d x a", "ZUNIONSTORE d 5 a", "ZUNIONSTORE d", "BITOP NOT", "SDIFFSTORE"],
    );
}

#[test]
fn a_sort_or_a_radius_reads_unless_it_stores() {
    assert_ranks(Rank::Read, &["SORT l", "SORT l BY w_* LIMIT 0 5 GET # GET STORE DESC ALPHA", "SORT l BY STORE ASC"]);
    assert_ranks(Rank::Read, &["GEORADIUS g 1 2 3 km", "GEORADIUS g 1 2 3 km WITHDIST COUNT 5 ANY ASC"]);
    assert_ranks(Rank::Read, &["GEORADIUSBYMEMBER g STORE 3 km", "GEORADIUSBYMEMBER g m 3 km WITHCOORD WITHHASH DESC"]);
    assert_ranks(Rank::LastWins, &["SORT l STORE d", "SORT l GET # STORE d", "GEORADIUS g 1 2 3 km STORE d"]);
    assert_ranks(Rank::LastWins, &["GEORADIUSBYMEMBER g m 3 km COUNT 1 STOREDIST d"]);
    assert_ranks(
        Rank::Accumulating,
        &["SORT l STORE l", "SORT l STORE l STORE d", "SORT l NEW", "SORT l STORE", "SORT"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["GEORADIUS g 1 2 3 km STOREDIST g", "GEORADIUS g 1 2 3 km NEW", "GEORADIUS g 1"],
    );
}

#[test]
fn a_bitfield_reads_only_if_all_it_does_is_get() {
    assert_ranks(
        Rank::Read,
        &["BITFIELD k GET u8 0", "BITFIELD k GET u8 0 GET i5 #1", "BITFIELD k OVERFLOW SAT GET u8 0"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["BITFIELD k SET u8 0 1", "BITFIELD k GET u8 0 INCRBY u8 0 1", "BITFIELD k GET u8"],
    );
    assert_ranks(Rank::Accumulating, &["BITFIELD k NEW", "BITFIELD"]);
}

#[test]
fn what_adds_up_or_replies_what_it_took_away_accumulates() {
    assert_ranks(Rank::Accumulating, &["INCRBY k 1", "INCRBYFLOAT k 1", "DECR k", "DECRBY k 1", "HINCRBY h f 1"]);
    assert_ranks(Rank::Accumulating, &["HINCRBYFLOAT h f 1", "ZINCRBY z 1 m", "RPUSH l a", "LPUSHX l a", "RPUSHX l a"]);
    assert_ranks(
        Rank::Accumulating,
        &["RPOP l", "SPOP s", "ZPOPMIN z", "ZPOPMAX z", "LMPOP 1 l LEFT", "ZMPOP 1 z MIN"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["BLPOP l 1", "BLMPOP 1 1 l LEFT", "BZPOPMIN z 1", "BZPOPMAX z 1", "BZMPOP 1 1 z MIN"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["SETBIT k 0 1", "RENAMENX a b", "LTRIM l 0 5", "LREM l 1 a", "LINSERT l BEFORE a b"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["RPOPLPUSH a b", "LMOVE a b LEFT LEFT", "BRPOPLPUSH a b 1", "BLMOVE a b LEFT LEFT 1"],
    );
    assert_ranks(
        Rank::Accumulating,
        &["XCLAIM s g c 0 5-1", "XAUTOCLAIM s g c 0 0", "ZREMRANGEBYRANK z 0 1", "PFDEBUG x p"],
    );
    assert_ranks(Rank::Accumulating, &["FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "FUNCTION FLUSH", "SCRIPT FLUSH"]);
}

#[test]
fn what_acts_on_the_server_or_runs_code_is_never_sent_again() {
    assert_ranks(Rank::Never, &["SPUBLISH c m", "MIGRATE h 1 k 0 5", "SHUTDOWN", "DEBUG SLEEP 1", "FAILOVER", "SAVE"]);
    assert_ranks(
        Rank::Never,
        &["REPLICAOF h 1", "SLAVEOF h 1", "BGSAVE", "BGREWRITEAOF", "CLUSTER FAILOVER", "CLUSTER RESET"],
    );
    assert_ranks(
        Rank::Never,
        &["CLUSTER SETSLOT 1 STABLE", "ACL SETUSER u", "ACL DELUSER u", "CLIENT KILL a", "MODULE LOAD m"],
    );
    assert_ranks(Rank::Never, &["CONFIG REWRITE", "CONFIG RESETSTAT", "SCRIPT KILL", "FUNCTION KILL", "SLOWLOG RESET"]);
    assert_ranks(Rank::Never, &["LATENCY RESET", "MEMORY PURGE", "EXEC", "DISCARD"]);
}

#[test]
fn unknown_commands_and_subcommands_are_never_sent_again() {
    assert_ranks(
        Rank::Never,
        &["NOSUCH.ADD k v", "CONFIG NEW", "CLIENT NEW a b", "CONFIG", "OBJECT NEW k", "HIMPORT NEW"],
    );
    assert_ranks(Rank::Never, &["COMMAND NEW"]);
    assert_eq!(hazard(None, &[]), Hazard::of(Rank::Never));
    assert!(!is_read(None, &[b"k"]));
    assert!(!may_use_replica(None, &[b"k"]));
}

#[test]
fn replicas_serve_only_what_the_server_flags_readonly() {
    let may = |line| {
        let (command, arguments) = split(line);
        may_use_replica(command, &arguments)
    };
    for line in ["GET k", "object encoding k", "XINFO STREAM s", "MEMORY USAGE k", "EVAL_RO s 0", "SORT_RO l"] {
        assert!(may(line), "{line}");
    }
    for line in
        ["SORT l", "BITFIELD k GET u8 0", "GEORADIUS g 1 2 3 km", "WAIT 1 0", "INFO", "SET k v", "OBJECT", "XGROUP x"]
    {
        assert!(!may(line), "{line}");
    }
}

#[test]
fn a_cursor_is_continued_at_the_server_that_gave_it() {
    for line in ["SCAN 0", "SSCAN s 0", "HSCAN h 0", "ZSCAN z 0"] {
        let (command, arguments) = split(line);
        assert!(is_read(command, &arguments) && !may_use_replica(command, &arguments), "{line}");
    }
}

#[test]
fn effects_on_the_connection_are_known() {
    let effect_of = |line: &str| {
        let (command, arguments) = split(line);
        effect(command, || [&[&b""[..]], &arguments[..]].concat())
    };
    let expected = [
        (Effect::None, "GET k|CONFIG SET a b|CLIENT LIST|CLIENT ID|CLIENT KILL a|SCRIPT LOAD s|BF.ADD k v|EVAL s 0"),
        (Effect::Select, "SELECT 1"),
        (Effect::Auth, "AUTH p"),
        (Effect::Multi, "MULTI"),
        (Effect::Exec, "EXEC"),
        (Effect::Discard, "DISCARD"),
        (Effect::Watch, "WATCH k"),
        (Effect::Unwatch, "UNWATCH"),
        (Effect::Quit, "QUIT"),
        (Effect::Pin, "CLIENT SETNAME n|CLIENT TRACKING ON|CLIENT NO-EVICT ON|CLIENT CACHING YES|CLIENT SETINFO a b"),
        (Effect::Pin, "SCRIPT DEBUG YES|READONLY|READWRITE|ASKING|CLIENT NO-TOUCH ON"),
        (Effect::Refused, "SUBSCRIBE c|PSUBSCRIBE c|SSUBSCRIBE c|UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE|MONITOR"),
        (Effect::Refused, "SYNC|PSYNC a b|REPLCONF a b|HELLO 3|RESET|CLIENT REPLY OFF"),
    ];
    for (effect, lines) in expected {
        for line in lines.split('|') {
            assert_eq!(effect_of(line), effect, "{line}");
            assert_eq!(effect_of(&line.to_lowercase()), effect, "{line} in lower case");
        }
    }
}

#[test]
fn a_write_is_what_may_change_data_and_not_what_administers_or_talks() {
    let judged = |line: &str| {
        let (command, arguments) = split(line);
        assert!(may_write(command) || !is_write(command, &arguments), "{line}: the quick look must not miss it");
        is_write(command, &arguments)
    };
    let writes =
        ["SET k v", "SET k v NX", "INCR k", "BLPOP l 0", "EVAL s 0", "FCALL f 0", "EXEC", "XGROUP CREATE s g 0"];
    for line in
        writes.into_iter().chain(["SORT l STORE d", "BITFIELD k SET u8 0 1", "JSON.SET k . 1", "FUNCTION FLUSH"])
    {
        assert!(judged(line), "{line}");
    }
    let others = ["GET k", "SORT l", "BITFIELD k GET u8 0", "EVAL_RO s 0", "PUBLISH c m", "CONFIG SET a b", "WAIT 1 0"];
    for line in others.into_iter().chain(["PING", "SAVE", "XINFO STREAM s", "CLIENT KILL x", "SCRIPT LOAD s", "MULTI"])
    {
        assert!(!judged(line), "{line}");
    }
    assert!(!may_write(find(b"GET")) && !may_write(find(b"EVAL_RO")) && !may_write(find(b"PING")));
}
