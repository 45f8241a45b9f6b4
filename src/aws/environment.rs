//! Environment variables, and the keys that stand in them. They are read anew each time: a program may change them.

use crate::config::Secret;
use crate::time::Wall;

use super::Keys;
use super::error::Fault;

/// Where variables come from.
pub trait Environment {
    /// A variable's value; an empty one counts as none.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
pub struct Process;

impl Environment for Process {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl Environment for std::collections::HashMap<&str, &str> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| (*value).to_owned()).filter(|value| !value.is_empty())
    }
}

/// The keys of the environment, as Lambda gives them.
pub fn keys(environment: &dyn Environment, now: Wall) -> Result<Keys, Fault> {
    let id =
        environment.get("AWS_ACCESS_KEY_ID").ok_or_else(|| Fault::Absent("AWS_ACCESS_KEY_ID is not set".to_owned()))?;
    let secret = environment
        .get("AWS_SECRET_ACCESS_KEY")
        .ok_or_else(|| Fault::Wrong("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not".to_owned()))?;
    let expires = match environment.get("AWS_CREDENTIAL_EXPIRATION") {
        None => None,
        Some(text) => match Wall::parse(&text) {
            Some(end) if end > now => Some(end),
            Some(end) => return Err(Fault::Wrong(format!("the keys in there have expired at {end}"))),
            None => return Err(Fault::Wrong("AWS_CREDENTIAL_EXPIRATION is no time".to_owned())),
        },
    };
    let session = environment.get("AWS_SESSION_TOKEN").map(Secret::new);
    Ok(Keys { id, secret: Secret::new(secret), session, expires })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const NOW: u64 = 1_772_366_400;

    fn found(variables: &[(&str, &str)]) -> Result<Keys, Fault> {
        let environment: HashMap<&str, &str> = variables.iter().copied().collect();
        keys(&environment, Wall::of_seconds(NOW))
    }

    #[test]
    fn keys_stand_in_two_or_three_variables() {
        let two = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
        let expected = Keys { id: "AKIA".to_owned(), secret: Secret::new("hidden"), session: None, expires: None };
        assert_eq!(found(&two), Ok(expected.clone()));
        let three = [two[0], two[1], ("AWS_SESSION_TOKEN", "lent")];
        assert_eq!(found(&three), Ok(Keys { session: Some(Secret::new("lent")), ..expected }));
    }

    #[test]
    fn half_of_a_pair_is_wrong_and_none_is_absent() {
        assert!(matches!(found(&[]), Err(Fault::Absent(_))));
        assert!(matches!(found(&[("AWS_ACCESS_KEY_ID", "")]), Err(Fault::Absent(_))), "empty is as good as unset");
        let half = found(&[("AWS_ACCESS_KEY_ID", "AKIA")]);
        assert!(matches!(&half, Err(Fault::Wrong(why)) if why.contains("AWS_SECRET_ACCESS_KEY")), "{half:?}");
    }

    #[test]
    fn keys_are_not_used_past_their_end() {
        let until = |text| {
            let end = ("AWS_CREDENTIAL_EXPIRATION", text);
            found(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hidden"), end])
        };
        assert_eq!(until("2026-03-01T12:00:01Z").unwrap().expires, Some(Wall::of_seconds(NOW + 1)));
        for text in ["2026-03-01T12:00:00Z", "2025-01-01T00:00:00Z", "tomorrow"] {
            assert!(matches!(until(text), Err(Fault::Wrong(_))), "{text}");
        }
    }
}
