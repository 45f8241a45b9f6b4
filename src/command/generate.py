#!/usr/bin/env python3
"""Writes table.rs from what a redis-server 7.0 says about its commands and from hand-kept.tsv.

    generate.py             write table.rs
    generate.py --check     write nothing; exit 1 and show the difference if table.rs is not what would be written

Needs redis-server 7.0 and rustfmt on the PATH (or --server). The server is started for this run alone.
"""

import argparse
import difflib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "table.rs"
HAND_KEPT = HERE / "hand-kept.tsv"
VERSION = "7.0"

RISKS = {
    "read": "Risk::Fixed(Rank::Read)",
    "last-wins": "Risk::Fixed(Rank::LastWins)",
    "accumulating": "Risk::Fixed(Rank::Accumulating)",
    "never": "Risk::Fixed(Rank::Never)",
    "checked:nil": "Risk::Checked(Telltale::Nil)",
    "checked:zero": "Risk::Checked(Telltale::Zero)",
    "checked:error": "Risk::Checked(Telltale::Error)",
    "subcommand": "Risk::Subcommand",
    "read-or-subcommand": "Risk::ReadOrSubcommand",
    "acl-log": "Risk::AclLog",
    "bitfield": "Risk::BitField",
    "bitop": "Risk::BitOp",
    "copy": "Risk::Copy",
    "expire": "Risk::Expire",
    "function-load": "Risk::FunctionLoad",
    "function-restore": "Risk::FunctionRestore",
    "georadius": "Risk::GeoRadius(5)",
    "georadiusbymember": "Risk::GeoRadius(4)",
    "restore": "Risk::Restore",
    "set": "Risk::Set",
    "sort": "Risk::Sort",
    "store-counted": "Risk::StoreCounted",
    "store-one": "Risk::StoreOne",
    "store-rest": "Risk::StoreRest",
    "xadd": "Risk::XAdd",
    "zadd": "Risk::ZAdd",
}
BLOCKING = {
    "last-argument": "Blocking::LastArgument",
    "first-argument": "Blocking::FirstArgument",
    "block-option": "Blocking::BlockOption",
    "wait": "Blocking::Wait",
}
EFFECTS = {
    name: f"Effect::{name.capitalize()}"
    for name in ("select", "auth", "multi", "exec", "discard", "watch", "unwatch", "pin", "quit", "refused")
}
ARGUMENTS = {"pairs": "Arguments::Pairs"}
REPLIES = {
    name: "Shape::" + "".join(part.capitalize() for part in name.split("-"))
    for name in (
        "pairs scores scores-aside popped popped-of-key popped-of-keys hash-scan score-scan entries streams matches"
        " tables slow-log consumers sections clients"
    ).split()
}
COLUMNS = (("risk", RISKS), ("blocking", BLOCKING), ("effect", EFFECTS), ("arguments", ARGUMENTS), ("reply", REPLIES))

# The server's words for flags, and the constants of row.rs where upper case alone does not give them.
FLAGS = set(
    "write readonly denyoom admin pubsub noscript blocking loading stale skip_monitor skip_slowlog asking fast no_auth"
    " no_mandatory_keys no_async_loading no_multi movablekeys allow_busy".split()
)
CONSTANTS = {"movablekeys": "MOVABLE_KEYS"}


class Refusal(Exception):
    """Something that a person has to look at; the text says what."""


# --- the server -------------------------------------------------------------------------------------------------------


