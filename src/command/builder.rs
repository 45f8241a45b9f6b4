//! Constructors for the rows of the generated table, so that a row is one line that names only what is special.

use super::row::{
    Arguments, Begin, Blocking, Command, Effect, Find, Flags, KeyRange, KeySpec, Keys, Rank, Risk, Shape, Subcommand,
};

/// A command that reads and has no keys, unless what follows says otherwise.
pub(super) const fn command(name: &'static str, method: &'static str, arity: i8, flags: &[Flags]) -> Command {
    Command {
        name,
        method,
        arity,
        flags: Flags::of(flags),
        keys: Keys::None,
        risk: Risk::Fixed(Rank::Read),
        blocking: Blocking::No,
        effect: Effect::None,
        arguments: Arguments::Words,
        reply: Shape::Plain,
        subcommands: &[],
    }
}

/// A subcommand that reads and has no keys, unless what follows says otherwise.
pub(super) const fn subcommand(name: &'static str, flags: &[Flags]) -> Subcommand {
    Subcommand {
        name,
        flags: Flags::of(flags),
        keys: Keys::None,
        risk: Risk::Fixed(Rank::Read),
        effect: Effect::None,
        reply: Shape::Plain,
    }
}

/// Keys from one place to another.
pub(super) const fn range(first: i16, last: i16, step: i16) -> KeyRange {
    KeyRange { first, last, step }
}

/// Keys that are found by the words.
pub(super) const fn spec(begin: Begin, find: Find) -> KeySpec {
    KeySpec { begin, find }
}

impl Command {
    pub(super) const fn keys(self, keys: Keys) -> Command {
        Command { keys, ..self }
    }

    pub(super) const fn risk(self, risk: Risk) -> Command {
        Command { risk, ..self }
    }

    pub(super) const fn blocking(self, blocking: Blocking) -> Command {
        Command { blocking, ..self }
    }

    pub(super) const fn effect(self, effect: Effect) -> Command {
        Command { effect, ..self }
    }

    pub(super) const fn arguments(self, arguments: Arguments) -> Command {
        Command { arguments, ..self }
    }

    pub(super) const fn reply(self, reply: Shape) -> Command {
        Command { reply, ..self }
    }

    pub(super) const fn subcommands(self, subcommands: &'static [Subcommand]) -> Command {
        Command { subcommands, ..self }
    }
}

impl Subcommand {
    pub(super) const fn keys(self, keys: Keys) -> Subcommand {
        Subcommand { keys, ..self }
    }

    pub(super) const fn risk(self, risk: Risk) -> Subcommand {
        Subcommand { risk, ..self }
    }

    pub(super) const fn effect(self, effect: Effect) -> Subcommand {
        Subcommand { effect, ..self }
    }

    pub(super) const fn reply(self, reply: Shape) -> Subcommand {
        Subcommand { reply, ..self }
    }
}
