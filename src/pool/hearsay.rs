//! What the workers of a host tell each other of a deployment (P10): one learns, all know.

use std::sync::atomic::Ordering;

use crate::board::{Place, Publication, ROOM};
use crate::config::NodeAddress;
use crate::topology::{Change, Evidence, Knowledge, Notice, Report};

use super::Deployment;

/// What became of something learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It is known now.
    New(Change),
    /// Another worker published another primary since the search for this one began: his counts.
    Overtaken,
}

/// What another worker told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// His words.
    pub notice: Notice,
    /// The primary that we knew before, if it is another one now.
    pub former: Option<NodeAddress>,
}

impl Deployment {
    /// The record of this deployment.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether another worker, or another object of this process, has put up something to look at. This is all that a
    /// command without trouble costs: two loads.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.place.news() != self.seen.load(Ordering::Relaxed)
    }

    /// Looks at what was published. `None` if it is what we know already, or cannot be read.
    pub fn hear(&self) -> Option<Heard> {
        // Read first: what comes up after this is news again. Trouble stays news until it is over.
        let news = self.place.news();
        let seen = if self.place.is_troubled() { news.wrapping_sub(1) } else { news };
        self.seen.store(seen, Ordering::Relaxed);
        let mut knowledge = self.knowledge.lock();
        if self.place.stamp() == knowledge.stamp() {
            return None;
        }
        let published = self.place.read()?;
        knowledge.published(published.stamp);
        let mut notice = Notice::decode(&published.bytes).filter(|notice| self.key.admits(&notice.primary))?;
        notice.replicas.retain(|node| self.key.admits(node));
        if let Some(watched) = &mut notice.watched {
            watched.sentinels.retain(|node| self.key.admits(node));
        }
        let former = knowledge.primary().filter(|known| **known != notice.primary).cloned();
        knowledge.take_over(&notice);
        self.epoch.store(knowledge.epoch(), Ordering::Release);
        Some(Heard { notice, former })
    }

    /// What was told last, whoever of this process has heard it.
    pub fn told(&self) -> Option<Notice> {
        Notice::decode(&self.place.read()?.bytes).filter(|notice| self.key.admits(&notice.primary))
    }

    /// Learns from what a primary said of itself, and tells the others, unless one of them has told of another primary
    /// since the publication that the search was `based_on`. `now` is in nanoseconds.
    pub fn learn_primary(
        &self,
        address: &NodeAddress,
        report: &Report,
        evidence: Evidence,
        based_on: u64,
        now: u64,
    ) -> Learned {
        let mut report = report.clone();
        report.replicas.retain(|node| self.key.admits(node));
        let change = {
            let mut knowledge = self.knowledge.lock();
            let mut next = knowledge.clone();
            let change = next.learn_primary(address, &report);
            if !self.is_late(&mut next, evidence, change, based_on, now) {
                *knowledge = next;
                self.epoch.store(knowledge.epoch(), Ordering::Release);
                self.watch.primary_said(knowledge.epoch(), &report);
                return Learned::New(change);
            }
            change
        };
        // Somebody was faster. Mostly he has found the same.
        self.hear();
        let knowledge = self.knowledge.lock();
        if knowledge.primary() == Some(address) { Learned::New(change) } else { Learned::Overtaken }
    }

    /// Publishes what is known next. True if somebody else has published another finding since.
    fn is_late(&self, next: &mut Knowledge, mut evidence: Evidence, change: Change, based_on: u64, now: u64) -> bool {
        let before = self.place.read();
        let told = before.as_ref().and_then(|published| Notice::decode(&published.bytes));
        let told = told.filter(|told| next.primary() == Some(&told.primary));
        if let Some(told) = &told {
            // Who waits for a silent node wants to know what showed that another one was promoted.
            evidence.demoted.clone_from(&told.evidence.demoted);
            evidence.silent.clone_from(&told.evidence.silent);
        }
        let Some(notice) = next.notice(evidence) else { return false };
        // Which sentinels answered is no news.
        let same =
            |told| Notice { evidence: notice.evidence.clone(), watched: notice.watched.clone(), ..told } == notice;
        if told.is_some_and(same) {
            return false;
        }
        // What the record says may have been another worker's finding all along, or nothing that can be read.
        let renewed = change == Change::Promoted || before.is_none();
        match self.place.publish(based_on, renewed, &notice.encode(ROOM), now) {
            Publication::Done(stamp) => {
                next.published(stamp);
                false
            }
            Publication::Lost => true,
            Publication::Unheard => false,
        }
    }
}
