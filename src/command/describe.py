"""What generate.py makes of described.tsv: the signatures that PHP shows, the stub for editors and docs/commands.md."""

import dataclasses
import re

TYPES = {
    name: name.upper() for name in ("string", "int", "float", "bool", "null", "array", "object", "mixed")
}
HEADINGS = {
    "generic": "Keys",
    "string": "Strings",
    "list": "Lists",
    "set": "Sets",
    "sorted-set": "Sorted sets",
    "hash": "Hashes",
    "stream": "Streams",
    "bitmap": "Bits",
    "hyperloglog": "HyperLogLog",
    "geo": "Places",
    "array": "Arrays",
    "vectorset": "Vector sets",
    "pubsub": "Publish and subscribe",
    "transactions": "Transactions",
    "scripting": "Scripts and functions",
    "connection": "Connections",
    "server": "The server",
    "cluster": "Cluster",
    "sentinel": "Sentinel",
    "json": "JSON",
    "search": "Search",
    "timeseries": "Time series",
    "bloom": "Bloom filters",
    "cuckoo": "Cuckoo filters",
    "cms": "Count-min sketches",
    "topk": "Top-k",
    "tdigest": "t-digests",
}
BY_ARGUMENTS = "[by its arguments](failover.md#where-the-arguments-decide)"


class Undescribed(Exception):
    """Something that a person has to look at; the text says what."""


@dataclasses.dataclass
class Parameter:
    """One parameter of a method."""

    types: str
    name: str
    variadic: bool
    default: str

    def php(self):
        dots = "..." if self.variadic else ""
        default = f" = {self.default}" if self.default else ""
        return f"{self.types} {dots}${self.name}{default}"

    def rust(self):
        names = self.types.lstrip("?").split("|") + (["null"] if self.types.startswith("?") else [])
        sort = "variadic" if self.variadic else "optional" if self.default else "required"
        text = f'{sort}(c"{self.name}")'
        if names != ["mixed"]:
            text += f".of({' | '.join(TYPES[name] for name in names)})"
        if self.default not in ("", "null"):
            text += f'.or(c"{self.default}")'
        return text

    def page(self):
        default = f" = {self.default}" if self.default else ""
        return ("..." if self.variadic else "") + self.name + default


@dataclasses.dataclass
class Described:
    """One row of described.tsv."""

    group: str
    since: str
    parameters: list
    reply: str
    text: str

    def php(self):
        return ", ".join(parameter.php() for parameter in self.parameters)


def read_parameters(where, signature):
    """The parameters that a signature names."""
    parameters = []
    for text in signature.split(", ") if signature != "-" else []:
        found = re.fullmatch(r"([?|a-z]+) (\.\.\.)?\$([a-zA-Z0-9]+)(?: = (\S+))?", text)
        unknown = found and [name for name in found[1].lstrip("?").split("|") if name not in TYPES]
        if not found or unknown:
            raise Undescribed(f"{where}: {text!r} is no parameter")
        parameter = Parameter(found[1], found[3], bool(found[2]), found[4] or "")
        before = parameters[-1] if parameters else None
        if before and (before.variadic or (before.default and not parameter.default and not parameter.variadic)):
            raise Undescribed(f"{where}: {text!r} cannot stand behind {before.php()!r}")
        parameters.append(parameter)
    return parameters


def read_described(path):
    """Returns {method: Described}."""
    rows, last = {}, ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        where, cells = f"{path.name}:{number}", line.split("\t")
        if len(cells) != 6:
            raise Undescribed(f"{where}: {len(cells)} columns instead of 6")
        method, group, since, signature, reply, text = cells
        if method <= last:
            raise Undescribed(f"{where}: {method} is not in its place, rows are sorted by method")
        if group != "-" and group not in HEADINGS:
            raise Undescribed(f"{where}: the group {group} has no heading")
        if not re.fullmatch(r"[A-Z][^|]*\.", text):
            raise Undescribed(f"{where}: {text!r} is no sentence")
        rows[method] = Described(group, since, read_parameters(where, signature), reply, text)
        last = method
    return rows


