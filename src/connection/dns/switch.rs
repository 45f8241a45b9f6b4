//! What the `hosts:` line of `/etc/nsswitch.conf` says (nsswitch.conf(5)): can a stub resolver do what the system would?
//!
//! The rule. We do it ourselves where `files` is asked before `dns`, both with what they do by default. Beside them there
//! may be: `resolve` (systemd-resolved does the same by DNS at the server that it has put into resolv.conf), which may
//! stand for either; `myhostname` (names of this machine); the mdns family, which owns `.local`, and `mymachines`, which
//! owns names without a dot: such names alone are left to the system. Anything else (`ldap`, `nis`, `wins`, `libvirt` ...,
//! no `dns`, another order, another action) leaves every name to the system. No file and no line mean `files dns`.

/// For which names the system itself has to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    all: bool,
    local: bool,
    undotted: bool,
}

impl Switch {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Switch {
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
        let Some(sources) = lines.find_map(|line| line.strip_prefix("hosts:")) else { return Switch::default() };
        // Actions may be written with spaces in their brackets.
        let sources = sources.to_ascii_lowercase().replace('[', " [").replace(']', "] ");
        let mut switch = Switch::default();
        let (mut files, mut dns, mut may_act, mut in_brackets) = (false, false, false, false);
        for word in sources.split_whitespace() {
            if in_brackets || word.starts_with('[') {
                switch.all |= !may_act;
                in_brackets = !word.ends_with(']');
                continue;
            }
            may_act = false;
            match word {
                "files" => files = true,
                "resolve" => (files, dns, may_act) = (true, true, true),
                "dns" => {
                    switch.all |= !files;
                    (dns, may_act) = (true, true);
                }
                "myhostname" => {}
                "mdns" | "mdns4" | "mdns6" | "mdns_minimal" | "mdns4_minimal" | "mdns6_minimal" => {
                    (switch.local, may_act) = (true, true);
                }
                "mymachines" => switch.undotted = true,
                _ => switch.all = true,
            }
        }
        switch.all |= !dns;
        switch
    }

    /// Whether the system has to be asked for this name.
    pub fn leaves_to_system(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_local = name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("local"));
        self.all || (self.local && is_local) || (self.undotted && !name.contains('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For which of a name without a dot, one with, and one under `.local` the system is asked.
    fn left(line: &str) -> [bool; 3] {
        let switch = Switch::parse(&format!("passwd: files ldap\n{line}\nnetworks: files\n"));
        ["redis", "redis.example", "Redis.LOCAL."].map(|name| switch.leaves_to_system(name))
    }

    #[test]
    fn what_distributions_write_is_done_without_the_system() {
        for line in [
            "",
            "#hosts: ldap",
            "hosts:          files dns",
            "hosts: files myhostname resolve [!UNAVAIL=return] dns",
            "hosts: resolve [ !UNAVAIL=return ] files myhostname dns # by DNS",
            "hosts: files dns [NOTFOUND=return]",
        ] {
            assert_eq!(left(line), [false; 3], "{line}");
        }
    }

    #[test]
    fn names_that_multicast_or_machines_own_are_left_to_the_system() {
        assert_eq!(left("hosts: files mdns4_minimal [NOTFOUND=return] dns"), [false, false, true]);
        assert_eq!(left("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns"), [true, false, false]);
    }

    #[test]
    fn every_name_is_left_to_the_system_where_a_stub_could_not_do_the_same() {
        for line in [
            "hosts: files",
            "hosts:",
            "hosts: dns files",
            "hosts: files ldap dns",
            "hosts: files [NOTFOUND=return] dns",
            "hosts: files myhostname[SUCCESS=merge] dns",
            "hosts: files dns wins",
        ] {
            assert_eq!(left(line), [true; 3], "{line}");
        }
    }
}
