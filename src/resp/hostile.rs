//! Replies as a hostile peer would have them: random ones, and what becomes of them when something is changed.

use crate::dice::Dice;

/// Numbers that no honest reply has.
const ABSURD: [&str; 12] = [
    "4611686018427387904",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-1",
    "-2",
    "-9223372036854775808",
    "1000000000",
    "00000000000000000003",
    "+3",
    "",
    "1e3",
];

/// A reply of any type of both protocols, perhaps with a push before it.
pub fn reply(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    while dice.once_in(8) {
        push(dice, &mut bytes);
    }
    value(dice, 0, &mut bytes);
    bytes
}

/// A push that nobody asked for.
pub fn push(dice: &mut Dice, bytes: &mut Vec<u8>) {
    elements(dice, b'>', 1, 0, bytes);
}

fn value(dice: &mut Dice, depth: usize, bytes: &mut Vec<u8>) {
    if dice.once_in(12) {
        elements(dice, b'|', 2, depth, bytes);
    }
    match dice.below(if depth < 5 { 18 } else { 13 }) {
        0 => line(b'+', "OK", bytes),
        1 => line(b'+', &text(dice), bytes),
        2 => line(b'-', &format!("ERR {}", text(dice)), bytes),
        3 => line(b':', &number(dice), bytes),
        4 => line(b':', "0", bytes),
        5 => line(b',', dice.pick(&["1.5", "-0", "inf", "-inf", "nan", "1e300", "3"]), bytes),
        6 => line(b'#', dice.pick(&["t", "f"]), bytes),
        7 => line(b'(', &format!("-{}{}", number(dice).trim_start_matches('-'), "0".repeat(20)), bytes),
        8 => bytes.extend(dice.pick(&[&b"_\r\n"[..], b"$-1\r\n", b"*-1\r\n"])),
        9 => bulk(b'=', &[b"txt:", text(dice).as_bytes()].concat(), bytes),
        10 => bulk(b'$', &long(dice), bytes),
        11 | 12 => bulk(b'$', text(dice).as_bytes(), bytes),
        13 => elements(dice, b'%', 2, depth, bytes),
        14 => elements(dice, b'~', 1, depth, bytes),
        _ => elements(dice, b'*', 1, depth, bytes),
    }
}

fn elements(dice: &mut Dice, kind: u8, each: usize, depth: usize, bytes: &mut Vec<u8>) {
    let least = usize::from(kind == b'>');
    let count = least + dice.below(4);
    line(kind, &count.to_string(), bytes);
    (0..count * each).for_each(|_| value(dice, depth + 1, bytes));
}

fn line(kind: u8, text: &str, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend(text.as_bytes());
    bytes.extend(b"\r\n");
}

fn bulk(kind: u8, content: &[u8], bytes: &mut Vec<u8>) {
    line(kind, &content.len().to_string(), bytes);
    bytes.extend(content);
    bytes.extend(b"\r\n");
}

fn text(dice: &mut Dice) -> String {
    (0..dice.below(12)).map(|_| dice.pick(&['a', '7', ' ', ':', '$', 'é', '\u{1}'])).collect()
}

fn number(dice: &mut Dice) -> String {
    let digits = dice.below(18);
    let sign = if dice.once_in(3) { "-" } else { "" };
    (0..digits).fold(format!("{sign}{}", 1 + dice.below(9)), |number, _| format!("{number}{}", dice.below(10)))
}

/// A string that is longer than what is taken whole from the read buffer, now and then than that itself.
fn long(dice: &mut Dice) -> Vec<u8> {
    let length = match dice.below(40) {
        0 => 60_000 + dice.below(90_000),
        1 | 2 => 16_000 + dice.below(1_000),
        _ => dice.below(300),
    };
    vec![b'l'; length]
}

/// Changes something, so that the bytes may be no reply any more.
pub fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(9) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = dice.pick(b"$*:+-%~_,#(=>|!?.\r\n0"),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, dice.pick(b"$*:+->|\r\n9")),
            5 => {
                let piece = bytes[at..bytes.len().min(at + 1 + dice.below(40))].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            6 => claim(dice, bytes),
            7 => {
                let opener =
                    dice.pick(&["*1\r\n", "%1\r\n+k\r\n", "|1\r\n+k\r\n", ">1\r\n", "*60000\r\n", "~2\r\n_\r\n"]);
                let times = dice.pick(&[1, 3, 200, 3_000]);
                bytes.splice(at..at, opener.repeat(times).into_bytes());
            }
            _ => {
                let length = dice.pick(&[100, 33_000, 70_000, 140_000]);
                bytes.splice(at..at, vec![dice.pick(b"+x7-"); length]);
            }
        }
    }
}

/// Makes one of the numbers behind a type an absurd one.
fn claim(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let from = dice.below(bytes.len());
    let Some(kind) = (from..bytes.len()).find(|at| b"$*:%~=>|".contains(&bytes[*at])) else { return };
    let digits = bytes[kind + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let absurd = dice.pick(&ABSURD).as_bytes().to_vec();
    bytes.splice(kind + 1..kind + 1 + digits, absurd);
}
