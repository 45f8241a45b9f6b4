//! The rules of the house that a compiler does not check: which room may use which, where `unsafe` may stand, and that
//! every dependency has its reason.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top floor down: each may use itself and those behind it.
const ROOMS: [&str; 15] = [
    "php",
    "session",
    "client",
    "discovery",
    "pool",
    "connection",
    "failover",
    "topology",
    "command",
    "resp",
    "aws",
    "config",
    "time",
    "board",
    "telemetry",
];

/// Where `unsafe` code may stand.
const MAY_BE_UNSAFE: [&str; 2] = ["php", "board"];

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

/// Every source file of the rooms.
fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the sources") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix(&root).ok()?.to_path_buf();
            let room = inside.components().next()?.as_os_str().to_str()?.to_owned();
            let text = fs::read_to_string(&path).ok()?;
            (inside.components().count() > 1).then_some(Source { path: inside, room, text })
        })
        .collect()
}

/// The lines of code: comments and documentation talk about anything.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or(""))
}

#[test]
fn every_folder_is_a_room_of_the_plan() {
    for source in sources() {
        assert!(ROOMS.contains(&source.room.as_str()), "{} is in no room", source.path.display());
    }
}

#[test]
fn no_room_uses_one_above_it() {
    for source in sources() {
        let floor = ROOMS.iter().position(|room| *room == source.room).expect("a room of the plan");
        for line in code(&source.text) {
            for above in &ROOMS[..floor] {
                let upward = format!("crate::{above}");
                let used = line.match_indices(&upward).any(|(at, _)| {
                    let next = line[at + upward.len()..].chars().next();
                    next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
                });
                assert!(!used, "{} uses {above}, which is above it: {line}", source.path.display());
            }
        }
    }
}

#[test]
fn nothing_but_the_php_room_knows_ext_php_rs() {
    for source in sources().iter().filter(|source| source.room != "php") {
        let known = code(&source.text).any(|line| line.contains("ext_php_rs"));
        assert!(!known, "{} imports ext-php-rs", source.path.display());
    }
}

#[test]
fn unsafe_code_stands_only_where_it_may_and_says_why_it_is_sound() {
    for source in sources() {
        let mentions = code(&source.text)
            .filter(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe"));
        let count = mentions.count();
        if MAY_BE_UNSAFE.contains(&source.room.as_str()) {
            let reasons = source.text.matches("SAFETY:").count() + source.text.matches("# Safety").count();
            assert!(count == 0 || reasons > 0, "{} has unsafe code and no SAFETY comment", source.path.display());
        } else {
            assert_eq!(count, 0, "{} has unsafe code", source.path.display());
        }
    }
}

#[test]
fn a_room_begins_with_what_it_is_for_and_what_it_may_use() {
    for room in ROOMS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).join("mod.rs");
        let text = fs::read_to_string(&path).expect("every room has a mod.rs");
        assert!(text.starts_with("//! "), "{} does not begin with what the room is for", path.display());
        let says = ["May use", "may use", "Uses nothing", "may import"].iter().any(|words| text.contains(words));
        assert!(says, "{} does not say what the room may use", path.display());
    }
}

#[test]
fn every_dependency_has_its_reason_in_the_list_and_no_other_has() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let manifest = read("Cargo.toml");
    let sections = manifest.split("\n[").filter_map(|section| {
        let (name, entries) = section.split_once("]\n")?;
        name.ends_with("dependencies").then_some(entries)
    });
    let entries = sections.flat_map(str::lines).filter(|line| !line.starts_with('#'));
    let mut wanted: Vec<String> = entries.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect();
    wanted.sort();
    wanted.dedup();
    assert!(wanted.iter().any(|name| name == "rustls") && wanted.iter().any(|name| name == "rcgen"), "{wanted:?}");
    let list = read("docs/dependencies.md");
    let rows = list.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut listed: Vec<String> = rows.map(|(name, _)| name.to_owned()).collect();
    listed.sort();
    assert_eq!(listed, wanted, "the names in docs/dependencies.md, and those in Cargo.toml");
}
