//! What workers tell each other of a deployment: knowledge and its proof, as lines of text.

use crate::config::NodeAddress;

use super::{Lineage, Mode, Report, Role, Watched};

/// What one worker found, in the form in which others can judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The primary.
    pub primary: NodeAddress,
    /// How it was started.
    pub mode: Mode,
    /// The histories that it and those before it wrote; the latest last.
    pub histories: Vec<String>,
    /// The primary before it, if that is not seen as a replica yet.
    pub former: Option<NodeAddress>,
    /// The replicas.
    pub replicas: Vec<NodeAddress>,
    /// The sentinels that it was found through.
    pub watched: Option<Watched>,
    /// What shows that it is primary.
    pub evidence: Evidence,
}

/// What a search saw besides the primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The history that the primary writes and the one that it came from, where it may be asked.
    pub lineage: Option<(String, String)>,
    /// Whether it holds nothing of the history that it came from.
    pub began_anew: bool,
    /// The nodes that said of themselves that they are replicas.
    pub demoted: Vec<NodeAddress>,
    /// The node that was primary and did not answer when it was asked.
    pub silent: Option<NodeAddress>,
}

/// The first line. Another version of the library must not read this one's notices.
const VERSION: &str = concat!("notice ", env!("CARGO_PKG_VERSION"), "\n");

impl Evidence {
    /// Takes the lineage out of the primary's own report.
    pub fn of(report: &Report, demoted: Vec<NodeAddress>, silent: Option<NodeAddress>) -> Evidence {
        let lineage = report.lineage.as_ref().map(|lineage| (lineage.id.clone(), lineage.previous_id.clone()));
        let began_anew = report.lineage.as_ref().is_some_and(Lineage::began_anew);
        Evidence { lineage, began_anew, demoted, silent }
    }

    /// What the primary said of itself, as far as it proves anything.
    pub fn report(&self) -> Report {
        let forked_at = self.began_anew.then_some(0);
        let lineage = self.lineage.clone().map(|(id, previous_id)| Lineage {
            id,
            previous_id,
            forked_at,
            kept_from: forked_at,
            ..Lineage::default()
        });
        Report { lineage, ..Report::silent(Role::Primary) }
    }
}

impl Notice {
    /// The notice as bytes, `room` of them at the most: what is least missed stands last and is left out.
    pub fn encode(&self, room: usize) -> Vec<u8> {
        let mut text = VERSION.to_owned();
        let mut line = |word: &str, rest: &str| {
            // A socket's path may hold anything; what would break the form is not told.
            if !rest.contains('\n') && text.len() + word.len() + rest.len() + 2 <= room {
                text.push_str(word);
                text.push(' ');
                text.push_str(rest);
                text.push('\n');
            }
        };
        line("primary", &spell(&self.primary));
        line("mode", self.mode.as_str());
        if let Some((id, previous_id)) = &self.evidence.lineage {
            line(if self.evidence.began_anew { "anew" } else { "lineage" }, &format!("{id} {previous_id}"));
        }
        self.watched.iter().for_each(|watched| line("service", &watched.service));
        self.histories.iter().for_each(|history| line("history", history));
        self.former.iter().for_each(|node| line("former", &spell(node)));
        self.evidence.silent.iter().for_each(|node| line("silent", &spell(node)));
        self.replicas.iter().for_each(|node| line("replica", &spell(node)));
        let sentinels = self.watched.iter().flat_map(|watched| &watched.sentinels);
        sentinels.for_each(|node| line("sentinel", &spell(node)));
        self.evidence.demoted.iter().for_each(|node| line("demoted", &spell(node)));
        text.into_bytes()
    }

    /// Reads a notice; `None` if it is none of this version's.
    pub fn decode(bytes: &[u8]) -> Option<Notice> {
        let lines = std::str::from_utf8(bytes).ok()?.strip_prefix(VERSION)?;
        let mut primary = None;
        let mut notice = Notice {
            primary: NodeAddress::unix(""),
            mode: Mode::Standalone,
            histories: Vec::new(),
            former: None,
            replicas: Vec::new(),
            watched: None,
            evidence: Evidence::default(),
        };
        for (word, rest) in lines.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "primary" => primary = Some(read(rest)?),
                "mode" => notice.mode = Mode::from_word(rest)?,
                "lineage" | "anew" => {
                    notice.evidence.began_anew = word == "anew";
                    let (id, previous_id) = rest.split_once(' ')?;
                    notice.evidence.lineage = Some((id.to_owned(), previous_id.to_owned()));
                }
                "history" => notice.histories.push(rest.to_owned()),
                "former" => notice.former = Some(read(rest)?),
                "silent" => notice.evidence.silent = Some(read(rest)?),
                "service" => notice.watched = Some(Watched { service: rest.to_owned(), sentinels: Vec::new() }),
                "sentinel" => notice.watched.as_mut()?.sentinels.push(read(rest)?),
                "replica" => notice.replicas.push(read(rest)?),
                "demoted" => notice.evidence.demoted.push(read(rest)?),
                _ => return None,
            }
        }
        Some(Notice { primary: primary?, ..notice })
    }
}

pub(super) fn spell(node: &NodeAddress) -> String {
    match node {
        NodeAddress::Tcp { host, port } => format!("tcp {port} {host}"),
        NodeAddress::Unix { path } => format!("unix {path}"),
    }
}

pub(super) fn read(text: &str) -> Option<NodeAddress> {
    match text.split_once(' ')? {
        ("unix", path) => Some(NodeAddress::unix(path)),
        ("tcp", rest) => {
            let (port, host) = rest.split_once(' ')?;
            Some(NodeAddress::tcp(host, port.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            primary: NodeAddress::tcp("redis.example", 6379),
            mode: Mode::Standalone,
            histories: vec!["aa".into(), "bb".into()],
            former: Some(NodeAddress::unix("/run/a socket")),
            replicas: vec![NodeAddress::tcp("::1", 1), NodeAddress::tcp("10.0.0.3", 3)],
            watched: Some(Watched {
                service: "my master".into(),
                sentinels: vec![NodeAddress::tcp("10.0.0.4", 26379)],
            }),
            evidence: Evidence {
                lineage: Some(("bb".into(), String::new())),
                began_anew: true,
                demoted: vec![NodeAddress::tcp("10.0.0.3", 3)],
                silent: Some(NodeAddress::tcp("10.0.0.1", 1)),
            },
        }
    }

    #[test]
    fn what_is_told_is_what_is_heard() {
        let told = notice();
        assert_eq!(Notice::decode(&told.encode(2_000)), Some(told));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_end() {
        let told = Notice { replicas: (1..200).map(|port| NodeAddress::tcp("10.0.0.3", port)).collect(), ..notice() };
        let bytes = told.encode(500);
        assert!(bytes.len() <= 500, "{}", bytes.len());
        let heard = Notice::decode(&bytes).unwrap();
        assert_eq!((&heard.primary, &heard.histories), (&told.primary, &told.histories));
        assert!((5..30).contains(&heard.replicas.len()), "{heard:?}");
    }

    #[test]
    fn what_another_version_wrote_or_nobody_is_no_notice() {
        for bytes in [&b""[..], b"notice 0.0.0\nprimary tcp 1 h\n", b"\xff", &notice().encode(30)] {
            assert_eq!(Notice::decode(bytes), None, "{bytes:?}");
        }
    }
}
