#!/usr/bin/env python3
"""Writes table.rs from what a redis-server 7.0 says about its commands and from the files that are kept by hand:
hand-kept.tsv, which judges them, and newer.tsv and modules.tsv, which hold the commands that this server lacks. With
described.tsv, which says how each method is called, it also writes the signatures, the stub, docs/commands.md and the table
of ranks in docs/failover.md.

    generate.py             write all of them
    generate.py --check     write nothing; exit 1 and show the difference if a file is not what would be written

Needs redis-server 7.0 and rustfmt on the PATH (or --server). The server is started for this run alone.
"""

import argparse
import dataclasses
import difflib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import describe

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "table.rs"
HAND_KEPT = HERE / "hand-kept.tsv"
LACKING = (HERE / "newer.tsv", HERE / "modules.tsv")
DESCRIBED = HERE / "described.tsv"
ROOT = HERE.parent.parent
SIGNATURES = ROOT / "src/php/signatures.rs"
CLASSES = ROOT / "src/php/classes.stub.php"
STUB = ROOT / "stubs/ResilientRedis.stub.php"
PAGE = ROOT / "docs/commands.md"
FAILOVER = ROOT / "docs/failover.md"
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
    "hash-expire": "Risk::HashExpire",
    "hash-set": "Risk::HashSet",
    "json-set": "Risk::JsonSet",
    "many-set": "Risk::ManySet",
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
    "fifth-argument": "Blocking::FifthArgument",
    "block-option": "Blocking::BlockOption(0)",
    "block-option-behind-two": "Blocking::BlockOption(2)",
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
        " items tables slow-log consumers sections clients counts nodes similar neighbours places numbers vector truth"
        " rewriting saving name json stream hot-keys facts hybrid"
    ).split()
}
COLUMNS = (("risk", RISKS), ("blocking", BLOCKING), ("effect", EFFECTS), ("arguments", ARGUMENTS), ("reply", REPLIES))

# The server's words for flags, and the constants of row.rs where upper case alone does not give them.
FLAGS = set(
    "write readonly denyoom admin pubsub noscript blocking loading stale skip_monitor skip_slowlog asking fast no_auth"
    " no_mandatory_keys no_async_loading no_multi movablekeys allow_busy".split()
)
CONSTANTS = {"movablekeys": "MOVABLE_KEYS"}

# Commands whose keys cannot be told by key specs, and what finds them: see Keys in row.rs.
RULES = {"MIGRATE": "Migrate", "SORT": "Sort", "SORT_RO": "Sort"}

# Words that are no keys, but names that are prefixed as keys are: channels and patterns. First, last, step. A channel
# of a shard is a key to the server, since it has a slot.
NAMES = {
    "KEYS": (1, 1, 1),
    "PSUBSCRIBE": (1, -1, 1),
    "PUBLISH": (1, 1, 1),
    "PUNSUBSCRIBE": (1, -1, 1),
    "SUBSCRIBE": (1, -1, 1),
    "UNSUBSCRIBE": (1, -1, 1),
}


class Refusal(Exception):
    """Something that a person has to look at; the text says what."""


