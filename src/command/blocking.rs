//! How long a command asks the server to wait before it replies.

use std::str::FromStr;
use std::time::Duration;

use super::row::{Blocking, Command};

/// A blocking command's own timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockingTimeout {
    /// Until something comes.
    Forever,
    /// No longer than this.
    For(Duration),
}

/// The timeout that `arguments` (without the command's name) give a blocking command. `None` where the command does not
/// block, and where the server will refuse the timeout at once.
pub fn blocking_timeout(command: &Command, arguments: &[&[u8]]) -> Option<BlockingTimeout> {
    match command.blocking {
        Blocking::No => None,
        Blocking::FirstArgument => seconds(arguments.first()?),
        Blocking::LastArgument => seconds(arguments.last()?),
        Blocking::FifthArgument => seconds(arguments.get(4)?),
        Blocking::Wait => milliseconds(arguments.last()?),
        Blocking::BlockOption(behind) => milliseconds(arguments.get(block_position(arguments, behind)?)?),
    }
}

/// Where a blocking command's timeout stands among its arguments, and how `left` is written there. `None` where the
/// command has no timeout that could be shortened: it waits for ever, or for acknowledgements of its own connection.
pub fn shorter_timeout(command: &Command, arguments: &[&[u8]], left: Duration) -> Option<(usize, String)> {
    match blocking_timeout(command, arguments)? {
        BlockingTimeout::Forever => return None,
        BlockingTimeout::For(_) => {}
    }
    let seconds = format!("{:.3}", left.as_secs_f64().max(0.001));
    match command.blocking {
        Blocking::No | Blocking::Wait => None,
        Blocking::FirstArgument => Some((0, seconds)),
        Blocking::LastArgument => Some((arguments.len() - 1, seconds)),
        Blocking::FifthArgument => Some((4, seconds)),
        Blocking::BlockOption(behind) => {
            Some((block_position(arguments, behind)?, left.as_millis().max(1).to_string()))
        }
    }
}

/// Where the word after `BLOCK` stands among the options of `XREAD` and its kin, which follow `behind` other words.
/// Options that take a value are stepped over whole, so that a group of that name is not taken for the option; what
/// follows `STREAMS` is keys and ids.
fn block_position(arguments: &[&[u8]], behind: usize) -> Option<usize> {
    let mut at = behind;
    while let Some(word) = arguments.get(at) {
        if word.eq_ignore_ascii_case(b"BLOCK") {
            return (at + 1 < arguments.len()).then_some(at + 1);
        }
        if word.eq_ignore_ascii_case(b"STREAMS") {
            return None;
        }
        at += if word.eq_ignore_ascii_case(b"GROUP") {
            3
        } else if word.eq_ignore_ascii_case(b"COUNT") || word.eq_ignore_ascii_case(b"MAX_COUNT") {
            2
        } else {
            1
        };
    }
    None
}

fn seconds(word: &[u8]) -> Option<BlockingTimeout> {
    let duration = Duration::try_from_secs_f64(number(word)?).ok()?;
    Some(of(duration))
}

fn milliseconds(word: &[u8]) -> Option<BlockingTimeout> {
    Some(of(Duration::from_millis(number(word)?)))
}

