//! Name servers that said nothing the last time: they are asked after the others for a while, so that a dead one costs
//! its 0.3 s once and not at every lookup of a search. This is all that is remembered of name resolution.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::time::Instant;

/// How long a silent server is not the first choice.
const SHUNNED_FOR: Duration = Duration::from_secs(10);

/// Who is to be asked last, and until when.
#[derive(Debug, Default)]
pub struct Shunned(Mutex<Vec<(SocketAddr, Instant)>>);

impl Shunned {
    /// Notes that a server said nothing though another one did.
    pub fn add(&self, server: SocketAddr, now: Instant) {
        let mut shunned = self.0.lock();
        shunned.retain(|(address, until)| *address != server && *until > now);
        shunned.push((server, now + SHUNNED_FOR));
    }

    /// The servers in the order in which they are asked: from the one of number `first` on, the silent ones last.
    pub fn order(&self, servers: &[SocketAddr], first: usize, now: Instant) -> Vec<SocketAddr> {
        let mut order = servers.to_vec();
        order.rotate_left(first % servers.len().max(1));
        let shunned = self.0.lock();
        order.sort_by_key(|server| shunned.iter().any(|(address, until)| address == server && *until > now));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_asked_last_for_a_while() {
        let servers: Vec<SocketAddr> = ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"].map(|s| s.parse().unwrap()).into();
        let order = |shunned: &Shunned, first, seconds| {
            let now = Instant::default() + Duration::from_secs(seconds);
            let order = shunned.order(&servers, first, now);
            order.iter().map(|server| servers.iter().position(|other| other == server).unwrap()).collect::<Vec<_>>()
        };
        let shunned = Shunned::default();
        assert_eq!(order(&shunned, 0, 0), [0, 1, 2]);
        assert_eq!(order(&shunned, 4, 0), [1, 2, 0], "turns are taken");
        shunned.add(servers[0], Instant::default());
        assert_eq!(order(&shunned, 0, 9), [1, 2, 0]);
        assert_eq!(order(&shunned, 2, 9), [2, 1, 0]);
        assert_eq!(order(&shunned, 0, 11), [0, 1, 2]);
        assert_eq!(shunned.order(&[], 3, Instant::default()), []);
    }
}
