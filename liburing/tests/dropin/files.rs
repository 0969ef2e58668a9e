//! The files: which symbols they show and need, and what is in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::common::{client_alone, library, stdout};

/// Beyond liburing's own.
const OURS: &str = "sysring_ring_engine@@SYSRING_0.1";

/// What the static libraries show as well, as upstream does.
const STATIC_ALONE: [&str; 2] = ["__io_uring_queue_init_params", "io_uring_unmap_rings"];

fn defined(file: &Path, options: &[&str]) -> BTreeSet<String> {
    let text = stdout(Command::new("nm").args(options).arg(file));
    let symbols = text.lines().filter(|line| line.contains(" T ") || line.contains(" D "));
    symbols.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

/// The list of liburing 2.15's symbols, each with its version.
fn expected(list: &str) -> BTreeSet<String> {
    list.lines().map(str::to_owned).collect()
}

fn lists() -> [(&'static str, BTreeSet<String>); 2] {
    [
        ("liburing", expected(include_str!("../liburing.symbols"))),
        ("liburing-ffi", expected(include_str!("../liburing-ffi.symbols"))),
    ]
}

#[test]
fn shared_libraries_have_liburings_symbols_and_versions() {
    for (name, mut expected) in lists() {
        expected.insert(OURS.to_owned());
        let file = library(&format!("{name}.so.2"));
        let found = defined(&file, &["-D", "--with-symbol-versions", "--defined-only"]);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn shared_libraries_need_nothing() {
    for (name, _) in lists() {
        let file = library(&format!("{name}.so.2"));
        assert_eq!(stdout(Command::new("nm").args(["-D", "--undefined-only"]).arg(&file)), "");
        let dynamic = stdout(Command::new("readelf").args(["-dW"]).arg(&file));
        assert!(dynamic.contains(&format!("Library soname: [{name}.so.2]")), "{dynamic}");
        for wrong in ["(NEEDED)", "TEXTREL", "(INIT"] {
            assert!(!dynamic.contains(wrong), "{name}: {wrong}\n{dynamic}");
        }
        let segments = stdout(Command::new("readelf").args(["-lW"]).arg(&file));
        assert!(!segments.contains("TLS") && !segments.contains("RWE"), "{segments}");
    }
}

#[test]
fn static_libraries_show_the_same_and_need_nothing() {
    for (name, expected) in lists() {
        let file = library(&format!("{name}.a"));
        let mut names: BTreeSet<String> = expected
            .iter()
            .chain([&OURS.to_owned()])
            .filter_map(|symbol| symbol.split("@@").next())
            .map(str::to_owned)
            .collect();
        names.extend(STATIC_ALONE.map(str::to_owned));
        assert_eq!(defined(&file, &["--extern-only", "--defined-only"]), names, "{name}");
        let undefined = stdout(Command::new("nm").args(["--undefined-only"]).arg(&file));
        let open: Vec<&str> = undefined
            .lines()
            // What the linker itself provides.
            .filter(|line| line.contains(" U ") && !line.contains("_GLOBAL_OFFSET_TABLE_"))
            .collect();
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn the_client_alone_is_small() {
    const MOST: u64 = 64 << 10;
    let prefix = client_alone();
    for (name, _) in lists() {
        let file = prefix.join("lib").join(format!("{name}.so.2"));
        let sizes = stdout(Command::new("size").arg(&file));
        let text = sizes.lines().nth(1).and_then(|line| line.split_whitespace().next());
        let text: u64 = text.and_then(|number| number.parse().ok()).unwrap();
        println!("{name}: {text} bytes");
        assert!(text <= MOST, "{name}: {text} bytes");
    }
}

#[test]
fn pkg_config_files_name_the_libraries() {
    for (name, short) in [("liburing", "-luring"), ("liburing-ffi", "-luring-ffi")] {
        let file = library(&format!("pkgconfig/{name}.pc"));
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.contains("Version: 2.15\n") && text.contains(&format!(" {short}\n")),
            "{text}"
        );
    }
}
