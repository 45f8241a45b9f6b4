//! What an error reply means: the command's own fault, or the server's state (P1).

/// What to do about a server that refused because of its own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The node is no longer (or not yet) primary: search for the one that is.
    Search,
    /// The node will be able to in a moment: look who is primary, then try again, and wait more and more in between.
    Wait,
    /// The node is primary and at work: try again there, and only now and then look who else is primary.
    Yield,
    /// The connection is not let in any more, others may be: try once on a new one.
    Reconnect,
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
    /// The text is the server's own way to turn a script away before it starts, but a script may have said so itself:
    /// only if the node says the same to the next command was nothing applied.
    IfRepeated(Remedy),
}

impl Refusal {
    /// The same for who asks one node and no other: that it is no primary is its answer.
    pub fn of_the_only_node(self) -> Refusal {
        match self {
            Refusal::NotApplied(Remedy::Search) | Refusal::IfReplica => Refusal::Final,
            other => other,
        }
    }
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
        Origin::Script => match TURNED_AWAY.iter().find(|(whole, _)| text == *whole) {
            Some((_, remedy)) => Refusal::IfRepeated(*remedy),
            None => Refusal::Final,
        },
        Origin::Exec => exec(&text),
    }
}

/// What a server says to a script that it does not even start, and to every other command at that time. Valkey names
/// itself; and what can be called meanwhile depends on what runs: a script or a function.
const TURNED_AWAY: [(&str, Remedy); 7] = [
    ("LOADING Redis is loading the dataset in memory", Remedy::Wait),
    ("LOADING Valkey is loading the dataset in memory", Remedy::Wait),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Remedy::Search),
    ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Remedy::Yield),
    ("BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.", Remedy::Yield),
    ("BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Remedy::Yield),
    ("BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.", Remedy::Yield),
];

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
        // Since Redis 7 the text may go on with "+ cluster connections".
        "ERR" if text.starts_with("ERR max number of clients") => Some(Remedy::Wait),
        // BUSYGROUP and BUSYKEY are about the command.
        "BUSY" => Some(Remedy::Yield),
        "NOAUTH" => Some(Remedy::Reconnect),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_node_is_no_primary_is_final_for_who_asks_no_other() {
        let judged = |text: &str| judge("SET", text.as_bytes()).of_the_only_node();
        assert_eq!(judged("READONLY You can't write against a read only replica."), Refusal::Final);
        assert_eq!(judged("LOADING Redis is loading the dataset in memory"), Refusal::NotApplied(Remedy::Wait));
        assert_eq!(Refusal::IfReplica.of_the_only_node(), Refusal::Final);
    }

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
            "ERR max number of clients + cluster connections reached",
        ] {
            assert_eq!(judge("INCR", text.as_bytes()), Refusal::NotApplied(Remedy::Wait), "{text}");
        }
    }

    #[test]
    fn a_server_that_runs_a_script_is_waited_for_where_it_is() {
        let text = b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
        assert_eq!(judge("INCR", text), Refusal::NotApplied(Remedy::Yield));
    }

    #[test]
    fn a_connection_that_is_not_let_in_any_more_is_replaced() {
        let text = b"NOAUTH Authentication required.";
        assert_eq!(judge("INCR", text), Refusal::NotApplied(Remedy::Reconnect));
    }

    #[test]
    fn an_error_about_the_command_itself_is_final() {
        for text in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR syntax error",
            "NOPERM this user has no permissions to run the 'get' command",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "BUSYGROUP Consumer Group name already exists",
            "BUSYKEY Target key name already exists.",
            "IOERR error or timeout reading to target instance",
            "WRONGPASS invalid username-password pair or user is disabled.",
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
    fn a_script_that_was_turned_away_at_the_door_counts_only_if_the_node_says_so_again() {
        for (text, remedy) in TURNED_AWAY {
            assert_eq!(judge("EVAL", text.as_bytes()), Refusal::IfRepeated(remedy), "{text}");
            let of_a_script = format!("{text} script: f1, on @user_script:1.");
            assert_eq!(judge("FCALL", of_a_script.as_bytes()), Refusal::Final, "{of_a_script}");
        }
        for (name, runs) in [("Redis", "SCRIPT"), ("Redis", "FUNCTION"), ("Valkey", "SCRIPT"), ("Valkey", "FUNCTION")] {
            let busy =
                format!("BUSY {name} is busy running a script. You can only call {runs} KILL or SHUTDOWN NOSAVE.");
            assert_eq!(judge("FCALL", busy.as_bytes()), Refusal::IfRepeated(Remedy::Yield), "{busy}");
        }
        let replicas = b"NOREPLICAS Not enough good replicas to write.";
        assert_eq!(judge("EVAL", replicas), Refusal::Final, "no other command shows whether that is so");
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