@dataclasses.dataclass
class Entry:
    """A command or a subcommand before it is a row."""

    name: str
    method: str
    arity: int
    flags: list
    keys: list
    specs: list
    subcommands: list
    source: str
    judged: dict


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
    """Starts a server, checks its version and returns the replies to COMMAND and to COMMAND DOCS."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory, "--daemonize", "no"]
        try:
            server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise Refusal(f"cannot start {binary}: {error.strerror}")
        try:
            with connect(port, server) as link, link.makefile("rb") as stream:
                command = b"$7\r\nCOMMAND\r\n"
                link.sendall(b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n*1\r\n" + command + b"*2\r\n" + command + b"$4\r\nDOCS\r\n")
                info, commands, docs = (read_reply(stream) for _ in range(3))
        finally:
            server.terminate()
            server.wait()
    version = re.search(r"^redis_version:(\S+)", info, re.MULTILINE)
    version = version.group(1) if version else "(none)"
    if version.split(".")[:2] != VERSION.split("."):
        raise Refusal(f"the table holds the facts of Redis {VERSION}, but {binary} says that it is version {version}")
    return commands, docs


# --- the files that are kept by hand ----------------------------------------------------------------------------------


def read_rows(path, columns):
    """Yields the place, the name and the other cells of every row, whose names are sorted and differ."""
    last = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, *cells = line.split("\t")
        where = f"{path.name}:{number}"
        if len(cells) != columns:
            raise Refusal(f"{where}: {len(cells) + 1} columns instead of {columns + 1}")
        if name != name.upper():
            raise Refusal(f"{where}: {name} is not in upper case")
        if name < last:
            raise Refusal(f"{where}: {name} is not in its place, rows are sorted by name")
        last = name
        yield where, name, cells


def read_judgement(where, name, cells):
    """Returns {column: Rust expression or None}."""
    judged = {}
    for cell, (column, words) in zip(cells, COLUMNS):
        form = column == "arguments" and re.fullmatch(r"form:([a-z]+)", cell)
        if form:
            judged[column] = f"Arguments::Form(&forms::{form.group(1).upper()})"
            continue
        if cell != "-" and cell not in words:
            raise Refusal(f"{where}: {column} of {name} is {cell!r}, known are {', '.join(words)}")
        judged[column] = words.get(cell)
    return judged


def read_hand_kept(path):
    """Returns {name: {column: Rust expression or None}}."""
    rows = {}
    for where, name, cells in read_rows(path, len(COLUMNS)):
        if name in rows:
            raise Refusal(f"{where}: a second row for {name}")
        rows[name] = read_judgement(where, name, cells)
    return rows


def read_lacking(paths):
    """Returns the entries of commands and of subcommands that a 7.0 server lacks. A file may be missing."""
    entries, known = [], set()
    for path in paths:
        if not path.exists():
            continue
        for where, name, (method, arity, flags, keys, *cells) in read_rows(path, 4 + len(COLUMNS)):
            if (name, method) in known:
                raise Refusal(f"{where}: a second row for {name}")
            known.add((name, method))
            if not re.fullmatch(r"-?[1-9][0-9]*", arity):
                raise Refusal(f"{where}: the arity of {name} is {arity!r}, not a number of words or its negative")
            if ("|" in name) != (method == "-"):
                raise Refusal(f"{where}: commands have methods and subcommands have none, but that of {name} is {method!r}")
            specs = [] if keys == "-" else [read_spec(where, name, spec) for spec in keys.split(",")]
            flags = [] if flags == "-" else flags.split(",")
            if any(spec[3][1] != "index" or spec[5][1] != "range" for spec in specs) and "movablekeys" not in flags:
                flags.append("movablekeys")
            judged = read_judgement(where, name, cells)
            entries.append(Entry(name, method, int(arity), flags, plain_range(specs), specs, [], where, judged))
    return entries


def read_spec(where, name, text):
    """A key spec, as COMMAND would show it, from the notation that newer.tsv explains."""
    found = re.fullmatch(r"(?:([A-Z]+)>)?(?:#(\d+)|(\d+)(?:\.\.(-?\d+|half))?)(?:/([1-9]))?", text)
    word, count, first, last, step = found.groups() if found else (None,) * 5
    start = int(count or first or 0)
    if not found or (start != 0 if word else start == 0):
        raise Refusal(f"{where}: the keys of {name} are {text!r}, which is no key notation")
    begin = ["keyword", "spec", ["keyword", word, "startfrom", 1]] if word else ["index", "spec", ["index", start]]
    step = int(step or 1)
    if count:
        find = ["keynum", "spec", ["keynumidx", 0, "firstkey", 1, "keystep", step]]
    else:
        limit = 2 if last == "half" else 0
        last = -1 if limit else int(last or start)
        find = ["range", "spec", ["lastkey", last if last < 0 else last - start, "keystep", step, "limit", limit]]
    return ["flags", [], "begin_search", ["type", *begin], "find_keys", ["type", *find]]


def plain_range(specs):
    """First key, last key and step where one range of places says it all."""
    if len(specs) != 1 or specs[0][3][1] != "index" or specs[0][5][1] != "range":
        return [0, 0, 0]
    start, (_, last, _, step, _, limit) = specs[0][3][3][1], specs[0][5][3]
    return [0, 0, 0] if limit else [start, last if last < 0 else start + last, step]


# --- the table --------------------------------------------------------------------------------------------------------


def constant(flag):
    return CONSTANTS.get(flag, flag.upper())


def subcommands_of(container):
    """The constant that holds a container's subcommands; flags have constants too, and one of them is PUBSUB."""
    return re.sub("[-.]", "_", container.name) + "_SUBCOMMANDS"


def server_entries(commands, hand_kept):
    """The entries of COMMAND's reply, with what is judged of them."""

    def entry(facts):
        name = facts[0].upper()
        judged = hand_kept.get(name) or {column: None for column, _ in COLUMNS}
        method = "-" if "|" in name else name.lower().replace("-", "_")
        subcommands = [entry(sub) for sub in facts[9]]
        return Entry(name, method, facts[1], facts[2], facts[3:6], facts[8], subcommands, HAND_KEPT.name, judged)

    entries = [entry(facts) for facts in commands]
    names = {one.name for entry in entries for one in (entry, *entry.subcommands)}
    strangers = sorted(set(hand_kept) - names)
    if strangers:
        raise Refusal(f"{HAND_KEPT.name} has rows for what the server does not have: {', '.join(strangers)}")
    return entries