fn number<T: FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn of(duration: Duration) -> BlockingTimeout {
    if duration.is_zero() { BlockingTimeout::Forever } else { BlockingTimeout::For(duration) }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn timeout(line: &str) -> Option<BlockingTimeout> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        blocking_timeout(find(words[0]).unwrap(), &words[1..])
    }

    fn ms(milliseconds: u64) -> Option<BlockingTimeout> {
        Some(BlockingTimeout::For(Duration::from_millis(milliseconds)))
    }

    #[test]
    fn what_is_left_of_a_timeout_is_written_where_the_timeout_stood() {
        let shorter = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            shorter_timeout(find(words[0]).unwrap(), &words[1..], Duration::from_millis(1250))
        };
        assert_eq!(shorter("BLPOP a b 5"), Some((2, "1.250".into())));
        assert_eq!(shorter("BLMPOP 5 1 a LEFT"), Some((0, "1.250".into())));
        assert_eq!(shorter("BLMOVEM a b LEFT RIGHT 5 COUNT 2 OBO"), Some((4, "1.250".into())));
        assert_eq!(shorter("XREAD COUNT 1 BLOCK 5000 STREAMS s $"), Some((3, "1250".into())));
        assert_eq!(shorter("TS.READ s 0 MAX_COUNT 9 BLOCK 5000 1"), Some((5, "1250".into())));
        assert_eq!(shorter("BLPOP a 0"), None);
        assert_eq!(shorter("WAIT 1 5000"), None);
        assert_eq!(shorter("GET a"), None);
    }

    #[test]
    fn pops_wait_for_the_seconds_of_their_last_argument() {
        assert_eq!(timeout("BLPOP a b 5"), ms(5000));
        assert_eq!(timeout("brpop a 0.25"), ms(250));
        assert_eq!(timeout("BRPOPLPUSH a b 1.5"), ms(1500));
        assert_eq!(timeout("blmove a b LEFT RIGHT 2"), ms(2000));
        assert_eq!(timeout("BZPOPMIN z 1e1"), ms(10_000));
        assert_eq!(timeout("bzpopmax z 3"), ms(3000));
    }

    #[test]
    fn multi_key_pops_wait_for_the_seconds_of_their_first_argument() {
        assert_eq!(timeout("BLMPOP 2 1 l LEFT"), ms(2000));
        assert_eq!(timeout("bzmpop 0.5 1 z MIN"), ms(500));
    }

    #[test]
    fn stream_reads_wait_for_the_milliseconds_of_their_block_option() {
        assert_eq!(timeout("XREAD BLOCK 700 STREAMS s $"), ms(700));
        assert_eq!(timeout("xread count 5 block 700 streams s $"), ms(700));
        assert_eq!(timeout("XREADGROUP GROUP g c COUNT 1 BLOCK 20 NOACK STREAMS s >"), ms(20));
        assert_eq!(timeout("XREAD COUNT 5 STREAMS s 0"), None);
    }

    #[test]
    fn a_group_or_a_stream_called_block_is_not_the_option() {
        assert_eq!(timeout("XREADGROUP GROUP BLOCK BLOCK BLOCK 9 STREAMS s >"), ms(9));
        assert_eq!(timeout("XREAD STREAMS BLOCK 7"), None);
    }

    #[test]
    fn a_read_of_a_series_waits_for_the_milliseconds_of_the_option_behind_its_key_and_time() {
        assert_eq!(timeout("TS.READ s 0 BLOCK 700 1"), ms(700));
        assert_eq!(timeout("ts.read s 0 max_count 5 block 0 1"), Some(BlockingTimeout::Forever));
        assert_eq!(timeout("TS.READ BLOCK 7"), None);
        assert_eq!(timeout("TS.READ BLOCK 7 BLOCK 9 1"), ms(9));
    }

    #[test]
    fn a_wait_for_replicas_counts_in_milliseconds() {
        assert_eq!(timeout("WAIT 1 100"), ms(100));
        assert_eq!(timeout("wait 1 0"), Some(BlockingTimeout::Forever));
    }

    #[test]
    fn a_timeout_of_zero_has_no_end() {
        for line in ["BLPOP a 0", "BLPOP a 0.0", "BLMPOP 0 1 l LEFT", "XREAD BLOCK 0 STREAMS s $"] {
            assert_eq!(timeout(line), Some(BlockingTimeout::Forever), "{line}");
        }
    }

    #[test]
    fn a_timeout_that_the_server_will_refuse_is_none() {
        for line in ["BLPOP a x", "BLPOP a -1", "BLPOP a nan", "BLPOP a inf", "BLPOP a 1e300", "BLPOP"] {
            assert_eq!(timeout(line), None, "{line}");
        }
        for line in ["XREAD BLOCK 0.5 STREAMS s $", "XREAD BLOCK -1 STREAMS s $", "XREAD BLOCK", "WAIT", "WAIT 1 x"] {
            assert_eq!(timeout(line), None, "{line}");
        }
    }

    #[test]
    fn other_commands_do_not_block() {
        assert_eq!(timeout("GET 5"), None);
        assert_eq!(timeout("LPOP l 5"), None);
    }
}
