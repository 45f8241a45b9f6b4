//! A lock by token: whoever knows the token holds it, and a holder that never comes back loses it after a time.
//!
//! Every script here may be applied twice with the same token and has then done what it does once, so each is sent
//! again when its reply is lost. They are sent whole: a promoted replica may not know them by their hash.

use once_cell::sync::Lazy;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::command::{self, Command, Rank, Risk};

/// EVAL of a script that may be applied twice.
pub static REPEATABLE: Lazy<Command> = Lazy::new(|| {
    let eval = command::find(b"EVAL").expect("a row of the table");
    Command { risk: Risk::Fixed(Rank::LastWins), ..*eval }
});

/// Takes the lock (key 1) for a token (argument 1) and so many milliseconds (argument 2). 1, or 0 if another has it.
pub const ACQUIRE: &str = "local holder = redis.call('GET', KEYS[1]) \
    if holder and holder ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

/// Lets go of the lock (key 1), if the token (argument 1) holds it.
pub const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    return redis.call('DEL', KEYS[1])";

/// Writes a session (key 2: argument 2 for argument 3 seconds) if the token (argument 1) holds the lock (key 1). 1, 0 if
/// another holds it, -1 if nobody does.
pub const WRITE: &str = "local holder = redis.call('GET', KEYS[1]) \
    if not holder then return -1 end \
    if holder ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) return 1";

/// Writes a session whose lock is gone: it ran out, or died with a primary that had not copied it yet. Nobody holds it,
/// and if what the session has is still what was read (argument 4), nobody else has written in between. 1 or 0.
pub const WRITE_UNLESS_CHANGED: &str = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end \
    local there = redis.call('GET', KEYS[2]) or '' \
    if there ~= ARGV[4] and there ~= ARGV[2] then return 0 end \
    redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) return 1";

/// The key of a session's lock. The braces keep both in one slot of a cluster, unless the session's key has braces of
/// its own, which then decide for both.
pub fn key_of(session: &[u8]) -> Vec<u8> {
    let has_tag = session
        .iter()
        .position(|byte| *byte == b'{')
        .is_some_and(|open| session[open + 1..].iter().position(|byte| *byte == b'}').is_some_and(|length| length > 0));
    if has_tag { [session, b":lock"].concat() } else { [b"{", session, b"}:lock"].concat() }
}

/// A token that nobody else has; none if the system gives no random bytes. Nothing that a fork copies may go into it.
pub fn token() -> Option<Vec<u8>> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).ok().filter(|filled| *filled == bytes.len())?;
    Some(format!("{:032x}", u128::from_ne_bytes(bytes)).into_bytes())
}
