//! `sysring.h`, written from the room of the C API.

use std::fs;
use std::path::PathBuf;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

const OPENING: &str = "\
/* sysring: any system call, asynchronous. Written by cargo xtask header; do not edit.

   Functions answer as the kernel does: a value, or a negated error number. `errno` is not touched. */";

/// Structures that no function names.
const VALUES: [&str; 4] = ["sysring_timing", "sysring_cache", "sysring_place", "sysring_checksum"];

/// What is not in libsysring, but in the libraries that take liburing's place.
const LIBURING: &str = "
/* In sysring's liburing: which engine serves a ring, and why: \"kernel: ...\" or \"user: ...\", a static
   string. NULL asks what a new ring would get. */
struct io_uring;

#ifdef __cplusplus
extern \"C\" {
#endif

const char *sysring_ring_engine(const struct io_uring *ring);

#ifdef __cplusplus
}
#endif";

fn room() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../capi")
}

fn path() -> PathBuf {
    room().join("include/sysring.h")
}

fn generate() -> Result<String, String> {
    let config = Config {
        language: Language::C,
        style: Style::Tag,
        cpp_compat: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        usize_is_size_t: true,
        after_includes: Some(LIBURING.into()),
        documentation_style: DocumentationStyle::C,
        ..Config::default()
    };
    let mut builder =
        Builder::new().with_config(config).with_header(OPENING).with_include_guard("SYSRING_H");
    for name in VALUES {
        builder = builder.include_item(name);
    }
    for file in ["types.rs", "attributes.rs", "calls.rs", "batches.rs"] {
        builder = builder.with_src(room().join("src").join(file));
    }
    let mut header = Vec::new();
    builder.generate().map_err(|e| e.to_string())?.write(&mut header);
    let header = String::from_utf8(header).map_err(|e| e.to_string())?;
    Ok(in_style(&header))
}

/// Comments as C has them, without Rust's sections on safety, which say what a C programmer takes for
/// granted.
fn in_style(header: &str) -> String {
    let mut out = String::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "/*" {
            out += line;
        } else {
            let text: Vec<&str> =
                lines.by_ref().map(str::trim).take_while(|l| *l != "*/").collect();
            let end = text.iter().position(|line| *line == "# Safety").unwrap_or(text.len());
            let indent = &line[..line.len() - 2];
            let text = text[..end].join(&format!("\n{indent}   "));
            out += &format!("{indent}/* {} */", text.trim_end());
        }
        out.push('\n');
    }
    out
}

/// Writes it.
pub fn write() -> Result<(), String> {
    fs::write(path(), generate()?).map_err(|e| e.to_string())
}

/// Whether it is what the room says.
pub fn is_current() -> bool {
    fs::read_to_string(path()).is_ok_and(|header| generate().is_ok_and(|new| new == header))
}
