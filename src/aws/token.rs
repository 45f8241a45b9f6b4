//! The token that a cache takes as the password of a user.

use std::time::Duration;

use crate::config::{Iam, Secret};
use crate::time::{Clock, Deadline, Wall};

use super::chain::Chain;
use super::environment::{Environment, Process};
use super::signature::{Scope, presigned};
use super::{Error, Keys};

/// For how long a token lets somebody in. AWS allows no more.
const LIFETIME: Duration = Duration::from_secs(900);

/// For how long a cache keeps a connection that a token let in, unless it authenticates again.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// A token that was just signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whom it lets in.
    pub user: String,
    /// What is sent as the password.
    pub password: Secret,
    /// Until when it does so: 15 minutes, or until the keys expire that it was signed with.
    pub good_until: Wall,
}

/// Where the keys come from that tokens are signed with.
#[derive(Clone, Debug)]
pub enum Source {
    /// From the caller.
    Given(Keys),
    /// From where AWS' own tools look for them, in their order.
    Usual,
}

/// Signs tokens for one user of one cache.
#[derive(Clone, Debug)]
pub struct Tokens {
    iam: Iam,
    source: Source,
}

impl Tokens {
    /// Tokens as `iam` says, signed with keys from `source`. Nothing is asked yet.
    pub fn new(iam: Iam, source: Source) -> Tokens {
        Tokens { iam, source }
    }

    /// A token of this moment. May wait for an endpoint that lends keys, as long as `deadline` allows and never longer
    /// than a few seconds; with keys that are given or kept it asks nobody.
    ///
    /// # Errors
    /// There are no keys, or no region.
    pub fn token(&self, clock: &dyn Clock, deadline: Deadline) -> Result<Token, Error> {
        self.token_in(&Process, clock, deadline)
    }

    fn token_in(&self, environment: &dyn Environment, clock: &dyn Clock, deadline: Deadline) -> Result<Token, Error> {
        let region = match &self.iam.region {
            Some(region) => region.clone(),
            None => ["AWS_REGION", "AWS_DEFAULT_REGION"]
                .iter()
                .find_map(|name| environment.get(name))
                .ok_or(Error::NoRegion)?,
        };
        let keys = match &self.source {
            Source::Given(keys) => keys.clone(),
            Source::Usual => Chain::new(environment).keys(clock, deadline)?,
        };
        Ok(self.signed(&region, &keys, clock.wall()))
    }

    fn signed(&self, region: &str, keys: &Keys, at: Wall) -> Token {
        let mut query = vec![("Action", "connect"), ("User", &*self.iam.user)];
        if self.iam.serverless {
            query.push(("ResourceType", "ServerlessCache"));
        }
        let scope = Scope { service: self.iam.service.as_str(), region, at, seconds: LIFETIME.as_secs() };
        let end = at.later_by(LIFETIME);
        Token {
            user: self.iam.user.clone(),
            password: Secret::new(presigned(&self.iam.cache, &query, &scope, keys)),
            good_until: keys.expires.map_or(end, |expires| expires.min(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use crate::config::IamService;
    use crate::time::FakeClock;

    use super::*;

    /// What `sign_tokens.py` had botocore sign.
    const SIGNED: &str = include_str!("tokens.tsv");

    fn iam(region: Option<&str>) -> Iam {
        Iam {
            user: "app".to_owned(),
            cache: "my-cache".to_owned(),
            region: region.map(str::to_owned),
            serverless: false,
            service: IamService::ElastiCache,
        }
    }

    fn keys(expires: Option<Wall>) -> Keys {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        Keys { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret, session: None, expires }
    }

    fn clock(seconds: u64) -> Arc<FakeClock> {
        let clock = Arc::new(FakeClock::default());
        clock.freeze(Duration::from_secs(seconds));
        clock
    }

    #[test]
    fn tokens_are_byte_for_byte_those_of_botocore() {
        let mut compared = 0;
        for line in SIGNED.lines().skip(1) {
            let [seconds, service, region, cache, serverless, user, id, secret, session, expected] =
                line.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("ten columns are needed: {line}")
            };
            let service = match service {
                "elasticache" => IamService::ElastiCache,
                "memorydb" => IamService::MemoryDb,
                other => panic!("{other} is no service of ours"),
            };
            let iam = Iam {
                user: user.to_owned(),
                cache: cache.to_owned(),
                region: Some(region.to_owned()),
                serverless: serverless == "yes",
                service,
            };
            let session = (!session.is_empty()).then(|| Secret::new(session));
            let keys = Keys { id: id.to_owned(), secret: Secret::new(secret), session, expires: None };
            let tokens = Tokens::new(iam, Source::Given(keys));
            let token = tokens.token(&clock(seconds.parse().unwrap()), Deadline::NEVER).unwrap();
            assert_eq!(token.password.expose(), expected, "{user} of {cache}");
            assert_eq!(token.user, user);
            compared += 1;
        }
        assert_eq!(compared, 12, "cases that botocore signed");
    }

    #[test]
    fn a_token_is_good_for_fifteen_minutes_but_no_longer_than_its_keys() {
        let now = Wall::of_seconds(1_772_366_400);
        let good_until = |expires| {
            let tokens = Tokens::new(iam(Some("us-east-1")), Source::Given(keys(expires)));
            tokens.token(&clock(1_772_366_400), Deadline::NEVER).unwrap().good_until.since(now)
        };
        assert_eq!(good_until(None), Duration::from_secs(900));
        assert_eq!(good_until(Some(now.later_by(Duration::from_secs(3600)))), Duration::from_secs(900));
        assert_eq!(good_until(Some(now.later_by(Duration::from_secs(60)))), Duration::from_secs(60));
    }

    #[test]
    fn the_region_is_that_of_the_option_or_of_the_environment() {
        let signed = |region, environment: &[(&str, &str)]| {
            let environment: HashMap<&str, &str> = environment.iter().copied().collect();
            let tokens = Tokens::new(iam(region), Source::Given(keys(None)));
            tokens.token_in(&environment, &clock(1_772_366_400), Deadline::NEVER)
        };
        let both = [("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "eu-central-1")];
        for (region, environment, expected) in [
            (Some("us-east-1"), &both[..], "%2Fus-east-1%2F"),
            (None, &both[..], "%2Feu-central-1%2F"),
            (None, &both[..1], "%2Feu-west-1%2F"),
        ] {
            let token = signed(region, environment).unwrap();
            assert!(token.password.expose().contains(expected), "{} has no {expected}", token.password.expose());
        }
        assert_eq!(signed(None, &[("AWS_REGION", "")]), Err(Error::NoRegion));
    }

    #[test]
    fn debug_output_of_tokens_shows_no_secret() {
        let tokens = Tokens::new(iam(Some("us-east-1")), Source::Given(keys(None)));
        let token = tokens.token(&clock(1_772_366_400), Deadline::NEVER).unwrap();
        let shown = format!("{tokens:?} {token:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("Signature"), "{shown}");
    }
}
