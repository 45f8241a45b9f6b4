//! Whom to believe when more than one node says that it is primary.

use crate::config::NodeAddress;

use super::{Lineage, Report, Role};

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

/// The index of the witness that is the deployment's primary; `None` if none says so. It depends on what the witnesses
/// say and not on their order; there is never an error because of two.
///
/// A node that was promoted carries its former history as `master_replid2`: so whoever another one was promoted from is
/// out, along a chain of any length. Of two that carry the same former history the one that followed it further is taken:
/// the other missed something. Two primaries of one history are one server under two addresses, since every promotion
/// begins a new one: the known address stands for both. Among those that are left, the one that sentinels name wins, then
/// one with replicas attached, then one that DNS names, then the known one.
pub fn elect(witnesses: &[Witness<'_>]) -> Option<usize> {
    let claims: Vec<usize> =
        (0..witnesses.len()).filter(|index| witnesses[*index].report.role == Role::Primary).collect();
    let is_out = |index: usize| claims.iter().any(|other| came_after(&witnesses[*other], &witnesses[index]));
    let mut left: Vec<usize> = claims.iter().copied().filter(|index| !is_out(*index)).collect();
    if left.is_empty() {
        // Each came after another: nobody's word is worth more than the others'.
        left = claims;
    }
    let stands_for = |one: usize, other: usize| {
        let (one, other) = (&witnesses[one], &witnesses[other]);
        is_same_server(one.report, other.report) && one.known && !other.known
    };
    let servers = left.iter().copied().filter(|index| !left.iter().any(|other| stands_for(*other, *index)));
    servers.max_by_key(|index| merit(&witnesses[*index]))
}

/// What speaks for a node where histories do not decide, weightiest first.
fn merit<'a>(witness: &Witness<'a>) -> (bool, bool, bool, bool, std::cmp::Reverse<&'a NodeAddress>) {
    let followed = !witness.report.replicas.is_empty();
    // Any rule will do in the end, as long as every worker draws the same conclusion.
    (witness.watched, followed, witness.named, witness.known, std::cmp::Reverse(witness.address))
}

/// Whether `later` is primary by a promotion that `earlier` missed.
fn came_after(later: &Witness<'_>, earlier: &Witness<'_>) -> bool {
    let (Some(later), Some(earlier)) = (&later.report.lineage, &earlier.report.lineage) else { return false };
    if later.id == earlier.id || later.previous_id.is_empty() {
        return false;
    }
    // Who holds nothing of a history but its name may have been started again from a copy, while the other goes on.
    (later.previous_id == earlier.id && !later.began_anew())
        || (later.previous_id == earlier.previous_id && followed_to(later) > followed_to(earlier))
}

/// How far a node followed its former history: those that were started again from a copy come last.
fn followed_to(lineage: &Lineage) -> (bool, Option<u64>) {
    (!lineage.began_anew(), lineage.forked_at)
}

fn is_same_server(one: &Report, other: &Report) -> bool {
    matches!((&one.lineage, &other.lineage), (Some(one), Some(other)) if one.id == other.id)
}

/// What a node that says that it is primary has to do with the primary that was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was promoted out of that one's history.
    Promoted,
    /// It writes that very history: it is that primary, whatever its address.
    Same,
    /// It comes from elsewhere: a stranger, or a former primary that is back with what it had then.
    Unrelated,
    /// Nobody can tell: the server does not say, or no history is known.
    Unproven,
}

