//! docs/moving.md names what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/moving.md")).unwrap()
}

/// What the crate defines: functions and types with the room that they are in (the folder or file
/// below `src`), and the type that a function belongs to: a macro's parameter may be any.
#[derive(Default)]
struct Defined {
    types: BTreeSet<(String, String)>,
    functions: BTreeSet<(String, String)>,
    /// Methods and variants.
    parts: BTreeSet<(String, String, String)>,
}

const TYPES: [&str; 3] = ["pub struct ", "pub enum ", "pub trait "];

impl Defined {
    fn of(folder: &Path, room: Option<&str>, into: &mut Defined) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let own = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let room = room.unwrap_or(&own);
            if path.is_dir() {
                Defined::of(&path, Some(room), into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.read(room, &std::fs::read_to_string(path).unwrap());
            }
        }
    }

    /// rustfmt has seen to it that a block ends where it began.
    fn read(&mut self, room: &str, text: &str) {
        let mut within: Option<(usize, String)> = None;
        for line in text.lines() {
            let depth = line.len() - line.trim_start().len();
            let line = line.trim_start();
            if let Some((began, _)) = &within
                && depth == *began
                && line.starts_with('}')
            {
                within = None;
            }
            if let Some(of) = implemented(line) {
                within = Some((depth, of.to_owned()));
            } else if let Some(rest) = TYPES.iter().find_map(|word| line.strip_prefix(word)) {
                self.types.insert((room.to_owned(), name(rest).to_owned()));
                if line.starts_with("pub enum ") {
                    within = Some((depth, name(rest).to_owned()));
                }
            } else if let Some((_, rest)) = line.split_once("fn ")
                && line.starts_with("pub ")
            {
                let (room, name) = (room.to_owned(), name(rest).to_owned());
                match &within {
                    Some((_, of)) => drop(self.parts.insert((room, of.clone(), name))),
                    None => drop(self.functions.insert((room, name))),
                }
            } else if let Some((of, _)) = line.split_once(" = ")
                && of.chars().all(char::is_alphanumeric)
            {
                // What the macros that make builders and operations are given.
                self.types.insert((room.to_owned(), of.to_owned()));
            } else if let Some((_, of)) = line.split_once(" as ")
                && line.starts_with("pub use ")
            {
                self.types.insert((room.to_owned(), name(of).to_owned()));
            } else if let Some((_, of)) = &within
                && line.starts_with(char::is_uppercase)
            {
                self.parts.insert((room.to_owned(), of.clone(), name(line).to_owned()));
            }
        }
    }

    /// Whether there is what the page calls so: `Type::part`, `room::function`, `room::Type`, and
    /// `room::Type::part`. Without a room, `Ring` is the one of entries.
    fn has(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split("::").collect();
        let is_type = |part: &str| part.starts_with(char::is_uppercase);
        match parts[..] {
            [of, part] if is_type(of) => {
                self.has_part(|room| of != "Ring" || room != "owned", of, part)
            }
            [room, of] if is_type(of) => self.types.contains(&(room.into(), of.into())),
            ["sysring", function] => self.functions.iter().any(|(_, name)| name == function),
            [room, function] => self.functions.contains(&(room.into(), function.into())),
            [room, of, part] => self.has_part(|there| there == room, of, part),
            _ => false,
        }
    }

    fn has_part(&self, room: impl Fn(&str) -> bool, of: &str, part: &str) -> bool {
        let is_it = |(there, its, name): &(String, String, String)| {
            room(there) && name == part && (its == of || its.starts_with('$'))
        };
        self.parts.iter().any(is_it)
    }
}

/// The type that a line begins an implementation for.
fn implemented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?;
    if !line.ends_with('{') {
        return None;
    }
    let rest = match rest.strip_prefix('<') {
        // Parameters have no parameters here.
        Some(rest) => rest.split_once("> ")?.1,
        None => rest.trim_start(),
    };
    let rest = rest.split_once(" for ").map_or(rest, |(_, of)| of);
    Some(name(rest))
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    &text[..end.unwrap_or(text.len())]
}

