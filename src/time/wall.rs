//! The time of day: what signatures are dated with, and what credentials say of their end.

use std::fmt;
use std::time::Duration;

/// Seconds since the beginning of 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall(u64);

const DAY: u64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01 in the calendar that has always been as it is now.
const DAYS_BEFORE_1970: u64 = 719_468;

/// Days in 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: u64 = 146_097;

impl Wall {
    /// The time so many seconds after the beginning of 1970.
    pub fn of_seconds(seconds: u64) -> Wall {
        Wall(seconds)
    }

    /// The time that is left until `self`; zero if that has passed.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// The time, put off by whole seconds.
    #[must_use]
    pub fn later_by(self, time: Duration) -> Wall {
        Wall(self.0.saturating_add(time.as_secs()))
    }

    /// Reads `2026-03-01T12:00:00Z`, with a fraction or an offset where there is one (RFC 3339).
    pub fn parse(text: &str) -> Option<Wall> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| {
            let digits = bytes.get(from..to)?;
            digits
                .iter()
                .try_fold(0_u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
        };
        let mark = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
        let marks = mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":");
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let sound = marks && year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        if !sound || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        let mut rest = &text[19..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == fraction.len() {
                return None;
            }
            rest = after;
        }
        Some(Wall(apply_offset(seconds, rest)?))
    }
}

/// What `Z`, `+01:00` or `-0130` makes of a local time.
fn apply_offset(seconds: u64, offset: &str) -> Option<u64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(seconds);
    }
    let (ahead, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => (true, digits),
        ("-", digits) => (false, digits),
        _ => return None,
    };
    let digits = if digits.get(2..3) == Some(":") { digits.replacen(':', "", 1) } else { digits.to_owned() };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (u64, u64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let shift = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    if ahead { seconds.checked_sub(shift) } else { Some(seconds + shift) }
}

/// Days from the beginning of 1970 to a date. Years are counted from March, so that the day of a leap year comes last.
fn days_to(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - DAYS_BEFORE_1970
}

/// The date so many days after the beginning of 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let of_era = days % DAYS_OF_ERA;
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = years + days / DAYS_OF_ERA * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// As signatures of AWS write it: `20260301T120000Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / DAY);
        let second = self.0 % DAY;
        write!(f, "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_772_366_400, "20260301T120000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(Wall::of_seconds(seconds).to_string(), text);
        }
    }

    #[test]
    fn every_day_is_read_as_it_was_written() {
        for day in 0..60_000 {
            let (year, month, date) = date_of(day);
            let text = format!("{year:04}-{month:02}-{date:02}T23:59:59Z");
            assert_eq!(Wall::parse(&text), Some(Wall(day * DAY + 86_399)), "{text}");
        }
    }

    #[test]
    fn fractions_and_offsets_are_understood() {
        let noon = Some(Wall::of_seconds(1_772_366_400));
        for text in [
            "2026-03-01T12:00:00Z",
            "2026-03-01t12:00:00.123456z",
            "2026-03-01T13:30:00+01:30",
            "2026-03-01 07:00:00-0500",
        ] {
            assert_eq!(Wall::parse(text), noon, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00+1:00",
            "2026-03-01T12:00:00+ä0",
            "2026-03-01T12:00:00\u{e9}",
            "1969-12-31T23:59:59Z",
            "2O26-03-01T12:00:00Z",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(Wall::parse(text), None, "{text}");
        }
    }
}
