//! How far a search looks: where the primary is likely to be, or everywhere, which one worker per host does at a time.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::pool::DeploymentKey;
use crate::time::Instant;
use crate::topology::{Knowledge, Role};

use super::search::{MOST_TARGETS, Search, SearchSettings};
use super::sentinels::Sentinels;
use super::target::Target;

impl Search {
    /// Looks where the primary is likely to be, and everywhere else after `suspect_after` or a disappointment.
    pub fn narrow(
        key: &DeploymentKey,
        knowledge: &Knowledge,
        settings: SearchSettings,
        suspect_after: Duration,
        cap: Duration,
        now: Instant,
    ) -> Search {
        let mut search = Search::wide(key, knowledge, settings, cap, now);
        search.widen_at = now + suspect_after;
        let listed = key.endpoints.len() > 1;
        let likely: Vec<NodeAddress> = match knowledge.primary() {
            Some(primary) if listed => vec![primary.clone()],
            // DNS is asked anew for every connection. A primary that was found elsewhere is asked beside it.
            Some(primary) => vec![primary.clone(), key.endpoints[0].address.clone()],
            None => key.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect(),
        };
        search.keep_back(|address| !likely.contains(address));
        search
    }

    /// Looks at the primary that another worker has found this moment, and everywhere else only if it is not there.
    pub fn direct(
        key: &DeploymentKey,
        knowledge: &Knowledge,
        settings: SearchSettings,
        suspect_after: Duration,
        cap: Duration,
        now: Instant,
    ) -> Search {
        let mut search = Search::wide(key, knowledge, settings, cap, now);
        search.widen_at = now + suspect_after;
        search.keep_back(|address| knowledge.primary() != Some(address));
        search.aside = search.sentinels.take();
        search
    }

    /// Keeps it from looking everywhere before [`Search::go_wide`] is called. What it knows of likely places it asks.
    #[must_use]
    pub fn holding_back(mut self) -> Search {
        self.free = false;
        if self.widen_at == Instant::FAR_FUTURE {
            self.widen_at = self.started;
            self.keep_back(|_| true);
            self.aside = self.sentinels.take();
        }
        self
    }

    /// Lets it look everywhere as soon as it wants to.
    pub fn go_wide(&mut self) {
        self.free = true;
    }

    /// Whether it would look everywhere now, if it might.
    pub fn is_held_back(&self, now: Instant) -> bool {
        !self.free && self.widen_at != Instant::FAR_FUTURE && (now >= self.widen_at || self.is_disappointed())
    }

    /// Whether it looks everywhere.
    pub fn is_wide(&self) -> bool {
        self.widen_at == Instant::FAR_FUTURE
    }

    /// Whether anything that was asked is still to be answered.
    pub fn is_awaiting(&self) -> bool {
        self.targets.iter().any(Target::is_awaited)
            || self.sentinels.as_ref().is_some_and(Sentinels::is_awaited)
            || self.names.iter().any(|name| name.awaited().is_some())
    }

    fn keep_back(&mut self, unlikely: impl Fn(&NodeAddress) -> bool) {
        let targets = self.targets.extract_if(.., |target| unlikely(&target.node));
        self.others = targets.map(|target| target.node).collect();
        let names = std::mem::take(&mut self.names);
        (self.other_names, self.names) = names.into_iter().partition(|name| unlikely(&name.address()));
    }

    pub(super) fn widen(&mut self, now: Instant) {
        self.widen_at = Instant::FAR_FUTURE;
        self.names.append(&mut self.other_names);
        self.sentinels = self.aside.take().or(self.sentinels.take());
        for node in std::mem::take(&mut self.others) {
            self.add_hinted(&node, MOST_TARGETS);
        }
        self.next_round = now;
    }

    /// Whether a likely place has turned out not to be it. Where a primary is known, that is the likely place: that the
    /// endpoint is dead has been seen when that one was found.
    pub(super) fn is_disappointed(&self) -> bool {
        let known = self.known.as_ref().filter(|known| self.targets.iter().any(|target| target.node == **known));
        let likely = |target: &&Target| known.is_none_or(|known| *known == target.node);
        let target_let_us_down = self.targets.iter().filter(likely).any(|target| {
            target.failure().is_some() || target.report().is_some_and(|report| report.role == Role::Replica)
        });
        target_let_us_down || known.is_none() && self.names.iter().any(|name| name.failure().is_some())
    }
}
