//! Whom to believe when more than one node says that it is primary.

use crate::config::NodeAddress;

use super::{Report, Role};

/// A node's report with what is known of the node besides.
pub struct Witness<'a> {
    /// The node.
    pub address: &'a NodeAddress,
    /// What it said.
    pub report: &'a Report,
    /// Whether sentinels name it.
    pub watched: bool,
    /// Whether the name of a configured endpoint leads to it at the moment.
    pub named: bool,
    /// Whether it is the primary that was known before.
    pub known: bool,
}

/// The index of the witness that is the deployment's primary; `None` if none says so.
///
/// A node that was promoted carries its former history as `master_replid2`; so of two primaries the one whose former
/// history is the other's present one came later and wins. Two primaries of one history are one server under two
/// addresses, since every promotion begins a new history: the known address wins. Undecided by that, a node with
/// replicas attached wins, then one that DNS names, then the known one; there is never an error because of two.
pub fn elect(witnesses: &[Witness<'_>]) -> Option<usize> {
    let claims = witnesses.iter().enumerate().filter(|(_, witness)| witness.report.role == Role::Primary);
    claims.max_by(|(_, one), (_, other)| weigh(one, other)).map(|(index, _)| index)
}

fn weigh(one: &Witness<'_>, other: &Witness<'_>) -> std::cmp::Ordering {
    let later = u8::from(succeeds(one.report, other.report)).cmp(&u8::from(succeeds(other.report, one.report)));
    later
        .then_with(|| match (&one.report.lineage, &other.report.lineage) {
            (Some(a), Some(b)) if a.id == b.id => one.known.cmp(&other.known),
            _ => std::cmp::Ordering::Equal,
        })
        .then_with(|| one.watched.cmp(&other.watched))
        .then_with(|| (!one.report.replicas.is_empty()).cmp(&!other.report.replicas.is_empty()))
        .then_with(|| one.named.cmp(&other.named))
        .then_with(|| one.known.cmp(&other.known))
        // Any rule will do in the end, as long as every worker draws the same conclusion.
        .then_with(|| other.address.cmp(one.address))
}

/// Whether `later` was promoted out of the history that `earlier` still writes.
fn succeeds(later: &Report, earlier: &Report) -> bool {
    let earlier = earlier.lineage.as_ref().map(|earlier| earlier.id.clone());
    earlier.is_some_and(|earlier| Claim::of(later, &[earlier]) == Claim::Promoted)
}

/// What a node that says that it is primary has to do with the primary that was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was promoted out of that one's history.
    Promoted,
    /// It writes that very history: it is that primary, whatever its address.
    Same,
    /// It comes from elsewhere: a stranger, or a former primary that was started again.
    Unrelated,
    /// Nobody can tell: the server does not say, or no history is known.
    Unproven,
}

impl Claim {
    /// Judges a report by the histories that are known of the primary.
    pub fn of(report: &Report, histories: &[String]) -> Claim {
        match &report.lineage {
            Some(lineage) if histories.contains(&lineage.id) => Claim::Same,
            Some(lineage) if histories.contains(&lineage.previous_id) => Claim::Promoted,
            Some(_) if !histories.is_empty() => Claim::Unrelated,
            _ => Claim::Unproven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lineage;
    use super::*;

    fn report(role: Role) -> Report {
        Report::silent(role)
    }

    fn of_lineage(id: &str, previous_id: &str, offset: u64) -> Report {
        let lineage = Lineage { id: id.into(), previous_id: previous_id.into(), offset };
        Report { lineage: Some(lineage), ..report(Role::Primary) }
    }

    fn elected(reports: &[Report], named: Option<usize>) -> Option<usize> {
        elected_knowing(reports, named, None)
    }

    fn elected_knowing(reports: &[Report], named: Option<usize>, known: Option<usize>) -> Option<usize> {
        let addresses: Vec<NodeAddress> =
            (0..reports.len()).map(|index| NodeAddress::tcp("10.0.0.1", 7000 + index as u16)).collect();
        let witnesses: Vec<Witness<'_>> = reports
            .iter()
            .zip(&addresses)
            .enumerate()
            .map(|(index, (report, address))| Witness {
                address,
                report,
                watched: false,
                named: named == Some(index),
                known: known == Some(index),
            })
            .collect();
        elect(&witnesses)
    }

    #[test]
    fn replicas_alone_elect_nobody() {
        assert_eq!(elected(&[report(Role::Replica), report(Role::Replica)], Some(0)), None);
        assert_eq!(elected(&[report(Role::Replica), report(Role::Primary)], Some(0)), Some(1));
    }

    #[test]
    fn the_one_promoted_out_of_the_others_history_wins_though_dns_names_the_other() {
        let old = Report { replicas: vec![NodeAddress::tcp("r", 1)], ..of_lineage("aa", "", 900) };
        let promoted = of_lineage("bb", "aa", 100);
        assert_eq!(elected(&[old.clone(), promoted.clone()], Some(0)), Some(1));
        assert_eq!(elected(&[promoted, old], Some(1)), Some(0));
    }

    #[test]
    fn two_addresses_of_one_server_are_no_rivals_and_the_known_one_stays() {
        let one_server = [of_lineage("aa", "", 5), of_lineage("aa", "", 9)];
        assert_eq!(elected_knowing(&one_server, Some(0), Some(1)), Some(1));
        assert_eq!(elected_knowing(&one_server, Some(1), Some(0)), Some(0));
    }

    #[test]
    fn a_claim_is_judged_by_the_history_that_was_known() {
        let claim = |report: &Report| Claim::of(report, &["aa".to_owned()]);
        assert_eq!(claim(&of_lineage("bb", "aa", 1)), Claim::Promoted);
        assert_eq!(claim(&of_lineage("aa", "", 1)), Claim::Same);
        assert_eq!(claim(&of_lineage("cc", "bb", 1)), Claim::Unrelated);
        assert_eq!(claim(&report(Role::Primary)), Claim::Unproven);
        assert_eq!(Claim::of(&of_lineage("bb", "aa", 1), &[]), Claim::Unproven);
    }

    #[test]
    fn undecided_by_history_the_one_with_replicas_wins_then_the_one_that_dns_names() {
        let alone = report(Role::Primary);
        let followed = Report { replicas: vec![NodeAddress::tcp("r", 1)], ..report(Role::Primary) };
        assert_eq!(elected(&[alone.clone(), followed], Some(0)), Some(1));
        assert_eq!(elected(&[alone.clone(), alone.clone()], Some(1)), Some(1));
        assert_eq!(elected(&[alone.clone(), alone], None), Some(0));
    }
}
