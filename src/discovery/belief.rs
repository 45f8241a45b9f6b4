//! Whom a search believes: a node that says that it is primary may be a stranger, or a former primary with old data.

use crate::config::NodeAddress;
use crate::topology::{Claim, Report, Role};

use super::names::Name;
use super::search::{Found, Search, Sign};

impl Search {
    /// Whether `found` proves that the silent primary at `node` is primary no longer: by the silent node's own
    /// word, by the history, or where that may not be asked, because the silent one answered no probe either.
    pub fn supersedes(&self, found: &Found, node: &NodeAddress) -> bool {
        // Nobody knows better than the node itself.
        found.replicas.contains(node)
            || match found.claim {
                Claim::Promoted => true,
                Claim::Same => false,
                Claim::Unrelated => self.was_promoted_before(&found.node, &found.report),
                Claim::Unproven => self.sign_of(node) == Some(Sign::Silence),
            }
    }

    /// Whether the answer of the node that the search waits for is still open.
    pub(super) fn must_wait(&self, claim: Claim) -> bool {
        self.waits_for.as_ref().is_some_and(|(node, always)| {
            (*always || claim != Claim::Promoted)
                && self.targets.iter().any(|target| target.node == *node && target.is_awaited())
        })
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
            || self.was_promoted_before(node, report)
            || self.is_followed(report, others)
    }

    /// Whether a node that we knew as a replica was promoted, though not out of the history that we know: several
    /// promotions have passed. A node that was merely started again carries no former history.
    fn was_promoted_before(&self, node: &NodeAddress, report: &Report) -> bool {
        let promoted = report.lineage.as_ref().is_some_and(|lineage| !lineage.previous_id.is_empty());
        promoted && self.known_replicas.contains(node)
    }

    /// Whether a node that we knew as a replica follows the history that `report` writes.
    fn is_followed<'a>(&self, report: &Report, others: impl Iterator<Item = (&'a NodeAddress, &'a Report)>) -> bool {
        let Some(lineage) = &report.lineage else { return false };
        let follows = |other: &Report| {
            other.role == Role::Replica && other.lineage.as_ref().is_some_and(|other| other.id == lineage.id)
        };
        others.into_iter().any(|(node, other)| self.known_replicas.contains(node) && follows(other))
    }

    /// Whether the name of a configured endpoint leads to the node now.
    pub(super) fn is_named_by_dns(&self, node: &NodeAddress) -> bool {
        let of_endpoints = |name: &&Name| self.endpoints.iter().any(|endpoint| name.is(endpoint));
        self.names.iter().chain(&self.other_names).filter(of_endpoints).any(|name| name.leads_to(node))
    }
}
