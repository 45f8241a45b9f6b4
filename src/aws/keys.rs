//! AWS credentials. Called keys, since a connection's credentials are something else.

use crate::config::Secret;
use crate::time::Wall;

/// What requests to AWS are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id, which is sent with each signature.
    pub id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The session token of keys that were lent for a time.
    pub session: Option<Secret>,
    /// When they stop being valid, where that is known.
    pub expires: Option<Wall>,
}
