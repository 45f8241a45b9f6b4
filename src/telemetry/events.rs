//! Events: state changes that a listener may want to know, kept until they can be delivered.

use std::collections::VecDeque;
use std::time::Duration;

/// A state change.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The primary was lost or refused writes, and the search for the promoted one began.
    FailoverStarted {
        /// The node that was primary, if one was known.
        node: Option<String>,
        /// What showed it.
        cause: String,
    },
    /// A primary was found.
    FailoverCompleted {
        /// The node that was primary before, if one was known.
        from: Option<String>,
        /// The node that is primary now.
        to: String,
        /// What had started the search.
        cause: String,
        /// From the start of the search to its end.
        duration: Duration,
        /// Whether another node than before is primary.
        promoted: bool,
    },
    /// The deadline passed before a primary was found.
    FailoverFailed {
        /// The node that was primary, if one was known.
        node: Option<String>,
        /// What had started the search.
        cause: String,
        /// How long was searched.
        duration: Duration,
    },
}

impl Event {
    /// The event's name for listeners.
    pub fn name(&self) -> &'static str {
        match self {
            Event::FailoverStarted { .. } => "failover.started",
            Event::FailoverCompleted { .. } => "failover.completed",
            Event::FailoverFailed { .. } => "failover.failed",
        }
    }
}

/// Events that wait for delivery. When nobody takes them the oldest go.
#[derive(Debug, Default)]
pub struct EventQueue {
    waiting: VecDeque<Event>,
}

impl EventQueue {
    const CAPACITY: usize = 64;

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        if self.waiting.len() == Self::CAPACITY {
            self.waiting.pop_front();
        }
        self.waiting.push_back(event);
    }

    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_event() {
        let mut queue = EventQueue::default();
        for number in 0..=EventQueue::CAPACITY {
            queue.push(Event::FailoverStarted { node: None, cause: number.to_string() });
        }
        assert_eq!(queue.pop(), Some(Event::FailoverStarted { node: None, cause: "1".into() }));
        assert_eq!(queue.waiting.len(), EventQueue::CAPACITY - 1);
    }
}
