//! Why there is no token: who was asked for keys, and what each said. Without secrets.

use std::fmt;

/// Where keys may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `AWS_ACCESS_KEY_ID` and its kin.
    Environment,
    /// A token that names a role, as EKS gives it to service accounts.
    WebIdentity,
    /// `~/.aws/credentials`.
    SharedFile,
    /// The endpoint that ECS and EKS give to a container.
    Container,
    /// The metadata service of an EC2 instance.
    Instance,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Environment => "environment",
            Provider::WebIdentity => "web identity",
            Provider::SharedFile => "shared credentials file",
            Provider::Container => "container endpoint",
            Provider::Instance => "instance metadata",
        })
    }
}

/// What came of asking one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has nothing to do with this process: the next one is asked.
    Absent(String),
    /// It should have had keys and does not: asking the next one would sign with somebody else's.
    Wrong(String),
    /// It could not be asked now, and may be later.
    Failed(String),
}

/// A provider that had no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which one.
    pub provider: Provider,
    pub(super) fault: Fault,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Absent(why) | Fault::Wrong(why) | Fault::Failed(why)) = &self.fault;
        write!(f, "{}: {why}", self.provider)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// None of the providers had keys. The last one may have ended the search.
    NoKeys(Vec<Tried>),
    /// Neither the option nor the environment names a region.
    NoRegion,
}

impl Error {
    /// Whether it may go away by itself: an endpoint did not answer, or not as it should.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::NoKeys(tried) => tried.iter().any(|tried| matches!(tried.fault, Fault::Failed(_))),
            Error::NoRegion => false,
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoRegion => {
                f.write_str("no AWS region: neither the option names one, nor AWS_REGION, nor AWS_DEFAULT_REGION")
            }
            Error::NoKeys(tried) => {
                f.write_str("no AWS credentials (")?;
                for (place, tried) in tried.iter().enumerate() {
                    write!(f, "{}{tried}", if place == 0 { "" } else { "; " })?;
                }
                f.write_str(")")
            }
        }
    }
}