/// The words of a text that begin with a letter and may contain `::`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn every_name_of_ours_exists() {
    let (page, mut defined) = (page(), Defined::default());
    Defined::of(&root().join("sysring/src"), None, &mut defined);
    let mut missing = BTreeSet::new();
    let mut checked = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let Some(ours) = line.split(" | ").nth(1) else { continue };
        for word in words(ours).filter(|word| word.contains("::")) {
            // Any operation, and what it has.
            let is_any = ["op::X", "op::X::CODE", "op::", "::new"].contains(&word);
            // Another crate's.
            let is_others = word.starts_with("tokio::");
            checked += 1;
            if !is_any && !is_others && !defined.has(word) {
                missing.insert(word.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(checked > 250, "{checked} names were found");
    for wrong in ["Ring::read_fixed", "File::buffers", "op::Bees", "future::drives", "Sqe::more"] {
        assert!(!defined.has(wrong), "{wrong}");
    }
}

#[test]
fn every_function_of_liburing_is_there() {
    let page = page();
    let (_, all) = page.split_once("## From liburing").unwrap();
    let (calls, table) = all.split_once("| `io_uring_prep_…` |").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let (calls, table): (BTreeSet<&str>, BTreeSet<&str>) =
        (words(calls).collect(), words(table).collect());
    let mut missing = BTreeSet::new();
    for map in ["liburing", "liburing-ffi"] {
        let map = root().join("liburing").join(map).with_extension("map");
        let map = std::fs::read_to_string(map).unwrap();
        let symbols = map.lines().filter_map(|line| line.trim().strip_suffix(';'));
        let symbols: Vec<&str> = symbols.filter(|symbol| symbol.contains("ring_")).collect();
        assert!(symbols.len() > 80, "{}", symbols.len());
        for symbol in symbols {
            let is_there = match symbol.strip_prefix("io_uring_prep_") {
                // The row says so of all of them.
                Some(name) if name.starts_with("open") && name.ends_with("_direct") => true,
                Some(name) => table.contains(name),
                None => calls.contains(symbol),
            };
            if !is_there {
                missing.insert(symbol.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_example_of_the_page_is_there() {
    let page = page();
    let (_, table) = page.split_once("## The examples").unwrap();
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert!(names.contains(&"cp") && names.len() > 5, "{names:?}");
    for name in names {
        let path = root().join("sysring/examples").join(name).with_extension("rs");
        assert!(path.exists(), "{name}");
    }
}

/// Where cargo has another crate's source.
fn source_of(name: &str) -> PathBuf {
    let asked = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8(asked.stdout).unwrap();
    let manifests = text.split("\"manifest_path\":\"").skip(1);
    let manifests = manifests.filter_map(|rest| rest.split('"').next());
    let mut folders = manifests.filter_map(|manifest| manifest.strip_suffix("/Cargo.toml"));
    let is_it = |folder: &&str| {
        let own = folder.rsplit('/').next().unwrap();
        own.strip_prefix(name).is_some_and(|rest| rest.starts_with("-0."))
    };
    folders.find(is_it).map(|folder| Path::new(folder).join("src")).expect("it is a dependency")
}

/// The names of public functions in a file, or in all files of a folder.
fn public_functions(at: &Path, into: &mut BTreeSet<String>) {
    if at.is_dir() {
        for entry in std::fs::read_dir(at).unwrap() {
            public_functions(&entry.unwrap().path(), into);
        }
        return;
    }
    for line in std::fs::read_to_string(at).unwrap().lines() {
        if let Some(rest) = line.trim_start().strip_prefix("pub ")
            && let Some((before, rest)) = rest.split_once("fn ")
            && before.split_whitespace().all(|word| ["async", "const", "unsafe"].contains(&word))
        {
            into.insert(name(rest).to_owned());
        }
    }
}

#[test]
fn every_function_of_the_crates_is_there() {
    let page = page();
    let named: BTreeSet<&str> = words(&page).flat_map(|word| word.split("::")).collect();
    let io_uring = ["lib.rs", "submit.rs", "squeue.rs", "cqueue.rs", "types.rs", "register.rs"];
    for (crate_name, files) in
        [("io-uring", &io_uring[..]), ("tokio-uring", &["lib.rs", "fs", "net", "buf"])]
    {
        let (source, mut functions) = (source_of(crate_name), BTreeSet::new());
        for file in files {
            public_functions(&source.join(file), &mut functions);
        }
        assert!(functions.len() > 50, "{crate_name}: {}", functions.len());
        // Of a module that is not public.
        functions.remove("set_mode");
        functions.retain(|name| !named.contains(name.as_str()));
        assert!(functions.is_empty(), "{crate_name}: {functions:?}");
    }
}
