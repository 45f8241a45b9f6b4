//! Whether a node may be read from, and how far it is behind: judged from what it said of itself.

use std::time::Duration;

use super::{Mode, Report, Role};

/// What a node's report comes to for who wants to read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has its primary's data, as of that long ago.
    Behind(Duration),
    /// It must not be read from.
    Unfit(&'static str),
}

impl Standing {
    /// The standing of a node that says so of itself. `is_primary` tells whether it is the primary that is known.
    ///
    /// A replica's lag is the time since it last heard from its primary (`master_last_io_seconds_ago`): what it has not
    /// heard of is younger than that. An idle primary speaks to its replicas only every `repl-ping-replica-period` (10 s
    /// if nobody changed it), so that a smaller bound asks for a smaller period, or for writes. Where the user may not
    /// call INFO, the role is all that there is: the server's own MASTERDOWN or LOADING has to do.
    pub fn of(report: &Report, is_primary: bool) -> Standing {
        match report.role {
            _ if report.mode == Mode::Sentinel => Standing::Unfit("no server of this deployment"),
            Role::Primary if is_primary => Standing::Behind(Duration::ZERO),
            // A former primary that does not know yet, or a stranger: what it has may be anything.
            Role::Primary => Standing::Unfit("no replica"),
            Role::Replica if report.lineage.is_none() => Standing::Behind(Duration::ZERO),
            Role::Replica if report.syncing => Standing::Unfit("takes over its primary's data"),
            Role::Replica if !report.link_up => Standing::Unfit("disconnected from its primary"),
            Role::Replica => Standing::Behind(report.heard_ago.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn standing(info: &str) -> Standing {
        let info =
            format!("# Replication\r\nrole:slave\r\nmaster_host:h\r\nmaster_port:1\r\nmaster_replid:aa\r\n{info}");
        Standing::of(&Report::read(None, Some(&Value::BulkString(info.into_bytes()))).unwrap(), false)
    }

    #[test]
    fn a_replica_is_as_far_behind_as_it_is_long_since_it_heard_of_its_primary() {
        let seen = standing("master_link_status:up\r\nmaster_last_io_seconds_ago:7\r\nmaster_sync_in_progress:0\r\n");
        assert_eq!(seen, Standing::Behind(Duration::from_secs(7)));
    }

    #[test]
    fn a_replica_without_its_primary_or_without_its_data_is_unfit() {
        let down =
            standing("master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\n");
        assert_eq!(down, Standing::Unfit("disconnected from its primary"));
        let syncing = standing("master_link_status:down\r\nmaster_sync_in_progress:1\r\n");
        assert_eq!(syncing, Standing::Unfit("takes over its primary's data"));
    }

    #[test]
    fn a_primary_is_fit_only_if_it_is_the_one_that_is_known() {
        let primary = Report::silent(Role::Primary);
        assert_eq!(Standing::of(&primary, true), Standing::Behind(Duration::ZERO));
        assert_eq!(Standing::of(&primary, false), Standing::Unfit("no replica"));
        let sentinel = Report { mode: Mode::Sentinel, ..Report::silent(Role::Replica) };
        assert!(matches!(Standing::of(&sentinel, false), Standing::Unfit(_)));
    }

    #[test]
    fn a_replica_that_may_not_be_asked_is_taken_at_its_role() {
        assert_eq!(Standing::of(&Report::silent(Role::Replica), false), Standing::Behind(Duration::ZERO));
    }
}
