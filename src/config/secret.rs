//! Credentials that do not show themselves.

use std::fmt;
use std::sync::Arc;

/// A text that never appears in `Debug` output and has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one who sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who the client says it is. Part of a connection's identity, so it compares and hashes by the exposed values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The ACL user; none means the server's `default` user.
    pub username: Option<String>,
    /// The password; none means no AUTH.
    pub password: Option<Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_secret() {
        let credentials = Credentials { username: Some("app".into()), password: Some(Secret::new("hunter2")) };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("app") && shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn credentials_compare_by_what_they_hide() {
        let with = |text: &str| Credentials { username: None, password: Some(Secret::new(text)) };
        assert_eq!(with("a"), with("a"));
        assert_ne!(with("a"), with("b"));
        assert_ne!(with("a"), Credentials::default());
    }
}
