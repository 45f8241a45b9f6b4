//! The settings of the board. php.ini alone can give them: the memory is shared before the first request.

use crate::board::{GREATEST_SIZE, LEAST_SIZE};

use super::error::ConfigurationError;
use super::numbers;
use super::setting::Setting;

/// How what workers learn is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardSettings {
    /// Whether the workers of one master share it at all.
    pub shared: bool,
    /// Bytes of the shared memory.
    pub size: usize,
}

impl Default for BoardSettings {
    fn default() -> BoardSettings {
        BoardSettings { shared: true, size: 8 << 20 }
    }
}

/// The settings: name (below `resilient_redis.`), default as php.ini shows it, meaning. To be set in php.ini only.
pub const BOARD_INI_NAMES: &[(&str, &str, &str)] = &[
    ("board", "1", "whether the workers of one FPM master share what they learn"),
    ("board_size", "8M", "shared memory for that, in bytes or with K, M or G"),
];

impl BoardSettings {
    /// Takes the setting `resilient_redis.NAME`.
    ///
    /// # Errors
    /// The value is wrong, or there is no such setting.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigurationError> {
        let option = format!("resilient_redis.{name}");
        let setting = Setting::Text(value.trim().to_owned());
        match name {
            // php.ini turns a bare `off` into an empty text.
            "board" if value.trim().is_empty() => self.shared = false,
            "board" => {
                let wrong = || ConfigurationError::about(&option, &setting, "1 or 0");
                self.shared = numbers::truth(&setting).ok_or_else(wrong)?;
            }
            "board_size" if value.trim().is_empty() => {}
            "board_size" => {
                let size = numbers::size(&option, &setting, 1).ok();
                let size = size.filter(|size| (LEAST_SIZE..=GREATEST_SIZE).contains(size));
                let size = size.and_then(|size| usize::try_from(size).ok());
                let wrong = || ConfigurationError::about(&option, &setting, "a size between 1M and 1G, such as '4M'");
                self.size = size.ok_or_else(wrong)?;
            }
            _ => return Err(ConfigurationError::new(&option, setting.kind(), "`board` or `board_size`")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_defaults_are_the_defaults_and_every_setting_changes_its_value() {
        let mut settings = BoardSettings::default();
        for (name, value, _) in BOARD_INI_NAMES {
            settings.set(name, value).unwrap();
        }
        assert_eq!(settings, BoardSettings::default());
        settings.set("board", "").unwrap();
        settings.set("board_size", "4M").unwrap();
        assert_eq!(settings, BoardSettings { shared: false, size: 4 << 20 });
        settings.set("board", "on").unwrap();
        assert!(settings.shared);
    }

    #[test]
    fn wrong_values_name_the_setting_and_change_nothing() {
        let mut settings = BoardSettings::default();
        for (name, value) in [("board", "perhaps"), ("board_size", "64K"), ("board_size", "2G"), ("board_size", "big")]
        {
            let error = settings.set(name, value).unwrap_err();
            assert_eq!(error.option(), format!("resilient_redis.{name}"));
            assert_eq!(error.given(), format!("string '{value}'"));
        }
        assert!(settings.set("bord", "1").is_err());
        assert_eq!(settings, BoardSettings::default());
    }
}