def described_rows(path, entries, facts):
    """Returns the pairs of an entry and its description, in the order of the table."""
    described = read_described(path)
    pairs = []
    for entry in entries:
        row = described.get(entry.method)
        if row is None:
            raise Undescribed(f"{entry.source}: {entry.method} has no row in {path.name}")
        group, since = facts.get(entry.name, ("-", "-"))
        row.group = group if row.group == "-" else row.group
        row.since = since if row.since == "-" else row.since
        if row.group not in HEADINGS or row.since == "-":
            raise Undescribed(f"{path.name}: {entry.method} needs a group and a version, the server says none")
        defaults = [parameter.name for parameter in row.parameters if parameter.default]
        if defaults and not (entry.judged["arguments"] or "").startswith("Arguments::Form"):
            raise Undescribed(
                f"{path.name}: {entry.method} has no form, so null for ${defaults[0]} would be sent as an empty word"
            )
        pairs.append((entry, row))
    strangers = sorted(set(described) - {entry.method for entry in entries})
    if strangers:
        raise Undescribed(f"{path.name} has rows for what is no method of the table: {', '.join(strangers)}")
    return pairs


# --- for PHP itself ---------------------------------------------------------------------------------------------------


def signatures(pairs):
    """The text of signatures.rs before rustfmt. Methods that are called alike share what describes them."""
    lists, rows = {}, []
    for entry, row in pairs:
        required = sum(not parameter.default and not parameter.variadic for parameter in row.parameters)
        items = ", ".join([f"head({required})", *(parameter.rust() for parameter in row.parameters)])
        count = len(row.parameters) + 1
        name = lists.setdefault((count, items), f"S{len(lists)}")
        rows.append(f'(c"{entry.method}", &{name}),')
    statics = "\n".join(f"static {name}: [Parameter; {count}] = [{items}];" for (count, items), name in lists.items())
    masks = sorted(mask for mask in TYPES.values() if re.search(rf"\b{mask}\b", statics))
    newline = "\n"
    return f"""//! How the methods of the table are called. Generated by generate.py from described.tsv, not to be edited.

use std::ffi::CStr;

use super::signature::{{{", ".join(masks)}, Parameter, head, optional, required, variadic}};

{statics}

/// The name and the parameters of each row's method, in the order of the table.
pub static SIGNATURES: [(&CStr, &[Parameter]); {len(rows)}] = [
{newline.join(rows)}
];
"""


# --- for editors ------------------------------------------------------------------------------------------------------


def stub(template, pairs):
    """The stub: what is kept by hand about the classes, and the methods of the table where it says so."""
    text = template.read_text(encoding="utf-8")
    containers = sorted({entry.method for entry, _ in pairs if entry.subcommands})
    lines = "\n".join(f" * @property-read \\ResilientRedis\\Container ${name}" for name in containers)
    text = text.replace(" * (containers)", lines)
    parts = re.split(r"^    // commands(?:: (.*))?\n", text, flags=re.MULTILINE)
    out = [parts[0]]
    for reply, rest in zip(parts[1::2], parts[2::2]):
        # The class's own methods stand around the mark.
        own = re.split(r"^(?:final )?class ", out[-1], flags=re.MULTILINE)[-1] + ("\n" + rest).split("\n}\n")[0]
        own = {name.lower() for name in re.findall(r"function (\w+)\(", own)}
        out.append("\n".join(stub_method(row, entry, reply) for entry, row in pairs if entry.method not in own))
        out.append(rest)
    return "".join(out)


def stub_method(row, entry, reply):
    # A question mark may not stand in a union.
    union = f"{row.reply[1:]}|null" if row.reply.startswith("?") else row.reply
    answer = row.reply if reply is None or row.reply == "never" else reply.replace("REPLY", union)
    answer = "mixed" if "mixed" in answer.split("|") else answer
    returns = "" if answer == "mixed" else f"\n     *  @return {answer}"
    return f"    /** {row.text}{returns} */\n    public function {entry.method}({row.php()}): mixed {{}}\n"


# --- for readers ------------------------------------------------------------------------------------------------------


def rank(cells, ranks):
    """What the page says of a command's rank."""
    risk = cells["risk"]
    if risk in ranks:
        return f"`{ranks[risk]}`"
    return "by its subcommand" if risk == "Risk::Subcommand" else BY_ARGUMENTS


def fields(flat):
    return dict(zip(flat[::2], flat[1::2]))


def places(specs):
    """Where keys stand, in the notation that newer.tsv explains."""
    texts = []
    for spec in map(fields, specs):
        begin, find = fields(spec["begin_search"]), fields(spec["find_keys"])
        if begin["type"] == "unknown" or find["type"] == "unknown":
            return "by its arguments"
        at, found = fields(begin["spec"]), fields(find["spec"])
        word = f"{at['keyword']}>" if begin["type"] == "keyword" else ""
        start = 0 if word else at["index"]
        step = f"/{found['keystep']}" if found["keystep"] > 1 else ""
        if find["type"] == "keynum":
            texts.append(f"{word}#{start + found['keynumidx']}{step}")
            continue
        last = found["lastkey"]
        end = "half" if found["limit"] == 2 else last if last < 0 else start + last
        texts.append(f"{word}{start}" + ("" if end == start else f"..{end}") + step)
    return ", ".join(texts)