impl Claim {
    /// Judges a report by the histories that are known of the primaries; the last one is that of the present primary.
    pub fn of(report: &Report, histories: &[String]) -> Claim {
        match (&report.lineage, histories.last()) {
            (Some(lineage), Some(present)) if lineage.id == *present => Claim::Same,
            (Some(lineage), Some(present)) if lineage.previous_id == *present => Claim::Promoted,
            (Some(_), Some(_)) => Claim::Unrelated,
            _ => Claim::Unproven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(role: Role) -> Report {
        Report::silent(role)
    }

    fn of_lineage(id: &str, previous_id: &str, offset: u64) -> Report {
        let lineage = Lineage { id: id.into(), previous_id: previous_id.into(), offset, ..Lineage::default() };
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

    /// Promoted at an offset of its former history, of which it holds everything since `kept_from`.
    fn forked(id: &str, previous_id: &str, forked_at: u64, kept_from: u64) -> Report {
        let mut report = of_lineage(id, previous_id, forked_at);
        let lineage = report.lineage.as_mut().unwrap();
        (lineage.forked_at, lineage.kept_from) = (Some(forked_at), Some(kept_from));
        report
    }

    /// Every order of the reports.
    fn orders(reports: &[Report]) -> Vec<Vec<Report>> {
        if reports.len() < 2 {
            return vec![reports.to_vec()];
        }
        let first = |index: usize| {
            let mut rest = reports.to_vec();
            let first = rest.remove(index);
            orders(&rest).into_iter().map(move |rest| [&[first.clone()][..], &rest].concat())
        };
        (0..reports.len()).flat_map(first).collect()
    }

    /// The history of the elected one, which must be the same in every order and whoever DNS names or was known.
    fn elected_always(reports: &[Report]) -> String {
        let mut ids = Vec::new();
        for order in orders(reports) {
            for named in 0..order.len() {
                for known in 0..order.len() {
                    let index = elected_knowing(&order, Some(named), Some(known)).unwrap();
                    ids.push(order[index].lineage.clone().unwrap().id);
                }
            }
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids.remove(0)
    }

    #[test]
    fn in_a_chain_of_promotions_the_last_one_wins_in_every_order() {
        let followed = |report: Report| Report { replicas: vec![NodeAddress::tcp("r", 1)], ..report };
        let chain = [followed(of_lineage("aa", "", 9)), followed(of_lineage("bb", "aa", 9)), of_lineage("cc", "bb", 9)];
        assert_eq!(elected_always(&chain), "cc");
        let longer = [&chain[..], &[of_lineage("dd", "cc", 1)]].concat();
        assert_eq!(elected_always(&longer), "dd");
    }

    #[test]
    fn of_two_that_left_one_history_the_one_that_followed_it_further_wins() {
        assert_eq!(elected_always(&[forked("bb", "aa", 90, 1), forked("cc", "aa", 100, 1)]), "cc");
    }

    #[test]
    fn a_server_that_was_started_again_from_its_data_is_not_taken_for_a_promoted_one() {
        let promoted = forked("bb", "aa", 90, 1);
        let restarted = forked("cc", "aa", 100, 100);
        assert_eq!(elected_always(&[promoted, restarted]), "bb");
        // A replica that forgot in a restart whom it followed does not win against the primary that goes on.
        let primary = Report { replicas: vec![NodeAddress::tcp("r", 1)], ..of_lineage("aa", "", 200) };
        assert_eq!(elected_always(&[primary, forked("cc", "aa", 150, 150)]), "aa");
    }

    #[test]
    fn claims_that_go_round_in_a_circle_still_elect_one() {
        let circle = [of_lineage("aa", "bb", 1), of_lineage("bb", "aa", 1)];
        assert_eq!(elected(&circle, Some(1)), Some(1));
        assert_eq!(elected(&circle, Some(0)), Some(0));
    }

    #[test]
    fn the_word_of_sentinels_counts_more_than_replicas_and_less_than_histories() {
        let alone = of_lineage("cc", "", 1);
        let followed = Report { replicas: vec![NodeAddress::tcp("r", 1)], ..of_lineage("dd", "", 1) };
        let promoted = of_lineage("ee", "cc", 1);
        let (first, second) = (NodeAddress::tcp("h", 1), NodeAddress::tcp("h", 2));
        let witness = |address, report, watched| Witness { address, report, watched, named: false, known: false };
        assert_eq!(elect(&[witness(&first, &alone, true), witness(&second, &followed, false)]), Some(0));
        assert_eq!(elect(&[witness(&first, &alone, true), witness(&second, &promoted, false)]), Some(1));
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
        // The primary before the present one, and whoever left that one's history, have missed a promotion.
        let later = ["aa".to_owned(), "bb".to_owned()];
        assert_eq!(Claim::of(&of_lineage("aa", "", 1), &later), Claim::Unrelated);
        assert_eq!(Claim::of(&of_lineage("cc", "aa", 1), &later), Claim::Unrelated);
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
