//! Finding a row by the name on the wire.

use std::cmp::Ordering;

use super::row::{Command, Subcommand};
use super::table::{COMMANDS, NAMED};

/// All commands, sorted by name; behind them the methods beyond the first one that send a command, in rows of their own.
pub fn all() -> &'static [Command] {
    &COMMANDS
}

/// The row with this index, which is one of those that `with_command_indices` lists. Constants may ask for it too.
pub const fn at(index: usize) -> &'static Command {
    &COMMANDS[index]
}

/// The command with this name on the wire, in any letter case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS[..NAMED].binary_search_by(|row| compare(row.name, name)).ok().map(|index| &COMMANDS[index])
}

/// The subcommand of a container with this name, in any letter case.
pub fn find_subcommand(command: &Command, name: &[u8]) -> Option<&'static Subcommand> {
    let rows = command.subcommands;
    rows.binary_search_by(|row| compare(row.name, name)).ok().map(|index| &rows[index])
}

/// The commands that have subcommands.
pub fn containers() -> impl Iterator<Item = &'static Command> {
    COMMANDS[..NAMED].iter().filter(|row| !row.subcommands.is_empty())
}

/// The command with subcommands whose method has this name, in any letter case.
pub fn container(method: &[u8]) -> Option<&'static Command> {
    containers().find(|row| row.method.as_bytes().eq_ignore_ascii_case(method))
}

/// The word for a subcommand that is written as a method: `noEvict` and `no_evict` are `NO-EVICT`.
pub fn subcommand_of_method(command: &Command, method: &[u8]) -> Vec<u8> {
    let plain = |name: &[u8]| -> Vec<u8> {
        name.iter().filter(|byte| !matches!(byte, b'-' | b'_')).map(u8::to_ascii_uppercase).collect()
    };
    let wanted = plain(method);
    let known = command.subcommands.iter().find(|sub| plain(sub.name.as_bytes()) == wanted);
    known.map_or_else(|| method.to_ascii_uppercase(), |sub| sub.name.as_bytes().to_vec())
}

/// Orders a row's upper-case name against a name in any letter case, without a copy of either.
fn compare(row: &str, name: &[u8]) -> Ordering {
    row.bytes().cmp(name.iter().map(u8::to_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_either_letter_case() {
        for (index, row) in all().iter().enumerate() {
            assert_eq!(find(row.name.as_bytes()).map(|found| found.name), Some(row.name));
            assert_eq!(find(row.name.to_lowercase().as_bytes()).map(|found| found.name), Some(row.name));
            assert_eq!(at(index).name, row.name);
            for sub in row.subcommands {
                let found = find_subcommand(row, sub.name.to_lowercase().as_bytes());
                assert_eq!(found.map(|found| found.name), Some(sub.name));
            }
        }
    }

    #[test]
    fn a_row_can_be_had_at_compile_time() {
        const fn name<const INDEX: usize>() -> &'static str {
            const { at(INDEX).name }
        }
        assert_eq!(name::<0>(), COMMANDS[0].name);
        assert_eq!(name::<{ COMMANDS.len() - 1 }>(), COMMANDS[COMMANDS.len() - 1].name);
    }

    #[test]
    fn a_container_is_found_by_its_method_and_its_subcommands_by_theirs() {
        let client = container(b"Client").unwrap();
        assert_eq!(client.name, "CLIENT");
        assert!(container(b"get").is_none() && container(b"").is_none());
        let said = |method: &str| String::from_utf8(subcommand_of_method(client, method.as_bytes())).unwrap();
        for method in ["noEvict", "no_evict", "NO-EVICT", "noevict"] {
            assert_eq!(said(method), "NO-EVICT");
        }
        assert_eq!((said("getName"), said("of_tomorrow")), ("GETNAME".to_owned(), "OF_TOMORROW".to_owned()));
    }

    #[test]
    fn letter_case_may_be_mixed() {
        assert_eq!(find(b"gEtEx").map(|row| row.name), Some("GETEX"));
        assert_eq!(find(b"restore-Asking").map(|row| row.method), Some("restore_asking"));
    }

    #[test]
    fn what_is_almost_a_name_is_not_found() {
        for name in [&b""[..], b"GE", b"GETT", b"GET ", b"ZZZ", b"\xff\x00", b"CONFIG|GET", b"CONFIG GET"] {
            assert!(find(name).is_none());
        }
        let config = find(b"CONFIG").unwrap();
        assert!(find_subcommand(config, b"GE").is_none());
        assert!(find_subcommand(find(b"GET").unwrap(), b"GET").is_none());
    }
}
