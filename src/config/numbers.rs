//! Numbers as users write them: ints, floats and numeric strings (ports come from getenv as strings).

use std::time::Duration;

use super::error::ConfigurationError;
use super::setting::Setting;

/// No wait is longer: beyond this a limit means "practically none", and every duration still fits poll's milliseconds.
const LONGEST: Duration = Duration::from_secs(1_000_000);
/// No wait that was asked for is shorter: zero means "no limit" to the system's socket options.
const SHORTEST: Duration = Duration::from_micros(1);

/// Seconds greater than 0.
pub(super) fn positive_seconds(option: &str, value: &Setting) -> Result<Duration, ConfigurationError> {
    match number(value) {
        Some(seconds) if seconds > 0.0 => Ok(duration(seconds)),
        _ => Err(ConfigurationError::about(option, value, "a number of seconds greater than 0")),
    }
}

/// Seconds, where 0 has no special meaning.
pub(super) fn seconds(option: &str, value: &Setting) -> Result<Duration, ConfigurationError> {
    match number(value) {
        Some(0.0) => Ok(Duration::ZERO),
        Some(seconds) if seconds > 0.0 => Ok(duration(seconds)),
        _ => Err(ConfigurationError::about(option, value, "a number of seconds, 0 or greater")),
    }
}

/// Seconds, where 0 and less mean no limit, as in Predis' `read_write_timeout`.
pub(super) fn seconds_or_unlimited(option: &str, value: &Setting) -> Result<Option<Duration>, ConfigurationError> {
    match number(value) {
        Some(seconds) if seconds > 0.0 => Ok(Some(duration(seconds))),
        Some(_) => Ok(None),
        None => Err(ConfigurationError::about(option, value, "a number of seconds (0 or less: no limit)")),
    }
}

/// Seconds, where 0 means none.
pub(super) fn seconds_or_none(option: &str, value: &Setting) -> Result<Option<Duration>, ConfigurationError> {
    match number(value) {
        Some(0.0) => Ok(None),
        Some(seconds) if seconds > 0.0 => Ok(Some(duration(seconds))),
        _ => Err(ConfigurationError::about(option, value, "a number of seconds greater than 0, or 0 for none")),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn whole_between(option: &str, value: &Setting, least: u32, most: u32) -> Result<u32, ConfigurationError> {
    whole(value)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| ConfigurationError::about(option, value, format!("a whole number from {least} to {most}")))
}

/// Bytes, at least `least`; a text may end in K, M or G.
pub(super) fn size(option: &str, value: &Setting, least: u64) -> Result<u64, ConfigurationError> {
    let bytes = match value {
        Setting::Text(text) => size_text(text.trim()),
        other => whole(other).and_then(|number| u64::try_from(number).ok()),
    };
    bytes.filter(|bytes| *bytes >= least).ok_or_else(|| {
        let accepted = format!("a number of bytes of at least {least}, such as 1048576 or '64M'");
        ConfigurationError::about(option, value, accepted)
    })
}

fn size_text(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().last()? {
        'k' | 'K' => (&text[..text.len() - 1], 10),
        'm' | 'M' => (&text[..text.len() - 1], 20),
        'g' | 'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A truth value; words as in PHP's FILTER_VALIDATE_BOOLEAN.
pub(super) fn truth(value: &Setting) -> Option<bool> {
    match value {
        Setting::Bool(value) => Some(*value),
        Setting::Int(0) => Some(false),
        Setting::Int(1) => Some(true),
        Setting::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "on" | "yes" => Some(true),
            "0" | "false" | "off" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Any finite number.
fn number(value: &Setting) -> Option<f64> {
    match value {
        Setting::Int(number) => Some(*number as f64),
        Setting::Float(number) => Some(*number),
        Setting::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// A whole number, also as a float without a fraction.
pub(super) fn whole(value: &Setting) -> Option<i64> {
    match value {
        Setting::Int(number) => Some(*number),
        Setting::Float(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Some(*number as i64)
        }
        Setting::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `seconds` (greater than 0) as a duration that no later sum overflows and no rounding makes zero.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    #[test]
    fn ints_floats_and_numeric_strings_are_seconds() {
        for value in [Setting::Int(2), Setting::Float(2.0), text("2"), text("2.0"), text(" 2\n"), text("2e0")] {
            assert_eq!(positive_seconds("timeout", &value), Ok(Duration::from_secs(2)), "{}", value.describe());
        }
    }

    #[test]
    fn what_is_not_a_finite_number_is_no_duration() {
        for value in [
            Setting::Float(f64::NAN),
            Setting::Float(f64::INFINITY),
            text("inf"),
            text("NaN"),
            text("2s"),
            Setting::Bool(true),
            Setting::List(vec![]),
            Setting::Other("closure".into()),
        ] {
            assert!(positive_seconds("timeout", &value).is_err(), "{}", value.describe());
            assert!(seconds_or_unlimited("read_write_timeout", &value).is_err(), "{}", value.describe());
        }
    }

    #[test]
    fn absurd_durations_are_brought_into_range() {
        for value in [Setting::Float(f64::MAX), Setting::Int(i64::MAX), text("1e300")] {
            assert_eq!(positive_seconds("timeout", &value), Ok(LONGEST));
        }
        assert_eq!(positive_seconds("timeout", &Setting::Float(1e-300)), Ok(SHORTEST));
    }

    #[test]
    fn zero_and_less_mean_what_the_option_says() {
        assert!(positive_seconds("o", &Setting::Int(0)).is_err());
        assert_eq!(seconds_or_unlimited("o", &Setting::Int(-1)), Ok(None));
        assert_eq!(seconds_or_unlimited("o", &text("0")), Ok(None));
        assert_eq!(seconds_or_none("o", &Setting::Int(0)), Ok(None));
        assert!(seconds_or_none("o", &Setting::Int(-1)).is_err());
        assert_eq!(seconds("o", &Setting::Float(-0.0)), Ok(Duration::ZERO));
    }

    #[test]
    fn whole_numbers_keep_to_their_range() {
        for value in [Setting::Int(6379), text("6379"), Setting::Float(6379.0)] {
            assert_eq!(whole_between("port", &value, 1, 65535), Ok(6379));
        }
        for value in [Setting::Int(0), Setting::Int(65536), Setting::Int(-1), text("80a"), Setting::Float(1.5)] {
            let error = whole_between("port", &value, 1, 65535).unwrap_err();
            assert_eq!(error.accepted(), "a whole number from 1 to 65535");
        }
    }

    #[test]
    fn sizes_may_have_a_suffix_and_do_not_overflow() {
        assert_eq!(size("max_reply_size", &text("512M"), 4096), Ok(512 << 20));
        assert_eq!(size("max_reply_size", &text("4k"), 4096), Ok(4096));
        let error = size("max_reply_size", &Setting::Int(4095), 4096).unwrap_err();
        assert!(error.accepted().contains("at least 4096"), "{error}");
        for value in [text("0"), text("-1"), text("M"), text("99999999999G"), text("12é"), Setting::Bool(true)] {
            assert!(size("max_reply_size", &value, 1).is_err(), "{}", value.describe());
        }
    }
}
