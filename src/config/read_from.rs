//! The option `read_from`: which nodes answer commands that only read.

use super::error::ConfigurationError;
use super::setting::Setting;

/// Which nodes answer commands that only read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// The primary: a read sees what was written before it.
    #[default]
    Primary,
    /// The healthy replicas in turn; the primary while there is none.
    PreferReplica,
    /// The healthy replicas in turn, and nobody else.
    Replica,
    /// Whichever of the primary and the healthy replicas answers fastest; those that are as fast share the load.
    Nearest,
}

impl ReadFrom {
    const WORDS: [(&'static str, ReadFrom); 4] = [
        ("primary", ReadFrom::Primary),
        ("prefer-replica", ReadFrom::PreferReplica),
        ("replica", ReadFrom::Replica),
        ("nearest", ReadFrom::Nearest),
    ];

    /// The word that options have for it.
    pub fn as_str(self) -> &'static str {
        ReadFrom::WORDS.iter().find(|(_, meaning)| *meaning == self).map_or("primary", |(word, _)| word)
    }

    pub(super) fn read(option: &str, value: &Setting) -> Result<ReadFrom, ConfigurationError> {
        let word = match value {
            Setting::Text(word) => word.trim(),
            _ => "",
        };
        let known = ReadFrom::WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, read_from)| *read_from).ok_or_else(|| {
            ConfigurationError::about(option, value, "'primary', 'prefer-replica', 'replica', 'nearest'")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_words_are_taken_and_nothing_else() {
        for (word, meaning) in ReadFrom::WORDS {
            assert_eq!(ReadFrom::read("read_from", &Setting::Text(word.to_owned())).unwrap(), meaning);
        }
        let error = ReadFrom::read("read_from", &Setting::Text("slave".to_owned())).unwrap_err();
        assert!(error.accepted().contains("'prefer-replica'") && error.given().contains("slave"), "{error}");
    }
}
