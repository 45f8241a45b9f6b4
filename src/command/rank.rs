//! What may happen to a command, judged from its row and its arguments (always without the command's own name).

use super::lookup::find_subcommand;
use super::row::{Command, Effect, Flags, Hazard, Rank, Risk, Subcommand, Telltale};
use super::rules;

/// What sending this command a second time would mean. `None` stands for a command that the table does not know.
///
/// `EXEC` is `Rank::Never`: alone it is never sent again. The rank of a transaction is the highest one of the commands
/// between `MULTI` and `EXEC`, without those two.
pub fn hazard(command: Option<&Command>, arguments: &[&[u8]]) -> Hazard {
    let Some(command) = command else { return Hazard::of(Rank::Never) };
    match command.risk {
        Risk::ReadOrSubcommand if arguments.is_empty() => Hazard::of(Rank::Read),
        Risk::Subcommand | Risk::ReadOrSubcommand => match subcommand(command, arguments) {
            Some(row) => judge(row.risk, &arguments[1..]),
            None => Hazard::of(Rank::Never),
        },
        risk => judge(risk, arguments),
    }
}

/// Whether the command, with these arguments, changes nothing. It may still have to go to a primary: see
/// `may_use_replica`.
pub fn is_read(command: Option<&Command>, arguments: &[&[u8]]) -> bool {
    hazard(command, arguments).rank == Rank::Read
}

/// Whether the command can be one that changes data, whatever its arguments: a look at its row alone, for the hot path.
#[inline]
pub fn may_write(command: Option<&Command>) -> bool {
    // Only scripts need no keys where keys are expected; those that only read are flagged so.
    const SCRIPT: Flags = Flags::NO_MANDATORY_KEYS;
    command.is_none_or(|row| {
        !row.flags.contains(Flags::READONLY)
            && (row.flags.contains(Flags::WRITE)
                || row.flags.contains(SCRIPT)
                || row.effect == Effect::Exec
                || !row.subcommands.is_empty())
    })
}

/// Whether the command changes data whatever its arguments.
#[inline]
pub fn always_writes(command: Option<&Command>) -> bool {
    command.is_some_and(|row| {
        row.flags.contains(Flags::WRITE) && !matches!(row.risk, Risk::BitField | Risk::GeoRadius(_) | Risk::Sort)
    })
}

/// Whether the command, with these arguments, changes data or may do so: what a primary hands on to its replicas. A
/// command that the table does not know may.
pub fn is_write(command: Option<&Command>, arguments: &[&[u8]]) -> bool {
    let Some(row) = command else { return true };
    let writes = match subcommand(row, arguments) {
        Some(row) => row.flags.contains(Flags::WRITE),
        None => may_write(command) && row.subcommands.is_empty(),
    };
    writes && !is_read(command, arguments)
}

/// Whether a replica serves the command. Stricter than `is_read`: a replica refuses `SORT` and `BITFIELD` even where
/// they only read, and `INFO` or `CONFIG GET` answer about the node that is asked. A cursor is a place in one server's own
/// table, whose order no other server shares: with `SCAN` continued elsewhere, keys would be missed.
pub fn may_use_replica(command: Option<&Command>, arguments: &[&[u8]]) -> bool {
    let Some(command) = command else { return false };
    if matches!(command.name, "SCAN" | "SSCAN" | "HSCAN" | "ZSCAN") {
        return false;
    }
    command.flags.contains(Flags::READONLY)
        || subcommand(command, arguments).is_some_and(|row| row.flags.contains(Flags::READONLY))
}

/// What the command changes on the connection that sends it. A command that the table does not know is taken for one
/// that works on data, as those of modules do. Its words, the name first, are looked at only where they matter.
#[inline(always)]
pub fn effect<'a>(command: Option<&Command>, words: impl FnOnce() -> Vec<&'a [u8]>) -> Effect {
    match command {
        Some(row) if row.subcommands.is_empty() => row.effect,
        Some(row) => subcommand(row, &words()[1..]).map_or(row.effect, |subcommand| subcommand.effect),
        None => Effect::None,
    }
}

fn subcommand(command: &Command, arguments: &[&[u8]]) -> Option<&'static Subcommand> {
    find_subcommand(command, arguments.first()?)
}

fn judge(risk: Risk, arguments: &[&[u8]]) -> Hazard {
    match risk {
        Risk::Fixed(rank) => Hazard::of(rank),
        Risk::Checked(telltale) => Hazard::checked(telltale),
        Risk::AclLog => rules::acl_log(arguments),
        Risk::BitField => rules::bitfield(arguments),
        Risk::BitOp => rules::bitop(arguments),
        Risk::Copy => rules::copy(arguments),
        Risk::Expire => rules::expire(arguments),
        Risk::FunctionLoad => rules::function_load(arguments),
        Risk::FunctionRestore => rules::function_restore(arguments),
        Risk::GeoRadius(before_options) => rules::georadius(arguments, usize::from(before_options)),
        Risk::HashExpire => rules::hash_expire(arguments),
        Risk::HashSet => rules::hash_set(arguments),
        Risk::JsonSet => rules::json_set(arguments),
        Risk::ManySet => rules::many_set(arguments),
        Risk::Restore => rules::restore(arguments),
        Risk::Set => rules::set(arguments),
        Risk::Sort => rules::sort(arguments),
        Risk::StoreCounted => rules::store_counted(arguments),
        Risk::StoreOne => rules::store_one(arguments),
        Risk::StoreRest => rules::store_rest(arguments),
        Risk::XAdd => rules::xadd(arguments),
        Risk::ZAdd => rules::zadd(arguments),
        // A subcommand has no subcommands of its own.
        Risk::Subcommand | Risk::ReadOrSubcommand => Hazard::of(Rank::Never),
    }
}

impl Hazard {
    pub(super) const fn of(rank: Rank) -> Hazard {
        Hazard { rank, telltale: Telltale::None }
    }

    pub(super) const fn checked(telltale: Telltale) -> Hazard {
        Hazard { rank: Rank::Checked, telltale }
    }
}

#[cfg(test)]
mod tests;
