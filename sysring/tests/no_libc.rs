//! The client alone, without std: what its code asks a linker for.

use std::path::Path;
use std::process::Command;

/// What any code may ask for: Rust brings these along where there is no libc (`compiler_builtins`).
const COMPILER: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];

#[test]
fn the_core_needs_no_symbol_of_libc() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = room.join("../target/no-libc");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--no-default-features", "--manifest-path"])
        .arg(room.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(built.success());
    let mut seen = 0;
    for name in ["sysring", "sysring_door", "sysring_sys"] {
        let folder = target.join("debug/deps");
        let newest = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| {
                let file = entry.file_name().into_string().unwrap();
                file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib")
            })
            .max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
        let newest = newest.unwrap_or_else(|| panic!("no lib{name} in {}", folder.display()));
        let told = Command::new("nm").arg("-u").arg(newest.path()).output().unwrap();
        assert!(told.status.success());
        for line in String::from_utf8(told.stdout).unwrap().lines() {
            let Some(symbol) = line.trim_start().strip_prefix("U ") else { continue };
            seen += 1;
            assert!(is_free(symbol), "{name} needs {symbol}");
        }
    }
    assert!(seen > 10, "nm has told of {seen} symbols only");
}

/// Whether a symbol is one of Rust's own (whose names are mangled), or may be asked for by any code.
fn is_free(symbol: &str) -> bool {
    let foreign = ["3std", "5alloc", "4libc"];
    let mangled = symbol.strip_prefix("_ZN").or(symbol.strip_prefix("_R"));
    match mangled {
        Some(name) => !foreign.iter().any(|krate| name.starts_with(krate)),
        None => COMPILER.contains(&symbol) || symbol.starts_with("sysring_"),
    }
}