def merge(entries, lacking):
    """Returns the commands, each name once, and the other methods for some of them."""
    commands = {entry.name: entry for entry in entries}
    subcommands = {sub.name for entry in entries for sub in entry.subcommands}
    methods = {entry.method: entry.name for entry in entries}
    others = []
    for entry in sorted(lacking, key=lambda entry: ("|" in entry.name, entry.name)):
        container = commands.get(entry.name.split("|")[0])
        if "|" in entry.name:
            if container is None:
                raise Refusal(f"{entry.source}: {entry.name} is a subcommand of what is no command")
            if entry.name in subcommands:
                raise Refusal(f"{entry.source}: the server has {entry.name}, so it belongs in {HAND_KEPT.name}")
            container.subcommands.append(entry)
            continue
        if entry.method in methods:
            raise Refusal(f"{entry.source}: {methods[entry.method]} has the method {entry.method} already")
        methods[entry.method] = entry.name
        if container is None:
            commands[entry.name] = entry
        else:
            others.append(entry)
    for container in [entry for entry in commands.values() if entry.subcommands]:
        container.subcommands.sort(key=lambda entry: entry.name)
    for other in others:
        other.subcommands = commands[other.name].subcommands
    return sorted(commands.values(), key=lambda entry: entry.name), sorted(others, key=lambda entry: entry.method)


def judge(entry):
    """The judgement of an entry, completed by the defaults that are safe to take."""
    name, flags, source = entry.name, entry.flags, entry.source
    strange = sorted(set(flags) - FLAGS)
    if strange:
        raise Refusal(f"{source}: {name} has flags that row.rs does not know: {', '.join(strange)}")
    cells = dict(entry.judged)
    if cells["risk"] is None:
        if "write" in flags:
            raise Refusal(f"{source}: {name} writes and has no risk")
        if entry.subcommands:
            cells["risk"] = RISKS["subcommand"]
        elif "readonly" in flags:
            cells["risk"] = RISKS["read"]
        else:
            raise Refusal(f"{source}: {name} is not flagged readonly and has no risk")
    if "write" in flags and cells["risk"] == RISKS["read"]:
        raise Refusal(f"{source}: {name} writes, but is called a read")
    if "blocking" in flags and cells["blocking"] is None:
        raise Refusal(f"{source}: {name} blocks, but nothing says where its timeout stands")
    if "|" in name and (cells["blocking"] or cells["arguments"]):
        raise Refusal(f"{source}: {name} is a subcommand, which has no columns for blocking and arguments")
    return cells


def keys_of(entry):
    """The part of a row that says where keys stand, or what is prefixed like keys."""
    name, specs = entry.name, entry.specs
    if name in RULES:
        return f".keys(Keys::{RULES[name]})"
    if name in NAMES:
        return ".keys(Keys::Names(" + place(*NAMES[name]) + "))"
    if not specs:
        return ""
    if "movablekeys" not in entry.flags:
        return ".keys(Keys::Fixed(" + place(*(entry.keys if entry.keys != [0, 0, 0] else one_range(entry))) + "))"
    return ".keys(Keys::Found(&[" + ", ".join(found(entry, spec) for spec in specs) + "]))"


def place(first, last, step):
    return f"range({first}, {last}, {step})"


def one_range(entry):
    """First key, last key and step of several ranges that follow each other."""
    ranges = [plain_range([spec]) for spec in entry.specs]
    for (_, last, step), (first, _, other) in zip(ranges, ranges[1:]):
        if step != 1 or other != 1 or first != last + 1:
            raise Refusal(f"{entry.source}: the keys of {entry.name} are several ranges with something between them")
    return [ranges[0][0], ranges[-1][1], ranges[-1][2]]


def found(entry, spec):
    """A key spec of COMMAND in Rust."""
    # Some specs have notes in front.
    begin, find = (spec[spec.index(part) + 1] for part in ("begin_search", "find_keys"))
    if begin[1] == "index":
        begin = f"Begin::At({begin[3][1]})"
    elif begin[1] == "keyword" and begin[3][3] > 0:
        begin = f'Begin::Behind("{begin[3][1]}", {begin[3][3]})'
    else:
        raise Refusal(f"{entry.source}: {entry.name} has keys that no key spec finds, so it needs a rule")
    if find[1] == "range":
        find = f"Find::Range({find[3][1]}, {find[3][3]}, {find[3][5]})"
    elif find[1] == "keynum" and find[3][1] == 0 and find[3][3] == 1:
        find = f"Find::Counted({find[3][5]})"
    else:
        raise Refusal(f"{entry.source}: {entry.name} has keys that no key spec finds, so it needs a rule")
    return f"spec({begin}, {find})"


