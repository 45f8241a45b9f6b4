//! The order in which AWS' own tools look for keys.

use std::time::Duration;

use crate::time::{Clock, Deadline};

use super::cache::{Cache, OF_PROCESS};
use super::environment::Environment;
use super::error::{Fault, Provider, Tried};
use super::{Error, Keys, container, environment, instance, shared_file};

/// How long an endpoint may take for all that it is asked.
const FOR_AN_ENDPOINT: Duration = Duration::from_secs(2);

const ORDER: [Provider; 5] =
    [Provider::Environment, Provider::WebIdentity, Provider::SharedFile, Provider::Container, Provider::Instance];

/// Asks one provider after the other.
pub struct Chain<'a> {
    environment: &'a dyn Environment,
    cache: &'a Cache,
}

impl<'a> Chain<'a> {
    /// The providers that an environment leads to.
    pub fn new(environment: &'a dyn Environment) -> Chain<'a> {
        Chain { environment, cache: &OF_PROCESS }
    }

    /// The keys of the first provider that has some.
    ///
    /// # Errors
    /// None has, or the one that should have them does not.
    pub fn keys(&self, clock: &dyn Clock, deadline: Deadline) -> Result<Keys, Error> {
        let mut tried = Vec::new();
        for provider in ORDER {
            match self.ask(provider, clock, deadline) {
                Ok(keys) => return Ok(keys),
                Err(fault) => {
                    let last = !matches!(fault, Fault::Absent(_));
                    tried.push(Tried { provider, fault });
                    if last {
                        break;
                    }
                }
            }
        }
        Err(Error::NoKeys(tried))
    }

    fn ask(&self, provider: Provider, clock: &dyn Clock, deadline: Deadline) -> Result<Keys, Fault> {
        let until = deadline.min(Deadline::after(clock.now(), Some(FOR_AN_ENDPOINT)));
        match provider {
            Provider::Environment => environment::keys(self.environment, clock.wall()),
            Provider::WebIdentity => self.no_web_identity(),
            Provider::SharedFile => shared_file::keys(self.environment),
            Provider::Container => {
                let url = container::endpoint(self.environment)?;
                self.cache.through(&url.text, clock, || container::ask(self.environment, &url, clock, until))
            }
            Provider::Instance => {
                let url = instance::endpoint(self.environment)?;
                self.cache.through(&url.text, clock, || instance::ask(&url, clock, until))
            }
        }
    }

    /// To pass over a role that was given to this process would sign with that of the machine.
    fn no_web_identity(&self) -> Result<Keys, Fault> {
        Err(match self.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            None => Fault::Absent("AWS_WEB_IDENTITY_TOKEN_FILE is not set".to_owned()),
            Some(_) => Fault::Wrong(
                "AWS_WEB_IDENTITY_TOKEN_FILE is set, and web identity is not supported: give the credentials yourself, \
                 or use EKS Pod Identity"
                    .to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use crate::aws::local_server::{self, LocalServer};
    use crate::time::FakeClock;

    use super::*;

    /// Noon of 2026-03-01.
    const NOW: u64 = 1_772_366_400;

    struct Stage {
        cache: Cache,
        clock: Arc<FakeClock>,
    }

    impl Stage {
        fn new() -> Stage {
            let clock = Arc::new(FakeClock::default());
            clock.freeze(Duration::from_secs(NOW));
            Stage { cache: Cache::new(), clock }
        }

        fn ask(&self, variables: &[(&str, &str)]) -> Result<String, Error> {
            let environment: HashMap<&str, &str> = variables.iter().copied().collect();
            let chain = Chain { environment: &environment, cache: &self.cache };
            let deadline = Deadline::after(self.clock.now(), Some(Duration::from_secs(5)));
            chain.keys(&self.clock, deadline).map(|keys| keys.id)
        }
    }

    fn lending(id: &'static str) -> LocalServer {
        LocalServer::answering(move |request| {
            if request.starts_with("PUT") {
                local_server::reply(200, "session")
            } else if request.starts_with("GET /latest/meta-data/iam/security-credentials/ ") {
                local_server::reply(200, "role")
            } else {
                local_server::lent(id, "2026-03-01T18:00:00Z")
            }
        })
    }

    #[test]
    fn the_environment_comes_first_then_the_container_then_the_instance() {
        let (container, instance) = (lending("of the container"), lending("of the instance"));
        let (near, far) = (container.url(), instance.url());
        let variables = [
            ("AWS_ACCESS_KEY_ID", "of the environment"),
            ("AWS_SECRET_ACCESS_KEY", "hidden"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", near.as_str()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", far.as_str()),
        ];
        let stage = Stage::new();
        assert_eq!(stage.ask(&variables).as_deref(), Ok("of the environment"));
        assert_eq!(stage.ask(&variables[2..]).as_deref(), Ok("of the container"));
        assert_eq!(stage.ask(&variables[3..]).as_deref(), Ok("of the instance"));
        assert_eq!(stage.ask(&variables[2..]).as_deref(), Ok("of the container"));
        assert_eq!((container.asked().len(), instance.asked().len()), (1, 3), "what was lent is kept");
    }

    #[test]
    fn an_endpoint_that_should_have_keys_ends_the_search() {
        let (broken, instance) = (LocalServer::answering(|_| local_server::reply(500, "")), lending("never"));
        let (near, far) = (broken.url(), instance.url());
        let error = Stage::new()
            .ask(&[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", near.as_str()),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", far.as_str()),
            ])
            .unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert!(
            error.to_string().contains("container endpoint: ") && error.to_string().contains("status 500"),
            "{error}"
        );
        assert!(!error.to_string().contains("instance"), "{error}");
        assert!(instance.asked().is_empty());
    }

    #[test]
    fn a_role_by_web_identity_is_not_passed_over() {
        let instance = lending("never");
        let far = instance.url();
        let error = Stage::new()
            .ask(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", far.as_str())])
            .unwrap_err();
        assert!(!error.may_pass() && error.to_string().contains("web identity is not supported"), "{error}");
        assert!(instance.asked().is_empty());
    }

    #[test]
    fn who_has_no_keys_anywhere_reads_where_they_were_looked_for() {
        let variables = [("HOME", "/nowhere"), ("AWS_EC2_METADATA_DISABLED", "true")];
        let error = Stage::new().ask(&variables).unwrap_err();
        let Error::NoKeys(tried) = &error else { panic!("{error:?}") };
        assert_eq!(tried.iter().map(|tried| tried.provider).collect::<Vec<_>>(), ORDER);
        for word in ["AWS_ACCESS_KEY_ID", "/nowhere/.aws/credentials", "RELATIVE_URI", "AWS_EC2_METADATA_DISABLED"] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert!(!error.may_pass(), "{error}");
    }

    #[test]
    fn errors_show_no_secret() {
        let broken = LocalServer::answering(|_| local_server::reply(500, "{\"SecretAccessKey\":\"hunter2\"}"));
        let url = broken.url();
        let error = Stage::new()
            .ask(&[
                ("AWS_SECRET_ACCESS_KEY", "hunter2"),
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hunter2"),
            ])
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
