//! docs/moving.md names what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/moving.md")).unwrap()
}

/// All sources below a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The words of a text that begin with a letter and may contain `::`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn every_name_of_ours_exists() {
    let (page, mut source) = (page(), String::new());
    sources(&root().join("sysring/src"), &mut source);
    let mut missing = BTreeSet::new();
    let mut checked = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let Some(ours) = line.split(" | ").nth(1) else { continue };
        for word in words(ours).filter(|word| word.contains("::")) {
            let (path, name) = word.rsplit_once("::").unwrap();
            let exists = match name.chars().next() {
                Some('a'..='z') => [format!("fn {name}("), format!("fn {name}<")]
                    .iter()
                    .any(|definition| source.contains(definition)),
                // A type, which a macro may define; `op::X` stands for any of them.
                Some('A'..='Z') => {
                    let defined =
                        [format!(" {name} ="), format!("struct {name}"), format!("{name}(")];
                    name == "X" || name == "CODE" || defined.iter().any(|d| source.contains(d))
                }
                _ => path == "op",
            };
            checked += 1;
            if !exists {
                missing.insert(word.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(checked > 150, "{checked} names were found");
}

#[test]
fn every_preparation_of_liburing_is_there() {
    let page = page();
    let (_, table) = page.split_once("| `io_uring_prep_…` |").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let named: BTreeSet<&str> = words(table).collect();
    let map = std::fs::read_to_string(root().join("liburing/liburing-ffi.map")).unwrap();
    let missing: Vec<&str> = words(&map)
        .filter_map(|symbol| symbol.strip_prefix("io_uring_prep_"))
        .filter(|name| !named.contains(name))
        // The row says so of all of them.
        .filter(|name| !(name.starts_with("open") && name.ends_with("_direct")))
        .collect();
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
