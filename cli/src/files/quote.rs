//! Names in messages, so that a shell would read them as they are.

/// Whether a terminal that is sent the name may do something else than show it.
pub fn is_hostile(name: &[u8]) -> bool {
    std::str::from_utf8(name).map_or(true, |text| text.chars().any(char::is_control))
}

/// In single quotes, with what cannot be printed as `$'\…'` between them.
pub fn shell(name: &[u8]) -> String {
    let plain = |c: char| !c.is_control() && c != '\'';
    let text = std::str::from_utf8(name);
    match text {
        Ok(text) if text.chars().all(plain) => return format!("'{text}'"),
        // As shells' users would write it.
        Ok(text)
            if text.chars().all(|c| plain(c) || c == '\'')
                && !text.contains(['"', '`', '$', '\\', '!']) =>
        {
            return format!("\"{text}\"");
        }
        _ => {}
    }
    let mut quoted = String::from("'");
    let mut escaped = false;
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escape = match c {
                '\n' => Some("\\n".to_owned()),
                '\t' => Some("\\t".to_owned()),
                '\r' => Some("\\r".to_owned()),
                '\x07' => Some("\\a".to_owned()),
                '\x08' => Some("\\b".to_owned()),
                '\x0b' => Some("\\v".to_owned()),
                '\x0c' => Some("\\f".to_owned()),
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    Some(c.encode_utf8(&mut bytes).bytes().map(octal).collect())
                }
                _ => None,
            };
            push(&mut quoted, &mut escaped, escape.as_deref(), c);
        }
        for &byte in chunk.invalid() {
            push(&mut quoted, &mut escaped, Some(&octal(byte)), ' ');
        }
    }
    quoted.push('\'');
    quoted
}

fn octal(byte: u8) -> String {
    format!("\\{byte:03o}")
}

/// One character or its escape, with the quotes that the change from one to the other takes.
fn push(quoted: &mut String, escaped: &mut bool, escape: Option<&str>, c: char) {
    match escape {
        Some(escape) => {
            if !*escaped {
                quoted.push_str("'$'");
                *escaped = true;
            }
            quoted.push_str(escape);
        }
        None => {
            if *escaped {
                quoted.push_str("''");
                *escaped = false;
            }
            if c == '\'' { quoted.push_str("'\\''") } else { quoted.push(c) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_hostile, shell};

    #[test]
    fn what_a_terminal_cannot_show_is_hostile() {
        assert!(!is_hostile("größe it's $x".as_bytes()) && !is_hostile(b""));
        assert!(is_hostile(b"a\nb") && is_hostile(b"\x1b[2J") && is_hostile(b"\xff"));
        assert!(is_hostile("\u{9b}2J".as_bytes()), "the same in one character");
    }

    #[test]
    fn names_are_quoted_as_shells_read_them() {
        assert_eq!(shell(b"plain"), "'plain'");
        assert_eq!(shell("größe".as_bytes()), "'größe'");
        assert_eq!(shell(b"it's"), "\"it's\"");
        assert_eq!(shell(b"a\nb"), "'a'$'\\n''b'");
        assert_eq!(shell(b"x\xff\xfe"), "'x'$'\\377\\376'");
        assert_eq!(shell(b"$it's"), "'$it'\\''s'");
    }
}