def row(entry, used):
    """One line of Rust, naming only what differs from the defaults of builder.rs."""
    cells = judge(entry)
    used.update(entry.flags)
    flags = ", ".join(sorted(constant(flag) for flag in entry.flags))
    if "|" in entry.name:
        line = f'subcommand("{entry.name.split("|")[1]}", &[{flags}])'
    else:
        line = f'command("{entry.name}", "{entry.method}", {entry.arity}, &[{flags}])'
    line += keys_of(entry)
    if cells["risk"] != RISKS["read"]:
        line += f".risk({cells['risk']})"
    for column in ("blocking", "effect", "arguments", "reply"):
        if cells[column]:
            line += f".{column}({cells[column]})"
    if entry.subcommands:
        line += f".subcommands(&{subcommands_of(entry)})"
    return line + ","


def generate(commands, others):
    """The text of table.rs before rustfmt."""
    used, containers = set(), []
    for command in commands:
        if command.subcommands:
            rows = [row(entry, used) for entry in command.subcommands]
            head = f"const {subcommands_of(command)}: [Subcommand; {len(rows)}] = ["
            containers.append("\n".join([head, *rows, "];\n"]))
    rows = [row(command, used) for command in (*commands, *others)]
    constants = sorted(constant(flag) for flag in used)
    body = "\n".join(containers) + "\n".join(rows)
    types = ("Arguments", "Begin", "Blocking", "Effect", "Find", "Keys", "Rank", "Risk", "Shape", "Telltale")
    types = ", ".join(sorted({"Command", "Flags", "Subcommand", *(name for name in types if f"{name}::" in body)}))
    indices = " ".join(str(index) for index in range(len(rows)))
    wrapped = re.sub(r"(.{1,100})(?: |$)", r"            \1\n", indices)
    newline = "\n"
    return f"""//! The commands of Redis. Generated by generate.py, not to be edited: facts come from a {VERSION} server and, for what
//! it lacks, from newer.tsv and modules.tsv; judgement of its own commands from hand-kept.tsv.

use super::builder::{{command, range, spec, subcommand}};
use super::forms;
use super::row::{{{types}}};

{newline.join(f"const {name}: Flags = Flags::{name};" for name in constants)}

{newline.join(containers)}
/// How many rows have a name of their own. Those come first; the others are further methods for some of them.
pub(super) const NAMED: usize = {len(commands)};

/// All commands, sorted by name, and behind them the further methods.
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


def write_all(server):
    """What each file should hold."""
    commands, docs = ask_server(server)
    commands, others = merge(server_entries(commands, read_hand_kept(HAND_KEPT)), read_lacking(LACKING))
    facts = {name.upper(): describe.fields(about) for name, about in zip(docs[::2], docs[1::2])}
    facts = {name: (about["group"], about["since"]) for name, about in facts.items()}
    pairs = describe.described_rows(DESCRIBED, (*commands, *others), facts)
    ranks = {text: word.split(":")[0] for word, text in RISKS.items() if "(" in text and "GeoRadius" not in text}
    return {
        TABLE: rustfmt(generate(commands, others)),
        SIGNATURES: rustfmt(describe.signatures(pairs)),
        STUB: describe.stub(CLASSES, pairs),
        PAGE: describe.page(pairs, judge, ranks),
        FAILOVER: describe.with_ranks(FAILOVER.read_text(encoding="utf-8"), commands, judge, ranks),
    }


def main():
    parser = argparse.ArgumentParser(description="Writes table.rs, the commands of Redis, and what is made of it")
    parser.add_argument("--check", action="store_true", help="only say whether the files are up to date")
    parser.add_argument("--server", default="redis-server", help="the server to ask")
    options = parser.parse_args()
    try:
        texts = write_all(options.server)
    except (Refusal, describe.Undescribed) as refusal:
        sys.exit(f"generate.py: {refusal}")
    stale = []
    for path, text in texts.items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if text == present:
            continue
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        names = (f"{path.name} as it is", f"{path.name} as it should be")
        lines = difflib.unified_diff(present.splitlines(), text.splitlines(), *names, lineterm="")
        print("\n".join(lines))
        stale.append(path.name)
    if stale:
        sys.exit(f"generate.py: {', '.join(stale)} not up to date, run generate.py")


if __name__ == "__main__":
    main()
