//! Whom a search believes: a node that says that it is primary may be a stranger, or a former primary with old data.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::time::Instant;
use crate::topology::{Claim, Lineage, Notice, Report, Role, Witness, elect};

use super::names::Name;
use super::search::{Found, Search, Sign};
use super::sentinels::Sentinels;
use super::target::Target;

/// How long a node that says that it is primary waits for others to say the same.
const GRACE: Duration = Duration::from_millis(10);
/// How long a claim that no history supports waits for more than half of the sentinels: one of them alone may have
/// been away during a failover.
const HEARING: Duration = Duration::from_millis(100);

impl Search {
    /// The primary, once there is no reason to wait for further answers.
    pub(super) fn winner(&mut self, now: Instant) -> Option<Found> {
        let reports: Vec<(usize, &Report)> = self
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| target.failure().is_none())
            .filter_map(|(index, target)| Some((index, target.report()?)))
            .collect();
        let witnesses: Vec<Witness<'_>> = reports
            .iter()
            .map(|(index, report)| Witness {
                address: &self.targets[*index].node,
                report,
                watched: self.is_named_by_sentinels(&self.targets[*index].node),
                named: self.is_named_by_dns(&self.targets[*index].node),
                known: self.known.as_ref() == Some(&self.targets[*index].node),
            })
            .collect();
        let Some(elected) = elect(&witnesses) else {
            // Who is being asked again has not taken anything back.
            if !self.claimed.as_ref().is_some_and(|(node, _)| self.is_awaited(node)) {
                (self.claimed, self.decide_at) = (None, None);
            }
            return None;
        };
        let (index, report) = reports[elected];
        let claim = self.claim_of(report);
        let claimed_at = self.claimed.get_or_insert_with(|| (self.targets[index].node.clone(), now)).1;
        let unheard = !self.sentinels.as_ref().is_none_or(Sentinels::have_spoken);
        // They have named a node, but it has not answered yet.
        let named = self.sentinels.as_ref().and_then(Sentinels::named);
        let named_is_awaited = named.is_some_and(|named| self.is_awaited(named));
        let unsupported = matches!(claim, Claim::Unproven | Claim::Unrelated);
        let decide_at = match self.heard_at {
            None if unsupported && unheard => claimed_at + HEARING,
            Some(heard_at) if unsupported && named_is_awaited => (claimed_at + GRACE).max(heard_at + HEARING),
            _ => claimed_at + GRACE,
        };
        // Who proves its promotion need not be compared with everybody.
        let decide_at = if claim == Claim::Promoted { decide_at } else { decide_at.max(self.all_until) };
        self.decide_at = Some(decide_at);
        let open = unheard || self.targets.iter().any(Target::is_awaited) || self.names.iter().any(Name::is_unheard);
        if open && now < decide_at {
            return None;
        }
        let node = self.targets[index].node.clone();
        let others = reports.iter().map(|(index, report)| (&self.targets[*index].node, *report));
        if !self.is_credible(&node, report, claim, others) && now < self.disbelief_ends {
            return None;
        }
        if self.must_wait(claim == Claim::Promoted && !began_anew(report)) {
            return None;
        }
        let replicas = reports.iter().filter(|(_, report)| report.role == Role::Replica);
        let replicas = replicas.map(|(index, _)| self.targets[*index].node.clone()).collect();
        let mut report = report.clone();
        if let (None, Some(sentinels)) = (&report.lineage, &self.sentinels) {
            // Who may not call INFO hears of replicas from sentinels.
            report.replicas = sentinels.replicas().filter(|replica| **replica != node).cloned().collect();
            report.replicas.sort();
            report.replicas.dedup();
        }
        let watched = self.sentinels.as_ref().and_then(Sentinels::watched);
        let connection = self.targets[index].take_connection()?;
        let silent = self.known.clone().filter(|known| self.sign_of(known) == Some(Sign::Silence));
        Some(Found { node, report, connection, replicas, claim, watched, silent, based_on: self.based_on })
    }

    /// Whether `found` proves that the silent primary at `node` is primary no longer: by the silent node's own
    /// word, by the history, or where that may not be asked, because the silent one answered no probe either.
    pub fn supersedes(&self, found: &Found, node: &NodeAddress) -> bool {
        // Nobody knows better than the node itself.
        found.replicas.contains(node)
            || match found.claim {
                Claim::Promoted if !began_anew(&found.report) => true,
                Claim::Same => false,
                Claim::Unrelated => self.was_promoted_before(&found.node, &found.report),
                Claim::Promoted | Claim::Unproven => self.sign_of(node) == Some(Sign::Silence),
            }
    }

    /// Whether what another worker tells proves that the silent primary at `node` is primary no longer, by the same
    /// rules.
    pub fn is_proven(&self, notice: &Notice, node: &NodeAddress) -> bool {
        let report = notice.evidence.report();
        let by_history = || match self.claim_of(&report) {
            Claim::Promoted if !began_anew(&report) => true,
            Claim::Same => false,
            Claim::Unrelated => self.was_promoted_before(&notice.primary, &report),
            Claim::Promoted | Claim::Unproven => notice.evidence.silent.as_ref() == Some(node),
        };
        notice.primary != *node && (notice.evidence.demoted.contains(node) || by_history())
    }

    /// Whether the answer of the node that the search waits for is still open.
    fn must_wait(&self, proven: bool) -> bool {
        self.waits_for.as_ref().is_some_and(|(node, always)| (*always || !proven) && self.is_awaited(node))
    }

    fn is_awaited(&self, node: &NodeAddress) -> bool {
        self.targets.iter().any(|target| target.node == *node && target.is_awaited())
    }

    /// Whether a node's claim may be believed at once. `others` are the nodes that answered besides.
    pub(super) fn is_credible<'a>(
        &self,
        node: &NodeAddress,
        report: &Report,
        claim: Claim,
        others: impl Iterator<Item = (&'a NodeAddress, &'a Report)>,
    ) -> bool {
        claim != Claim::Unrelated
            || self.known.as_ref() == Some(node)
            || self.is_named_by_dns(node)
            || self.is_named_by_sentinels(node)
            || self.was_promoted_before(node, report)
            || self.is_followed(node, report, others)
    }

    /// Whether a node that we knew as a replica was promoted, though not out of a history that we know: several
    /// promotions have passed.
    fn was_promoted_before(&self, node: &NodeAddress, report: &Report) -> bool {
        let unheard = |history: &String| !history.is_empty() && !self.histories.contains(history);
        let promoted = report.lineage.as_ref().is_some_and(|lineage| unheard(&lineage.previous_id));
        promoted && !began_anew(report) && self.known_replicas.contains(node)
    }

    /// Whether a node that we knew as a replica follows the history that `report` writes, or the one that we knew as the
    /// primary says that it follows the node.
    fn is_followed<'a>(
        &self,
        node: &NodeAddress,
        report: &Report,
        mut others: impl Iterator<Item = (&'a NodeAddress, &'a Report)>,
    ) -> bool {
        let history = |report: &Report| report.lineage.as_ref().map(|lineage| lineage.id.clone());
        let id = history(report);
        // Without a link a replica still has the history of whomever it followed before.
        let copies = |other: &Report| other.link_up && id.is_some() && history(other) == id;
        let obeys = |other: &Report| other.primary.as_ref().is_some_and(|primary| self.leads_to(primary, node));
        others.any(|(address, other)| {
            let was_primary = self.known.as_ref() == Some(address);
            other.role == Role::Replica
                && ((was_primary && obeys(other))
                    || ((was_primary || self.known_replicas.contains(address)) && copies(other)))
        })
    }

    /// Whether the name of a configured endpoint leads to the node now.
    pub(super) fn is_named_by_dns(&self, node: &NodeAddress) -> bool {
        let of_endpoints = |name: &&Name| self.endpoints.iter().any(|endpoint| name.is(endpoint));
        self.names.iter().chain(&self.other_names).filter(of_endpoints).any(|name| name.leads_to(node))
    }

    /// Whether the newest configuration of the sentinels names the node.
    fn is_named_by_sentinels(&self, node: &NodeAddress) -> bool {
        self.sentinels.as_ref().and_then(Sentinels::named).is_some_and(|named| self.leads_to(named, node))
    }

    /// Whether an address that somebody gave is the node, or a name of it.
    fn leads_to(&self, address: &NodeAddress, node: &NodeAddress) -> bool {
        address == node || self.names.iter().any(|name| name.is(address) && name.leads_to(node))
    }
}

fn began_anew(report: &Report) -> bool {
    report.lineage.as_ref().is_some_and(Lineage::began_anew)
}
