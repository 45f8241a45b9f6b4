//! The option `iam`: who signs in to which cache of AWS with a token instead of a password.

use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::secret::{Signing, SigningKeys};
use super::setting::Setting;

const ACCEPTED: &str =
    "an array with the keys user and cache, and where needed region, serverless, service, credentials";
const KEYS: &[&str] = &["user", "cache", "region", "serverless", "service", "credentials"];

/// The longest name that AWS gives to a cache or a region, and the longest id of a user; with room to spare.
const LONGEST: usize = 128;

/// Which service of AWS verifies the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IamService {
    /// ElastiCache.
    #[default]
    ElastiCache,
    /// MemoryDB.
    MemoryDb,
}

impl IamService {
    /// The service's name in signatures.
    pub fn as_str(self) -> &'static str {
        match self {
            IamService::ElastiCache => "elasticache",
            IamService::MemoryDb => "memorydb",
        }
    }
}

/// What a token is signed for. Part of a connection's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iam {
    /// The user's id, which is its name as well: AWS demands that of users that sign in by IAM.
    pub user: String,
    /// The cache's name (the replication group's, the serverless cache's, the cluster's), in lower case.
    pub cache: String,
    /// The region; none means that of the environment.
    pub region: Option<String>,
    /// Whether the cache is a serverless one.
    pub serverless: bool,
    /// Who verifies the token.
    pub service: IamService,
}

impl Signing {
    /// Reads the option, with what gives the keys.
    ///
    /// # Errors
    /// As for [`Iam::read`]; or the credentials are no callable.
    pub fn read(option: &str, value: &Setting) -> Result<Signing, ConfigurationError> {
        let entries = value.entries().ok_or_else(|| ConfigurationError::about(option, value, ACCEPTED))?;
        let (keys, rest): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(key, _)| key == "credentials");
        let iam = Iam::read(option, &Setting::Map(rest))?;
        let keys = match keys.first().map(|(_, value)| value) {
            Some(Setting::Asked(asker)) => SigningKeys::Asked(asker.clone()),
            Some(value) if !value.is_absent() => {
                let accepted = "a callable that gives ['key' => ..., 'secret' => ..., 'token' => ...], or nothing";
                return Err(ConfigurationError::about_secret(&format!("{option}.credentials"), accepted));
            }
            _ => SigningKeys::Usual,
        };
        Ok(Signing { iam, keys })
    }
}

impl Iam {
    /// Reads the option.
    ///
    /// # Errors
    /// It is no array, a key is unknown or missing, or a value cannot be what its key says.
    pub fn read(option: &str, value: &Setting) -> Result<Iam, ConfigurationError> {
        let entries = value.entries().ok_or_else(|| ConfigurationError::about(option, value, ACCEPTED))?;
        let (mut user, mut cache, mut region, mut serverless, mut service) = (None, None, None, false, None);
        for (key, value) in entries {
            if value.is_absent() {
                continue;
            }
            let path = format!("{option}.{key}");
            match key.as_str() {
                "user" => user = Some(user_id(&path, value)?),
                "cache" => cache = Some(cache_name(&path, value)?),
                "region" => region = Some(word(&path, value, "the name of a region, such as 'eu-central-1'")?),
                "serverless" => {
                    serverless =
                        numbers::truth(value).ok_or_else(|| ConfigurationError::about(&path, value, "true, false"))?;
                }
                "service" => service = Some(service_of(&path, value)?),
                _ => return Err(names::unknown(&path, key, value, &[KEYS])),
            }
        }
        let missing = |key: &str| ConfigurationError::new(&format!("{option}.{key}"), "nothing", ACCEPTED);
        let iam = Iam {
            user: user.ok_or_else(|| missing("user"))?,
            cache: cache.ok_or_else(|| missing("cache"))?,
            region,
            serverless,
            service: service.unwrap_or_default(),
        };
        if iam.serverless && iam.service == IamService::MemoryDb {
            let accepted = "false for MemoryDB, which has no serverless caches";
            return Err(ConfigurationError::new(&format!("{option}.serverless"), "bool true", accepted));
        }
        Ok(iam)
    }
}

fn user_id(option: &str, value: &Setting) -> Result<String, ConfigurationError> {
    let accepted = "the id of a user whose authentication mode is IAM";
    match value {
        Setting::Text(text) if text.len() <= LONGEST && !text.contains(char::is_control) => Ok(text.clone()),
        _ => Err(ConfigurationError::about(option, value, accepted)),
    }
}

