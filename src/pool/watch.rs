//! Whether the replicas of the primary are still there (P12): what was seen of them, and what is to be done before and
//! with the next write.
//!
//! A primary that loses its replicas while it goes on serving us may be the old half of a split brain: one of them may
//! have been promoted, and what the old half accepts from then on is lost. It costs nothing to ask the primary now and
//! then, in the same write as a command, and little to look around when its answer gives cause to.

use std::time::Duration;

use parking_lot::Mutex;

use crate::board::Record;
use crate::config::NodeAddress;
use crate::time::{AtomicInstant, Instant};
use crate::topology::Report;

/// How often a primary with replicas is asked whether they are still there; also the least distance of two looks around.
const PACE: Duration = Duration::from_millis(50);
/// While replicas stay away and nobody is promoted one looks around less and less often, down to this.
const LEAST_OFTEN: Duration = Duration::from_secs(1);
/// How often a primary is asked that has no replicas, as far as is known: some may be added, and those of a promoted one
/// attach a moment later.
const WITHOUT_REPLICAS: Duration = Duration::from_secs(1);
/// How often a user is asked who may neither call ROLE nor INFO: the rights may change.
const DENIED: Duration = Duration::from_secs(60);
/// A replica that stayed away for so long while others are attached was removed.
const REMOVED_AFTER: Duration = Duration::from_secs(60);
/// A node that hung when one looked around is not waited for again for so long.
const HANGS_FOR: Duration = Duration::from_secs(60);

/// What is known of the replicas of the primary, and what is due.
#[derive(Debug, Default)]
pub struct Watch {
    /// When the next write has to do something: the only thing that a write looks at as long as nothing is due.
    due: AtomicInstant,
    notes: Mutex<Notes>,
}

/// All of it is about the primary of one epoch.
#[derive(Debug, Default)]
struct Notes {
    epoch: u64,
    /// The replicas that were attached to the primary, by its own word.
    attached: Vec<NodeAddress>,
    /// Whether the primary told of them a moment ago, so that there is no need to ask.
    fresh: bool,
    question: Question,
    doubt: Option<Doubt>,
    demoted: bool,
    looked_at: Option<Instant>,
    /// The host's alarm as of the last plan.
    alarm: Option<u64>,
    /// Until when nobody is waited for who does not answer at once.
    hasty_until: Instant,
}

#[derive(Debug)]
struct Doubt {
    /// The replicas that are missing; empty if the doubt has another reason.
    away: Vec<NodeAddress>,
    since: Option<Instant>,
    /// How often was looked around in vain.
    looks: u32,
}

/// The question that a primary is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Question {
    /// ROLE: short, and enough.
    #[default]
    Role,
    /// INFO replication, where ROLE is not permitted.
    Info,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is primary, and these replicas are attached.
    Primary(Vec<NodeAddress>),
    /// It is a replica now.
    Replica,
    /// The user may not ask.
    Denied,
}

/// What a write has to do before it is sent, or with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Nothing,
    /// Ask the primary in the same write.
    Ask(Question),
    /// Look first whether another node was promoted, then ask.
    Look(Look),
    /// The node said that it is a replica: search for the primary.
    Search,
}

/// How to look around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The replicas that are missing at the primary.
    pub away: Vec<NodeAddress>,
    /// Whether this doubt is new.
    pub first: bool,
    /// Whether to wait for a node that does not answer at once.
    pub patient: bool,
    /// What to ask the primary if nobody was promoted.
    pub question: Question,
}

/// What a command allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// It may go to another node than the last one.
    pub look: bool,
    /// A question may ride with it.
    pub ask: bool,
}

