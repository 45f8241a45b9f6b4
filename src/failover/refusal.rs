//! What an error reply means: the command's own fault, or the server's state (P1).

/// What to do about a server that refused because of its own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The node is no longer (or not yet) primary: search for the one that is.
    Search,
    /// The node will be able to in a moment: wait, then look who is primary, then try again.
    Wait,
}

/// An error reply, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command itself was refused, for good.
    Final,
    /// The command was not applied, because of the server's state.
    NotApplied(Remedy),
    /// The text says that the node is a replica, but a script may have said so after it had written: only if the
    /// node's role is then confirmed to be replica was nothing applied.
    IfReplica,
}

/// Where the command that got the error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A plain command.
    Command,
    /// A script or function, which can return any text after having written.
    Script,
    /// EXEC: the error is about the queue.
    Exec,
}

impl Origin {
    /// The origin that a command's name implies.
    pub fn of(name: &str) -> Origin {
        match name {
            "EVAL" | "EVALSHA" | "FCALL" | "EVAL_RO" | "EVALSHA_RO" | "FCALL_RO" => Origin::Script,
            "EXEC" => Origin::Exec,
            _ => Origin::Command,
        }
    }
}

/// Whether the command runs code on the server, which may have written before it failed.
pub fn is_script(name: &str) -> bool {
    Origin::of(name) == Origin::Script
}

/// Judges the text of an error reply to the command `name`.
pub fn judge(name: &str, text: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(text);
    match Origin::of(name) {
        Origin::Command => state(&text).map_or(Refusal::Final, Refusal::NotApplied),
        // Since Redis 7 the server's own text ends in where in which script it came up; before, it stood inside one.
        Origin::Script if text.contains("READONLY You can't write against a read only") => Refusal::IfReplica,
        Origin::Script => Refusal::Final,
        Origin::Exec => exec(&text),
    }
}

/// EXECABORT is transient only if its text is: a queueing error is known to whoever saw it.
fn exec(text: &str) -> Refusal {
    match text.strip_prefix("EXECABORT Transaction discarded because of: ") {
        Some(reason) => state(reason).map_or(Refusal::Final, Refusal::NotApplied),
        None => state(text).map_or(Refusal::Final, Refusal::NotApplied),
    }
}

/// Whether the text is a server's way to say that it cannot do so at the moment, without having done anything.
fn state(text: &str) -> Option<Remedy> {
    let code = text.split([' ', '\r', '\n']).next().unwrap_or("");
    match code {
        // UNBLOCKED: a blocked pop on a node that was demoted; it took nothing.
        "READONLY" | "MASTERDOWN" | "UNBLOCKED" => Some(Remedy::Search),
        "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "NOREPLICAS" => Some(Remedy::Wait),
        "ERR" if text == "ERR max number of clients reached" => Some(Remedy::Wait),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_no_longer_primary_is_searched_around() {
        for text in [
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        ] {
            assert_eq!(judge("INCR", text.as_bytes()), Refusal::NotApplied(Remedy::Search), "{text}");
        }
    }

    #[test]
    fn a_server_that_cannot_at_the_moment_is_waited_for() {
        for text in [
            "LOADING Redis is loading the dataset in memory",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN The cluster is down",
            "NOREPLICAS Not enough good replicas to write.",
            "ERR max number of clients reached",
        ] {
            assert_eq!(judge("INCR", text.as_bytes()), Refusal::NotApplied(Remedy::Wait), "{text}");
        }
    }

    #[test]
    fn an_error_about_the_command_itself_is_final() {
        for text in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR syntax error",
            "NOPERM this user has no permissions to run the 'get' command",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLYISH custom",
            "",
        ] {
            assert_eq!(judge("GET", text.as_bytes()), Refusal::Final, "{text}");
        }
    }

    #[test]
    fn what_a_script_returns_counts_only_if_the_node_is_then_seen_to_be_a_replica() {
        let text = b"READONLY You can't write against a read only replica. script: f1, on @user_script:1.";
        assert_eq!(judge("EVAL", text), Refusal::IfReplica);
        let nested = b"ERR Error running script (call to f_1): -READONLY You can't write against a read only replica.";
        assert_eq!(judge("EVALSHA", nested), Refusal::IfReplica);
        assert_eq!(judge("FCALL", b"LOADING whatever a script may say"), Refusal::Final);
    }

    #[test]
    fn execabort_is_transient_only_if_its_text_is() {
        let bad_queue = b"EXECABORT Transaction discarded because of previous errors.";
        assert_eq!(judge("EXEC", bad_queue), Refusal::Final);
        let demoted =
            b"EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.";
        assert_eq!(judge("EXEC", demoted), Refusal::NotApplied(Remedy::Search));
    }
}
