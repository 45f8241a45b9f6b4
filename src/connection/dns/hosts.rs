//! What `/etc/hosts` says (hosts(5)): addresses that need no asking.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::connection::{Interest, Lookup, Pollable};
use crate::time::Instant;

/// The names of a hosts file.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads the text of the file. Lines that say nothing are passed over.
    pub fn parse(text: &str) -> Hosts {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            for name in words {
                let addresses = names.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Hosts(names)
    }

    /// The addresses of a name, in the order of the file.
    pub fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.0.get(&name).cloned().or_else(|| {
            // This machine under its everlasting name, whatever the file says (RFC 6761).
            let local = name == "localhost" || name.ends_with(".localhost");
            local.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        })
    }
}

/// The answer that is there already.
pub struct Known(pub Vec<IpAddr>);

impl Lookup for Known {
    fn step(&mut self, _now: Instant) -> Option<io::Result<Vec<IpAddr>>> {
        Some(Ok(std::mem::take(&mut self.0)))
    }

    fn awaited(&self) -> Vec<(&dyn Pollable, Interest)> {
        Vec::new()
    }

    fn due(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(hosts: &Hosts, name: &str) -> Option<Vec<String>> {
        hosts.find(name).map(|addresses| addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_name_has_all_addresses_that_any_line_gives_it() {
        let text = "127.0.0.1 localhost\n10.0.0.1\tRedis.Internal redis # 10.0.0.9 not\n\
                    fd00::1 redis\n10.0.0.1 redis\nnonsense redis\nfe80::1%eth0 redis\n10.0.0.3\n";
        let hosts = Hosts::parse(text);
        assert_eq!(found(&hosts, "REDIS."), Some(vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()]));
        assert_eq!(found(&hosts, "redis.internal"), Some(vec!["10.0.0.1".to_owned()]));
        assert_eq!(found(&hosts, "not"), None);
        assert_eq!(found(&hosts, "localhost"), Some(vec!["127.0.0.1".to_owned()]), "the file's word counts");
    }

    #[test]
    fn localhost_needs_no_file() {
        let both = Some(vec!["127.0.0.1".to_owned(), "::1".to_owned()]);
        assert_eq!(found(&Hosts::default(), "localhost"), both);
        assert_eq!(found(&Hosts::default(), "app.localhost."), both);
        assert_eq!(found(&Hosts::default(), "mylocalhost"), None);
    }
}