fn cache_name(option: &str, value: &Setting) -> Result<String, ConfigurationError> {
    word(option, value, "the cache's name, such as 'my-cache', not the host name of its endpoint")
}

/// A word of letters, digits and hyphens, in lower case as AWS keeps it.
fn word(option: &str, value: &Setting, accepted: &str) -> Result<String, ConfigurationError> {
    let fits =
        |text: &str| text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match value {
        Setting::Text(text) if fits(text) => Ok(text.to_ascii_lowercase()),
        _ => Err(ConfigurationError::about(option, value, accepted)),
    }
}

fn service_of(option: &str, value: &Setting) -> Result<IamService, ConfigurationError> {
    let known = [IamService::ElastiCache, IamService::MemoryDb];
    let found = match value {
        Setting::Text(text) => known.into_iter().find(|service| service.as_str() == text),
        _ => None,
    };
    found.ok_or_else(|| ConfigurationError::about(option, value, "'elasticache', 'memorydb'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    fn read(entries: &[(&str, Setting)]) -> Result<Iam, ConfigurationError> {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Iam::read("iam", &Setting::Map(entries))
    }

    #[test]
    fn a_user_and_a_cache_are_enough() {
        let iam = read(&[("user", text("App")), ("cache", text("My-Cache"))]).unwrap();
        let expected = Iam {
            user: "App".to_owned(),
            cache: "my-cache".to_owned(),
            region: None,
            serverless: false,
            service: IamService::ElastiCache,
        };
        assert_eq!(iam, expected);
    }

    #[test]
    fn region_serverless_and_service_are_taken() {
        let iam = read(&[
            ("user", text("app")),
            ("cache", text("c")),
            ("region", text("eu-central-1")),
            ("serverless", Setting::Bool(true)),
            ("service", text("elasticache")),
        ])
        .unwrap();
        assert_eq!((iam.region.as_deref(), iam.serverless), (Some("eu-central-1"), true));
        let iam = read(&[("user", text("app")), ("cache", text("c")), ("service", text("memorydb"))]).unwrap();
        assert_eq!(iam.service.as_str(), "memorydb");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_is_accepted() {
        let (user, cache) = (("user", text("app")), ("cache", text("c")));
        for (entries, option, accepted) in [
            (vec![cache.clone()], "iam.user", "the keys user and cache"),
            (vec![user.clone()], "iam.cache", "the keys user and cache"),
            (vec![user.clone(), ("cache", text("m.abc.use1.cache.amazonaws.com"))], "iam.cache", "not the host name"),
            (vec![("user", text("a\r\nb")), cache.clone()], "iam.user", "the id of a user"),
            (vec![("user", Setting::Int(5)), cache.clone()], "iam.user", "the id of a user"),
            (vec![user.clone(), cache.clone(), ("region", text("eu central"))], "iam.region", "such as 'eu-central-1'"),
            (vec![user.clone(), cache.clone(), ("serverless", text("maybe"))], "iam.serverless", "true, false"),
            (vec![user.clone(), cache.clone(), ("service", text("rds"))], "iam.service", "'memorydb'"),
            (
                vec![user.clone(), cache.clone(), ("service", text("memorydb")), ("serverless", Setting::Bool(true))],
                "iam.serverless",
                "MemoryDB",
            ),
            (vec![user, cache, ("regoin", text("x"))], "iam.regoin", "region"),
        ] {
            let error = read(&entries).unwrap_err();
            assert!(error.option() == option && error.accepted().contains(accepted), "{error}");
        }
        let error = Iam::read("iam", &Setting::Bool(true)).unwrap_err();
        assert!(error.accepted().contains("an array"), "{error}");
    }

    #[test]
    fn keys_come_from_a_callable_or_from_where_they_are_looked_for() {
        let with = |value: Setting| {
            let entries = [("user", text("app")), ("cache", text("c")), ("credentials", value)];
            let entries = entries.map(|(key, value)| (key.to_owned(), value)).to_vec();
            Signing::read("iam", &Setting::Map(entries)).map(|signing| signing.keys)
        };
        assert_eq!(with(Setting::Null), Ok(SigningKeys::Usual));
        let asker = crate::config::Asker { number: 2, place: String::new() };
        assert_eq!(with(Setting::Asked(asker.clone())), Ok(SigningKeys::Asked(asker)));
        let error = with(text("wJalrXUtnFEMI")).unwrap_err();
        assert_eq!((error.option(), error.given()), ("iam.credentials", "a secret"));
    }
}