impl Watch {
    /// Whether a write has to ask for a plan.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.get() <= now
    }

    /// What the write that begins `now` has to do, with the primary of `epoch`. Of several that ask at the same time one
    /// gets the task, and of the workers that share the record of this host, too.
    pub(super) fn plan(&self, now: Instant, epoch: u64, allowed: Allowed, host: &Record) -> Plan {
        let due = self.due.get();
        if due > now {
            return Plan::Nothing;
        }
        let mut notes = self.notes.lock();
        if epoch == 0 {
            return Plan::Nothing;
        }
        if notes.epoch != epoch {
            // Somebody else found it: what replicas it has is not known yet.
            notes.begin(epoch);
        }
        if notes.demoted && !allowed.look {
            return Plan::Nothing;
        }
        if notes.demoted {
            return Plan::Search;
        }
        let alarm = host.alarm();
        // An alarm from before we knew this primary is none of ours.
        if notes.alarm.replace(alarm).is_some_and(|heard| heard != alarm) && notes.doubt.is_none() {
            notes.doubt = Some(Doubt { away: Vec::new(), since: None, looks: 0 });
        }
        let possible = if notes.doubt.is_some() { allowed.look } else { allowed.ask };
        let pace = notes.pace();
        if !possible || !self.due.advance(due, now + pace) {
            return Plan::Nothing;
        }
        let (question, patient) = (notes.question, now >= notes.hasty_until);
        let fresh = std::mem::take(&mut notes.fresh);
        let ask = || match host.questions().take(now.as_nanos(), PACE) {
            Ok(()) => Plan::Ask(question),
            // Another worker asked, and would have told of what it found.
            Err(asked_at) => {
                self.due.set(Instant::of_nanos(asked_at) + pace);
                Plan::Nothing
            }
        };
        let Some(doubt) = &mut notes.doubt else {
            return if fresh { Plan::Nothing } else { ask() };
        };
        doubt.since.get_or_insert(now);
        doubt.looks = doubt.looks.saturating_add(1);
        let first = doubt.looks == 1;
        let away = doubt.away.clone();
        match host.looks().take(now.as_nanos(), pace) {
            Ok(()) => {
                notes.looked_at = Some(now);
                Plan::Look(Look { away, first, patient, question })
            }
            // Another worker looked, and would have told of a promotion. But the replicas may be back.
            Err(_) if allowed.ask => ask(),
            Err(_) => Plan::Nothing,
        }
    }

    /// Takes what the primary of `epoch` answered. True if all its replicas are there.
    pub(super) fn heed(&self, epoch: u64, answer: Answer, now: Instant, host: &Record) -> bool {
        let mut notes = self.notes.lock();
        if notes.epoch != epoch {
            return false;
        }
        match answer {
            Answer::Primary(list) => {
                let complete = notes.compare(list, now);
                if notes.is_alarmed() {
                    // What is new is looked into before the next write, whoever writes next.
                    self.alarm(&mut notes, now, host);
                } else {
                    self.due.set(now + notes.pace());
                }
                return complete;
            }
            Answer::Replica => {
                notes.demoted = true;
                self.due.set(Instant::default());
            }
            Answer::Denied => {
                let (next, after) = match notes.question {
                    Question::Role => (Question::Info, PACE),
                    Question::Info => (Question::Role, DENIED),
                };
                notes.question = next;
                self.due.set(now + after);
            }
        }
        false
    }

    /// Says that the primary of `epoch` gives cause for doubt that its list of replicas does not show: they do not
    /// acknowledge. That may go on for long without anybody being promoted.
    pub(super) fn suspect(&self, epoch: u64, now: Instant, host: &Record) {
        let mut notes = self.notes.lock();
        if notes.epoch != epoch || notes.doubt.is_some() {
            return;
        }
        if notes.looked_at.is_none_or(|last| now.since(last) >= LEAST_OFTEN) {
            notes.doubt = Some(Doubt { away: Vec::new(), since: Some(now), looks: 0 });
            self.alarm(&mut notes, now, host);
        }
    }

    fn alarm(&self, notes: &mut Notes, now: Instant, host: &Record) {
        self.due.set(Instant::default());
        notes.alarm = Some(now.as_nanos());
        host.raise_alarm(now.as_nanos());
    }

    /// Says that somebody who did not answer kept us waiting when we looked around.
    pub fn waited_in_vain(&self, now: Instant) {
        self.notes.lock().hasty_until = now + HANGS_FOR;
    }

    /// Takes what the primary of `epoch` said of itself when a connection to it was opened.
    pub(super) fn primary_said(&self, epoch: u64, report: &Report) {
        let mut notes = self.notes.lock();
        let tells = report.lineage.is_some();
        if notes.epoch != epoch {
            notes.begin(epoch);
            (notes.attached, notes.fresh) = (report.online.clone(), tells);
            self.due.set(Instant::default());
            return;
        }
        if std::mem::take(&mut notes.demoted) {
            self.due.set(Instant::default());
        }
        if tells && notes.doubt.is_none() {
            let away = notes.away(&report.online);
            notes.fresh = away.is_empty();
            if away.is_empty() {
                notes.attached.clone_from(&report.online);
            } else {
                notes.doubt = Some(Doubt { away, since: None, looks: 0 });
            }
            self.due.set(Instant::default());
        }
    }
}

impl Notes {
    /// Begins anew with another primary. What the user may ask and which nodes hang has nothing to do with it.
    fn begin(&mut self, epoch: u64) {
        *self = Notes { epoch, question: self.question, hasty_until: self.hasty_until, ..Notes::default() };
    }

    fn pace(&self) -> Duration {
        match &self.doubt {
            Some(doubt) => PACE.saturating_mul(1 << doubt.looks.min(10)).min(LEAST_OFTEN),
            None if self.attached.is_empty() => WITHOUT_REPLICAS,
            None => PACE,
        }
    }

    fn away(&self, list: &[NodeAddress]) -> Vec<NodeAddress> {
        self.attached.iter().filter(|node| !list.contains(node)).cloned().collect()
    }

    /// Whether there is a doubt that nobody has looked into.
    fn is_alarmed(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.looks == 0)
    }

    /// Compares the replicas that are attached with those that were. True if none is missing.
    fn compare(&mut self, list: Vec<NodeAddress>, now: Instant) -> bool {
        let away = self.away(&list);
        let removed =
            self.doubt.as_ref().and_then(|doubt| doubt.since).is_some_and(|since| now.since(since) >= REMOVED_AFTER);
        if away.is_empty() || (removed && !list.is_empty()) {
            self.doubt = None;
            self.attached = list;
            return true;
        }
        let added: Vec<NodeAddress> = list.into_iter().filter(|node| !self.attached.contains(node)).collect();
        self.attached.extend(added);
        match &mut self.doubt {
            Some(doubt) if away.iter().all(|node| doubt.away.contains(node)) => doubt.away = away,
            Some(doubt) => *doubt = Doubt { away, since: doubt.since, looks: 0 },
            None => self.doubt = Some(Doubt { away, since: Some(now), looks: 0 }),
        }
        false
    }
}
