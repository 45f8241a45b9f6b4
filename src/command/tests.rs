//! What holds for the table as a whole.

use super::*;

#[test]
fn the_table_is_sorted_and_names_and_methods_are_unique() {
    let (named, others) = all().split_at(table::NAMED);
    assert!(named.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(others.iter().all(|row| find(row.name.as_bytes()).is_some_and(|first| first.method != row.method)));
    let mut methods: Vec<_> = all().iter().map(|row| row.method).collect();
    methods.sort_unstable();
    methods.dedup();
    assert_eq!(methods.len(), all().len());
    for row in all() {
        assert!(row.subcommands.windows(2).all(|pair| pair[0].name < pair[1].name), "{}", row.name);
        assert!(
            row.method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{}",
            row.method
        );
    }
}

#[test]
fn every_method_of_predis_has_a_row_with_the_name_that_predis_sends() {
    let methods = include_str!("../../php-tests/Fixtures/commands-of-predis.txt");
    for line in methods.lines() {
        let (method, name) = line.split_once('\t').expect("a method and a name");
        let row = all().iter().find(|row| row.method == method).map(|row| row.name);
        assert_eq!(row, Some(name), "{method}");
    }
}

#[test]
fn every_row_has_its_index() {
    macro_rules! indices {
        ($($index:literal)*) => { [$($index),*] };
    }
    let indices: &[usize] = &with_command_indices!(indices);
    assert!(indices.iter().copied().eq(0..all().len()));
}

#[test]
fn what_always_writes_writes_with_any_arguments() {
    for row in all().iter().filter(|row| always_writes(Some(row))) {
        for arguments in [&[][..], &[&b"a"[..]], &[b"k", b"GET", b"u8", b"0"], &[b"a", b"b", b"c", b"d", b"e"]] {
            assert!(may_write(Some(row)) && is_write(Some(row), arguments), "{} {arguments:?}", row.name);
        }
    }
    assert!(always_writes(find(b"SET")) && !always_writes(find(b"SORT")) && !always_writes(find(b"GET")));
}

#[test]
fn no_command_that_writes_is_fixed_as_a_read() {
    for row in all() {
        let writes = row.flags.contains(Flags::WRITE);
        assert!(!(writes && row.risk == Risk::Fixed(Rank::Read)), "{}", row.name);
        for sub in row.subcommands {
            let writes = sub.flags.contains(Flags::WRITE);
            assert!(!(writes && sub.risk == Risk::Fixed(Rank::Read)), "{} {}", row.name, sub.name);
        }
    }
}

#[test]
fn commands_that_write_are_above_read_without_arguments_and_with_strange_ones() {
    let strange: Vec<&[u8]> = vec![b"?"; 8];
    for row in all().iter().filter(|row| row.flags.contains(Flags::WRITE)) {
        for count in 0..=strange.len() {
            // `BITFIELD key` without any operation has nothing to write.
            let harmless = row.name == "BITFIELD" && count == 1;
            let harmless = harmless || (row.name == "SORT" && count == 1);
            let harmless = harmless || matches!(row.risk, Risk::GeoRadius(before) if count == usize::from(before));
            assert_eq!(is_read(Some(row), &strange[..count]), harmless, "{} with {count} words", row.name);
        }
    }
}

#[test]
fn what_the_server_flags_readonly_is_a_read() {
    for row in all().iter().filter(|row| row.flags.contains(Flags::READONLY)) {
        assert_eq!(row.risk, Risk::Fixed(Rank::Read), "{}", row.name);
    }
}

#[test]
fn associative_arrays_go_in_and_come_out_where_pairs_are() {
    let with =
        |found: fn(&Command) -> bool| -> Vec<_> { all().iter().filter(|row| found(row)).map(|row| row.name).collect() };
    assert_eq!(with(|row| row.arguments == Arguments::Pairs), ["ARMSET", "HMSET", "HSET", "MSET", "MSETNX"]);
    assert_eq!(
        with(|row| row.reply == Shape::Pairs),
        ["ARINFO", "BLMPOP", "CF.INFO", "CMS.INFO", "HGETALL", "LMPOP", "TDIGEST.INFO", "TOPK.INFO", "VINFO"]
    );
    let with_subcommand: Vec<_> = all()
        .iter()
        .flat_map(|row| row.subcommands.iter().map(move |sub| (row.name, sub)))
        .filter(|(_, sub)| sub.reply == Shape::Pairs)
        .map(|(name, sub)| format!("{name} {}", sub.name))
        .collect();
    assert_eq!(with_subcommand, ["CONFIG GET"]);
}