PREFACE = """# Commands

Every method that stands for a command. Generated from the command table by `make table`; what differs from Predis is told in
[from-predis.md](from-predis.md).

**Arguments.** What `...` stands in front of may be given any number of times. Lists are flattened, associative arrays and
arrays of options are taken where the command has them, and the server's own words are taken everywhere, also where
`...more` stands. Arguments may be given by their names: `$redis->set(key: 'a', value: 'b')`. The types stand in
`stubs/ResilientRedis.stub.php`.

**Reply.** That of an ordinary call, under both protocols. After `multi()` a program gets `'QUEUED'` instead, with `'exceptions' => false`
perhaps a `ResilientRedis\\Response\\Error`, and from a pipeline or a transaction the object itself. So PHP's Reflection says
`mixed`. `never` means that the method always throws.

**Rank.** How dangerous it is to send a command a second time, when the reply to the first time was lost: `read` changes
nothing; after `checked` the second reply shows that it was the second; after `last-wins` the data are the same as after one;
after `accumulating` they are not; of `never` nobody can say. By default nothing above `last-wins` is sent again.
[What that means in a failover](failover.md#ranks).

**Keys.** Where they stand among the words that are sent, the command's name being word 0: `1` is the first word, `1..-1` all
words, `1..-1/2` every second one, `#1` the words behind a number of keys, `STREAMS>0..half` the first half of what stands
behind `STREAMS`.

**Since.** The version of Redis, or of its module, that brought the command. Redis 7.0 is what the tests run with. What is newer
was tested with a server that follows a script, and so was what is of modules: no such server was at hand.

"""


def page(pairs, judge, ranks):
    """The text of docs/commands.md."""
    groups = {}
    for entry, row in sorted(pairs, key=lambda pair: pair[0].method):
        groups.setdefault(row.group, []).append((entry, row))
    known = [group for group in HEADINGS if group in groups]
    links = " · ".join(f"[{HEADINGS[group]}](#{HEADINGS[group].lower().replace(' ', '-')})" for group in known)
    out = [PREFACE, links, "\n"]
    for group in known:
        out.append(f"\n## {HEADINGS[group]}\n\n")
        out.append("| method | arguments | reply | rank | keys | since | what it does |\n|---|---|---|---|---|---|---|\n")
        for entry, row in groups[group]:
            arguments = ", ".join(parameter.page() for parameter in row.parameters)
            cells = [
                f"`{entry.method}`",
                f"`{arguments}`" if arguments else "",
                f"`{row.reply}`".replace("|", "\\|"),
                "refused" if row.reply == "never" else rank(judge(entry), ranks),
                places(entry.specs) or ("by its subcommand" if any(sub.specs for sub in entry.subcommands) else ""),
                row.since,
                row.text,
            ]
            out.append("| " + " | ".join(cells) + " |\n")
    return "".join(out)


BEGIN, END = "<!-- ranks: written by make table -->\n", "<!-- end of ranks -->\n"


def with_ranks(text, commands, judge, ranks):
    """The text of docs/failover.md with its table of ranks anew: what is always of one rank."""
    names = {word: {} for word in ("read", "checked", "last-wins", "accumulating", "never")}
    for command in commands:
        for entry in (command, *command.subcommands):
            cells = judge(entry)
            word = ranks.get(cells["risk"])
            plain_read = word == "read" and "readonly" in entry.flags
            if word and not plain_read and cells["effect"] != "Effect::Refused" and not entry.name.endswith("|HELP"):
                name, _, sub = entry.name.partition("|")
                names[word].setdefault(name, []).extend([sub] if sub else [])
    rows = {
        word: ", ".join(
            f"`{name}`" + (" " + "/".join(f"`{sub}`" for sub in subs) if subs else "") for name, subs in found.items()
        )
        for word, found in names.items()
    }
    rows["read"] = "every command that the server flags as read-only (`GET`, `HGETALL`, `ZRANGE`, `SCAN`, `XREAD` ...), and: " + rows["read"]
    rows["never"] += ", and every command that is not in the table"
    table = "".join(f"| `{word}` | {row} |\n" for word, row in rows.items())
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise Undescribed("docs/failover.md has no place for the ranks")
    return f"{before}{BEGIN}\n| rank | commands |\n|---|---|\n{table}\n{END}{after}"
