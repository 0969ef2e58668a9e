//! Programs in C, compiled where they are measured.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// Compiles a program that needs one library, which Debian has in `package`. `CC`, `CFLAGS` and
/// `LDFLAGS` are obeyed, to name another library than the system's.
pub fn program(
    folder: &Path,
    name: &str,
    source: &str,
    library: &str,
    package: &str,
) -> Result<PathBuf, Error> {
    let program = folder.join(format!("{name}-c"));
    let flags = |name| std::env::var(name).unwrap_or_default();
    let (compile, link) = (flags("CFLAGS"), flags("LDFLAGS"));
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-O2", "-x", "c"]).args(compile.split_whitespace()).arg("-");
    command.args(link.split_whitespace()).arg(format!("-l:{library}")).arg("-o").arg(&program);
    let mut compiler = command.stdin(Stdio::piped()).spawn().map_err(|e| format!("cc: {e}"))?;
    compiler.stdin.take().ok_or("cc has no input")?.write_all(source.as_bytes())?;
    if !compiler.wait()?.success() {
        return Err(format!("cc: is {library} installed (Debian: {package})?").into());
    }
    Ok(program)
}
