use std::fs;

use super::*;

/// A folder of configuration files that goes away with the test.
struct Etc {
    folder: PathBuf,
    resolver: Resolver,
}

impl Etc {
    fn new(test: &str) -> Etc {
        let folder = std::env::temp_dir().join(format!("resilient-redis-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        let paths = Paths {
            hosts: path("hosts"),
            resolv_conf: path("resolv.conf"),
            nsswitch: path("nsswitch.conf"),
            hostname: path("hostname"),
        };
        Etc { resolver: Resolver { paths, ..Resolver::default() }, folder }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    fn way(&self, name: &str) -> String {
        match self.resolver.way(name).unwrap() {
            Way::Known(addresses) => format!("known {addresses:?}"),
            Way::Servers(settings, names) => format!("{:?} for {}", settings.servers, names.join(" ")),
            Way::System => "system".to_owned(),
        }
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_hosts_file_comes_first_and_changes_are_seen() {
    let etc = Etc::new("hosts");
    etc.write("resolv.conf", "nameserver 10.0.0.2\nsearch lan\n");
    assert_eq!(etc.way("redis"), "[10.0.0.2:53] for redis.lan redis");
    etc.write("hosts", "10.1.1.1 redis\n");
    assert_eq!(etc.way("redis"), "known [10.1.1.1]");
    etc.write("hosts", "10.1.1.12 redis\n");
    assert_eq!(etc.way("redis"), "known [10.1.1.12]");
    etc.write("resolv.conf", "nameserver 10.0.0.3\n");
    etc.write("hostname", "box.home\n");
    assert_eq!(etc.way("other"), "[10.0.0.3:53] for other.home other", "the domain of the host, as no other is named");
}

#[test]
fn what_the_files_know_is_there_at_the_first_step_without_anything_sent() {
    let etc = Etc::new("known");
    etc.write("hosts", "127.0.0.1 redis.test\n");
    let mut lookup = etc.resolver.begin("redis.test").unwrap();
    let addresses = lookup.step(crate::time::Instant::default()).expect("it is known").unwrap();
    assert_eq!(addresses, [IpAddr::from([127, 0, 0, 1])]);
    assert!(lookup.awaited().is_empty() && lookup.due().is_none());
    assert!(etc.way("localhost").starts_with("known"), "{}", etc.way("localhost"));
}

#[test]
fn the_system_is_asked_where_no_server_is_named_or_more_than_dns_is_configured() {
    let etc = Etc::new("system");
    assert_eq!(etc.way("redis"), "system");
    assert!(etc.way("localhost").starts_with("known"));
    etc.write("resolv.conf", "nameserver ::1\n");
    assert_eq!(etc.way("redis"), "[[::1]:53] for redis");
    etc.write("nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
    assert_eq!(etc.way("redis"), "[[::1]:53] for redis");
    assert_eq!(etc.way("redis.local"), "system");
    etc.write("nsswitch.conf", "hosts: files ldap dns\n");
    assert_eq!(etc.way("redis"), "system");
}

#[test]
fn what_is_no_name_is_refused_before_anybody_is_asked() {
    let etc = Etc::new("refused");
    let error = etc.resolver.begin("rédis").err().expect("no name");
    assert!(error.to_string().contains("xn--"), "{error}");
}
