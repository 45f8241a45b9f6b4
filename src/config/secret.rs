//! Credentials that do not show themselves.

use std::fmt;
use std::sync::Arc;

use super::iam::Iam;

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
    /// How it proves that.
    pub password: Password,
}

/// How a user proves who he is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Password {
    /// Not at all: no AUTH, unless a user is named.
    #[default]
    None,
    /// By a password. While it is being changed there may be two, which are tried in this order at each dial.
    Known(Secret, Option<Secret>),
    /// By what the program says when it is asked for it.
    Asked(Asker),
    /// By a token that is signed for each dial.
    Token(Box<Signing>),
}

/// How tokens are signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signing {
    /// Who signs in to which cache.
    pub iam: Iam,
    /// With which keys.
    pub keys: SigningKeys,
}

/// Where the keys come from that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SigningKeys {
    /// From where AWS' own tools look for them.
    Usual,
    /// From what the program says when it is asked for them.
    Asked(Asker),
    /// From what it has said.
    Told {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: Secret,
        /// The session token of keys that were lent for a time.
        session: Option<Secret>,
    },
}

/// A callable of the program's that tells a secret. Here it is known by its number only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asker {
    /// Which of the client's callables it is.
    pub number: usize,
    /// Where it was written, as far as that can be said.
    pub place: String,
}

impl Credentials {
    /// Those of a user with one password.
    pub fn of(username: Option<String>, password: Secret) -> Credentials {
        Credentials { username, password: Password::Known(password, None) }
    }

    /// Whether nobody can say yet what they are.
    #[inline]
    pub fn are_unknown(&self) -> bool {
        self.password.asker().is_some()
    }
}

impl Password {
    /// One password.
    pub fn known(password: Secret) -> Password {
        Password::Known(password, None)
    }

    /// The password that is tried at this turn, counted from zero.
    pub fn at_turn(&self, turn: usize) -> Option<&Secret> {
        match (self, turn) {
            (Password::Known(first, _), 0) => Some(first),
            (Password::Known(_, second), 1) => second.as_ref(),
            _ => None,
        }
    }

    /// Who has to be asked for it.
    pub fn asker(&self) -> Option<&Asker> {
        match self {
            Password::Asked(asker) => Some(asker),
            Password::Token(signing) => match &signing.keys {
                SigningKeys::Asked(asker) => Some(asker),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_secret() {
        let credentials = Credentials::of(Some("app".into()), Secret::new("hunter2"));
        let shown = format!("{credentials:?}");
        assert!(shown.contains("app") && shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn credentials_compare_by_what_they_hide() {
        let with = |text: &str| Credentials::of(None, Secret::new(text));
        assert_eq!(with("a"), with("a"));
        assert_ne!(with("a"), with("b"));
        assert_ne!(with("a"), Credentials::default());
    }
}