def read_reply(stream):
    """Reads one RESP2 reply."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise Refusal("the server closed the connection in the middle of a reply")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"*":
        return None if rest == "-1" else [read_reply(stream) for _ in range(int(rest))]
    if kind == b"$":
        return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode()
    if kind == b":":
        return int(rest)
    if kind == b"+":
        return rest
    raise Refusal(f"the server answered {line!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, server):
    """Connects as soon as the server listens, for at most ten seconds."""
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            if server.poll() is not None:
                raise Refusal(f"redis-server ended at once with status {server.returncode}")
            if time.monotonic() > end:
                raise Refusal("redis-server did not listen within ten seconds")
            time.sleep(0.02)


def ask_server(binary):
    """Starts a server, checks its version and returns the reply to COMMAND."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory, "--daemonize", "no"]
        try:
            server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise Refusal(f"cannot start {binary}: {error.strerror}")
        try:
            with connect(port, server) as link, link.makefile("rb") as stream:
                link.sendall(b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n*1\r\n$7\r\nCOMMAND\r\n")
                info, commands = read_reply(stream), read_reply(stream)
        finally:
            server.terminate()
            server.wait()
    version = re.search(r"^redis_version:(\S+)", info, re.MULTILINE)
    version = version.group(1) if version else "(none)"
    if version.split(".")[:2] != VERSION.split("."):
        raise Refusal(f"the table holds the facts of Redis {VERSION}, but {binary} says that it is version {version}")
    return commands


# --- the hand-kept file -----------------------------------------------------------------------------------------------


def read_hand_kept(path):
    """Returns {name: {column: Rust expression or None}}."""
    rows = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, *cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise Refusal(f"{path.name}:{number}: {len(cells) + 1} columns instead of {len(COLUMNS) + 1}")
        if name in rows:
            raise Refusal(f"{path.name}:{number}: a second row for {name}")
        if rows and name < next(reversed(rows)):
            raise Refusal(f"{path.name}:{number}: {name} is not in its place, rows are sorted by name")
        rows[name] = {}
        for cell, (column, words) in zip(cells, COLUMNS):
            form = column == "arguments" and re.fullmatch(r"form:([a-z]+)", cell)
            if form:
                rows[name][column] = f"Arguments::Form(&forms::{form.group(1).upper()})"
                continue
            if cell != "-" and cell not in words:
                raise Refusal(f"{path.name}:{number}: {column} of {name} is {cell!r}, known are {', '.join(words)}")
            rows[name][column] = words.get(cell)
    return rows


# --- the table --------------------------------------------------------------------------------------------------------


def constant(flag):
    return CONSTANTS.get(flag, flag.upper())


def full_name(entry):
    return entry[0].upper()


def subcommands_of(container):
    """The constant that holds a container's subcommands; flags have constants too, and one of them is PUBSUB."""
    return full_name(container).replace("-", "_") + "_SUBCOMMANDS"


def judge(entry, hand_kept):
    """The hand-kept cells of one entry of COMMAND, completed by the defaults that are safe to take."""
    name, flags, subcommands = full_name(entry), entry[2], entry[9]
    strange = sorted(set(flags) - FLAGS)
    if strange:
        raise Refusal(f"{name} has flags that row.rs does not know: {', '.join(strange)}")
    cells = dict(hand_kept.get(name) or {column: None for column, _ in COLUMNS})
    if cells["risk"] is None:
        if "write" in flags:
            raise Refusal(f"{name} writes and has no risk in {HAND_KEPT.name}")
        if subcommands:
            cells["risk"] = RISKS["subcommand"]
        elif "readonly" in flags:
            cells["risk"] = RISKS["read"]
        else:
            raise Refusal(f"{name} is not flagged readonly and has no risk in {HAND_KEPT.name}")
    if "write" in flags and cells["risk"] == RISKS["read"]:
        raise Refusal(f"{name} writes, but {HAND_KEPT.name} calls it a read")
    if "blocking" in flags and cells["blocking"] is None:
        raise Refusal(f"{name} blocks, but {HAND_KEPT.name} does not say where its timeout stands")
    if "|" in name and (cells["blocking"] or cells["arguments"]):
        raise Refusal(f"{name}: a subcommand has no columns for blocking and arguments")
    return cells


def row(entry, hand_kept, used):
    """One line of Rust, naming only what differs from the defaults of builder.rs."""
    cells = judge(entry, hand_kept)
    used.update(entry[2])
    flags = ", ".join(sorted(constant(flag) for flag in entry[2]))
    name, keys = full_name(entry), entry[3:6]
    if "|" in name:
        line = f'subcommand("{name.split("|")[1]}", &[{flags}])'
    else:
        method = name.lower().replace("-", "_")
        line = f'command("{name}", "{method}", {entry[1]}, &[{flags}])'
    if keys != [0, 0, 0]:
        line += f".keys({keys[0]}, {keys[1]}, {keys[2]})"
    if cells["risk"] != RISKS["read"]:
        line += f".risk({cells['risk']})"
    for column in ("blocking", "effect", "arguments", "reply"):
        if cells[column]:
            line += f".{column}({cells[column]})"
    if entry[9]:
        line += f".subcommands(&{subcommands_of(entry)})"
    return line + ","


def generate(commands, hand_kept):
    """The text of table.rs before rustfmt."""
    commands = sorted(commands, key=full_name)
    names = {full_name(entry) for command in commands for entry in (command, *command[9])}
    strangers = sorted(set(hand_kept) - names)
    if strangers:
        raise Refusal(f"{HAND_KEPT.name} has rows for what the server does not have: {', '.join(strangers)}")
    used, containers = set(), []
    for command in commands:
        if command[9]:
            rows = [row(entry, hand_kept, used) for entry in sorted(command[9], key=full_name)]
            head = f"const {subcommands_of(command)}: [Subcommand; {len(rows)}] = ["
            containers.append("\n".join([head, *rows, "];\n"]))
    rows = [row(command, hand_kept, used) for command in commands]
    constants = sorted(constant(flag) for flag in used)
    body = "\n".join(containers) + "\n".join(rows)
    types = ("Arguments", "Blocking", "Effect", "Rank", "Risk", "Shape", "Telltale")
    types = ", ".join(sorted({"Command", "Flags", "Subcommand", *(name for name in types if f"{name}::" in body)}))
    indices = " ".join(str(index) for index in range(len(rows)))
    wrapped = re.sub(r"(.{1,100})(?: |$)", r"            \1\n", indices)
    newline = "\n"
    return f"""//! The commands of Redis {VERSION}. Generated by generate.py, not to be edited: facts come from a
//! server, judgement from hand-kept.tsv.

use super::builder::{{command, subcommand}};
use super::forms;
use super::row::{{{types}}};

{newline.join(f"const {name}: Flags = Flags::{name};" for name in constants)}

{newline.join(containers)}
/// All commands, sorted by name.
pub static COMMANDS: [Command; {len(rows)}] = [
{newline.join(rows)}
];

/// Hands the index of every row to the macro `$callback`, which can then make one item per command.
#[allow(unused_macros, reason = "asked for only where PHP is built in")]
macro_rules! with_command_indices {{
    ($callback:ident) => {{
        $callback! {{
{wrapped}        }}
    }};
}}
#[allow(unused_imports, reason = "asked for only where PHP is built in")]
pub(crate) use with_command_indices;
"""


def rustfmt(text):
    command = ["rustfmt", "--edition", "2024", "--emit", "stdout", "--config-path", str(HERE.parent.parent)]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Refusal(f"cannot start rustfmt: {error.strerror}")
    if done.returncode != 0:
        raise Refusal(f"rustfmt refused the table:\n{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description="Writes table.rs, the commands of Redis " + VERSION)
    parser.add_argument("--check", action="store_true", help="only say whether table.rs is up to date")
    parser.add_argument("--server", default="redis-server", help="the server to ask")
    options = parser.parse_args()
    try:
        text = rustfmt(generate(ask_server(options.server), read_hand_kept(HAND_KEPT)))
    except Refusal as refusal:
        sys.exit(f"generate.py: {refusal}")
    present = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    if not options.check:
        TABLE.write_text(text, encoding="utf-8")
    elif text != present:
        names = (f"{TABLE.name} as it is", f"{TABLE.name} as it should be")
        lines = difflib.unified_diff(present.splitlines(), text.splitlines(), *names, lineterm="")
        print("\n".join(lines))
        sys.exit(f"generate.py: {TABLE.name} is not up to date, run generate.py")


if __name__ == "__main__":
    main()
