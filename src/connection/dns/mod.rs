//! Names become addresses without a thread and without a wait: the hosts file, then a small stub resolver of our own.
//!
//! Nothing is cached: the files are read again when they have changed, and every lookup asks the name servers, because a
//! failover is seen in DNS only by who asks. Where the system is configured for more than files and DNS, its own resolver
//! is asked in a thread (`system.rs`).

mod candidates;
mod course;
mod exchange;
mod file;
mod hosts;
mod message;
mod route;
mod settings;
mod shunned;
mod stub;
mod switch;
mod system;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Lookup;
use candidates::candidates;
use file::Followed;
use hosts::{Hosts, Known};
use route::usable;
use settings::{Environment, Settings};
use shunned::Shunned;
use stub::StubLookup;
use switch::Switch;
use system::SystemLookups;

/// Where the system keeps its configuration of names.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Names without a server.
    pub hosts: PathBuf,
    /// Which servers to ask.
    pub resolv_conf: PathBuf,
    /// In which order what is asked.
    pub nsswitch: PathBuf,
    /// The name of this machine.
    pub hostname: PathBuf,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            nsswitch: "/etc/nsswitch.conf".into(),
            hostname: "/proc/sys/kernel/hostname".into(),
        }
    }
}

/// Resolves the names of this process.
#[derive(Debug, Default)]
pub struct Resolver {
    paths: Paths,
    files: Mutex<Files>,
    shunned: Arc<Shunned>,
    turn: AtomicUsize,
    system: SystemLookups,
}

#[derive(Debug, Default)]
struct Files {
    hosts: Followed<Hosts>,
    settings: Followed<Settings>,
    switch: Followed<Switch>,
}

impl Resolver {
    /// Begins to resolve a name that is no IP address. Nothing is sent before the first step.
    ///
    /// # Errors
    /// It is no name, or no lookup could be started.
    pub fn begin(&self, name: &str) -> io::Result<Box<dyn Lookup>> {
        Ok(match self.way(name)? {
            Way::Known(addresses) => Box::new(Known(usable(addresses))),
            Way::System => Box::new(self.system.begin(name)?),
            Way::Servers(settings, candidates) => {
                let first = if settings.rotate { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
                Box::new(StubLookup::new(settings, self.shunned.clone(), first, candidates))
            }
        })
    }

    fn way(&self, name: &str) -> io::Result<Way> {
        let (hosts, settings, switch) = {
            let mut files = self.files.lock();
            let hosts = files.hosts.read(&self.paths.hosts, Hosts::parse);
            let settings = files.settings.read(&self.paths.resolv_conf, |text| {
                let hostname = std::fs::read_to_string(&self.paths.hostname).unwrap_or_default();
                Settings::parse(text, &hostname, &Environment::of_process())
            });
            (hosts, settings, files.switch.read(&self.paths.nsswitch, Switch::parse))
        };
        let candidates = candidates(name, &settings.search, settings.ndots)?;
        if switch.leaves_to_system(name) {
            return Ok(Way::System);
        }
        Ok(match hosts.find(name) {
            Some(addresses) => Way::Known(addresses),
            // The system asks one on this machine then; whoever set it up so may know why.
            None if settings.servers.is_empty() => Way::System,
            None => Way::Servers(settings, candidates),
        })
    }
}

/// How a name is resolved.
#[derive(Debug)]
enum Way {
    /// The hosts file has it.
    Known(Vec<IpAddr>),
    /// By asking name servers for these names in turn.
    Servers(Arc<Settings>, Vec<String>),
    /// By the system's own resolver.
    System,
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
