//! Looking around before a write because the primary has lost replicas: was one of them promoted? (P12)

use std::time::Duration;

use crate::discovery::{Search, Step};
use crate::pool::Look;
use crate::telemetry::Event;
use crate::time::Deadline;

use super::call::Call;
use super::state::Client;

/// How long one waits for answers where a node is known to hang. Nodes of one region answer within a few.
const SHORT: Duration = Duration::from_millis(20);

impl Client {
    /// One round of questions to all nodes that are known. True if another one was promoted out of the history of the
    /// present primary, and is known as the primary now; otherwise the present one is trusted on.
    ///
    /// It takes as long as the slowest answer. Nodes that refuse answer at once; one that hangs is waited for no longer
    /// than `suspect_after`, and once in a while only.
    #[cold]
    pub(super) fn look_around(&mut self, call: &mut Call, look: &Look) -> bool {
        let knowledge = self.deployment.knowledge();
        let Some(node) = knowledge.primary().cloned() else { return false };
        let cause = if look.away.is_empty() {
            "its replicas are gone, as another worker saw, or did not acknowledge a write"
        } else {
            "replicas that were attached to it are gone"
        };
        if look.first {
            let missing = look.away.iter().map(ToString::to_string).collect();
            self.events.push(Event::primary_suspected(node.to_string(), missing, cause.to_owned()));
        }
        let Ok(settings) = self.search_settings() else { return false };
        let policy = &self.configuration.policy;
        let started = self.world.clock.now();
        let patience = if look.patient { policy.suspect_after } else { SHORT.min(policy.suspect_after) };
        let until = Deadline::after(started, Some(patience)).min(call.deadline);
        let cap = policy.retry.cap;
        let mut search = Search::wide(self.deployment.key(), &knowledge, settings, cap, started);
        search.suspect(node.clone(), knowledge.histories().to_vec());
        search.ask_all(&look.away, until.instant());
        // A step may come upon an answer at the very end of the time; what hung until then has hung all the same.
        let mut in_vain = false;
        while !in_vain {
            let (network, clock) = (&*self.world.network, &*self.world.clock);
            in_vain = until.passed(clock.now());
            match search.step(network, clock) {
                Step::Found(found) if search.supersedes(&found, &node) => {
                    let promoted = found.node.to_string();
                    if self.keep_found(*found).is_none() {
                        // Another worker has found another one: that is known now, and the command goes there.
                        return true;
                    }
                    self.count_wait(call, started);
                    let cause = format!("another node was promoted: {cause}");
                    self.tell(Some(node.to_string()), cause, started, Some((promoted, true)));
                    return true;
                }
                Step::Found(_) | Step::Hopeless(..) => break,
                Step::Searching if search.is_settled() => break,
                Step::Searching => {}
            }
            search.wait(network, clock, None, until);
        }
        if in_vain {
            self.deployment.watch().waited_in_vain(self.world.clock.now());
        }
        false
    }
}
