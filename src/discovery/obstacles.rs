//! Why a search has not found a primary: what to tell the user, and when there is no use in going on.

use crate::config::NodeAddress;
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::topology::{Mode, Role};

use super::Search;
use super::sentinels::Sentinels;
use super::target::Target;

impl Search {
    /// What stands in the way, for the message when the deadline has passed: the most telling failure first.
    pub fn obstacle(&self) -> (Option<NodeAddress>, Lost) {
        let of_names = self.names.iter().chain(&self.other_names).filter_map(|name| name.failure().cloned());
        let of_targets = self.targets.iter().filter_map(|target| Some((Some(target.node.clone()), target.obstacle()?)));
        let replicas =
            self.targets.iter().filter(|target| target.report().is_some_and(|report| report.role == Role::Replica));
        let of_sentinels =
            self.sentinels.iter().flat_map(Sentinels::failures).map(|(node, lost)| (node, of_sentinel(lost)));
        of_sentinels
            .chain(of_targets)
            .chain(of_names.map(|lost| (None, lost)))
            .max_by_key(|(_, lost)| weight(&lost.cause))
            // A primary that is silent is what stands in the way, not the replicas that answer.
            .or_else(|| {
                let silent = self.targets.iter().find(|target| self.known.as_ref() == Some(&target.node))?;
                Some((Some(silent.node.clone()), silent.late()?))
            })
            .or_else(|| {
                let node = replicas.map(|target| target.node.clone()).next();
                node.map(|node| (Some(node), Lost::before(Phase::Dial, Cause::NotPrimary)))
            })
            .unwrap_or_else(|| {
                let awaited = self.targets.iter().find_map(|target| Some((target, target.late()?)));
                let name = self.names.iter().chain(&self.other_names).find(|name| name.awaited().is_some());
                match (awaited, name) {
                    (None, Some(name)) => {
                        let text = format!("{} is still being resolved", name.host());
                        (None, Lost::before(Phase::Resolve, Cause::Io(text)))
                    }
                    (Some((target, late)), _) => (Some(target.node.clone()), late),
                    (None, None) => (None, Lost::before(Phase::Dial, Cause::TimedOut(Limit::Timeout))),
                }
            })
    }

    /// Notes whether anybody has said something else than that he is a replica. Who is asked again is not heard for a
    /// moment, so it is kept.
    pub(super) fn listen(&mut self) {
        self.spoken |= self.targets.iter().any(|target| match target.failure() {
            Some(lost) => weight(&lost.cause) >= SPOKEN,
            None => target.report().is_some_and(|report| report.role == Role::Primary),
        });
    }

    /// Whether everybody was asked in vain: nobody is there, or nobody who is primary. A node that speaks but would not
    /// let us in, or is not ready, is no outage.
    pub fn is_in_vain(&self) -> bool {
        self.is_wide() && self.rounds() > 1 && !self.spoken
    }

    /// Every node has answered, and time does not change what they say: all of them turned us away for good, or the
    /// primary did, as those that let us in name it.
    pub(super) fn hopeless(&self) -> Option<(NodeAddress, Lost)> {
        // One node of a cluster is enough to know.
        let in_cluster = |target: &&Target| target.report().is_some_and(|report| report.mode == Mode::Cluster);
        if let Some(target) = self.targets.iter().find(in_cluster) {
            return target.failure().map(|lost| (target.node.clone(), lost));
        }
        if let Some(sentinels) = self.sentinels.as_ref().filter(|_| self.is_settled() && self.targets.is_empty()) {
            let failures = sentinels.all_failures()?;
            let final_one = failures.first().filter(|_| failures.iter().all(|(_, lost)| weight(&lost.cause) >= FINAL));
            return final_one.map(|(node, lost)| (node.clone(), of_sentinel(lost.clone())));
        }
        if !self.is_settled() || self.names.iter().any(|name| name.failure().is_some()) {
            return None;
        }
        let turned_away = |target: &Target| {
            let lost = target.failure().filter(|lost| weight(&lost.cause) >= FINAL)?;
            Some((target.node.clone(), lost))
        };
        let obstacles: Vec<(NodeAddress, Lost)> = self.targets.iter().filter_map(turned_away).collect();
        let follows_one_of_them = |target: &Target| {
            let report = target.report().filter(|report| report.role == Role::Replica && report.link_up);
            let primary = report.and_then(|report| report.primary.as_ref());
            primary.is_some_and(|primary| obstacles.iter().any(|(node, _)| node == primary))
        };
        let settled = |target: &Target| turned_away(target).is_some() || follows_one_of_them(target);
        if !self.targets.iter().all(settled) {
            return None;
        }
        let of_primary = obstacles.iter().position(|(node, _)| {
            let named = |target: &Target| target.report().is_some_and(|report| report.primary.as_ref() == Some(node));
            self.targets.iter().any(named)
        });
        obstacles.into_iter().nth(of_primary.unwrap_or(0))
    }
}

/// In messages the sentinels must not be taken for the nodes.
fn of_sentinel(lost: Lost) -> Lost {
    let cause = match lost.cause {
        cause @ (Cause::NotSupported(_) | Cause::TimedOut(_)) => cause,
        Cause::Denied(text) => Cause::Denied(format!("a Sentinel would not let us in: {text}")),
        other => Cause::Io(format!("no Sentinel tells where the primary is: {other}")),
    };
    Lost { cause, ..lost }
}

const FINAL: u8 = 3;
/// From here on, it is the node's own word.
const SPOKEN: u8 = 2;

/// How much a cause tells the user; from `FINAL` on, time does not heal it.
fn weight(cause: &Cause) -> u8 {
    match cause {
        Cause::NotSupported(_) => FINAL + 2,
        Cause::Denied(_) => FINAL + 1,
        Cause::Protocol(_) => FINAL,
        Cause::Refused(_) => 2,
        Cause::TimedOut(_) => 0,
        _ => 1,
    }
}
