//! What `/etc/resolv.conf` says (resolv.conf(5)), within the bounds that the C library has.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const PORT: u16 = 53;
/// As in the C library (MAXNS, RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY).
const MOST_SERVERS: usize = 3;
const MOST_DOTS: usize = 15;
const LONGEST_TIMEOUT: u64 = 30;
const MOST_ATTEMPTS: u32 = 5;
/// The C library has no bound any more; Kubernetes allows as many.
const MOST_DOMAINS: usize = 32;

/// Whom to ask, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name servers, first choice first; none if the file names none that can be used.
    pub servers: Vec<SocketAddr>,
    /// The domains that a short name may be completed with.
    pub search: Vec<String>,
    /// A name with at least so many dots is tried as it is before it is completed.
    pub ndots: usize,
    /// `timeout` times `attempts`: how long one name is asked for in vain.
    pub patience: Duration,
    /// Whether lookups take turns in whom they ask first.
    pub rotate: bool,
    /// Whether to ask over TCP from the start.
    pub use_tcp: bool,
    /// Whether IPv6 addresses are not wanted.
    pub no_aaaa: bool,
}

/// What the environment may put in place of the file's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `LOCALDOMAIN`: the search list.
    pub local_domain: Option<String>,
    /// `RES_OPTIONS`: further options.
    pub options: Option<String>,
}

impl Environment {
    /// What this process was given.
    pub fn of_process() -> Environment {
        let of = |name| std::env::var(name).ok();
        Environment { local_domain: of("LOCALDOMAIN"), options: of("RES_OPTIONS") }
    }
}

impl Settings {
    /// Reads the text of the file. `hostname` is this machine's: its domain is searched where the file names none.
    pub fn parse(text: &str, hostname: &str, environment: &Environment) -> Settings {
        let mut settings = Settings {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            patience: Duration::ZERO,
            rotate: false,
            use_tcp: false,
            no_aaaa: false,
        };
        let (mut timeout, mut attempts) = (5, 2);
        let mut search: Option<Vec<String>> = None;
        for line in text.lines() {
            let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
            match words.next() {
                Some("nameserver") => settings.add_server(words.next()),
                // The last of them counts.
                Some("domain") => search = Some(words.take(1).map(domain).collect()),
                Some("search") => search = Some(words.map(domain).collect()),
                Some("options") => words.for_each(|word| settings.option(word, &mut timeout, &mut attempts)),
                _ => {}
            }
        }
        if let Some(options) = &environment.options {
            options.split_whitespace().for_each(|word| settings.option(word, &mut timeout, &mut attempts));
        }
        if let Some(domains) = &environment.local_domain {
            search = Some(domains.split_whitespace().map(domain).collect());
        }
        settings.search = search.unwrap_or_else(|| {
            let domain_of_host = hostname.trim().split_once('.').map(|(_, rest)| domain(rest));
            domain_of_host.into_iter().collect()
        });
        settings.search.retain(|domain| !domain.is_empty());
        settings.search.truncate(MOST_DOMAINS);
        settings.patience = Duration::from_secs(timeout) * attempts;
        settings
    }

    fn add_server(&mut self, word: Option<&str>) {
        // An address of one link (fe80::1%eth0) is nothing that can be asked without knowing the link's number.
        if let Some(address) = word.and_then(|word| word.parse::<IpAddr>().ok())
            && self.servers.len() < MOST_SERVERS
        {
            self.servers.push(SocketAddr::new(address, PORT));
        }
    }

    fn option(&mut self, word: &str, timeout: &mut u64, attempts: &mut u32) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match name {
            "ndots" => self.ndots = value.parse().unwrap_or(self.ndots).min(MOST_DOTS),
            "timeout" => *timeout = value.parse().unwrap_or(*timeout).clamp(1, LONGEST_TIMEOUT),
            "attempts" => *attempts = value.parse().unwrap_or(*attempts).clamp(1, MOST_ATTEMPTS),
            "rotate" => self.rotate = true,
            "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
            "no-aaaa" => self.no_aaaa = true,
            _ => {}
        }
    }
}

fn domain(word: &str) -> String {
    word.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Settings {
        Settings::parse(text, "box.lan.example", &Environment::default())
    }

    #[test]
    fn servers_domains_and_options_are_read() {
        let settings = parsed(
            "# comment\n; another\nnameserver 10.0.0.2\nnameserver\tfd00::2 \n\
             search One.example two.example.\noptions ndots:5 timeout:2 attempts:3 rotate use-vc no-aaaa\n",
        );
        let servers: Vec<String> = settings.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2:53", "[fd00::2]:53"]);
        assert_eq!(settings.search, ["one.example", "two.example"]);
        assert_eq!((settings.ndots, settings.patience), (5, Duration::from_secs(6)));
        assert!(settings.rotate && settings.use_tcp && settings.no_aaaa, "{settings:?}");
    }

    #[test]
    fn an_empty_file_names_nobody_and_searches_the_domain_of_the_host() {
        let settings = parsed("");
        assert_eq!(settings.servers, []);
        assert_eq!(settings.search, ["lan.example"]);
        assert_eq!((settings.ndots, settings.patience), (1, Duration::from_secs(10)));
        assert_eq!(Settings::parse("", "box", &Environment::default()).search, [""; 0]);
        assert_eq!(parsed("search .").search, [""; 0], "no domain is a choice, too");
    }

    #[test]
    fn bounds_are_those_of_the_c_library() {
        let text = "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n\
                    options ndots:99 timeout:99 attempts:99";
        let settings = parsed(text);
        assert_eq!(settings.servers.len(), 3);
        assert_eq!((settings.ndots, settings.patience), (15, Duration::from_secs(150)));
        let settings = parsed("options ndots:x timeout:0 attempts:0 timeout: unknown:1");
        assert_eq!((settings.ndots, settings.patience), (1, Duration::from_secs(1)));
        let many = (0..100).fold("search".to_owned(), |text, index| format!("{text} d{index}.example"));
        assert_eq!(parsed(&many).search.len(), 32);
    }

    #[test]
    fn the_last_of_domain_and_search_counts_and_what_is_no_address_is_no_server() {
        let settings = parsed("search a.example b.example\ndomain c.example\nnameserver dns\nnameserver fe80::1%eth0");
        assert_eq!(settings.search, ["c.example"]);
        assert_eq!(settings.servers, []);
    }

    #[test]
    fn the_environment_has_the_last_word() {
        let environment =
            Environment { local_domain: Some("x.example".into()), options: Some("ndots:3 rotate".into()) };
        let settings = Settings::parse("search a.example\noptions ndots:2", "box", &environment);
        assert_eq!((settings.search, settings.ndots, settings.rotate), (vec!["x.example".to_owned()], 3, true));
    }
}
