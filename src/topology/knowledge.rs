//! What is known of one deployment, and how reports change it.

use crate::config::NodeAddress;

use super::{Evidence, Mode, Notice, Report, Role, Watched};

/// Who is who, as far as is known. `epoch` counts changes of who is primary.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    epoch: u64,
    incarnation: u64,
    stamp: u64,
    primary: Option<NodeAddress>,
    replicas: Vec<NodeAddress>,
    former: Option<NodeAddress>,
    mode: Mode,
    histories: Vec<String>,
    watched: Option<Watched>,
}

/// More promotions than this pass between two looks at a deployment only where something else is wrong.
const MOST_HISTORIES: usize = 4;

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same node is primary.
    Confirmed,
    /// Another node is primary now, or the first one was found.
    Promoted,
}

impl Knowledge {
    /// Counts the changes of who is primary.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Counts the server processes that were primary, as far as is seen: one that was started again at the same address
    /// writes another history. 0 while none was found. What a server hands out for its own use, such as a cursor, is
    /// worth nothing to the next one.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The publication that it goes back to: a finding from a search that began with it counts only if no other one was
    /// published since.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Says that it is as was published under `stamp`.
    pub fn published(&mut self, stamp: u64) {
        self.stamp = stamp;
    }

    /// The primary, if one is known.
    pub fn primary(&self) -> Option<&NodeAddress> {
        self.primary.as_ref()
    }

    /// The replicas that were seen. They are kept after their primary is gone: one of them is the next primary.
    pub fn replicas(&self) -> &[NodeAddress] {
        &self.replicas
    }

    /// Whether a node was seen as a replica of the primary. A former primary counts only once it is listed as one.
    pub fn was_replica(&self, node: &NodeAddress) -> bool {
        self.replicas.contains(node) && self.former.as_ref() != Some(node)
    }

    /// The histories (`master_replid`) that the primary and those before it wrote, where they may be asked; the latest
    /// last. A node that was promoted out of one names it as its former one. A primary changes its own when its first
    /// replica attaches, so that the last one that we heard of need not be the present one.
    pub fn histories(&self) -> &[String] {
        &self.histories
    }

    /// How the primary was started.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The sentinels through which the primary was found, if it was.
    pub fn watched(&self) -> Option<&Watched> {
        self.watched.as_ref()
    }

    /// Learns who watches over the deployment.
    pub fn learn_watched(&mut self, watched: Watched) {
        self.watched = Some(watched);
    }

    /// Learns from the primary's own report.
    pub fn learn_primary(&mut self, address: &NodeAddress, report: &Report) -> Change {
        debug_assert_eq!(report.role, Role::Primary);
        let change = if self.primary.as_ref() == Some(address) { Change::Confirmed } else { Change::Promoted };
        if change == Change::Promoted {
            // The former primary comes back as a replica in every planned failover, and often after others.
            let former = self.primary.replace(address.clone());
            self.epoch += 1;
            self.replicas.retain(|replica| replica != address);
            self.replicas.extend(former.clone());
            self.former = former;
        }
        self.mode = report.mode;
        let history = report.lineage.as_ref().map(|lineage| &lineage.id);
        self.count_incarnation(change, history.is_some_and(|history| !self.histories.contains(history)));
        if let Some(lineage) = &report.lineage {
            self.histories.retain(|history| *history != lineage.id);
            self.histories.push(lineage.id.clone());
            let surplus = self.histories.len().saturating_sub(MOST_HISTORIES);
            self.histories.drain(..surplus);
        }
        self.learn_replicas(report.replicas.clone());
        change
    }

    fn count_incarnation(&mut self, change: Change, writes_new_history: bool) {
        if change == Change::Promoted || writes_new_history {
            self.incarnation += 1;
        }
    }

    /// Learns which replicas the primary has.
    pub fn learn_replicas(&mut self, replicas: Vec<NodeAddress>) {
        // A fresh list replaces the old one. A primary without replicas says nothing about where they are: right after a
        // promotion none is attached yet, and the old addresses are the best there is.
        if !replicas.is_empty() {
            self.former = self.former.take().filter(|former| !replicas.contains(former));
            self.replicas = replicas;
        }
    }

    /// Hears of replicas while others are missed: those may be back soon, and these may be promoted before.
    pub fn hear_of_replicas(&mut self, replicas: Vec<NodeAddress>) {
        let unheard = replicas.into_iter().filter(|replica| !self.replicas.contains(replica)).collect::<Vec<_>>();
        self.replicas.extend(unheard);
    }

    /// What to tell other workers; `None` while there is nothing to tell.
    pub fn notice(&self, evidence: Evidence) -> Option<Notice> {
        Some(Notice {
            primary: self.primary.clone()?,
            mode: self.mode,
            histories: self.histories.clone(),
            former: self.former.clone(),
            replicas: self.replicas.clone(),
            watched: self.watched.clone(),
            evidence,
        })
    }

    /// Learns from another worker, who knows more: what he says replaces what was known.
    pub fn take_over(&mut self, notice: &Notice) -> Change {
        let change = if self.primary.as_ref() == Some(&notice.primary) { Change::Confirmed } else { Change::Promoted };
        if change == Change::Promoted {
            self.primary = Some(notice.primary.clone());
            self.epoch += 1;
        }
        self.mode = notice.mode;
        self.count_incarnation(change, notice.histories.last().is_some_and(|last| !self.histories.contains(last)));
        self.histories.clone_from(&notice.histories);
        self.former.clone_from(&notice.former);
        self.replicas.clone_from(&notice.replicas);
        self.watched.clone_from(&notice.watched);
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Lineage;

    fn node(port: u16) -> NodeAddress {
        NodeAddress::tcp("10.0.0.1", port)
    }

    fn primary_with(replicas: &[u16]) -> Report {
        Report { replicas: replicas.iter().copied().map(node).collect(), ..Report::silent(Role::Primary) }
    }

    #[test]
    fn a_promotion_counts_an_epoch_and_keeps_the_former_primary_as_a_candidate() {
        let mut knowledge = Knowledge::default();
        assert_eq!(knowledge.learn_primary(&node(1), &primary_with(&[2, 3])), Change::Promoted);
        assert_eq!(knowledge.learn_primary(&node(1), &primary_with(&[2, 3])), Change::Confirmed);
        assert_eq!(knowledge.epoch(), 1);
        assert_eq!(knowledge.learn_primary(&node(2), &primary_with(&[])), Change::Promoted);
        assert_eq!(knowledge.epoch(), 2);
        assert_eq!(knowledge.primary(), Some(&node(2)));
        assert_eq!(knowledge.replicas(), [node(3), node(1)]);
    }

    #[test]
    fn a_server_that_was_started_again_at_the_same_address_is_another_incarnation() {
        let writing = |history: &str| {
            let lineage = Some(Lineage { id: history.to_owned(), ..Lineage::default() });
            Report { lineage, ..primary_with(&[]) }
        };
        let mut knowledge = Knowledge::default();
        assert_eq!(knowledge.incarnation(), 0);
        let said = [(1, "aa", 1), (1, "aa", 1), (1, "bb", 2), (2, "cc", 3), (1, "dd", 4)];
        for (port, history, incarnation) in said {
            knowledge.learn_primary(&node(port), &writing(history));
            assert_eq!(knowledge.incarnation(), incarnation, "{port} {history}");
        }
        let mut heard = Knowledge::default();
        heard.learn_primary(&node(1), &writing("aa"));
        heard.take_over(&knowledge.notice(Evidence::default()).unwrap());
        assert_eq!(heard.incarnation(), 2, "a worker that only hears of it counts it, too");
        knowledge.learn_primary(&node(1), &primary_with(&[]));
        assert_eq!(knowledge.incarnation(), 4, "who says nothing of his history is taken for the same");
    }

    #[test]
    fn a_former_primary_counts_as_a_replica_only_once_it_is_listed_as_one() {
        let mut knowledge = Knowledge::default();
        knowledge.learn_primary(&node(1), &primary_with(&[2]));
        knowledge.learn_primary(&node(2), &primary_with(&[]));
        assert!(knowledge.replicas().contains(&node(1)) && !knowledge.was_replica(&node(1)));
        knowledge.learn_primary(&node(2), &primary_with(&[1]));
        assert!(knowledge.was_replica(&node(1)));
    }

    #[test]
    fn what_one_worker_tells_is_what_another_knows() {
        let mut told = Knowledge::default();
        told.learn_primary(&node(1), &primary_with(&[2, 3]));
        told.learn_primary(&node(2), &primary_with(&[]));
        let notice = told.notice(Evidence::default()).unwrap();
        let mut heard = Knowledge::default();
        heard.learn_primary(&node(1), &primary_with(&[2, 3]));
        assert_eq!(heard.take_over(&notice), Change::Promoted);
        assert_eq!(heard.take_over(&notice), Change::Confirmed);
        assert_eq!((heard.primary(), heard.epoch()), (Some(&node(2)), 2));
        assert_eq!(heard.replicas(), told.replicas());
        assert!(!heard.was_replica(&node(1)), "the former primary is a candidate, no known replica");
    }

    #[test]
    fn replicas_that_the_primary_names_replace_what_was_known() {
        let mut knowledge = Knowledge::default();
        knowledge.learn_primary(&node(1), &primary_with(&[2, 3]));
        knowledge.learn_primary(&node(1), &primary_with(&[4]));
        assert_eq!(knowledge.replicas(), [node(4)]);
        knowledge.learn_primary(&node(1), &primary_with(&[]));
        assert_eq!(knowledge.replicas(), [node(4)]);
        knowledge.hear_of_replicas(vec![node(5), node(4)]);
        assert_eq!(knowledge.replicas(), [node(4), node(5)]);
    }
}
